//! What went over the wires of one client, and what must be true of it.

use super::{BodyReader, Ends, Flaw, Head, check_sent};

/// What went over the wires.
#[derive(Debug, Default)]
pub struct Report {
    /// What the client sent.
    pub sent: Vec<u8>,
    /// What the client got, up to the end of its connection.
    pub got: Vec<u8>,
    /// Each upstream connection, as upstream got it.
    pub upstream: Vec<Vec<u8>>,
    /// The client's connection ended with a reset.
    pub reset: bool,
}

impl Report {
    /// What is wrong: bytes upstream that are not exactly requests of this client, once each and in
    /// order, or bytes to the client that are not answers to them.
    #[must_use]
    pub fn flaw(&self) -> Option<String> {
        self.check_upstream().and_then(|()| self.check_client()).err()
    }

    /// How many whole requests upstream got.
    #[must_use]
    pub fn requests(&self) -> usize {
        let all = self.upstream.iter().filter_map(|bytes| upstream_requests(bytes).ok()).flatten();
        all.filter(|request| request.whole).count()
    }

    fn check_upstream(&self) -> Result<(), Flaw> {
        let mut asked = client_requests(&self.sent).0.into_iter();
        for (number, bytes) in self.upstream.iter().enumerate() {
            for sent in upstream_requests(bytes)? {
                let is_it = |asked: &Request| {
                    asked.method == sent.method
                        && asked.path.ends_with(&sent.path)
                        && asked.body.starts_with(&sent.body)
                        && (!sent.whole || (asked.whole && asked.body == sent.body))
                };
                if !asked.any(|asked| is_it(&asked)) {
                    return Err(format!("upstream {number} got what was not asked for: {sent:?}"));
                }
            }
        }
        Ok(())
    }

    fn check_client(&self) -> Result<(), Flaw> {
        let (asked, unread) = client_requests(&self.sent);
        let mut asked = asked.into_iter().map(|request| request.method);
        let mut rest = self.got.as_slice();
        let mut over = false;
        // An answer to what is no request is the last one.
        let mut any_more = true;
        while let Some(head) = Head::read(rest)? {
            rest = rest.get(head.len..).unwrap_or_default();
            if head.status()? == 100 {
                continue;
            }
            if over || !any_more {
                return Err(format!(
                    "an answer too many: {:?}",
                    String::from_utf8_lossy(&head.first)
                ));
            }
            let to_head = match asked.next() {
                Some(method) => method == "HEAD",
                None => {
                    any_more = false;
                    unread.starts_with(b"HEAD ")
                }
            };
            over = head.all("connection").any(|value| value.eq_ignore_ascii_case(b"close"));
            let ends = head.answer_ends(to_head)?;
            let mut body = BodyReader::new(ends);
            let used = body.take(rest)?;
            rest = rest.get(used..).unwrap_or_default();
            over |= !body.whole || ends == Ends::Close;
        }
        // What is left may be a head that was cut, not more.
        if over && !rest.is_empty() {
            Err("bytes after the last answer".to_owned())
        } else {
            Ok(())
        }
    }
}

/// A request off a wire.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) method: String,
    path: Vec<u8>,
    body: Vec<u8>,
    whole: bool,
    /// Bytes on the wire.
    pub(super) len: usize,
}

impl Request {
    /// The next request upstream; `None` while it is not whole.
    pub(super) fn whole(bytes: &[u8]) -> Result<Option<Self>, Flaw> {
        let request = Self::read(bytes, check_sent)?;
        Ok(request.filter(|request| request.whole))
    }

    /// The next request as far as it is there; `None` while its head is not.
    fn read(
        bytes: &[u8],
        ends: impl Fn(&Head) -> Result<Ends, Flaw>,
    ) -> Result<Option<Self>, Flaw> {
        let Some(head) = Head::read(bytes)? else { return Ok(None) };
        let (method, target, _) = head.request_line()?;
        let mut body = BodyReader::new(ends(&head)?);
        let used = body.take(bytes.get(head.len..).unwrap_or_default())?;
        let path = target.split(|b| *b == b'?').next().unwrap_or_default().to_vec();
        Ok(Some(Self { method, path, body: body.data, whole: body.whole, len: head.len + used }))
    }
}

/// All that upstream got: nothing else may stand before, between or after its requests but the
/// beginning of one.
fn upstream_requests(mut bytes: &[u8]) -> Result<Vec<Request>, Flaw> {
    let mut requests = Vec::new();
    while let Some(request) = Request::read(bytes, check_sent)? {
        bytes = bytes.get(request.len..).unwrap_or_default();
        requests.push(request);
    }
    let begins =
        |word: &str| word.as_bytes().starts_with(bytes) || bytes.starts_with(word.as_bytes());
    let words = ["GET /", "HEAD /", "PUT /", "POST /", "DELETE /", "OPTIONS /"];
    if !words.into_iter().any(begins) {
        return Err(format!("{:?} stands behind a request", String::from_utf8_lossy(bytes)));
    }
    Ok(requests)
}

/// What a client sent, as far as it is made of requests, and what follows them. A body that is
/// broken counts as begun.
fn client_requests(mut bytes: &[u8]) -> (Vec<Request>, &[u8]) {
    let mut requests = Vec::new();
    while let Ok(Some(head)) = Head::read(bytes) {
        let (Ok((method, target, _)), Ok(ends)) = (head.request_line(), head.request_ends()) else {
            break;
        };
        let mut body = BodyReader::new(ends);
        let used = body.take(bytes.get(head.len..).unwrap_or_default()).ok();
        let path = target.split(|b| *b == b'?').next().unwrap_or_default().to_vec();
        let len = head.len + used.unwrap_or(0);
        let whole = used.is_some() && body.whole;
        requests.push(Request { method, path, body: body.data, whole, len });
        bytes = bytes.get(len..).unwrap_or_default();
        if !whole {
            break;
        }
    }
    (requests, bytes)
}
