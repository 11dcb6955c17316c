//! The upstream head: rewritten, then signed. Only a signed head can be sent.

use std::{fmt, ops::Range, sync::Arc};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use md5::{Digest as _, Md5};

use crate::{
    clock::Timestamp,
    credential::Credential,
    http1::{Body, Field, RequestHead},
    sign::cos::{Scratch, ToSign, Window},
    sign::strict,
};

use super::{
    Admitted, Method, Refused,
    copy_source::CopySource,
    fields::{self, Fate},
    framing,
    keyring::Keyring,
    query::Parameters,
};

/// A composed head without authority.
#[derive(Debug)]
pub struct Outbound {
    /// Up to and including the last header line; no blank line yet.
    head: Vec<u8>,
    method: Method,
    path: Range<usize>,
    query: Range<usize>,
    /// Header lines that will be signed.
    lines: Vec<Line>,
    body: Body,
}

/// Where name and value of a header line stand in the head.
#[derive(Debug, Clone)]
struct Line {
    name: Range<usize>,
    value: Range<usize>,
}

/// A head that may be sent: only [`Composer::sign`] makes one.
pub struct Signed {
    head: Vec<u8>,
    body: Body,
}

impl Signed {
    /// The bytes to write before the body.
    #[must_use]
    pub fn head(&self) -> &[u8] {
        &self.head
    }
    /// How the body must be framed upstream.
    #[must_use]
    pub fn body(&self) -> Body {
        self.body
    }
    /// Gives the buffer back for the next request.
    #[must_use]
    pub fn into_buffer(self) -> Vec<u8> {
        self.head
    }
}

/// Does not show the head: it carries a token and a signature.
impl fmt::Debug for Signed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signed")
            .field("head_bytes", &self.head.len())
            .field("body", &self.body)
            .finish()
    }
}

/// Names and values, as the signature takes them.
type Pairs<'a> = Vec<(&'a [u8], &'a [u8])>;

/// Per-thread buffers and the derived sign keys. After a few requests, composing and signing
/// allocate nothing but what the caller's buffer lacks.
#[derive(Default)]
pub struct Composer {
    keyring: Keyring,
    scratch: Scratch,
    authorization: Vec<u8>,
    lines: Vec<Line>,
    headers: Pairs<'static>,
    parameters: Pairs<'static>,
}

impl fmt::Debug for Composer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Composer").finish_non_exhaustive()
    }
}

impl Composer {
    /// Rewrites an admitted head for upstream, with `key`'s token, into `buffer` (cleared first).
    /// `held` is the whole body when `admitted.needs_digest`.
    ///
    /// # Errors
    /// [`Refused`] when a header cannot be carried over unambiguously.
    pub fn compose(
        &mut self,
        admitted: &Admitted<'_>,
        head: &RequestHead<'_, '_>,
        key: &Credential,
        held: Option<&[u8]>,
        mut buffer: Vec<u8>,
    ) -> Result<Outbound, Refused> {
        buffer.clear();
        self.lines.clear();
        let mut draft = Draft { head: buffer, lines: std::mem::take(&mut self.lines) };
        let (path, query) = draft.request_line(admitted);
        draft.line("Host", admitted.origin.authority.as_bytes());
        draft.client_fields(admitted, head);
        if let Some(token) = &key.token {
            draft.line(admitted.token_header.name(), token.expose().as_bytes());
        }
        if let Some(held) = held
            && head.field("content-md5").is_none()
        {
            draft.line("Content-MD5", STANDARD.encode(Md5::digest(held)).as_bytes());
        }
        let body = framing::upstream(head.body, admitted.method, held);
        draft.framing(body);
        let Draft { head, lines } = draft;
        Ok(Outbound { head, method: admitted.method, path, query, lines, body })
    }

    /// Signs with the key of the composed token: host, token, every allow-listed header that is
    /// sent and every query parameter.
    #[must_use]
    pub fn sign(&mut self, outbound: Outbound, key: &Arc<Credential>, now: Timestamp) -> Signed {
        let Outbound { mut head, method, path, query, lines, body } = outbound;
        let mut headers: Pairs<'_> = std::mem::take(&mut self.headers);
        headers
            .extend(lines.iter().map(|line| (part(&head, &line.name), part(&head, &line.value))));
        let mut parameters: Pairs<'_> = std::mem::take(&mut self.parameters);
        parameters.extend(Parameters::new(part(&head, &query)).iter().map(|p| (p.name, p.value)));

        self.authorization.clear();
        // A key that is over may still be tried, by those who trust their clock less: its window
        // is an ordinary one.
        let end = key.expires_at.filter(|end| now < *end);
        let signing = self.keyring.key(key, Window::covering(now, end));
        let request = ToSign {
            method: method.name(),
            path: part(&head, &path),
            parameters: &parameters,
            headers: &headers,
        };
        signing.authorize(&key.id, &request, &mut self.scratch, &mut self.authorization);
        self.headers = emptied(headers);
        self.parameters = emptied(parameters);
        self.lines = lines;

        head.extend_from_slice(b"Authorization: ");
        head.extend_from_slice(&self.authorization);
        head.extend_from_slice(b"\r\n\r\n");
        Signed { head, body }
    }
}

fn part<'h>(head: &'h [u8], range: &Range<usize>) -> &'h [u8] {
    head.get(range.clone()).unwrap_or_default()
}

/// The same allocation without the borrowed pairs (the standard library collects in place).
fn emptied(mut pairs: Pairs<'_>) -> Pairs<'static> {
    pairs.clear();
    pairs.into_iter().map(|_| (&[][..], &[][..])).collect()
}

/// A head being written.
struct Draft {
    head: Vec<u8>,
    lines: Vec<Line>,
}

impl Draft {
    /// The request line; where its path and query stand.
    fn request_line(&mut self, admitted: &Admitted<'_>) -> (Range<usize>, Range<usize>) {
        self.put(admitted.method.name().as_bytes());
        self.put(b" ");
        let path = self.put(admitted.path);
        let query = self.query(admitted);
        self.put(b" HTTP/1.1\r\n");
        (path, query)
    }

    /// The query as sent, or, when a client's signature is cut out of it, what is left.
    fn query(&mut self, admitted: &Admitted<'_>) -> Range<usize> {
        let sent = Parameters::new(admitted.query);
        let start = self.head.len() + 1;
        if sent.carries_authority() {
            let mut between: &[u8] = b"?";
            for parameter in sent.without_authority() {
                self.put(between);
                self.put(parameter.whole);
                between = b"&";
            }
        } else if admitted.has_query {
            self.put(b"?");
            self.put(admitted.query);
        }
        start..self.head.len().max(start)
    }

    fn client_fields(&mut self, admitted: &Admitted<'_>, head: &RequestHead<'_, '_>) {
        let of_this_hop = head.connection_names();
        let lists_any = of_this_hop.clone().next().is_some();
        for (at, field) in head.fields.iter().enumerate() {
            if lists_any && fields::is_listed(of_this_hop.clone(), field.name) {
                continue;
            }
            match fields::fate(field.name) {
                Fate::Drop => {}
                Fate::Forward => {
                    self.unsigned_line(field.name, field.value);
                }
                Fate::Sign if fields::is_list(field.name) => self.list_line(head.fields, at),
                Fate::Sign => self.line(field.name, field.value),
                Fate::CopySource => match &admitted.copy_source {
                    Some(CopySource::At { host, rest, .. }) => {
                        self.line_of(field.name, &[host.as_bytes(), rest]);
                    }
                    Some(CopySource::AsSent(value)) => self.line(field.name, value),
                    None => {}
                },
            }
        }
    }

    /// One line for all lines of a list-valued header, at the place of the first.
    fn list_line(&mut self, fields: &[Field<'_>], at: usize) {
        let Some((field, rest)) = fields.get(at..).and_then(<[_]>::split_first) else { return };
        let same = |other: &&Field<'_>| other.name.eq_ignore_ascii_case(field.name);
        if fields.iter().take(at).any(|other| same(&other)) {
            return;
        }
        let start = self.head.len();
        let mut value = self.unsigned_line(field.name, field.value);
        for other in rest.iter().filter(same) {
            self.head.truncate(value.end);
            self.put(b", ");
            self.put(other.value);
            value.end = self.head.len();
            self.put(b"\r\n");
        }
        self.lines.push(Line { name: start..start + field.name.len(), value });
    }

    /// `Content-Length` or `Transfer-Encoding` for the body that will really be sent.
    fn framing(&mut self, body: Body) {
        match body {
            Body::Length(length) => {
                self.line("Content-Length", itoa::Buffer::new().format(length).as_bytes());
            }
            Body::Chunked => self.line("Transfer-Encoding", b"chunked"),
            Body::None | Body::UntilClose => {}
        }
    }

    /// A header line that is signed if its name is one that counts.
    fn line(&mut self, name: &str, value: &[u8]) {
        self.line_of(name, &[value]);
    }

    fn line_of(&mut self, name: &str, value: &[&[u8]]) {
        let name_at = self.put(name.as_bytes());
        self.put(b": ");
        let start = self.head.len();
        for piece in value {
            self.put(piece);
        }
        let value = start..self.head.len();
        self.put(b"\r\n");
        if strict::signs(name.as_bytes()) {
            self.lines.push(Line { name: name_at, value });
        }
    }

    /// Writes a line and says where its value stands.
    fn unsigned_line(&mut self, name: &str, value: &[u8]) -> Range<usize> {
        self.put(name.as_bytes());
        self.put(b": ");
        let value = self.put(value);
        self.put(b"\r\n");
        value
    }

    fn put(&mut self, bytes: &[u8]) -> Range<usize> {
        let start = self.head.len();
        self.head.extend_from_slice(bytes);
        start..self.head.len()
    }
}
