#!/usr/bin/env python3
"""Plants known mistakes in codec, steps and transport, one at a time, and shows that the smuggling suite finds each:
`tests/smuggling_mutants.py [NAME ...]`. Run by hand when those rooms or the suite change; a minute each."""
import functools
import sys

from mutants import ROOT, plant, run

TESTS = ["cargo", "test", "--locked", "--quiet", "--test", "smuggling"]

# Name; file; what stands there; what is put in its place.
MUTANTS = [
    ("two equal lengths are one", "http1/fields.rs",
     "if self.content_length.replace(length).is_some() {",
     "if self.content_length.replace(length).is_some_and(|other| other != length) {"),
    ("the last coding counts", "http1/fields.rs",
     'if !field.value.eq_ignore_ascii_case(b"chunked") {',
     'if !field.value.to_ascii_lowercase().ends_with(b"chunked") {'),
    ("chunks win over a length", "http1/fields.rs",
     "(Some(_), true) => Err(HeadFault::LengthAndChunked),", "(Some(_), true) => Ok(Some(Body::Chunked)),"),
    ("Connection may drop anything", "http1/fields.rs",
     "} else if is_end_to_end(option) {", "} else if is_end_to_end(option) && option.is_empty() {"),
    ("an LF ends a chunk", "http1/chunked.rs",
     "(At::DataCr, b'\\r') => At::DataLf,", "(At::DataCr, b'\\r') => At::DataLf,\n            (At::DataCr, b'\\n') => At::CHUNK,"),
    ("a cut body is whole", "http1/body.rs",
     "                return Err(BodyFault::Truncated);\n", "                self.state = State::Length(0);\n"),
    ("a header with _ is nobody's business", "proxy/fields.rs",
     "    name.contains('_') && fate", "    name.is_empty() && fate"),
    ("the trailers of a request go on", "transport/framing.rs",
     "if body == Body::Chunked { Self::Chunks }", "if body == Body::Chunked { Self::ChunksAndTrailers }"),
    ("the body of a refused request is the next request", "transport/exchange.rs",
     "self.inbox.consume(self.head_len.saturating_add(unread_body));", "self.inbox.consume(self.head_len);"),
    ("half an upload leaves the client's connection open", "transport/exchange.rs",
     "let keep = uploaded && !self.ends_connection();", "let keep = !self.ends_connection();"),
    ("half an upload leaves upstream's connection in the pool", "transport/exchange.rs",
     "if uploaded && down.upstream_reusable {", "if down.upstream_reusable {"),
    ("bytes after the end do not matter", "transport/answer.rs",
     "        Ok(self.buffer.is_empty())\n", "        Ok(true)\n"),
    ("bytes on an idle connection do not matter", "transport/pool.rs",
     "matches!(polled, Poll::Pending)", "!matches!(polled, Poll::Ready(Ok(0) | Err(_)))"),
    ("interim answers are not counted", "transport/answer.rs",
     "        self.interim += 1;\n", ""),
]


if __name__ == "__main__":
    sys.exit(plant(MUTANTS, ROOT / "src", functools.partial(run, TESTS)))
