#!/usr/bin/env python3
"""Plants known mistakes in the store, its bell and its refresher, one at a time, and shows that the model tests find
each: `tests/mutants.py [NAME ...]`. Run by hand when those files or the model tests change; half a minute each."""
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
CREDENTIAL = ROOT / "src/credential"
TESTS = ["cargo", "test", "--locked", "--quiet", "--lib", "credential::model_tests"]

# Name; file; what stands there; what is put in its place.
MUTANTS = [
    ("the new key is shown before its fallback", "store.rs",
     "        // The old key is put aside first: whoever sees the new one finds its fallback.\n",
     "        let early = Held { credential: Arc::new(credential), rejected: AtomicBool::new(false) };\n"
     "        let credential = Arc::clone(&early.credential);\n"
     "        self.shared.current.store(Some(Arc::new(early)));\n"),
    ("waiters are woken before the key is there", "store.rs",
     "        self.shared.current.store(Some(Arc::new(held)));\n",
     "        self.shared.outlook.send_modify(|outlook| outlook.swaps += 1);\n"
     "        self.shared.current.store(Some(Arc::new(held)));\n        return;\n        #[allow(unreachable_code)]\n"),
    ("an expired key is handed out", "store.rs",
     "Some(key) if key.is_usable(now) => Ok", "Some(key) => Ok"),
    ("a waiter looks for the key before it listens", "store.rs",
     "                if outlooks.changed().await.is_err() {\n",
     "                outlooks = self.shared.outlook.subscribe();\n                if outlooks.changed().await.is_err() {\n"),
    ("a waiter for another key looks before it listens", "fallback.rs",
     "                if outlook.heard >= rung &&",
     "                let outlook = { let _ = outlook; *outlooks.borrow_and_update() };\n"
     "                if outlook.heard >= rung &&"),
    ("any rejection is taken for one of the current key", "fallback.rs",
     "held.as_ref().is_some_and(|current| current.id == credential.id)", "held.is_some() && credential.id.as_str() != \"\""),
    ("the bell rings before the mark is made", "fallback.rs",
     "        // The mark first: whoever counts this ring finds it.\n",
     "        self.shared.rung.notify_one();\n        let notified = ();\n"),
    ("the ring is counted before the mark is made", "fallback.rs",
     "        // The mark first: whoever counts this ring finds it.\n",
     "        let number = self.shared.rings.fetch_add(1, AcqRel) + 1;\n"),
    ("rejections so far are taken after the swap", "refresher.rs",
     "        self.writer.publish(credential);\n",
     "        self.writer.publish(credential);\n        self.reader.take_rejection();\n"),
    ("rings are counted as answered after the swap", "refresher.rs",
     "        self.heard = self.reader.rings();\n        self.writer.publish(credential);\n",
     "        self.writer.publish(credential);\n        self.heard = self.reader.rings();\n"),
    ("rings are counted as answered after the marks are taken", "refresher.rs",
     "        if self.reader.take_rejection() {\n            self.planner.rejected_meanwhile();\n        }\n",
     "        if self.reader.take_rejection() {\n            self.planner.rejected_meanwhile();\n        }\n"
     "        self.heard = self.reader.rings();\n"),
    ("rings are not told to those who wait", "refresher.rs",
     "            self.tell(false);\n", ""),
    ("the mark outlives its key", "store.rs",
     "        let rejected = AtomicBool::new(false);\n",
     "        let before = self.shared.current.load_full();\n"
     "        let rejected = AtomicBool::new(before.is_some_and(|key| key.rejected.swap(false, Ordering::AcqRel)));\n"),
    ("forced refreshes are not limited", "planner.rs",
     "                Err(at) => self.forced = Some(at),\n", "                Err(_) => return Some(Cause::Rejected),\n"),
    ("a rejection counts even while one is limited", "planner.rs",
     "        let limited_until = self.limit.clone().take(now).err();\n", "        let limited_until = None;\n"),
]


def main():
    wanted = sys.argv[1:]
    missed = []
    for name, file, old, new in MUTANTS:
        if wanted and name not in wanted:
            continue
        path = CREDENTIAL / file
        sound = path.read_text()
        if sound.count(old) != 1:
            sys.exit(f"{name}: {file} has changed, and so must this list")
        try:
            path.write_text(sound.replace(old, new))
            verdict = run()
        finally:
            path.write_text(sound)
        print(f"{verdict}: {name}", flush=True)
        if not verdict.startswith("found"):
            missed.append(name)
    print(f"\n{len(missed)} missed")
    return 1 if missed else 0


def run():
    try:
        ran = subprocess.run(TESTS, cwd=ROOT, capture_output=True, text=True, errors="replace", timeout=900)
    except subprocess.TimeoutExpired:
        return "no end"
    said = ran.stdout + ran.stderr
    if "could not compile" in said:
        return "does not compile"
    if ran.returncode == 0:
        return "MISSED"
    first = next(line for line in said.splitlines() if "panicked at" in line)
    return "found by " + first.split("'")[1].rsplit("::", 1)[-1]


if __name__ == "__main__":
    sys.exit(main())
