//! Answer heads.

use super::{FieldSlots, Limits, ResponseFault, ResponseHead};

/// What the answer answers: decides whether it has a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnswerTo {
    /// A HEAD request: never a body.
    Head,
    /// Any other request.
    Other,
}

/// Reads one complete answer head (`head` ends with its blank line).
///
/// # Errors
/// [`ResponseFault`] for anything malformed, ambiguous or over a limit.
pub fn read_response<'h, 'b>(
    _head: &'b [u8],
    _slots: &'h mut FieldSlots<'b>,
    _limits: &Limits,
    _to: AnswerTo,
) -> Result<ResponseHead<'h, 'b>, ResponseFault> {
    unimplemented!()
}
