#!/usr/bin/env python3
"""What slow clients cost the others: slowhttptest in its four modes against the proxy.

    python3 benches/slow/gathered.py [--rounds 3] [--seconds 5] [--connections 1000]

Starts the upstream of the comparison and the proxy before it (release build, defaults, one data thread), keeps
ordinary clients at a fixed rate, and measures their latency in calm and under each attack, in turn,
calm anew before each. Latency counts from the instant a request was due, so a stall cannot hide.
Prints a Markdown table of medians; exits with 1 if a p99 is more than twice that of calm, or an
attack was none. slowhttptest comes by apt where this is root.
"""
import argparse
import json
import os
import pathlib
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(1, str(ROOT / "benches/compare"))
from attackers import MODES, attack, need_slowhttptest  # noqa: E402
from candidates import Ours  # noqa: E402
from run import conditions_of_host, free_port, load, pinned, spread, wait_for_port  # noqa: E402

BAR = 2.0
# Requests of the ordinary clients: connections, and requests per second of all of them.
OTHERS, RATE = 32, 1000
# The attackers are all there, and what was sent to them at once is sent: within this time.
GATHER_S = 30.0

class Stand:
    """The upstream of the comparison, and the proxy before it."""

    def __init__(self, binary, tools, folder):
        self.upstream = subprocess.Popen(pinned(0, [str(tools / "compare-origin"), str(folder)]), stdout=subprocess.PIPE, text=True)
        plain, secure = map(int, self.upstream.stdout.readline().split())
        self.upstream_port = plain
        origin = {"http": plain, "https": secure, "ca": folder / "ca.pem"}
        self.port, self.telemetry = free_port(), free_port()
        command, environment = Ours(binary).command(folder, self.port, "http", origin)
        environment["COS_AUTH_PROXY_TELEMETRY_ADDRESS"] = f"127.0.0.1:{self.telemetry}"
        log = open(folder / "proxy.log", "wb")
        self.proxy = subprocess.Popen(pinned(1, command), stdout=log, stderr=log, env={**os.environ, **environment})
        wait_for_port(self.port, self.proxy, time.monotonic())

    def series(self, name):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.telemetry}/metrics", timeout=10) as page:
            for line in page.read().decode().splitlines():
                if line.startswith(f"cos_auth_proxy_{name} "):
                    return int(float(line.split()[-1]))
        raise SystemExit(f"no series {name}")

    def stop(self):
        for process in (self.proxy, self.upstream):
            process.send_signal(signal.SIGKILL)
            process.wait(10)


def measure(tools, port, seconds):
    process = load(tools, port, "GET", "/1k", 0, OTHERS, seconds, RATE)
    result = json.loads(process.stdout.readlines()[-1])
    if process.wait(60) or result["errors"] or not result["requests"]:
        raise SystemExit(f"ordinary clients failed: {result}")
    return result["p50_us"], result["p99_us"]


def gather(stand, wanted):
    """Until all attackers were accepted and the burst of their first answers is over."""
    late, bytes_before = time.monotonic() + GATHER_S, -1
    while True:
        time.sleep(1)
        bytes_now = stand.series("response_body_bytes_total")
        if stand.series("client_connections_accepted_total") >= wanted and bytes_now - bytes_before < 1 << 20:
            return
        if time.monotonic() > late:
            raise SystemExit("the attackers do not gather")
        bytes_before = bytes_now


def settle(stand):
    """Until the last attack is gone from the proxy."""
    late = time.monotonic() + 20
    while stand.series("client_connections") > 2:
        if time.monotonic() > late:
            raise SystemExit(f"{stand.series('client_connections')} connections are still held")
        time.sleep(0.1)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--connections", type=int, default=1000)
    parser.add_argument("--binary", type=pathlib.Path, help="a release build made before, with its examples beside it")
    options = parser.parse_args()
    need_slowhttptest()
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release"
    if not options.binary:
        build = ["cargo", "build", "--release", "--bin", "cos-auth-proxy", "--example", "compare-load", "--example", "compare-origin"]
        subprocess.run(build, cwd=ROOT, check=True)
    binary = options.binary or target / "cos-auth-proxy"
    calm, under, held, upstream_calm, upstream_under = ({m: [] for m in MODES} for _ in range(5))
    with tempfile.TemporaryDirectory() as folder:
        stand = Stand(binary.resolve(), target / "examples", pathlib.Path(folder))
        try:
            for number in range(options.rounds):
                for mode in MODES if number % 2 == 0 else list(MODES)[::-1]:
                    measured = lambda port: measure(target / "examples", port, options.seconds)  # noqa: E731
                    upstream_calm[mode].append(measured(stand.upstream_port))
                    calm[mode].append(measured(stand.port))
                    accepted = stand.series("client_connections_accepted_total")
                    attackers = attack(stand.port, mode, options.connections, options.seconds)
                    try:
                        gather(stand, accepted + options.connections)
                        held[mode].append((stand.series("client_connections"), stand.series("client_connections_accepted_total") - accepted))
                        under[mode].append(measured(stand.port))
                        upstream_under[mode].append(measured(stand.upstream_port))
                    finally:
                        attackers.kill()
                        attackers.wait(10)
                    settle(stand)
                    print(f"round {number + 1}/{options.rounds} {mode:13} calm {calm[mode][-1]} under {under[mode][-1]} µs, held {held[mode][-1]}", file=sys.stderr)
        finally:
            stand.stop()
    sys.exit(report(calm, under, held, upstream_calm, upstream_under, options))


def report(calm, under, held, upstream_calm, upstream_under, options):
    print(
        f"{conditions_of_host()} Ordinary clients: GET 1 KiB at {RATE} requests/s on {OTHERS} connections. Attackers: {options.connections} connections of slowhttptest. "
        f"The proxy on one core, all else on the other. {options.rounds} rounds of {options.seconds:g} s, calm before each attack; measured once the attackers are all there; at the upstream itself too, which shows what attackers do to the rig. Medians [min–max].\n"
    )
    print("| attack | connections held (accepted) | p50 calm → under (µs) | p99 calm (µs) | p99 under (µs) | ratio of p99 | bar | the upstream itself: p99 calm → under, ratio |")
    print("|---|---|---|---|---|---|---|---|")
    failed = 0
    for mode in MODES:
        p50, p99 = ([[v[i] for v in each[mode]] for each in (calm, under)] for i in (0, 1))
        own = [statistics.median(v[1] for v in each[mode]) for each in (upstream_calm, upstream_under)]
        ratio = statistics.median(p99[1]) / statistics.median(p99[0])
        open_now, came = (statistics.median(v[i] for v in held[mode]) for i in (0, 1))
        met = ratio <= BAR and came >= options.connections * 0.9
        failed += not met
        halves = " → ".join(f"{statistics.median(each):.0f}" for each in p50)
        print(f"| {mode} | {open_now:.0f} ({came:.0f}) | {halves} | {spread(p99[0], 0)} | {spread(p99[1], 0)} | {ratio:.2f} | ≤ {BAR:.2f}: {'met' if met else 'missed'} | {own[0]:.0f} → {own[1]:.0f}, {own[1] / own[0]:.2f} |")
    return 1 if failed else 0


if __name__ == "__main__":
    main()
