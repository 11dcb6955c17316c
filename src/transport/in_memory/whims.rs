//! In what pieces bytes move, and when a poll is in vain although something could be done.

/// The whims of one end of a connection: drawn from a seed, or none at all.
#[derive(Debug, Clone, Default)]
pub(in crate::transport) struct Whims {
    drawn: Option<Drawn>,
}

#[derive(Debug, Clone)]
struct Drawn {
    random: fastrand::Rng,
    /// No piece is longer than two to this power.
    longest: u32,
    /// Of so many polls one is in vain; 0: none.
    vain_one_in: u32,
}

impl Whims {
    /// Whatever fits moves at once.
    pub(in crate::transport) fn none() -> Self {
        Self::default()
    }

    /// Whims of the generator that `seed` begins.
    pub(in crate::transport) fn seeded(seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        // Most connections know all sizes; some know only small ones.
        let longest = if random.u32(..4) == 0 { random.u32(6..=12) } else { 17 };
        let vain_one_in = if random.bool() { random.u32(3..=20) } else { 0 };
        Self { drawn: Some(Drawn { random, longest, vain_one_in }) }
    }

    /// How many of `possible` bytes move; at least one if there is any.
    pub(super) fn piece(&mut self, possible: usize) -> usize {
        let Some(Drawn { random, longest, .. }) = &mut self.drawn else { return possible };
        // Small pieces and large ones are equally likely; whole heads and whole bodies are common.
        if random.u32(..3) == 0 && possible <= 1 << *longest {
            return possible;
        }
        let most = 1usize << random.u32(0..=*longest);
        possible.min(random.usize(1..=most))
    }

    /// Whether this poll is in vain.
    pub(super) fn in_vain(&mut self) -> bool {
        match &mut self.drawn {
            Some(Drawn { random, vain_one_in: one_in @ 1.., .. }) => random.u32(..*one_in) == 0,
            Some(_) | None => false,
        }
    }
}
