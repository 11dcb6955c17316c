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
import pathlib
import statistics
import sys
import tempfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(1, str(ROOT / "benches/compare"))
import candidates  # noqa: E402
import ordinary  # noqa: E402
from attackers import MODES, attack  # noqa: E402
from run import Running, conditions_of_host, free_port, spread, upstream  # noqa: E402

BAR = 2.0
# The attackers are all there, and what was sent to them at once is sent: within this time.
GATHER_S = 30.0


class Watched(candidates.Ours):
    """Its metrics can be read."""

    def command(self, folder, port, scheme, origin):
        command, environment = super().command(folder, port, scheme, origin)
        self.telemetry = free_port()
        return command, {**environment, "COS_AUTH_PROXY_TELEMETRY_ADDRESS": f"127.0.0.1:{self.telemetry}"}

    def series(self, name):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.telemetry}/metrics", timeout=10) as page:
            for line in page.read().decode().splitlines():
                if line.startswith(f"cos_auth_proxy_{name} "):
                    return int(float(line.split()[-1]))
        raise SystemExit(f"no series {name}")


def gather(proxy, wanted):
    """Until all attackers were accepted and the burst of their first answers is over."""
    late, bytes_before = time.monotonic() + GATHER_S, -1
    while True:
        time.sleep(1)
        bytes_now = proxy.series("response_body_bytes_total")
        if proxy.series("client_connections_accepted_total") >= wanted and bytes_now - bytes_before < 1 << 20:
            return
        if time.monotonic() > late:
            raise SystemExit("the attackers do not gather")
        bytes_before = bytes_now


def settle(proxy):
    """Until the last attack is gone from the proxy."""
    late = time.monotonic() + 20
    while proxy.series("client_connections") > 2:
        if time.monotonic() > late:
            raise SystemExit(f"{proxy.series('client_connections')} connections are still held")
        time.sleep(0.1)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--connections", type=int, default=1000)
    parser.add_argument("--binary", type=pathlib.Path, help="a release binary other than target/release/cos-auth-proxy")
    options = parser.parse_args()
    candidates.need("slowhttptest")
    built, tools = candidates.build(ROOT)
    proxy = Watched(options.binary or built)
    measured = {mode: [] for mode in MODES}
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        with upstream(tools, folder) as origin:
            running = Running(proxy, "http", origin, folder)
            try:
                for number in range(options.rounds):
                    for mode in MODES if number % 2 == 0 else list(MODES)[::-1]:
                        measured[mode].append(one_attack(tools, running, proxy, origin, mode, options))
                        print(f"round {number + 1}/{options.rounds} {mode:13} {measured[mode][-1]}", file=sys.stderr)
            finally:
                running.stop()
    sys.exit(report(measured, options))


def one_attack(tools, running, proxy, origin, mode, options):
    """Ordinary clients in calm and under attack, by way of the proxy and at the upstream itself."""

    def clients(port):
        return ordinary.end(ordinary.begin(tools, port, options.seconds))

    seen = {"calm": clients(running.port), "upstream calm": clients(origin["http"])}
    accepted = proxy.series("client_connections_accepted_total")
    attackers = attack(running.port, mode, options.connections, options.seconds)
    try:
        gather(proxy, accepted + options.connections)
        seen["held"] = proxy.series("client_connections"), proxy.series("client_connections_accepted_total") - accepted
        seen["under"], seen["upstream under"] = clients(running.port), clients(origin["http"])
    finally:
        attackers.kill()
        attackers.wait(10)
    settle(proxy)
    return seen


def report(measured, options):
    print(
        f"{conditions_of_host()} Ordinary clients: GET 1 KiB at {ordinary.RATE} requests/s on {ordinary.CONNECTIONS} connections. Attackers: {options.connections} connections of slowhttptest. "
        f"The proxy on one core, all else on the other. {options.rounds} rounds of {options.seconds:g} s, calm before each attack; measured once the attackers are all there; at the upstream itself too, which shows what attackers do to the rig. Medians [min–max].\n"
    )
    print("| attack | connections held (accepted) | p50 calm → under (µs) | p99 calm (µs) | p99 under (µs) | ratio of p99 | bar | the upstream itself: p99 calm → under, ratio |")
    print("|---|---|---|---|---|---|---|---|")
    failed = 0
    for mode in MODES:
        rounds = measured[mode]

        def column(name, i):
            return [each[name][i] for each in rounds]

        p50, p99 = ([column("calm", i), column("under", i)] for i in (0, 1))
        own = [statistics.median(column(name, 1)) for name in ("upstream calm", "upstream under")]
        ratio = statistics.median(p99[1]) / statistics.median(p99[0])
        open_now, came = (statistics.median(column("held", i)) for i in (0, 1))
        met = ratio <= BAR and came >= options.connections * 0.9
        failed += not met
        halves = " → ".join(f"{statistics.median(each):.0f}" for each in p50)
        print(f"| {mode} | {open_now:.0f} ({came:.0f}) | {halves} | {spread(p99[0], 0)} | {spread(p99[1], 0)} | {ratio:.2f} | ≤ {BAR:.2f}: {'met' if met else 'missed'} | {own[0]:.0f} → {own[1]:.0f}, {own[1] / own[0]:.2f} |")
    return 1 if failed else 0


if __name__ == "__main__":
    main()
