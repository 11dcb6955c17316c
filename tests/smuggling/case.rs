//! A request as somebody might send it to be understood twice, and what must become of it.

/// One case. `{id}` in its bytes stands for a word that no other request of the run has.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) bytes: Vec<u8>,
    pub(crate) outcome: Outcome,
}

/// What must happen.
#[derive(Debug, Clone)]
pub(crate) enum Outcome {
    /// One answer of ours for this cause, before a byte went upstream.
    Refused(&'static str),
    /// The same in the middle of a body: upstream saw nothing, or visibly less than a whole request.
    Breaks(&'static str),
    /// It is legal: upstream sees it in its plainest form, once, and its answer comes back.
    Passes(Passed),
    /// What follows is all its body, which never ends: no answer, nothing whole upstream.
    Swallows,
}

#[derive(Debug, Clone)]
pub(crate) struct Passed {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) body: Vec<u8>,
    pub(crate) then: Then,
}

/// What becomes of the bytes after the case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Then {
    /// The request that follows is served.
    Served,
    /// The connection ends; what follows is not looked at.
    Closed,
    /// They do not begin where a request could.
    Refused(&'static str),
}

impl Case {
    pub(crate) fn refused(
        name: impl Into<String>,
        bytes: impl Into<Vec<u8>>,
        why: &'static str,
    ) -> Self {
        Self { name: name.into(), bytes: bytes.into(), outcome: Outcome::Refused(why) }
    }

    pub(crate) fn breaks(
        name: impl Into<String>,
        bytes: impl Into<Vec<u8>>,
        why: &'static str,
    ) -> Self {
        Self { name: name.into(), bytes: bytes.into(), outcome: Outcome::Breaks(why) }
    }

    pub(crate) fn swallows(name: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        Self { name: name.into(), bytes: bytes.into(), outcome: Outcome::Swallows }
    }

    /// Goes up with its own method, the target `/{id}` and no body, unless told otherwise.
    pub(crate) fn passes(name: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        let method = bytes.split(|&b| b == b' ').next().unwrap_or_default();
        let passed = Passed {
            method: String::from_utf8_lossy(method).into_owned(),
            target: "/{id}".to_owned(),
            body: Vec::new(),
            then: Then::Served,
        };
        Self { name: name.into(), bytes, outcome: Outcome::Passes(passed) }
    }

    pub(crate) fn body(self, body: impl Into<Vec<u8>>) -> Self {
        let body = body.into();
        self.with(|passed| passed.body = body)
    }

    pub(crate) fn target(self, target: &str) -> Self {
        self.with(|passed| passed.target = target.to_owned())
    }

    pub(crate) fn then(self, then: Then) -> Self {
        self.with(|passed| passed.then = then)
    }

    fn with(mut self, change: impl FnOnce(&mut Passed)) -> Self {
        match &mut self.outcome {
            Outcome::Passes(passed) => change(passed),
            Outcome::Refused(_) | Outcome::Breaks(_) | Outcome::Swallows => {
                panic!("{} has no upstream form", self.name)
            }
        }
        self
    }

    /// It is known where the next request begins.
    pub(crate) fn is_whole_without_body(&self) -> bool {
        self.bytes.ends_with(b"\r\n\r\n") && !self.bytes.starts_with(b"PUT ")
    }

    pub(crate) fn is_head(&self) -> bool {
        self.bytes.starts_with(b"HEAD ")
    }
}

/// A head with these lines besides Host (without CR LF), and what follows it.
pub(crate) fn request(method: &str, lines: &[&str], body: &str) -> Vec<u8> {
    message(&format!("{method} /{{id}} HTTP/1.1\r\nHost: localhost:9000"), lines, body)
}

/// A first line, further lines (all without the last CR LF), and what follows the head.
pub(crate) fn message(first: &str, lines: &[&str], body: &str) -> Vec<u8> {
    let mut bytes = format!("{first}\r\n");
    for line in lines {
        bytes.push_str(line);
        bytes.push_str("\r\n");
    }
    bytes.push_str("\r\n");
    bytes.push_str(body);
    bytes.into()
}

pub(crate) fn put(lines: &[&str], body: &str) -> Vec<u8> {
    request("PUT", lines, body)
}

pub(crate) fn get(lines: &[&str]) -> Vec<u8> {
    request("GET", lines, "")
}

/// A PUT whose chunked body is these bytes.
pub(crate) fn chunked(body: &str) -> Vec<u8> {
    put(&["Transfer-Encoding: chunked"], body)
}

/// For names: control bytes and the like shown as escapes.
pub(crate) fn shown(text: &str) -> String {
    text.escape_debug().to_string()
}
