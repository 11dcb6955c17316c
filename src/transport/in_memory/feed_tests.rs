use fastrand::Rng;

use super::{Upstream, feed};

const CONVERSATIONS: &[&str] = &[
    "GET /a HTTP/1.1\r\nHost: localhost\r\n\r\nHEAD /b?c=d HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "PUT /a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhelloGET /a HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "PUT /a HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\nDELETE /a HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "PUT /a HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc",
    "GET http://examplebucket-1250000000.cos.ap-guangzhou.myqcloud.com/a%2Fb HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /c HTTP/1.0\r\n\r\n",
    "POST /a?append&position=0 HTTP/1.1\r\nHost: localhost\r\nx-cos-meta-a: b\r\nConnection: x-cos-meta-b, close\r\nContent-Length: 0\r\n\r\n",
];

/// What smugglers put in.
const PIECES: &[&str] = &[
    "\r\n",
    "\n",
    "\r",
    "\0",
    " ",
    "\t",
    ":",
    "0\r\n\r\n",
    "5\r\n",
    "Content-Length: 3\r\n",
    "Content-Length: +5\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Transfer-Encoding: xchunked\r\n",
    "Transfer-Encoding : chunked\r\n",
    " folded\r\n",
    "Host: evil\r\n",
    "Expect: 100-continue\r\n",
    "Connection: close\r\n",
    "Connection: Content-Length\r\n",
    "Authorization: q-sign=1\r\n",
    "x-cos-security-token: t\r\n",
    "GET /x HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "HTTP/1.0",
    "\u{e9}",
    "ffffffffffffffff\r\n",
    ";a=b",
    "Trailer: x\r\n",
    "x-cos-acl: private\r\n",
];

const ANSWERS: &[&str] = &[
    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nx-trailer: y\r\n\r\n",
    "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno",
    "HTTP/1.0 200 OK\r\n\r\nuntil the end",
];

fn mutated(rng: &mut Rng, text: &str) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    for _ in 0..rng.usize(..4) {
        let at = rng.usize(..=bytes.len());
        match rng.u32(..5) {
            0 if at < bytes.len() => drop(bytes.remove(at)),
            1 if at < bytes.len() => bytes[at] = rng.u8(..),
            2 => bytes.truncate(at.max(bytes.len() / 2)),
            3 => {
                let to = rng.usize(at..=bytes.len());
                let again = bytes[at..to].to_vec();
                bytes.splice(at..at, again);
            }
            _ => drop(bytes.splice(at..at, PIECES[rng.usize(..PIECES.len())].bytes())),
        }
    }
    bytes
}

#[test]
fn whatever_a_client_sends_only_its_own_requests_go_upstream() {
    let mut went_up = 0;
    for seed in 0..4000 {
        let mut rng = Rng::with_seed(seed);
        let text = CONVERSATIONS[rng.usize(..CONVERSATIONS.len())];
        let bytes = mutated(&mut rng, text);
        let pieces: Vec<u8> = (0..rng.usize(..4)).map(|_| rng.u8(..)).collect();
        let answer = ANSWERS[rng.usize(..ANSWERS.len())];
        let answer = mutated(&mut rng, answer);
        let upstream = if rng.bool() { Upstream::Answers } else { Upstream::Says(&answer) };
        let report = feed(&bytes, &pieces, upstream).unwrap();
        let shown = String::from_utf8_lossy(&bytes);
        assert_eq!(report.flaw(), None, "seed {seed}: {shown:?}\n{upstream:?}\n{report:?}");
        went_up += report.requests();
    }
    assert!(went_up > 1000, "only {went_up} requests went up: the mutations are too wild");
}

#[test]
fn the_same_input_gives_the_same_report() {
    for text in CONVERSATIONS {
        // The proxy's own answers carry ids that differ, and nothing else does.
        let run = || {
            let report = feed(text.as_bytes(), &[7, 3], Upstream::Answers).unwrap();
            (report.got.len(), report.upstream)
        };
        assert_eq!(run(), run());
    }
}
