//! Where an input is cut into pieces: at random, but always at the same places of the same bytes.

use cos_auth_proxy::http1::{HeadScan, HeadScanner};

/// Most cuts of one input.
const MOST: u64 = 6;

/// Up to six places in `bytes`, ascending.
pub(crate) fn cuts(bytes: &[u8]) -> Vec<usize> {
    let mut draw = Draw::from(bytes);
    let places = bytes.len() as u64 + 1;
    let count = draw.below(MOST + 1);
    let place = |at| usize::try_from(at).expect("a place in a slice");
    let mut cuts: Vec<usize> = (0..count).map(|_| place(draw.below(places))).collect();
    cuts.sort_unstable();
    cuts
}

/// What a scanner says that sees the bytes in these pieces.
pub(crate) fn scan_in_pieces<E>(
    bytes: &[u8],
    cuts: &[usize],
    scan: impl Fn(&mut HeadScanner, &[u8]) -> Result<HeadScan, E>,
) -> Result<HeadScan, E> {
    let mut scanner = HeadScanner::default();
    for &end in cuts.iter().chain([&bytes.len()]) {
        if let HeadScan::Complete(end) = scan(&mut scanner, &bytes[..end])? {
            return Ok(HeadScan::Complete(end));
        }
    }
    Ok(HeadScan::NeedMore)
}

/// Numbers that look random and depend on some bytes alone.
pub(crate) struct Draw(u64);

impl Draw {
    /// FNV-1a of the bytes is where it starts.
    pub(crate) fn from(bytes: &[u8]) -> Self {
        let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash: u64, &byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        Self(hash)
    }

    /// The next number below `bound` (SplitMix64).
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}
