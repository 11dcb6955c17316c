//! The codec beside hyper: what we accept hyper accepts too, with the same method, target, fields,
//! body and trailers, and no further message.

use cos_auth_proxy::http1::AnswerTo;

use super::beside_hyper::{compare_answer, compare_requests};

/// All that a client sends on one connection.
pub fn request(bytes: &[u8]) {
    compare_requests(bytes);
}

/// All that a server sends on one connection, to a GET and to a HEAD.
pub fn response(bytes: &[u8]) {
    compare_answer(AnswerTo::Other, bytes);
    compare_answer(AnswerTo::Head, bytes);
}

/// A chunked body and what follows it, sent by a client and by a server.
pub fn chunked(bytes: &[u8]) {
    let put = b"PUT /k HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
    compare_requests(&[put, bytes].concat());
    let ok = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    compare_answer(AnswerTo::Other, &[&ok[..], bytes].concat());
}
