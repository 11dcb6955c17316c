#!/usr/bin/env python3
"""How evenly SO_REUSEPORT spreads a few long connections over two threads.

    python3 benches/balance.py [trials]

Opens 8 connections to two listeners that share a port, again and again, and counts how many went
to the fuller one. Linux chooses by a hash of the addresses, so each trial is eight tosses of a coin.
"""
import collections
import select
import socket
import sys

TRIALS = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
CONNECTIONS = 8


def listener(port):
    each = socket.socket()
    each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    each.bind(("127.0.0.1", port))
    each.listen(64)
    return each


first = listener(0)
port = first.getsockname()[1]
both = [first, listener(port)]
fuller = collections.Counter()
for _ in range(TRIALS):
    clients = [socket.create_connection(("127.0.0.1", port)) for _ in range(CONNECTIONS)]
    got = [[], []]
    while sum(map(len, got)) < CONNECTIONS:
        for ready in select.select(both, [], [], 1)[0]:
            got[both.index(ready)].append(ready.accept()[0])
    fuller[max(map(len, got))] += 1
    for each in clients + got[0] + got[1]:
        each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        each.close()
for most in range(4, CONNECTIONS + 1):
    print(f"{most} to {CONNECTIONS - most}: {fuller[most] / TRIALS:6.1%}")
print(f"worse than 5 to 3: {sum(n for most, n in fuller.items() if most > 5) / TRIALS:.1%}")
