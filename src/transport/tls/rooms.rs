//! Where records lie between the socket and rustls: lent while bytes are in them, shared by the
//! connections of one data thread.

use std::cell::Cell;

use super::super::{buffers::Buffer, shelf::Shelf};

/// The largest record that TLS allows, with a little to spare.
pub(super) const NARROW: usize = 19 * 1024;
/// Four full records: from here a bigger room no longer lowers the cost per byte.
pub(super) const WIDE: usize = 66 * 1024;
/// A handshake message may be this long; more than that is refused.
pub(super) const WIDEST: usize = 2 * WIDE;
/// Wide rooms that a thread has out at once; the rest makes do with narrow ones.
const WIDE_OUT: usize = 64;
/// Rooms of each kind that a thread keeps for reuse at most.
const KEPT: usize = 16;

/// The rooms of one data thread.
#[derive(Debug)]
pub(in crate::transport) struct Rooms {
    narrow: Shelf<Buffer>,
    wide: Shelf<Buffer>,
    wide_out: Cell<usize>,
}

impl Default for Rooms {
    fn default() -> Self {
        Self { narrow: Shelf::new(KEPT), wide: Shelf::new(KEPT), wide_out: Cell::new(0) }
    }
}

impl Rooms {
    pub(super) fn narrow(&self) -> Buffer {
        self.narrow.take().unwrap_or_else(|| Buffer::with_room(NARROW))
    }

    /// A wide room, unless too many are out.
    pub(super) fn wide(&self) -> Option<Buffer> {
        if self.wide_out.get() >= WIDE_OUT {
            return None;
        }
        self.wide_out.set(self.wide_out.get() + 1);
        Some(self.wide.take().unwrap_or_else(|| Buffer::with_room(WIDE)))
    }

    /// Takes a room back; what lies in it is forgotten.
    pub(super) fn give(&self, mut room: Buffer) {
        room.consume(room.unread().len());
        let kept = match room.room() {
            NARROW => &self.narrow,
            WIDE => {
                self.wide_out.set(self.wide_out.get().saturating_sub(1));
                &self.wide
            }
            _ => return, // none, or grown for a long handshake
        };
        kept.put(room);
    }

    #[cfg(test)]
    pub(super) fn out(&self) -> usize {
        self.wide_out.get()
    }

    /// Frees what was not needed since the last sweep.
    pub(in crate::transport) fn sweep(&self) {
        self.narrow.sweep(drop);
        self.wide.sweep(drop);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wide_rooms_are_bounded_and_come_back() {
        let rooms = Rooms::default();
        let mut out: Vec<_> = (0..WIDE_OUT).map(|_| rooms.wide().unwrap()).collect();
        assert!(rooms.wide().is_none());
        rooms.give(out.pop().unwrap());
        out.push(rooms.wide().unwrap());
        for room in out {
            rooms.give(room);
        }
        assert_eq!(rooms.wide.len(), KEPT);
        rooms.sweep();
        rooms.sweep();
        assert_eq!(rooms.wide.len(), 0);
    }
}
