//! Connections that end at every place of an answer.

use super::{Lie, To, Told, ok};
use crate::case::shown;

/// Cut at each of these lengths of its head, an answer is none.
const HEAD: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";

pub(super) fn lies() -> Vec<Lie> {
    let mut lies = Vec::new();
    let te = "Transfer-Encoding: chunked";
    let ends = [("close", Told::Close), ("reset", Told::Reset)];
    for (end, told) in &ends {
        for length in [0, 1, 4, 8, 10, 13, 15, 16, 17, 20, 34, 35, 36, HEAD.len() - 1] {
            let part = &HEAD[..length];
            for to in [To::Get, To::Put] {
                let name = format!("{end} after {:?} to {to:?}", shown(part));
                lies.push(Lie::closed(name, part).to(to).then(told.clone()));
            }
        }
        for body in ["", "h", "hell"] {
            let bytes = format!("{HEAD}{body}");
            lies.push(Lie::cut(format!("{end} after {body:?} of hello"), bytes).then(told.clone()));
        }
        for body in [
            "",
            "5",
            "5\r",
            "5\r\n",
            "5\r\nhel",
            "5\r\nhello",
            "5\r\nhello\r",
            "5\r\nhello\r\n",
            "5\r\nhello\r\n0",
            "5\r\nhello\r\n0\r\n",
            "5\r\nhello\r\n0\r\nX: y",
            "5\r\nhello\r\n0\r\nX: y\r\n",
            "5\r\nhello\r\n0\r\n\r",
        ] {
            let name = format!("{end} after {} of chunks", shown(body));
            lies.push(Lie::cut(name, ok(&[te], body)).then(told.clone()));
        }
        let large = ok(&["Content-Length: 300000"], &"x".repeat(299_999));
        lies.push(
            Lie::cut(format!("{end} before the last of many bytes"), large).then(told.clone()),
        );
        let huge = ok(&["Content-Length: 9223372036854775807"], "hello");
        lies.push(Lie::cut(format!("{end} long before the end"), huge).then(told.clone()));
        lies.push(
            Lie::closed(format!("{end} at half an upload"), "").to(To::HalfAPut).then(told.clone()),
        );
        let until_close = [ok(&[], "hello"), b"HTTP/1.0 200 OK\r\n\r\nhello".to_vec()];
        for bytes in until_close {
            let name = format!("{end} as the end of {:?}", String::from_utf8_lossy(&bytes));
            let lie = match told {
                Told::Reset => Lie::cut(name, bytes),
                Told::Close | Told::Later | Told::Bytes(_) => Lie::right(name, bytes, "hello"),
            };
            lies.push(lie.then(told.clone()));
        }
    }
    let whole = || ok(&["Content-Length: 5"], "hello");
    lies.extend([
        Lie::right("a close after the end", whole(), "hello").then(Told::Close),
        Lie::right("a close, later", whole(), "hello").then(Told::Later).then(Told::Close),
        Lie::right("a reset, later", whole(), "hello").then(Told::Later).then(Told::Reset),
        Lie::right("a close after the last chunk", ok(&[te], "5\r\nhello\r\n0\r\n\r\n"), "hello")
            .then(Told::Close),
        Lie::right("nothing until the close", ok(&[], ""), "").then(Told::Close),
        Lie::right(
            "a request until the close",
            ok(&["Connection: keep-alive"], "GET / HTTP/1.1\r\n\r\n"),
            "GET / HTTP/1.1\r\n\r\n",
        )
        .then(Told::Close),
    ]);
    lies
}
