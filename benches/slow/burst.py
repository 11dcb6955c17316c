#!/usr/bin/env python3
"""What the others wait for while a thousand slow readers arrive at once.

    python3 benches/slow/burst.py [--rounds 7] [--connections 1000]

Ordinary clients ask at a fixed rate for four seconds, first in calm, then while slowhttptest opens
its connections and asks on each for 64 MiB that it hardly reads. In turn through the proxy, nginx
and HAProxy, and with the ordinary clients at the upstream itself while the attackers are at the
proxy: so much of it is the upstream's, which serves both. Latency counts from the instant a request was due.
Prints a Markdown table of medians.
"""
import argparse
import pathlib
import statistics
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(1, str(ROOT / "benches/compare"))
import candidates  # noqa: E402
import ordinary  # noqa: E402
from attackers import attack  # noqa: E402
from run import Running, conditions_of_host, cpu_seconds, rss_mib, spread, upstream  # noqa: E402

SECONDS = 4
ALONE = "the upstream, not asked by way of the proxy"


def one_round(tools, name, candidate, origin, folder, connections):
    running = Running(candidate, "http", origin, folder)
    try:
        port = origin["http"] if name == ALONE else running.port
        _, calm = ordinary.end(ordinary.begin(tools, port, SECONDS))
        before = cpu_seconds(running.pid)
        clients = ordinary.begin(tools, port, SECONDS)
        clients.stdout.readline()
        time.sleep(1)
        attackers = attack(running.port, "slow read", connections, SECONDS)
        try:
            _, under = ordinary.end(clients)
        finally:
            attackers.kill()
            attackers.wait(10)
        return calm, under, (cpu_seconds(running.pid) - before) * 1000, rss_mib(running.pid)
    finally:
        running.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--connections", type=int, default=1000)
    parser.add_argument("--binary", type=pathlib.Path, help="a release binary other than target/release/cos-auth-proxy")
    options = parser.parse_args()
    candidates.need("slowhttptest")
    chosen, tools = candidates.set_up(ROOT, options.binary)
    by_name = {c.name: c for c in chosen if c.name != "direct"}
    rows = [(name, by_name[name]) for name in by_name] + [(ALONE, by_name["cos-auth-proxy"])]
    seen = {name: [] for name, _ in rows}
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        with upstream(tools, folder) as origin:
            for number in range(options.rounds):
                for name, candidate in rows if number % 2 == 0 else rows[::-1]:
                    seen[name].append(one_round(tools, name, candidate, origin, folder, options.connections))
                    print(f"round {number + 1}/{options.rounds} {name}: {seen[name][-1]}", file=sys.stderr)
    print(
        f"{conditions_of_host()} Ordinary clients: GET 1 KiB at {ordinary.RATE} requests/s on {ordinary.CONNECTIONS} connections for {SECONDS} s. Attackers: {options.connections} "
        f"slow readers of 64 MiB, from the second second on. {options.rounds} interleaved rounds. Medians [min–max].\n"
    )
    print("| through | p99 calm (µs) | p99 with the burst (µs) | ratio | CPU of the proxy (ms) | memory of the proxy (MiB) |")
    print("|---|---|---|---|---|---|")
    for name, rounds in seen.items():
        calm, under, cpu, memory = zip(*rounds)
        ratio = statistics.median(under) / statistics.median(calm)
        print(f"| {name} | {spread(calm, 0)} | {spread(under, 0)} | {ratio:.1f} | {statistics.median(cpu):.0f} | {statistics.median(memory):.0f} |")


if __name__ == "__main__":
    main()
