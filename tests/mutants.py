#!/usr/bin/env python3
"""Plants known mistakes in the store, its bell and its refresher, one at a time, and shows that the model tests find
each: `tests/mutants.py [NAME ...]`. Run by hand when those files or the model tests change; half a minute each."""
import functools
import pathlib
import signal
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
CREDENTIAL = ROOT / "src/credential"
TESTS = ["cargo", "test", "--locked", "--quiet", "--lib", "credential::model_tests"]

LOOKS_FIRST = """                if let Some(credential) = self.fitting(&fits) {
                    return Some(credential);
                }
"""
LISTENS = "                let outlook = *outlooks.borrow_and_update();\n"
MARKS = """        if let Some(held) = refused {
            held.rejected.store(true, Release);
        }
"""
COUNTS = "        let number = self.shared.rings.fetch_add(1, AcqRel) + 1;\n"
RINGS = "        self.shared.rung.notify_one();\n"
SHOWS = "        self.shared.current.store(Some(Arc::new(held)));\n"
WAKES = "        self.shared.outlook.send_modify(|outlook| outlook.swaps += 1);\n"
PUTS_ASIDE = """        if let Some(old) = old.filter(|old| old.id != credential.id && old.is_usable(now)) {
            let keep_until = now + self.previous_key_retention;
            self.shared.previous.store(Some(Arc::new(Previous { credential: old, keep_until })));
        }
"""
MAKES = """        let rejected = AtomicBool::new(false);
        let held = Held { credential: Arc::new(credential), rejected };
"""
TAKES = """        if self.reader.take_rejection() {
            self.planner.rejected_meanwhile();
        }
"""
HEARS = "        self.heard = self.reader.rings();\n"
PUBLISHES = "        self.writer.publish(credential);\n"

# Name; file; what stands there; what is put in its place.
MUTANTS = [
    ("the new key is shown before its fallback", "store.rs",
     PUTS_ASIDE + MAKES + SHOWS,
     MAKES + "        let id = held.id.clone();\n" + SHOWS + PUTS_ASIDE.replace("credential.id", "id")),
    ("who waits is woken before the key is there", "store.rs", SHOWS, WAKES.replace("+= 1", "+= 0") + SHOWS, WAKES, ""),
    ("nobody is woken", "store.rs", WAKES, ""),
    ("an expired key is handed out", "store.rs", "Some(key) if key.is_usable(now) => Ok", "Some(key) => Ok"),
    ("who waits looks before it listens", "store.rs",
     "                if outlooks.changed().await.is_err() {\n",
     "                outlooks = self.shared.outlook.subscribe();\n                if outlooks.changed().await.is_err() {\n"),
    ("who waits for another key looks before it listens", "fallback.rs", LISTENS + LOOKS_FIRST, LOOKS_FIRST + LISTENS),
    ("a rejection of any key counts", "fallback.rs",
     "held.as_ref().is_some_and(|current| current.id == credential.id)", 'credential.id.as_str() != ""'),
    ("the bell rings before the mark is made", "fallback.rs", MARKS + COUNTS + RINGS, COUNTS + RINGS + MARKS),
    ("a ring is counted before the mark is made", "fallback.rs", MARKS + COUNTS, COUNTS + MARKS),
    ("the bell rings before the ring is counted", "fallback.rs", MARKS + COUNTS + RINGS, MARKS + RINGS + COUNTS),
    ("a rejection is not rung", "fallback.rs", RINGS, ""),
    ("marks are taken after the swap", "refresher.rs", PUBLISHES, PUBLISHES + "        self.reader.take_rejection();\n"),
    ("rings count as answered after the swap", "refresher.rs", HEARS + PUBLISHES, PUBLISHES + HEARS),
    ("rings count as answered after the marks are taken", "refresher.rs", HEARS + TAKES, TAKES + HEARS),
    ("marks are left after a call that failed", "refresher.rs", TAKES, ""),
    ("who waits is not told that nothing comes", "refresher.rs", "            self.tell(false);\n", ""),
    ("a mark outlives its key", "store.rs",
     "AtomicBool::new(false);\n        let held",
     "AtomicBool::new(self.shared.current.load().as_ref().is_some_and(|k| k.rejected.swap(false, Ordering::AcqRel)));\n"
     "        let held"),
    ("forced refreshes are not limited", "planner.rs",
     "        let limited_until = self.limit.clone().take(now).err();\n", "        let limited_until = None;\n",
     "                Err(at) => self.forced = Some(at),\n", "                Err(_) => return Some(Cause::Rejected),\n"),
]


def plant(mutants, folder, judge):
    """Plants each of them, or those named on the command line, and says what found it; 1 if something was missed."""
    wanted = sys.argv[1:]
    # Told to end, take the mistake out too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    missed = []
    for name, file, *changes in mutants:
        if wanted and name not in wanted:
            continue
        path = folder / file
        sound = path.read_text()
        mutant = sound
        for old, new in zip(changes[::2], changes[1::2]):
            if mutant.count(old) != 1:
                sys.exit(f"{name}: {file} has changed, and so must this list")
            mutant = mutant.replace(old, new)
        try:
            path.write_text(mutant)
            verdict = judge()
        finally:
            path.write_text(sound)
        print(f"{verdict}: {name}", flush=True)
        if not verdict.startswith("found"):
            missed.append(name)
    print(f"\n{len(missed)} missed")
    return 1 if missed else 0


def run(tests, found=None, environment=None):
    """Runs these tests: what became of them. `found` makes the verdict out of what a failed run said, or none."""
    try:
        ran = subprocess.run(tests, cwd=ROOT, env=environment, capture_output=True, text=True, errors="replace", timeout=900)
    except subprocess.TimeoutExpired:
        return "no end"
    said = ran.stdout + ran.stderr
    if "could not compile" in said:
        return "does not compile"
    if ran.returncode == 0:
        return "MISSED"
    return (found or first_panic)(said) or "neither passed nor failed: " + said[-300:]


def first_panic(said):
    first = next((line for line in said.splitlines() if "panicked at" in line), None)
    return first and "found by " + first.split("'")[1].rsplit("::", 1)[-1]


if __name__ == "__main__":
    sys.exit(plant(MUTANTS, CREDENTIAL, functools.partial(run, TESTS)))
