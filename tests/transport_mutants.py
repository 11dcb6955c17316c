#!/usr/bin/env python3
"""Plants known mistakes in the transport, one at a time, and shows how many seeds the simulation needs to find each:
`tests/transport_mutants.py [NAME ...]`. Run by hand when the transport or its simulation changes; half a minute each."""
import os
import re
import sys

from mutants import ROOT, plant, run

SEEDS = 6000
TESTS = ["cargo", "test", "--locked", "--lib", "transport::simulation_tests::every"]

# Name; file; what stands there; what is put in its place.
MUTANTS = [
    ("a connection with garbage on it goes back to the pool", "answer.rs", "Ok(self.buffer.is_empty())\n    }\n\n    /// A pipe",
     "Ok(true)\n    }\n\n    /// A pipe"),
    ("a pooled connection is taken without a look", "pool.rs",
     "            if candidate.is_usable(self.life) {", "            if true {"),
    ("the bound of the pool is one too many", "pool.rs", "self.len() >= self.most", "self.len() > self.most"),
    ("what is not safe to repeat is sent again", "exchange.rs", "(failed.died && ready.prepared.safe_to_repeat)", "failed.died"),
    ("a repeated request takes a pooled connection again", "exchange.rs",
     "let kept = if repeated { None } else { self.worker.pool.take(&ready.prepared.origin) };",
     "let kept = self.worker.pool.take(&ready.prepared.origin);\n            repeated &= kept.is_none();"),
    ("upstream's connection is kept after an early answer", "exchange.rs",
     "if uploaded && down.upstream_reusable {", "if down.upstream_reusable {"),
    ("the client's connection is kept after an early answer", "exchange.rs",
     "let keep = uploaded && !self.ends_connection();", "let keep = !self.ends_connection();"),
    ("a request's head is not consumed", "exchange.rs", "                self.inbox.consume(self.head_len);\n                After::Keep", "                After::Keep"),
    ("one byte too many is cut out of a buffer", "buffers.rs",
     "let to = from.saturating_add(n).min(self.end);", "let to = from.saturating_add(n).saturating_add(1).min(self.end);"),
    ("a stalled answer is waited for twice as long", "answer.rs",
     "let late = quiet_since + self.worker.settings.stall_timeout;", "let late = quiet_since + self.worker.settings.stall_timeout * 2;"),
    ("the wait for an answer has no end", "answer.rs", "asked_at + settings.first_byte_timeout,", "asked_at + settings.first_byte_timeout * 1000,"),
    ("a cut answer ends as if it were whole", "answer.rs", "if !closed || decoder.close().is_err() {", "if !closed {"),
    ("a cut answer ends with an orderly close", "answer.rs", "            client.reset_on_close(true);\n        }\n        let reusable", "        }\n        let reusable"),
    ("an interim answer ends the upload", "upload.rs", "Ok(Filled::Bytes) if answer.is_interim_so_far() => None,\n", ""),
    ("a large buffer is not given back", "upload.rs", "        self.worker.buffers.give(buffer);\n        end\n", "        end\n"),
    ("idle clients are kept twice as long", "worker.rs",
     "sweep_idle(&worker, &connections, worker.settings.client_idle_timeout);",
     "sweep_idle(&worker, &connections, worker.settings.client_idle_timeout * 2);"),
    ("a closed connection counts as open", "leased.rs", "            self.worker.meter.upstream_closed();\n", ""),
    ("a draining proxy takes the next request", "exchange.rs", "self.last || self.worker.draining.is_cancelled()", "self.last"),
]


def seeds_needed():
    return run(TESTS, found=least_seed, environment=dict(os.environ, COS_AUTH_PROXY_SEEDS=str(SEEDS)))


def least_seed(said):
    """A run that fails without a seed proves nothing."""
    found = [int(seed) for seed in re.findall(r"COS_AUTH_PROXY_SEED=(\d+)", said)]
    return f"found by {min(found) + 1} seeds" if found else None


if __name__ == "__main__":
    sys.exit(plant(MUTANTS, ROOT / "src/transport", seeds_needed))
