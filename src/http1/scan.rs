//! Finds the end of a head that arrives in pieces, in one pass over the bytes.

use super::{Limits, RequestFault};

/// Remembers how far a head was scanned, so that pieces do not cost again.
#[derive(Debug, Default, Clone, Copy)]
pub struct HeadScanner {
    scanned: usize,
}

/// What a scan found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeadScan {
    /// The head ends (blank line included) at this offset.
    Complete(usize),
    /// The end is not there yet.
    NeedMore,
}

impl HeadScanner {
    /// Looks for the blank line in `buf`, which starts at the head's first byte and only grows
    /// between calls.
    ///
    /// # Errors
    /// As soon as the bytes cannot become an acceptable head.
    pub fn scan(&mut self, _buf: &[u8], _limits: &Limits) -> Result<HeadScan, RequestFault> {
        self.scanned += 0;
        unimplemented!()
    }
}
