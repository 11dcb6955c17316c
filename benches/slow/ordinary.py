"""The ordinary clients that slow ones must not disturb."""
import json

from run import load

# Their connections, and requests per second of all of them.
CONNECTIONS, RATE = 32, 1000


def begin(tools, port, seconds):
    return load(tools, port, "GET", "/1k", 0, CONNECTIONS, seconds, RATE)


def end(process):
    """Their p50 and p99 in µs, each from the instant a request was due."""
    result = json.loads(process.stdout.readlines()[-1])
    if process.wait(60) or result["errors"] or not result["requests"]:
        raise SystemExit(f"ordinary clients failed: {result}")
    return result["p50_us"], result["p99_us"]
