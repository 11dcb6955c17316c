//! Which COS operation a request is, and the bounded label of its method.

/// Method label: bounded whatever clients send.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Method {
    /// GET
    Get,
    /// HEAD
    Head,
    /// PUT
    Put,
    /// POST
    Post,
    /// DELETE
    Delete,
    /// OPTIONS
    Options,
    /// Any other
    Other,
}

/// A COS operation (see the table in `docs/SEMANTICS.md`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Operation {
    /// GetObject
    GetObject,
    /// Refused before it was known.
    Unknown,
}
