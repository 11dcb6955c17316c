#!/usr/bin/env python3
"""Compares the proxy, signing, with tuned nginx and HAProxy, side by side in one interleaved run.

    python3 benches/compare/run.py [--rounds 5] [--seconds 2] [--only GET-1k,...] [--write docs]

Sets up what it needs (release build; nginx and haproxy by apt where this is root), starts each
candidate alone, pins it to one core and load and upstream to the other, and prints a Markdown
table. CPU is what the operating system charged the candidate's processes; a ratio is of medians.
"""
import argparse
import contextlib
import datetime
import json
import os
import pathlib
import platform
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import candidates  # noqa: E402
import picture  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]
TICKS = os.sysconf("SC_CLK_TCK")

# name, method, path, body bytes, connections, bar against the better peer
SPEED = [
    ("GET-1k", "http", "GET", "/1k", 0, 64, 0.95),
    ("PUT-1k", "http", "PUT", "/put", 1024, 64, 0.90),
    ("GET-64m", "http", "GET", "/64m", 0, 8, 0.75),
    ("PUT-64m", "http", "PUT", "/put", 64 << 20, 8, 0.75),
    ("https-GET-1k", "https", "GET", "/1k", 0, 64, 1.00),
    ("https-PUT-1k", "https", "PUT", "/put", 1024, 64, None),
    ("https-GET-64m", "https", "GET", "/64m", 0, 8, 1.00),
    ("https-PUT-64m", "https", "PUT", "/put", 64 << 20, 8, None),
]
FIXED_RATE = 8000
P99_BAR = 1.05
MEMORY_BARS = {"idle": 10, "1000 idle connections": None, "5000 idle connections": 25, "64 x GET 64 MiB": 16}
START_BAR_MS = 50


def processes(pid):
    """The process and its children."""
    found = [pid]
    for parent in found:
        try:
            tasks = pathlib.Path(f"/proc/{parent}/task").iterdir()
            for task in tasks:
                found += [int(p) for p in (task / "children").read_text().split()]
        except OSError:
            pass
    return found


def cpu_seconds(pid):
    total = 0
    for each in processes(pid):
        try:
            fields = pathlib.Path(f"/proc/{each}/stat").read_text().rsplit(") ", 1)[1].split()
            total += int(fields[11]) + int(fields[12])
        except OSError:
            pass
    return total / TICKS


def rss_mib(pid):
    total = 0
    for each in processes(pid):
        try:
            for line in pathlib.Path(f"/proc/{each}/status").read_text().splitlines():
                if line.startswith("VmRSS:"):
                    total += int(line.split()[1])
        except OSError:
            pass
    return total / 1024


def pinned(core, command):
    if os.cpu_count() < 2 or not shutil.which("taskset"):
        return command
    return ["taskset", "-c", str(core), *command]


def wait_for_port(port, process, since):
    while time.monotonic() - since < 10:
        if process.poll() is not None:
            raise SystemExit(f"{process.args} ended with {process.returncode}")
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return time.monotonic() - since
        except OSError:
            time.sleep(0.0005)
    raise SystemExit(f"{process.args} does not listen on {port}")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def upstream(tools, folder):
    """Where it listens, by scheme, and its certificate authority."""
    process = subprocess.Popen(pinned(0, [str(tools / "compare-origin"), str(folder)]), stdout=subprocess.PIPE, text=True)
    try:
        plain, secure = map(int, process.stdout.readline().split())
        yield {"http": plain, "https": secure, "ca": folder / "ca.pem"}
    finally:
        process.kill()
        process.wait()


class Running:
    """One candidate, alone."""

    def __init__(self, candidate, scheme, origin, folder):
        self.port = free_port()
        command, environment = candidate.command(folder, self.port, scheme, origin)
        if command is None:
            self.process, self.port, self.start_s = None, origin[scheme], 0.0
            return
        log = open(folder / f"{candidate.name}.log", "ab")
        since = time.monotonic()
        self.process = subprocess.Popen(
            pinned(1, command), stdout=log, stderr=log, env={**os.environ, **environment}, start_new_session=True
        )
        self.start_s = wait_for_port(self.port, self.process, since)
        if candidate.ready_after:
            time.sleep(candidate.ready_after)

    @property
    def pid(self):
        return self.process.pid if self.process else os.getpid()

    def stop(self):
        if self.process:
            os.killpg(self.process.pid, signal.SIGTERM)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait(10)


def load(tools, port, *words):
    command = pinned(0, [str(tools / "compare-load"), str(port), *map(str, words)])
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def measure(tools, running, *words):
    """Runs the load; CPU counts from the end of its warm-up."""
    process = load(tools, running.port, *words)
    if process.stdout.readline().strip() != "started":
        raise SystemExit("the load did not start")
    before = cpu_seconds(running.pid)
    result = json.loads(process.stdout.readline() or "{}")
    cpu = cpu_seconds(running.pid) - before
    if process.wait(60) or result.get("errors", 1) or not result.get("bytes", 0) + result.get("requests", 0):
        raise SystemExit(f"a measured run failed: {words} {result}")
    return result, cpu


def speed(tools, chosen, origin, folder, rounds, seconds, only):
    figures = {}
    for number in range(rounds):
        order = chosen if number % 2 == 0 else chosen[::-1]
        for name, scheme, method, path, body, connections, _ in SPEED:
            if only and name not in only:
                continue
            for candidate in order:
                if candidate.name == "direct":
                    continue
                running = Running(candidate, scheme, origin, folder)
                try:
                    result, cpu = measure(tools, running, method, path, body, connections, seconds)
                finally:
                    running.stop()
                large = name.endswith("64m")
                cost = cpu / (result["bytes"] / 1e9) if large else cpu / result["requests"] * 1e6
                rate = result["bytes"] / 1e9 / seconds if large else result["requests"] / seconds
                figures.setdefault((name, candidate.name), []).append((cost, rate))
                print(f"round {number + 1}/{rounds} {name:14} {candidate.name:16} {cost:8.2f} {'s/GB' if large else 'us'} {rate:10.1f}{' GB/s' if large else ' req/s'}", file=sys.stderr)
    return figures


def latency(tools, chosen, origin, folder, rounds, seconds):
    figures = {}
    for number in range(rounds):
        for candidate in chosen if number % 2 == 0 else chosen[::-1]:
            running = Running(candidate, "http", origin, folder)
            try:
                result, _ = measure(tools, running, "GET", "/1k", 0, 64, seconds, FIXED_RATE)
            finally:
                running.stop()
            figures.setdefault(candidate.name, []).append((result["p50_us"], result["p99_us"]))
            print(f"round {number + 1}/{rounds} latency {candidate.name:16} {result['p50_us']} {result['p99_us']}", file=sys.stderr)
    return figures


def memory(tools, chosen, origin, folder):
    figures = {}
    for candidate in chosen:
        if candidate.name == "direct":
            continue
        row = figures.setdefault(candidate.name, {})
        starts = []
        for _ in range(5):
            running = Running(candidate, "http", origin, folder)
            starts.append(running.start_s * 1000)
            running.stop()
        row["start ms"] = starts
        running = Running(candidate, "http", origin, folder)
        time.sleep(1)
        row["idle"] = rss_mib(running.pid)
        for connections in (1000, 5000):
            process = load(tools, running.port, "idle", connections, 1.5)
            if process.stdout.readline().strip() != "started":
                raise SystemExit(f"{candidate.name} does not hold {connections} connections")
            time.sleep(1)
            row[f"{connections} idle connections"] = rss_mib(running.pid)
            process.wait(60)
            time.sleep(0.5)
        running.stop()
        running = Running(candidate, "http", origin, folder)
        process = load(tools, running.port, "GET", "/64m", 0, 64, 4)
        process.stdout.readline()
        peak = 0
        while process.poll() is None:
            peak = max(peak, rss_mib(running.pid))
            time.sleep(0.02)
        row["64 x GET 64 MiB"] = peak
        running.stop()
        print(f"memory {candidate.name}: {row}", file=sys.stderr)
    return figures


def spread(values, digits=1):
    return f"{statistics.median(values):.{digits}f} [{min(values):.{digits}f}–{max(values):.{digits}f}]"


def verdict(ours, peers, bar):
    """Ratio to the better peer, and what it means; overlapping ranges decide nothing."""
    best = min(peers.values(), key=statistics.median)
    ratio = statistics.median(ours) / statistics.median(best)
    if bar is None:
        return f"{ratio:.2f}", "no bar"
    if ratio <= bar:
        return f"{ratio:.2f}", f"≤ {bar:.2f}: met"
    low = min(ours) / max(best)
    return f"{ratio:.2f}", f"≤ {bar:.2f}: {'undecided' if low <= bar else 'missed'}"


def table(figures, latencies, memories, names, peers, only):
    us = "cos-auth-proxy"
    lines = ["| CPU of the proxy | " + " | ".join(n for n in names if n != "direct") + " | ratio to the better peer | bar |"]
    lines.append("|---" * (len(names) + 2) + "|")
    for name, *_, bar in SPEED:
        if only and name not in only:
            continue
        unit = "s/GB" if name.endswith("64m") else "µs/request"
        digits = 2 if name.endswith("64m") else 1
        cells = [spread([c for c, _ in figures[(name, n)]], digits) for n in names if n != "direct"]
        ratio, met = verdict([c for c, _ in figures[(name, us)]], {p: [c for c, _ in figures[(name, p)]] for p in peers}, bar)
        lines.append(f"| {name} ({unit}) | " + " | ".join(cells) + f" | {ratio} | {met} |")
    lines += ["", "| throughput while measured | " + " | ".join(n for n in names if n != "direct") + " |"]
    lines.append("|---" * len(names) + "|")
    for name, *_ in SPEED:
        if only and name not in only:
            continue
        large = name.endswith("64m")
        cells = [spread([r for _, r in figures[(name, n)]], 2 if large else 0) for n in names if n != "direct"]
        lines.append(f"| {name} ({'GB/s' if large else 'requests/s'}) | " + " | ".join(cells) + " |")
    if latencies:
        base = {i: statistics.median([v[i] for v in latencies["direct"]]) for i in (0, 1)}
        added = {n: [[v[i] - base[i] for v in latencies[n]] for i in (0, 1)] for n in latencies if n != "direct"}
        lines += ["", f"| latency added at {FIXED_RATE} requests/s, GET 1 KiB (µs) | p50 | p99 | ratio of p99 to the better peer | bar |", "|---|---|---|---|---|"]
        for n, (p50, p99) in added.items():
            ratio, met = verdict(p99, {p: added[p][1] for p in peers}, P99_BAR) if n == us else ("", "")
            lines.append(f"| {n} | {spread(p50, 0)} | {spread(p99, 0)} | {ratio} | {met} |")
        lines.append(f"\nDirect, without a proxy: p50 {base[0]:.0f} µs, p99 {base[1]:.0f} µs.")
    if memories:
        lines += ["", "| resident memory (MiB), one run each | " + " | ".join(memories) + " | bar |", "|---" * (len(memories) + 2) + "|"]
        for what, bar in MEMORY_BARS.items():
            cells = [f"{memories[n][what]:.1f}" for n in memories]
            met = "no bar" if bar is None else f"≤ {bar}: {'met' if memories[us][what] <= bar else 'missed'}"
            lines.append(f"| {what} | " + " | ".join(cells) + f" | {met} |")
        cells = [spread(memories[n]["start ms"]) for n in memories]
        ours = statistics.median(memories[us]["start ms"])
        lines.append("| start to listening (ms, 5 starts) | " + " | ".join(cells) + f" | ≤ {START_BAR_MS}: {'met' if ours <= START_BAR_MS else 'missed'} |")
    return "\n".join(lines)


def conditions_of_host():
    cpu = next((l.split(":")[1].strip() for l in pathlib.Path("/proc/cpuinfo").read_text().splitlines() if l.startswith("model name")), "unknown CPU")
    commit = subprocess.run(["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    return f"Measured {datetime.date.today()} at commit {commit}; {os.cpu_count()} × {cpu}, Linux {platform.release()}."


def conditions(chosen, rounds, seconds):
    versions = ", ".join(f"{c.name} {c.version()}" for c in chosen if c.version())
    return (
        f"{conditions_of_host()} {versions}. "
        f"{rounds} interleaved rounds of {seconds} s after 0.5 s of warm-up, order reversed every other round; candidate on one core, load and upstream on the other; "
        "one worker or thread each. Ours signs every request and has deadlines and metrics on; the peers do not sign. Figures are medians [min–max]."
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--only", help="comma-separated rows, such as GET-1k,PUT-64m; leaves latency and memory out")
    parser.add_argument("--write", metavar="FOLDER", help="also write BENCHMARK.md and benchmark.svg there")
    parser.add_argument("--binary", type=pathlib.Path, help="a release binary other than target/release/cos-auth-proxy")
    options = parser.parse_args()
    only = set(options.only.split(",")) if options.only else None
    chosen, tools = candidates.set_up(ROOT, options.binary)
    names = [c.name for c in chosen]
    peers = [n for n in names if n not in ("direct", "cos-auth-proxy")]
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        with upstream(tools, folder) as origin:
            figures = speed(tools, chosen, origin, folder, options.rounds, options.seconds, only)
            latencies = None if only else latency(tools, chosen, origin, folder, options.rounds, options.seconds)
            memories = None if only else memory(tools, chosen, origin, folder)
    text = conditions(chosen, options.rounds, options.seconds) + "\n\n" + table(figures, latencies, memories, names, peers, only)
    print(text)
    if options.write:
        target = pathlib.Path(options.write)
        drawing = picture.draw(figures, [row[0] for row in SPEED if not only or row[0] in only], names)
        (target / "benchmark.svg").write_text(drawing)
        head = "# Benchmark\n\nMade by `python3 benches/compare/run.py --write docs`; what each row means: `benches/compare/README.md`.\n\n![CPU of the proxy, ours against the better peer](benchmark.svg)\n\n"
        (target / "BENCHMARK.md").write_text(head + text + "\n")


if __name__ == "__main__":
    main()
