//! Bytes: in order, in whatever pieces, as many as were asked for.

use std::env;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;

use super::{Ends, MAX_WRITE};
use crate::contract::{done, pattern, settle};
use crate::{MAX_BUFFER_COUNT, Stream};
use tevent::{Context, Request};

/// Pseudo-random numbers; whatever goes wrong names their seed, and `SEED=…` repeats them.
struct Random {
    seed: u64,
    state: u64,
}

impl Random {
    fn seeded() -> Self {
        let given = env::var("SEED").ok().and_then(|seed| seed.parse().ok());
        Self::from_seed(given.unwrap_or_else(|| RandomState::new().build_hasher().finish()))
    }

    fn from_seed(seed: u64) -> Self {
        // The generator below stays at zero once it is there.
        let state = seed | 1 << 63;
        Self { seed, state }
    }

    /// A number from zero up to `bound`, which is excluded.
    fn below(&mut self, bound: usize) -> usize {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        let bound = u64::try_from(bound).expect("no machine is wider");
        usize::try_from((self.state >> 11) % bound).expect("less than the bound")
    }

    /// Other numbers of the same seed.
    fn fork(&self, number: u64) -> Self {
        Self {
            seed: self.seed,
            ..Self::from_seed(self.seed.wrapping_mul(0x9e37_79b9).wrapping_add(number))
        }
    }
}

/// Cuts `bytes` into three, with nothing in front, in between and behind.
fn cut(bytes: &[u8], random: &mut Random) -> Vec<Vec<u8>> {
    let first = random.below(bytes.len() + 1);
    let second = first + random.below(bytes.len() + 1 - first);
    vec![
        vec![],
        bytes[..first].to_vec(),
        bytes[first..second].to_vec(),
        vec![],
        bytes[second..].to_vec(),
        vec![],
    ]
}

async fn write_pattern(stream: Stream, total: usize, mut random: Random) -> io::Result<()> {
    let mut written = 0;
    while written < total {
        let most = (1 + random.below(MAX_WRITE)).min(total - written);
        let bytes = pattern(written, 1 + random.below(most));
        written += bytes.len();
        if random.below(2) == 0 {
            stream.writev(bytes).await?;
        } else {
            stream.writev(cut(&bytes, &mut random)).await?;
        }
    }
    Ok(())
}

async fn read_pattern(stream: Stream, total: usize, mut random: Random) -> io::Result<()> {
    let mut read = 0;
    while read < total {
        let most = (1 + random.below(2 * MAX_WRITE)).min(total - read);
        let len = 1 + random.below(most);
        let bytes = match random.below(3) {
            0 => stream.read(len).await?.to_vec(),
            1 => stream.readv(vec![0; len]).await?,
            _ => stream
                .readv(cut(&vec![0; len], &mut random))
                .await?
                .concat(),
        };
        assert!(!bytes.is_empty() && bytes.len() <= len);
        let seed = random.seed;
        assert!(
            bytes == pattern(read, bytes.len()),
            "garbled behind {read}: repeat with SEED={seed}"
        );
        read += bytes.len();
    }
    Ok(())
}

fn all_of(ctx: &Context, tasks: Vec<Request<io::Result<()>>>) {
    for task in tasks {
        done(ctx, task).unwrap();
    }
}

pub(super) fn they_arrive_in_order_in_both_directions_at_once(ends: &Ends) {
    let Ends {
        ctx,
        near,
        far,
        kind,
    } = ends;
    let total = kind.byte_count;
    let random = Random::seeded();
    let tasks = vec![
        ctx.spawn(write_pattern(near.clone(), total, random.fork(0))),
        ctx.spawn(read_pattern(far.clone(), total, random.fork(1))),
        ctx.spawn(write_pattern(far.clone(), total, random.fork(2))),
        ctx.spawn(read_pattern(near.clone(), total, random.fork(3))),
    ];
    all_of(ctx, tasks);
}

pub(super) fn buffers_may_be_empty_in_between(ends: &Ends) {
    let Ends { ctx, near, far, .. } = ends;
    let pieces: Vec<Vec<u8>> = [&b""[..], b"ab", b"", b"", b"c", b""]
        .map(<[u8]>::to_vec)
        .to_vec();
    let written = near.writev(pieces.clone());
    let room = vec![vec![], vec![0; 1], vec![], vec![0; 2], vec![]];
    let filled = done(ctx, far.readv(room));
    assert_eq!(filled, [&b""[..], b"a", b"", b"bc", b""]);
    assert_eq!(done(ctx, written), pieces, "a write returns its buffers");
}

pub(super) fn a_readv_may_be_larger_than_what_the_kernel_holds(ends: &Ends) {
    let Ends { ctx, near, far, .. } = ends;
    let total = 4 << 20;
    let read = far.readv(vec![0; total]);
    let writing = ctx.spawn({
        let near = near.clone();
        async move {
            for at in (0..total).step_by(32 << 10) {
                near.writev(pattern(at, 32 << 10)).await?;
            }
            Ok::<_, io::Error>(())
        }
    });
    assert!(done(ctx, read) == pattern(0, total));
    done(ctx, writing).unwrap();
}

pub(super) fn a_read_gives_what_there_is(ends: &Ends) {
    let Ends { ctx, near, far, .. } = ends;
    let waiting = far.read(100);
    settle(ctx);
    assert!(!waiting.is_finished(), "there is nothing yet");
    done(ctx, near.writev(&b"0123456789"[..]));
    ends.expect_more(done(ctx, waiting), far, b"0123456789");

    done(ctx, near.writev(&b"0123456789"[..]));
    ends.expect_read(far, 3, b"012");
    ends.expect_read(far, 100, b"3456789");
}

pub(super) fn as_many_buffers_as_allowed_are_taken(ends: &Ends) {
    let Ends { ctx, near, far, .. } = ends;
    let bytes = pattern(0, MAX_BUFFER_COUNT);
    let written = near.writev(bytes.iter().map(|byte| vec![*byte]).collect::<Vec<_>>());
    let read = done(ctx, far.readv(vec![vec![0; 1]; MAX_BUFFER_COUNT]));
    assert_eq!(read.concat(), bytes);
    assert_eq!(done(ctx, written).concat(), bytes);
}

pub(super) fn pending_bytes_are_what_a_read_would_give(ends: &Ends) {
    let Ends {
        ctx,
        near,
        far,
        kind,
    } = ends;
    assert_eq!(far.pending_bytes().unwrap(), 0);
    done(ctx, near.writev(pattern(0, 100)));
    ends.expect_read(far, 1, &pattern(0, 1));
    assert_eq!(far.pending_bytes().unwrap(), 99);
    done(ctx, near.writev(pattern(100, 20)));
    let both = if kind.is_message_mode { 99 } else { 119 };
    // The kernel may take its time to carry a segment.
    while far.pending_bytes().unwrap() < both {
        settle(ctx);
    }
    assert_eq!(far.pending_bytes().unwrap(), both);
    done(ctx, far.readv(vec![0; 99]));
    let rest = if kind.is_message_mode { 0 } else { 20 };
    assert_eq!(far.pending_bytes().unwrap(), rest);
    ends.expect_read(far, 100, &pattern(100, 20));
    assert_eq!(far.pending_bytes().unwrap(), 0);
}
