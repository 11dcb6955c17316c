//! The HTTP/1.1 codec: bytes in; heads, body events and refusals out.
//!
//! Pure: no socket, no clock, no allocation for a head. Strict by construction: what is ambiguous
//! is refused, never repaired. `transport` drives it:
//!
//! 1. [`HeadScanner`] finds the end of a head while it arrives, and refuses hopeless bytes at once;
//! 2. [`read_request`] or [`read_response`] splits the head into fields and decides the framing;
//! 3. [`BodyDecoder`] tells data from framing in the bytes after it.

mod body;
mod chunked;
mod fault;
mod fields;
mod head;
mod request;
mod response;
mod scan;
mod syntax;
mod trailers;

pub use body::{BodyDecoder, BodyEvent};
pub use chunked::{write_chunk_head, write_last_chunk};
pub use fault::{BodyFault, HeadFault, RequestFault, ResponseFault};
pub use fields::{ConnectionNames, is_hop_by_hop};
pub use head::{Body, Field, FieldSlots, Limits, RequestHead, ResponseHead, Version};
pub use request::read_request;
pub use response::{AnswerTo, read_response};
pub use scan::{HeadScan, HeadScanner};
