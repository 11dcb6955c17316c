//! What holds for the HTTP/1.1 codec whatever the bytes are and however they are cut.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test stops where it fails and tells its counts"
)]

#[path = "codec/messages.rs"]
#[allow(dead_code, reason = "shared: each test binary uses a part")]
mod messages;
#[path = "codec/reading.rs"]
#[allow(dead_code, reason = "shared: each test binary uses a part")]
mod reading;

use std::mem::MaybeUninit;

use cos_auth_proxy::http1::{
    AnswerTo, Body, BodyDecoder, BodyEvent, HeadScan, HeadScanner, read_request, read_response,
};
use proptest::{collection::vec, prelude::*, sample::Index};

use reading::{Kind, LIMITS, Stop, read_all};

fn cuts(places: &[Index], length: usize) -> Vec<usize> {
    let mut cuts: Vec<usize> = places.iter().map(|at| at.index(length + 1)).collect();
    cuts.sort_unstable();
    cuts
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2000) })]

    #[test]
    fn valid_requests_are_understood_as_they_were_written(written in messages::request()) {
        let (messages, stop) = read_all(Kind::Requests, &written.bytes, &[]);
        prop_assert_eq!(stop, Stop::Clean);
        prop_assert_eq!(messages, vec![written.message]);
    }

    #[test]
    fn valid_answers_are_understood_as_they_were_written((to, written) in messages::answer()) {
        let (messages, stop) = read_all(Kind::Answer(to), &written.bytes, &[]);
        prop_assert_eq!(stop, Stop::Clean);
        prop_assert_eq!(messages, vec![written.message]);
    }

    #[test]
    fn pieces_do_not_change_what_is_read(
        (kind, bytes) in messages::damaged(),
        places in vec(any::<Index>(), 0..6),
    ) {
        let whole = read_all(kind, &bytes, &[]);
        prop_assert_eq!(&read_all(kind, &bytes, &cuts(&places, bytes.len())), &whole);
        let every_byte: Vec<usize> = (0..bytes.len()).collect();
        prop_assert_eq!(&read_all(kind, &bytes, &every_byte), &whole);
    }

    #[test]
    fn heads_accepted_without_a_scanner_are_accepted_with_one(
        (kind, bytes) in messages::damaged(),
    ) {
        let ends = bytes.windows(2).enumerate().filter(|(_, w)| w[1] == b'\n' && b"\r\n".contains(&w[0]));
        let mut slots = [const { MaybeUninit::uninit() }; 128];
        for head in ends.map(|(at, _)| &bytes[..at + 2]) {
            let mut scanner = HeadScanner::default();
            let scanned = match kind {
                Kind::Requests if read_request(head, &mut slots, &LIMITS).is_ok() => {
                    scanner.scan(head, &LIMITS).map_err(|f| f.name())
                }
                Kind::Answer(to) if read_response(head, &mut slots, &LIMITS, to).is_ok() => {
                    scanner.scan_response(head, &LIMITS).map_err(|f| f.name())
                }
                Kind::Requests | Kind::Answer(_) => continue,
            };
            prop_assert_eq!(scanned, Ok(HeadScan::Complete(head.len())));
        }
    }

    #[test]
    fn no_bytes_make_the_codec_panic(bytes in vec(any::<u8>(), 0..200), prefix in 0..5_usize) {
        let prefix = ["", "GET / HTTP/1.1\r\nHost: h\r\n", "HTTP/1.1 200 OK\r\n", "GET ", "HTTP/1.1 "][prefix];
        let bytes = [prefix.as_bytes(), &bytes].concat();
        let mut slots = [const { MaybeUninit::uninit() }; 128];
        let _ = read_request(&bytes, &mut slots, &LIMITS).is_ok();
        let _ = read_response(&bytes, &mut slots, &LIMITS, AnswerTo::Other).is_ok();
        for kind in [Kind::Requests, Kind::Answer(AnswerTo::Other), Kind::Answer(AnswerTo::Head)] {
            let _ = read_all(kind, &bytes, &[]);
        }
        for body in [Body::None, Body::Length(7), Body::Chunked, Body::UntilClose] {
            let mut decoder = BodyDecoder::new(body);
            let _ = decoder.decode(&bytes);
            let _ = decoder.close();
        }
    }

    #[test]
    fn chunks_come_out_as_they_went_in(
        body in vec(any::<u8>(), 0..5000),
        sizes in vec(1_usize..3000, 1..5),
        places in vec(any::<Index>(), 0..20),
        next in vec(any::<u8>(), 0..10),
    ) {
        let trailers = b"X-Sum: abc\r\n";
        let message = messages::chunked(&body, &sizes, trailers);
        let wire = [&message[..], &next].concat();
        let mut decoder = BodyDecoder::new(Body::Chunked);
        let mut out = Vec::new();
        let (mut read, mut start) = (0, 0);
        for end in cuts(&places, wire.len()).into_iter().chain([wire.len()]) {
            let mut piece = &wire[start..end];
            start = end;
            while !decoder.is_done() {
                match decoder.decode(piece).unwrap() {
                    BodyEvent::Data { start, end } => {
                        out.extend_from_slice(&piece[start..end]);
                        read += end;
                        piece = &piece[end..];
                    }
                    BodyEvent::NeedMore => {
                        read += piece.len();
                        break;
                    }
                    BodyEvent::End { consumed } => read += consumed,
                }
            }
        }
        prop_assert_eq!(out, body);
        prop_assert_eq!(decoder.trailers(), trailers);
        prop_assert_eq!(read, message.len(), "bytes of the next message were taken");
    }

    #[test]
    fn never_more_data_than_declared_and_always_as_much_as_there_is(
        declared in 0..300_u64,
        bytes in vec(any::<u8>(), 0..400),
        places in vec(any::<Index>(), 0..6),
    ) {
        let mut decoder = BodyDecoder::new(Body::Length(declared));
        let (mut data, mut start) = (0, 0);
        for end in cuts(&places, bytes.len()).into_iter().chain([bytes.len()]) {
            let piece = &bytes[start..end];
            start = end;
            match decoder.decode(piece).unwrap() {
                BodyEvent::Data { start, end } => {
                    data += (end - start) as u64;
                    prop_assert!(start == 0 && (end == piece.len() || data == declared), "not maximal");
                }
                BodyEvent::NeedMore => prop_assert!(piece.is_empty()),
                BodyEvent::End { consumed } => prop_assert_eq!((consumed, data), (0, declared)),
            }
            prop_assert_eq!(decoder.remaining(), Some(declared - data));
        }
        prop_assert_eq!(data, declared.min(bytes.len() as u64));
        prop_assert_eq!(decoder.close().is_ok(), data == declared);
    }
}
