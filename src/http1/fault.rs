//! Why bytes were refused. One variant per answer someone gives.

/// A request that is malformed, ambiguous or too large. The connection cannot be used further.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RequestFault {
    /// Not an HTTP/1.x request head.
    #[error("the request head is malformed")]
    Malformed,
}

/// An answer that cannot be trusted. The upstream connection is dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ResponseFault {
    /// Not an HTTP/1.x answer head.
    #[error("the answer head is malformed")]
    Malformed,
}

/// A body whose framing is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BodyFault {
    /// A chunk size line that is not plain hexadecimal CRLF.
    #[error("a chunk size line is malformed")]
    ChunkSize,
}
