//! What an upstream may say instead of the truth, and what must come of it.

use super::case::message;

#[path = "lies/bodies.rs"]
mod bodies;
#[path = "lies/endings.rs"]
mod endings;
#[path = "lies/framing.rs"]
mod framing;
#[path = "lies/heads.rs"]
mod heads;

/// One lie (or an unusual truth), told in answer to one request.
#[derive(Debug, Clone)]
pub(crate) struct Lie {
    pub(crate) name: String,
    pub(crate) to: To,
    pub(crate) told: Vec<Told>,
    pub(crate) outcome: Outcome,
    /// Whether the upstream connection may be used again.
    pub(crate) clean: bool,
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum To {
    Get,
    Head,
    /// An upload, answered once it came whole.
    Put,
    /// An upload of which half is sent, answered at once.
    HalfAPut,
}

#[derive(Debug, Clone)]
pub(crate) enum Told {
    Bytes(Vec<u8>),
    /// What follows is told once the client had its answer.
    Later,
    Close,
    Reset,
}

/// What the client gets.
#[derive(Debug, Clone)]
pub(crate) enum Outcome {
    /// Exactly this answer.
    Right(u16, Vec<u8>),
    /// An answer of the proxy: status and reason.
    Failed(u16, &'static str),
    /// Something that nobody takes for a whole answer.
    Cut,
}

impl Lie {
    fn new(name: impl Into<String>, bytes: impl Into<Vec<u8>>, outcome: Outcome) -> Self {
        let told = vec![Told::Bytes(bytes.into())];
        Self { name: name.into(), to: To::Get, told, outcome, clean: false }
    }

    /// Short enough to be told in small pieces.
    pub(crate) fn is_short(&self) -> bool {
        let length = |told: &Told| match told {
            Told::Bytes(bytes) => bytes.len(),
            Told::Later | Told::Close | Told::Reset => 0,
        };
        self.told.iter().map(length).sum::<usize>() < 2000
    }

    pub(crate) fn may_lose_its_head(&self) -> bool {
        matches!(self.told.last(), Some(Told::Reset))
    }

    /// The client gets the answer, but its connection is not to be trusted afterwards.
    fn right(name: impl Into<String>, bytes: impl Into<Vec<u8>>, body: &str) -> Self {
        Self::new(name, bytes, Outcome::Right(200, body.into()))
    }

    /// Not acceptable as an answer.
    fn malformed(name: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        Self::new(name, bytes, Outcome::Failed(502, "upstream-malformed"))
    }

    /// Over before there is an answer.
    fn closed(name: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        Self::new(name, bytes, Outcome::Failed(502, "upstream-closed"))
    }

    fn cut(name: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        Self::new(name, bytes, Outcome::Cut)
    }

    fn to(self, to: To) -> Self {
        Self { to, ..self }
    }

    fn status(mut self, status: u16) -> Self {
        if let Outcome::Right(of_answer, _) = &mut self.outcome {
            *of_answer = status;
        }
        self
    }

    fn clean(self) -> Self {
        Self { clean: true, ..self }
    }

    fn then(mut self, told: Told) -> Self {
        self.told.push(told);
        self
    }

    fn later(self, bytes: impl Into<Vec<u8>>) -> Self {
        self.then(Told::Later).then(Told::Bytes(bytes.into()))
    }
}

/// An answer with these lines (without CR LF) and what follows the head.
fn ok(lines: &[&str], body: &str) -> Vec<u8> {
    message("HTTP/1.1 200 OK", lines, body)
}

/// Every lie, with the name of its family.
pub(crate) fn all() -> Vec<(&'static str, Vec<Lie>)> {
    vec![
        ("status lines, interim answers", heads::status_lines()),
        ("header lines, head bombs", heads::fields()),
        ("lengths and codings", framing::lies()),
        ("chunks and trailers", bodies::chunks()),
        ("bodies where none belong, bytes after the end", bodies::surplus()),
        ("closes and resets", endings::lies()),
    ]
}
