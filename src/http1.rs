//! The HTTP/1.1 codec: bytes in; heads, body events and refusals out.
//!
//! Pure: no socket, no clock, no allocation for a head. Strict by construction: what is ambiguous
//! is refused, never repaired. `transport` drives it.

mod body;
mod fault;
mod head;
mod request;
mod response;
mod scan;

pub use body::{BodyDecoder, BodyEvent, write_chunk_head, write_last_chunk};
pub use fault::{BodyFault, RequestFault, ResponseFault};
pub use head::{Body, Field, FieldSlots, Limits, RequestHead, ResponseHead, Version};
pub use request::read_request;
pub use response::{AnswerTo, read_response};
pub use scan::{HeadScan, HeadScanner};
