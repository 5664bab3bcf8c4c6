//! [`Random`], numbers that can be had again.

use std::env;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, Write};
use std::thread;

/// Pseudo-random numbers from a seed: that of the environment variable `SEED`, or a new one.
///
/// A test that panics while it owns one has printed the seed to repeat it with.
#[derive(Debug)]
pub struct Random {
    seed: u64,
    state: u64,
}

impl Random {
    /// Numbers from the seed of the environment, or from a new one.
    #[must_use]
    pub fn seeded() -> Self {
        let given = env::var("SEED").ok().and_then(|seed| seed.parse().ok());
        Self::from_seed(given.unwrap_or_else(|| RandomState::new().build_hasher().finish()))
    }

    /// Numbers from `seed`.
    #[must_use]
    pub fn from_seed(seed: u64) -> Self {
        // The generator below stays at zero once it is there.
        Self {
            seed,
            state: seed | 1 << 63,
        }
    }

    /// A number from zero up to `bound`, which is excluded.
    ///
    /// # Panics
    /// If `bound` is zero.
    pub fn below(&mut self, bound: usize) -> usize {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        let bound = u64::try_from(bound).expect("no machine is wider");
        usize::try_from((self.state >> 11) % bound).expect("less than the bound")
    }
}

impl Drop for Random {
    fn drop(&mut self) {
        if thread::panicking() {
            // A test that cannot print has nobody to tell.
            writeln!(io::stderr(), "repeat this with SEED={}", self.seed).ok();
        }
    }
}
