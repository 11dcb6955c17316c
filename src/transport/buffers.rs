//! Pooled byte buffers: taken when bytes arrive, given back while idle.
//!
//! Every data thread has one pool. Small buffers hold heads and small bodies. Large ones carry big
//! bodies; their total over all threads is bounded by a budget, so that many transfers at once get
//! smaller buffers instead of more memory.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use super::shelf::Shelf;

/// Holds a usual head together with a small body.
pub(super) const SMALL: usize = 16 * 1024;
/// From here a bigger buffer no longer lowers the cost per byte.
const LARGE: usize = 512 * 1024;
/// The least a large body gets when the budget is used up.
const MODEST: usize = 64 * 1024;
/// Small buffers, and heads, that a thread keeps for reuse at most.
const KEPT_SMALL: usize = 256;
/// A head that needed more room than this is not kept.
const TALLEST: usize = 2 * SMALL;
/// Large buffers that a thread keeps for reuse at most.
const KEPT_LARGE: usize = 4;

/// Bytes that arrived and were not used yet, inside a fixed room.
#[derive(Debug, Default)]
pub(super) struct Buffer {
    room: Vec<u8>,
    start: usize,
    end: usize,
    granted: usize,
}

impl Buffer {
    pub(super) fn with_room(room: usize) -> Self {
        Self { room: vec![0; room], start: 0, end: 0, granted: 0 }
    }

    /// What arrived and was not consumed.
    pub(super) fn unread(&self) -> &[u8] {
        self.room.get(self.start..self.end).unwrap_or_default()
    }

    /// The same, to be decrypted in place.
    pub(super) fn unread_mut(&mut self) -> &mut [u8] {
        self.room.get_mut(self.start..self.end).unwrap_or_default()
    }

    /// Where the next bytes go; empty when the buffer is full.
    pub(super) fn space(&mut self) -> &mut [u8] {
        self.room.get_mut(self.end..).unwrap_or_default()
    }

    /// `n` bytes were written into [`Buffer::space`].
    pub(super) fn filled(&mut self, n: usize) {
        self.end = (self.end + n).min(self.room.len());
    }

    /// The first `n` unread bytes are done with.
    pub(super) fn consume(&mut self, n: usize) {
        self.start = self.start.saturating_add(n).min(self.end);
        if self.start == self.end {
            self.start = 0;
            self.end = 0;
        }
    }

    /// Cuts out `n` unread bytes that follow the first `at`.
    pub(super) fn remove(&mut self, at: usize, n: usize) {
        let from = (self.start + at).min(self.end);
        let to = from.saturating_add(n).min(self.end);
        self.room.copy_within(to..self.end, from);
        self.end -= to - from;
    }

    /// Appends bytes, growing if they do not fit.
    pub(super) fn append(&mut self, bytes: &[u8]) {
        self.make_room(self.end - self.start + bytes.len());
        if let Some(space) = self.space().get_mut(..bytes.len()) {
            space.copy_from_slice(bytes);
        }
        self.filled(bytes.len());
    }

    pub(super) fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Whether making room would move nothing.
    pub(super) fn is_at_front(&self) -> bool {
        self.start == 0
    }

    pub(super) fn is_full(&self) -> bool {
        self.end == self.room.len()
    }

    pub(super) fn room(&self) -> usize {
        self.room.len()
    }

    /// Moves the unread bytes to the front and makes the room `size` bytes if it is smaller.
    pub(super) fn make_room(&mut self, size: usize) {
        self.room.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        if self.room.len() < size {
            self.room.resize(size, 0);
        }
    }
}

/// What all threads together may hold in large buffers.
#[derive(Debug)]
pub(super) struct Budget {
    left: AtomicUsize,
}

impl Budget {
    pub(super) fn new(bytes: usize) -> Arc<Self> {
        Arc::new(Self { left: AtomicUsize::new(bytes) })
    }

    fn take(&self, wanted: usize) -> bool {
        self.left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(wanted))
            .is_ok()
    }

    fn give(&self, bytes: usize) {
        self.left.fetch_add(bytes, Ordering::Relaxed);
    }
}

/// The buffers of one data thread.
#[derive(Debug)]
pub(super) struct Buffers {
    small: Shelf<Buffer>,
    large: Shelf<Buffer>,
    heads: Shelf<Vec<u8>>,
    budget: Arc<Budget>,
}

impl Buffers {
    pub(super) fn new(budget: Arc<Budget>) -> Self {
        Self {
            small: Shelf::new(KEPT_SMALL),
            large: Shelf::new(KEPT_LARGE),
            heads: Shelf::new(KEPT_SMALL),
            budget,
        }
    }

    pub(super) fn small(&self) -> Buffer {
        self.small.take().unwrap_or_else(|| Buffer::with_room(SMALL))
    }

    /// A buffer for a body of which `remaining` bytes are still to come (`None`: unknown).
    pub(super) fn for_body(&self, remaining: Option<u64>) -> Buffer {
        if remaining.is_some_and(|n| n <= SMALL as u64) {
            return self.small();
        }
        if let Some(kept) = self.large.take() {
            return kept;
        }
        let wanted = match remaining {
            Some(n) if n >= LARGE as u64 => LARGE,
            Some(_) | None => MODEST,
        };
        for size in [wanted, LARGE / 2, LARGE / 4] {
            if size <= wanted && self.budget.take(size) {
                return Buffer { granted: size, ..Buffer::with_room(size) };
            }
        }
        Buffer::with_room(MODEST)
    }

    /// Takes a buffer back; its bytes are forgotten.
    pub(super) fn give(&self, mut buffer: Buffer) {
        buffer.start = 0;
        buffer.end = 0;
        let no_room_for = match buffer.room.len() {
            SMALL => self.small.put(buffer),
            LARGE if buffer.granted == LARGE => self.large.put(buffer),
            _ => Some(buffer),
        };
        if let Some(buffer) = no_room_for {
            self.budget.give(buffer.granted);
        }
    }

    /// An empty vector for a head that is written.
    pub(super) fn head(&self) -> Vec<u8> {
        self.heads.take().unwrap_or_else(|| Vec::with_capacity(4096))
    }

    /// Takes such a vector back.
    pub(super) fn give_head(&self, mut head: Vec<u8>) {
        head.clear();
        if matches!(head.capacity(), 1..=TALLEST) {
            self.heads.put(head);
        }
    }

    /// Frees what was not needed since the last sweep.
    pub(super) fn sweep(&self) {
        self.large.sweep(|buffer| self.budget.give(buffer.granted));
        self.small.sweep(drop);
        self.heads.sweep(drop);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_buffers_never_exceed_the_budget_and_come_back() {
        let buffers = Buffers::new(Budget::new(LARGE + LARGE / 2));
        let first = buffers.for_body(Some(1 << 30));
        let second = buffers.for_body(Some(1 << 30));
        let third = buffers.for_body(Some(1 << 30));
        assert_eq!([first.room(), second.room(), third.room()], [LARGE, LARGE / 2, MODEST]);
        buffers.give(first);
        assert_eq!(buffers.for_body(Some(1 << 30)).room(), LARGE);
        buffers.give(second);
        buffers.sweep();
        assert_eq!(buffers.budget.left.load(Ordering::Relaxed), LARGE / 2);
    }

    #[test]
    fn unread_bytes_survive_making_room() {
        let mut buffer = Buffer::with_room(8);
        buffer.space().copy_from_slice(b"abcdefgh");
        buffer.filled(8);
        assert!(buffer.is_full());
        buffer.consume(5);
        buffer.make_room(16);
        assert_eq!(buffer.unread(), b"fgh");
        assert_eq!(buffer.space().len(), 13);
        buffer.consume(3);
        assert!(buffer.is_empty());
    }
}
