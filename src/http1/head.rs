//! What a head says, as borrowed slices of the bytes it was read from.

use std::{mem::MaybeUninit, ops::Range};

use super::ConnectionNames;

/// One header line: `name` as sent, `value` without surrounding blanks.
pub type Field<'b> = httparse::Header<'b>;

/// Room for the fields of one head; lives on the caller's stack.
pub type FieldSlots<'b> = [MaybeUninit<Field<'b>>; 128];

/// Bounds on what is read into memory before it is understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Largest head in bytes, request line and blank line included.
    pub head_bytes: usize,
    /// Most header lines (at most 128).
    pub fields: usize,
    /// Longest request target in bytes.
    pub target_bytes: usize,
}

/// The two versions the codec speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// HTTP/1.0: no chunked bodies, no persistent connection by default.
    Http10,
    /// HTTP/1.1.
    Http11,
}

/// How the end of a message's body is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// There is none, and no field said so.
    None,
    /// Exactly this many bytes (`Content-Length`; may be 0).
    Length(u64),
    /// `Transfer-Encoding: chunked`.
    Chunked,
    /// Until the sender closes the connection; answers only.
    UntilClose,
}

/// A request head that passed every strictness rule.
#[derive(Debug)]
pub struct RequestHead<'h, 'b> {
    /// The method as sent (case matters).
    pub method: &'b str,
    /// The request target's exact bytes: not empty, UTF-8, without blank, control byte or `#`.
    pub target: &'b [u8],
    /// Protocol version.
    pub version: Version,
    /// All header lines in the order sent.
    pub fields: &'h [Field<'b>],
    /// Framing of the body.
    pub body: Body,
    /// Whether the client wants the connection kept after the answer.
    pub keep_alive: bool,
    /// Whether the client waits for `100 Continue` before it sends its body (never without one,
    /// never on HTTP/1.0).
    pub expects_continue: bool,
}

/// An answer head that passed every strictness rule.
#[derive(Debug)]
pub struct ResponseHead<'h, 'b> {
    /// The whole head as it came.
    pub head: &'b [u8],
    /// Protocol version.
    pub version: Version,
    /// Status, 100 to 599.
    pub status: u16,
    /// Reason phrase; empty if there is none or it is not ASCII.
    pub reason: &'b str,
    /// All header lines in the order sent.
    pub fields: &'h [Field<'b>],
    /// Framing of the body, given the request it answers.
    pub body: Body,
    /// Whether the upstream connection may be used again after the body.
    pub keep_alive: bool,
}

impl<'b> RequestHead<'_, 'b> {
    /// The first value of `name`, compared without case.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&'b [u8]> {
        self.fields.iter().find(|f| f.name.eq_ignore_ascii_case(name)).map(|f| f.value)
    }

    /// The field names that `Connection` lists besides `close` and `keep-alive`. They are
    /// hop-by-hop in this message; none of them is a field that a message depends on.
    #[must_use]
    pub fn connection_names(&self) -> ConnectionNames<'_, 'b> {
        ConnectionNames::of(self.fields)
    }

    /// Whether `Connection` lists `name`, compared without case. To filter many fields, take
    /// [`Self::connection_names`] once instead: it is nearly always empty.
    #[must_use]
    pub fn connection_lists(&self, name: &str) -> bool {
        self.connection_names().any(|listed| listed.eq_ignore_ascii_case(name))
    }
}

impl<'b> ResponseHead<'_, 'b> {
    /// Where the line of one of the fields stands in the head, if it is written as we would write
    /// it: name, colon, one space, value, CR LF.
    #[must_use]
    pub fn plain_line(&self, field: &Field<'b>) -> Option<Range<usize>> {
        let name_at = field.name.as_ptr().addr().checked_sub(self.head.as_ptr().addr())?;
        let value_at = name_at.checked_add(field.name.len() + 2)?;
        let end = value_at.checked_add(field.value.len() + 2)?;
        let line = self.head.get(name_at..end)?;
        let is_plain = line.get(field.name.len()..)?.starts_with(b": ")
            && line.ends_with(b"\r\n")
            && std::ptr::eq(self.head.get(value_at..end - 2)?, field.value);
        is_plain.then_some(name_at..end)
    }

    /// The first value of `name`, compared without case.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&'b [u8]> {
        self.fields.iter().find(|f| f.name.eq_ignore_ascii_case(name)).map(|f| f.value)
    }

    /// The field names that `Connection` lists besides `close` and `keep-alive`. They are
    /// hop-by-hop in this message; none of them is a field that a message depends on.
    #[must_use]
    pub fn connection_names(&self) -> ConnectionNames<'_, 'b> {
        ConnectionNames::of(self.fields)
    }

    /// Whether `Connection` lists `name`, compared without case. To filter many fields, take
    /// [`Self::connection_names`] once instead: it is nearly always empty.
    #[must_use]
    pub fn connection_lists(&self, name: &str) -> bool {
        self.connection_names().any(|listed| listed.eq_ignore_ascii_case(name))
    }
}
