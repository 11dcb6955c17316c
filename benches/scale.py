#!/usr/bin/env python3
"""Balance and scale: from 1 connection to 5,000, on 1 and 2 threads, beside nginx.

    python3 benches/scale.py [--rounds 5] [--seconds 1]

GET 1 KiB as fast as it goes; rounds are interleaved. For each number of connections: CPU per
request, how the CPU time is shared by the data threads (a starving one would show as 0 : 100), and
requests of the least and the most served connection. Last, memory with 10,000 idle connections.
Prints Markdown; exits with 1 if a thread starves or 10,000 idle connections take 40 MiB.
"""
import argparse
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "benches/compare"))
import candidates  # noqa: E402
import run  # noqa: E402

CONNECTIONS = [1, 8, 64, 256, 1000, 5000]
THREADS = [1, 2]
# With so many connections or more, each of two threads must get at least this share of the work.
SHARED_FROM, LEAST_SHARE = 8, 0.25
IDLE, IDLE_BAR_MIB = 10_000, 40


def thread_seconds(pid):
    """CPU of each data thread, or of each nginx worker."""
    found = {}
    for each in run.processes(pid):
        for task in pathlib.Path(f"/proc/{each}/task").iterdir():
            name = (task / "comm").read_text().strip()
            if name.startswith("data-") or (name == "nginx" and each != pid):
                fields = (task / "stat").read_text().rsplit(") ", 1)[1].split()
                found[(each, task.name)] = (int(fields[11]) + int(fields[12])) / run.TICKS
    return found


def measure(tools, running, connections, seconds, alone):
    pin = (lambda core, command: command) if not alone else run.pinned
    words = ["GET", "/1k", 0, connections, seconds]
    command = pin(0, [str(tools / "compare-load"), str(running.port), *map(str, words)])
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    if process.stdout.readline().strip() != "started":
        raise SystemExit("the load did not start")
    before, threads_before = run.cpu_seconds(running.pid), thread_seconds(running.pid)
    result = run.json.loads(process.stdout.readline() or "{}")
    cpu = run.cpu_seconds(running.pid) - before
    threads = [after - threads_before.get(each, 0) for each, after in thread_seconds(running.pid).items()]
    if process.wait(60) or result.get("errors", 1) or not result.get("requests"):
        raise SystemExit(f"a measured run failed: {connections} connections {result}")
    least = min(threads) / sum(threads) if sum(threads) else 0
    return cpu / result["requests"] * 1e6, result["requests"] / seconds, least, result["least"], result["most"]


def start(candidate, threads, origin, folder):
    candidate.threads = threads
    running = run.Running(candidate, "http", origin, folder)
    if threads > 1:  # they share both cores with load and upstream
        subprocess.run(["taskset", "-a", "-p", "-c", "0,1", str(running.pid)], check=True, stdout=subprocess.DEVNULL)
        for each in run.processes(running.pid):
            subprocess.run(["taskset", "-a", "-p", "-c", "0,1", str(each)], check=True, stdout=subprocess.DEVNULL)
    return running


def idle(candidate, tools, origin, folder):
    running = start(candidate, 1, origin, folder)
    try:
        process = run.load(tools, running.port, "idle", IDLE, 2)
        if process.stdout.readline().strip() != "started":
            raise SystemExit(f"{candidate.name} does not hold {IDLE} connections")
        time.sleep(1)
        resident = run.rss_mib(running.pid)
        process.wait(60)
        return resident
    finally:
        running.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--binary", type=pathlib.Path, help="a release build made before, with its examples beside it")
    options = parser.parse_args()
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release"
    if options.binary:
        chosen, tools = [candidates.Nginx(), candidates.Ours(options.binary)], target / "examples"
    else:
        chosen, tools = candidates.set_up(ROOT, None)
        chosen = [c for c in chosen if c.name in ("nginx", "cos-auth-proxy")]
    figures, resident = {}, {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        with run.upstream(tools, folder) as origin:
            for number in range(options.rounds):
                for threads in THREADS:
                    for candidate in chosen if number % 2 == 0 else chosen[::-1]:
                        running = start(candidate, threads, origin, folder)
                        try:
                            for connections in CONNECTIONS:
                                measured = measure(tools, running, connections, options.seconds, threads == 1)
                                figures.setdefault((threads, connections, candidate.name), []).append(measured)
                                print(f"round {number + 1}/{options.rounds} {threads} thread(s) {connections:5} {candidate.name:15} {measured}", file=sys.stderr)
                        finally:
                            running.stop()
            for candidate in chosen:
                resident[candidate.name] = idle(candidate, tools, origin, folder)
    print(f"{run.conditions_of_host()} {options.rounds} interleaved rounds of {options.seconds:g} s after 0.5 s of warm-up. One thread: the candidate on one core, load and upstream on the other; two threads: all share both cores. Medians [min–max].\n")
    sys.exit(report(figures, resident))


def report(figures, resident):
    failed = 0
    print("| threads | connections | nginx µs/request | ours µs/request | ratio | ours requests/s | ours: CPU of the less busy thread | ours: requests of least : most served connection |")
    print("|---|---|---|---|---|---|---|---|")
    for threads in THREADS:
        for connections in CONNECTIONS:
            column = lambda name, i: [v[i] for v in figures[(threads, connections, name)]]  # noqa: E731
            peer, ours = column("nginx", 0), column("cos-auth-proxy", 0)
            share = statistics.median(column("cos-auth-proxy", 2))
            served = " : ".join(f"{statistics.median(column('cos-auth-proxy', i)):.0f}" for i in (3, 4))
            failed += threads > 1 and connections >= SHARED_FROM and share < LEAST_SHARE
            print(
                f"| {threads} | {connections} | {run.spread(peer)} | {run.spread(ours)} | {statistics.median(ours) / statistics.median(peer):.2f} "
                f"| {statistics.median(column('cos-auth-proxy', 1)):.0f} | {f'{share:.0%}' if threads > 1 else ''} | {served} |"
            )
    ours = resident["cos-auth-proxy"]
    failed += ours >= IDLE_BAR_MIB
    print(f"\nResident memory with {IDLE} idle connections: nginx {resident['nginx']:.1f} MiB, ours {ours:.1f} MiB (< {IDLE_BAR_MIB}: {'met' if ours < IDLE_BAR_MIB else 'missed'}).")
    return 1 if failed else 0


if __name__ == "__main__":
    main()
