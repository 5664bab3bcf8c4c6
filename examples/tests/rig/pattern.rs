//! Bytes and sizes from a seed, so that nothing that was sent has to be kept to check its echo.

use std::env;
use std::hash::{BuildHasher, RandomState};

use super::patience::tell;

/// Bytes that are made at once; small, because a thousand connections hold two of them each.
const BLOCK_LEN: usize = 512;

/// The seed of this run, printed: `SEED` if it is set, otherwise another one each time.
pub(crate) fn seed() -> u64 {
    let seed = match env::var("SEED") {
        Ok(text) => text
            .parse()
            .unwrap_or_else(|_| panic!("SEED is `{text}`, not a number")),
        Err(_) => RandomState::new().hash_one(0_u8),
    };
    tell(&format!("SEED={seed}"));
    seed
}

/// A small generator of random numbers (`splitmix64`, public domain, Sebastiano Vigna).
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A size from 1 to `most`, small ones as likely as large ones.
    pub(crate) fn size(&mut self, most: usize) -> usize {
        // The range is halved a random number of times, so that single bytes come often as well.
        let range = most >> (self.next() % u64::from(most.ilog2() + 1));
        let range = u64::try_from(range.max(1)).expect("a size fits into 64 bits");
        usize::try_from(1 + self.next() % range).expect("it is not above `most`")
    }
}

/// An endless row of bytes that a seed determines.
#[derive(Clone, Debug)]
pub(crate) struct Pattern {
    random: Random,
    block: [u8; BLOCK_LEN],
    used: usize,
    position: u64,
}

impl Pattern {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            random: Random::new(seed),
            block: [0; BLOCK_LEN],
            used: BLOCK_LEN,
            position: 0,
        }
    }

    /// The next `len` bytes.
    pub(crate) fn bytes(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.fill(&mut bytes);
        bytes
    }

    /// Fills `buf` with the next bytes.
    pub(crate) fn fill(&mut self, mut buf: &mut [u8]) {
        while !buf.is_empty() {
            let piece = self.piece(buf.len());
            let (now, later) = buf.split_at_mut(piece.len());
            now.copy_from_slice(piece);
            buf = later;
        }
    }

    /// Compares `bytes` with the next ones.
    #[track_caller]
    pub(crate) fn expect(&mut self, who: &str, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let start = self.position;
            let piece = self.piece(bytes.len());
            let (now, later) = bytes.split_at(piece.len());
            if now != piece {
                let index = now
                    .iter()
                    .zip(piece)
                    .take_while(|(got, sent)| got == sent)
                    .count();
                panic!(
                    "{who}: byte {} came back as {:#04x} and was sent as {:#04x}",
                    start + index as u64,
                    now[index],
                    piece[index]
                );
            }
            bytes = later;
        }
    }

    /// The number of bytes so far.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    fn piece(&mut self, most: usize) -> &[u8] {
        if self.used == BLOCK_LEN {
            for word in self.block.chunks_exact_mut(size_of::<u64>()) {
                word.copy_from_slice(&self.random.next().to_le_bytes());
            }
            self.used = 0;
        }
        let start = self.used;
        self.used = BLOCK_LEN.min(start + most);
        self.position += (self.used - start) as u64;
        &self.block[start..self.used]
    }
}
