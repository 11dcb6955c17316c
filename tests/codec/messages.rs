//! Generated messages: valid ones with what they mean, and ways to damage them.

use cos_auth_proxy::http1::{AnswerTo, Body, Version, write_chunk_head, write_last_chunk};
use proptest::{collection::vec, prelude::*, sample::Index, sample::select};

use crate::reading::{Kind, Message};

/// Names and values.
type Fields = Vec<(String, Vec<u8>)>;

/// A message and the bytes it was written as.
#[derive(Debug, Clone)]
pub(crate) struct Written {
    pub(crate) bytes: Vec<u8>,
    pub(crate) message: Message,
}

/// How a body is framed: the fields that say so and the bytes after the head.
#[derive(Debug, Clone)]
struct Framed {
    field: Option<(String, Vec<u8>)>,
    framing: Body,
    wire: Vec<u8>,
    body: Vec<u8>,
    trailers: Vec<u8>,
}

impl Framed {
    fn none(framing: Body) -> Self {
        Self { field: None, framing, wire: Vec::new(), body: Vec::new(), trailers: Vec::new() }
    }
}

pub(crate) fn body_bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![vec(any::<u8>(), 0..40), vec(select(&b"\r\n0a5;: "[..]), 0..40)]
}

/// `body` in chunks of the given sizes (in turn), with `trailers`.
pub(crate) fn chunked(body: &[u8], sizes: &[usize], trailers: &[u8]) -> Vec<u8> {
    let mut wire = Vec::new();
    let mut rest = body;
    for size in sizes.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (chunk, after) = rest.split_at(rest.len().min(*size));
        write_chunk_head(chunk.len(), &mut wire);
        wire.extend_from_slice(chunk);
        wire.extend_from_slice(b"\r\n");
        rest = after;
    }
    write_last_chunk(trailers, &mut wire);
    wire
}

fn framed() -> impl Strategy<Value = Framed> {
    let length = body_bytes().prop_map(|body| Framed {
        field: Some(("Content-Length".into(), body.len().to_string().into_bytes())),
        framing: Body::Length(body.len() as u64),
        wire: body.clone(),
        body,
        trailers: Vec::new(),
    });
    let trailers = select(vec!["", "", "X-Check: 1\r\n", "a:b\r\nX-Sum:  \tx y \r\n"]);
    let chunks =
        (body_bytes(), vec(1_usize..20, 1..4), trailers).prop_map(|(body, sizes, trailers)| {
            Framed {
                field: Some(("Transfer-Encoding".into(), b"chunked".to_vec())),
                framing: Body::Chunked,
                wire: chunked(&body, &sizes, trailers.as_bytes()),
                body,
                trailers: trailers.as_bytes().to_vec(),
            }
        });
    prop_oneof![Just(Framed::none(Body::None)), length, chunks]
}

/// Fields without a meaning of their own for the codec.
fn plain_field() -> impl Strategy<Value = (String, Vec<u8>)> {
    let name = prop_oneof![
        select(vec![
            "Accept",
            "x-cos-meta-a",
            "Range",
            "ETag",
            "Authorization",
            "Upgrade",
            "HTTP2-Settings"
        ])
        .prop_map(str::to_owned),
        "[xX]-[A-Za-z0-9!#$%&'*+.^_`|~-]{0,12}",
    ];
    let inner = prop_oneof![
        Just(Vec::new()),
        "[!-~]([ -~\t]{0,20}[!-~])?".prop_map(String::into_bytes),
        "[é中ÿ]{1,4}".prop_map(String::into_bytes),
        vec(0x80..=0xff_u8, 1..4)
    ];
    (name, inner)
}

fn blanks() -> impl Strategy<Value = &'static str> {
    select(vec![" ", " ", " ", "", "  ", "\t", " \t "])
}

fn any_case(name: String) -> impl Strategy<Value = String> {
    (0..3_u8).prop_map(move |case| match case {
        0 => name.to_ascii_lowercase(),
        1 => name.to_ascii_uppercase(),
        _ => name.clone(),
    })
}

fn connection(version: Version) -> impl Strategy<Value = (Option<&'static str>, bool)> {
    let default = version == Version::Http11;
    select(vec![
        (None, default),
        (None, default),
        (Some("keep-alive"), true),
        (Some("Close"), false),
        (Some("upgrade, ,\tHTTP2-Settings"), default),
        (Some("x-a,close"), false),
    ])
}

/// The lines of all fields, shuffled and with varied blanks and case; and what they mean.
fn field_lines(fields: Fields) -> impl Strategy<Value = (Vec<u8>, Fields)> {
    Just(fields)
        .prop_shuffle()
        .prop_flat_map(|fields| {
            fields
                .into_iter()
                .map(|(name, value)| (any_case(name), blanks(), Just(value), blanks()))
                .collect::<Vec<_>>()
        })
        .prop_map(|lines| {
            let mut wire = Vec::new();
            let mut meant = Vec::new();
            for (name, before, value, after) in lines {
                for part in
                    [name.as_bytes(), b":", before.as_bytes(), &value, after.as_bytes(), b"\r\n"]
                {
                    wire.extend_from_slice(part);
                }
                meant.push((name.to_ascii_lowercase(), value));
            }
            (wire, meant)
        })
}

fn version() -> impl Strategy<Value = Version> {
    prop_oneof![4 => Just(Version::Http11), 1 => Just(Version::Http10)]
}

fn version_text(version: Version) -> &'static str {
    match version {
        Version::Http10 => "HTTP/1.0",
        Version::Http11 => "HTTP/1.1",
    }
}

/// Targets that every HTTP library of Rust can represent.
pub(crate) fn target() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => r"/[a-zA-Z0-9/._~%!$&'()*+,;=:@é中-]{0,30}(\?[a-zA-Z0-9/._~%!$&'()*+,;=:@?-]{0,20})?",
        1 => r"http://[a-z0-9]{1,8}(\.[a-z]{2,3})?(:[1-9][0-9]{0,3})?/[a-z0-9/.%+]{0,10}(\?[a-z=&]{0,5})?",
        1 => Just("*".to_owned()),
    ]
}

fn method() -> impl Strategy<Value = &'static str> {
    select(vec![
        "GET",
        "PUT",
        "POST",
        "HEAD",
        "DELETE",
        "OPTIONS",
        "get",
        "M-SEARCH",
        "A!#$%&'*+-.^_`|~9",
    ])
}

/// Valid requests.
pub(crate) fn request() -> impl Strategy<Value = Written> {
    (version(), method(), target(), framed(), vec(plain_field(), 0..6), any::<bool>())
        .prop_flat_map(|(version, method, target, framed, mut fields, expects)| {
            let framed = if version == Version::Http10 && framed.framing == Body::Chunked {
                Framed::none(Body::None)
            } else {
                framed
            };
            fields.push((
                "Host".into(),
                b"examplebucket-1250000000.cos.ap-guangzhou.myqcloud.com".to_vec(),
            ));
            fields.extend(framed.field.clone());
            if expects {
                fields.push(("Expect".into(), b"100-Continue".to_vec()));
            }
            let expects_continue = expects
                && version == Version::Http11
                && !matches!(framed.framing, Body::None | Body::Length(0));
            (
                Just((version, method, target, framed, expects_continue)),
                with_connection(version, fields),
            )
        })
        .prop_map(
            |((version, method, target, framed, expects_continue), (wire, fields, keep_alive))| {
                let mut bytes =
                    format!("{method} {target} {}\r\n", version_text(version)).into_bytes();
                bytes.extend(wire);
                bytes.extend_from_slice(b"\r\n");
                bytes.extend(framed.wire);
                let message = Message {
                    what: method.to_owned(),
                    target: target.into_bytes(),
                    version,
                    fields,
                    framing: framed.framing,
                    keep_alive,
                    expects_continue,
                    body: framed.body,
                    trailers: framed.trailers,
                    complete: true,
                };
                Written { bytes, message }
            },
        )
}

fn with_connection(
    version: Version,
    fields: Fields,
) -> impl Strategy<Value = (Vec<u8>, Fields, bool)> {
    connection(version).prop_flat_map(move |(connection, keep_alive)| {
        let mut fields = fields.clone();
        fields.extend(connection.map(|value| ("Connection".to_owned(), value.as_bytes().to_vec())));
        (field_lines(fields), Just(keep_alive))
            .prop_map(|((wire, meant), keep)| (wire, meant, keep))
    })
}

/// Valid answers, with what they answer.
pub(crate) fn answer() -> impl Strategy<Value = (AnswerTo, Written)> {
    let status = select(vec![200_u16, 200, 206, 204, 304, 400, 403, 404, 416, 503, 599]);
    let reason = select(vec![" OK", " ", "", " Not Found\there"]);
    let to = prop_oneof![4 => Just(AnswerTo::Other), 1 => Just(AnswerTo::Head)];
    (version(), status, reason, to, framed(), vec(plain_field(), 0..6))
        .prop_flat_map(|(version, status, reason, to, framed, mut fields)| {
            let framed = if (version == Version::Http10 && framed.framing == Body::Chunked)
                || status == 204
            {
                Framed::none(Body::None)
            } else {
                framed
            };
            fields.extend(framed.field.clone());
            (
                Just((version, status, reason, to, framed)),
                with_connection(version, fields),
                body_bytes(),
            )
        })
        .prop_map(|((version, status, reason, to, framed), (wire, fields, keep_alive), rest)| {
            let framed = match (to, status, framed.framing) {
                (AnswerTo::Head, _, _) | (_, 204 | 304, _) => Framed::none(Body::None),
                (_, _, Body::None) => {
                    Framed { wire: rest.clone(), body: rest, ..Framed::none(Body::UntilClose) }
                }
                _ => framed,
            };
            let mut bytes = format!("{} {status}{reason}\r\n", version_text(version)).into_bytes();
            bytes.extend(wire);
            bytes.extend_from_slice(b"\r\n");
            bytes.extend(framed.wire);
            let message = Message {
                what: status.to_string(),
                target: Vec::new(),
                version,
                fields,
                framing: framed.framing,
                keep_alive: keep_alive && framed.framing != Body::UntilClose,
                expects_continue: false,
                body: framed.body,
                trailers: framed.trailers,
                complete: true,
            };
            (to, Written { bytes, message })
        })
}

/// A connection's bytes, most of them damaged somewhere, and how to read them.
pub(crate) fn damaged() -> impl Strategy<Value = (Kind, Vec<u8>)> {
    prop_oneof![damaged_requests().prop_map(|bytes| (Kind::Requests, bytes)), damaged_answer()]
}

/// One to three requests in a row, damaged in up to three places.
pub(crate) fn damaged_requests() -> impl Strategy<Value = Vec<u8>> {
    let bytes = vec(request(), 1..4)
        .prop_map(|requests| requests.into_iter().flat_map(|r| r.bytes).collect::<Vec<u8>>());
    (bytes, vec(damage(), 0..4)).prop_map(|(bytes, damages)| apply(bytes, &damages))
}

/// An answer, sometimes after a 100, damaged in up to three places.
pub(crate) fn damaged_answer() -> impl Strategy<Value = (Kind, Vec<u8>)> {
    let before = select(vec!["", "", "", "HTTP/1.1 100 Continue\r\n\r\n"]);
    (answer(), before, vec(damage(), 0..4)).prop_map(|((to, answer), before, damages)| {
        let bytes = [before.as_bytes(), &answer.bytes].concat();
        (Kind::Answer(to), apply(bytes, &damages))
    })
}

#[derive(Debug, Clone)]
enum Damage {
    Insert(Index, &'static str),
    /// At the beginning of the line that holds the place.
    InsertLine(Index, &'static str),
    Replace(Index, u8),
    Delete(Index, usize),
    Repeat(Index, usize),
    RepeatLine(Index),
    Cut(Index),
}

const SNIPPETS: [&str; 24] = [
    "\r",
    "\n",
    "\r\n",
    "\n\n",
    "\r\n\r\n",
    "\0",
    " ",
    "\t",
    ":",
    ";a=b",
    "#",
    "|",
    "0",
    "+",
    "-",
    ",",
    "\x7f",
    "ffffffffffffffff",
    "HTTP/1.1",
    " HTTP/1.0",
    "\u{e9}",
    "5\r\n",
    "0\r\n\r\n",
    "chunked",
];

const LINES: [&str; 20] = [
    "Content-Length: 5\r\n",
    "content-length: 0\r\n",
    "Content-Length: 5, 5\r\n",
    "Content-Length: +5\r\n",
    "Content-Length : 5\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Transfer-Encoding: identity\r\n",
    "Transfer-Encoding: gzip, chunked\r\n",
    "Transfer-Encoding:\r\n chunked\r\n",
    "Transfer-Encoding\t: chunked\r\n",
    "Host: other\r\n",
    "Connection: close\r\n",
    "Connection: keep-alive\r\n",
    "Connection: content-length\r\n",
    "Expect: 100-continue\r\n",
    "Expect: 200-ok\r\n",
    "X: y\n",
    "X: y\r",
    " folded\r\n",
    "NoColon\r\n",
];

fn damage() -> impl Strategy<Value = Damage> {
    let place = any::<Index>;
    prop_oneof![
        (place(), select(&SNIPPETS[..])).prop_map(|(at, text)| Damage::Insert(at, text)),
        (place(), select(&LINES[..])).prop_map(|(at, line)| Damage::InsertLine(at, line)),
        (place(), any::<u8>()).prop_map(|(at, byte)| Damage::Replace(at, byte)),
        (place(), 1_usize..5).prop_map(|(at, length)| Damage::Delete(at, length)),
        (place(), 1_usize..10).prop_map(|(at, length)| Damage::Repeat(at, length)),
        place().prop_map(Damage::RepeatLine),
        place().prop_map(Damage::Cut),
    ]
}

fn apply(mut bytes: Vec<u8>, damages: &[Damage]) -> Vec<u8> {
    for damage in damages {
        if bytes.is_empty() {
            break;
        }
        let size = bytes.len();
        let line_at =
            |at: usize| bytes[..at].iter().rposition(|&b| b == b'\n').map_or(0, |lf| lf + 1);
        match damage {
            Damage::Insert(at, text) => insert(&mut bytes, at.index(size), text.as_bytes()),
            Damage::InsertLine(at, line) => {
                let at = line_at(at.index(size));
                insert(&mut bytes, at, line.as_bytes());
            }
            Damage::Replace(at, byte) => bytes[at.index(size)] = *byte,
            Damage::Delete(at, length) => {
                let at = at.index(size);
                bytes.drain(at..size.min(at + length));
            }
            Damage::Repeat(at, length) => {
                let at = at.index(size);
                let piece = bytes[at..size.min(at + length)].to_vec();
                insert(&mut bytes, at, &piece);
            }
            Damage::RepeatLine(at) => {
                let start = line_at(at.index(size));
                let end = bytes[start..]
                    .iter()
                    .position(|&b| b == b'\n')
                    .map_or(size, |lf| start + lf + 1);
                let line = bytes[start..end].to_vec();
                insert(&mut bytes, start, &line);
            }
            Damage::Cut(at) => bytes.truncate(at.index(size)),
        }
    }
    bytes
}

fn insert(bytes: &mut Vec<u8>, at: usize, piece: &[u8]) {
    bytes.splice(at..at, piece.iter().copied());
}
