//! Request heads.

use super::{FieldSlots, Limits, RequestFault, RequestHead};

/// Reads one complete head (`head` ends with its blank line).
///
/// # Errors
/// [`RequestFault`] for anything malformed, ambiguous or over a limit.
pub fn read_request<'h, 'b>(
    _head: &'b [u8],
    _slots: &'h mut FieldSlots<'b>,
    _limits: &Limits,
) -> Result<RequestHead<'h, 'b>, RequestFault> {
    unimplemented!()
}
