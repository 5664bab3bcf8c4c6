//! Streams that misbehave on purpose: the same way from the same seed, with the errors they promise.
#![expect(
    clippy::unwrap_used,
    reason = "what several tests do is a test in all but its attribute"
)]

use rustix::io::Errno;
use tevent::Context;
use tevent_tests::contract::{
    self, done, end_of, expect_nothing_left, expect_rest, fails, gives_back, pattern,
};
use tevent_tests::{Random, settle};
use tsocket::{Chaos, Stream, chaos, memory};

const NONE: Chaos = Chaos {
    splits: false,
    delays: false,
    ..Chaos::HARMLESS
};

fn rough(ctx: &Context, seed: u64, how: Chaos) -> (Stream, Stream) {
    let (near, far) = memory::stream_pair(ctx);
    (chaos(ctx, near, seed, how).unwrap(), far)
}

/// The lengths of the reads in which 3,000 bytes come, and the turns of the loop that took.
fn lengths(seed: u64, how: Chaos) -> (Vec<usize>, usize) {
    let ctx = Context::new().unwrap();
    let (near, far) = rough(&ctx, seed, how);
    done(&ctx, far.writev(pattern(0, 3_000)));
    let (mut read, mut lengths, mut turns) = (0, Vec::new(), 0);
    while read < 3_000 {
        let request = near.read(3_000);
        while !request.is_finished() {
            assert!(ctx.run_once().unwrap());
            turns += 1;
        }
        let chunk = done(&ctx, request);
        assert_eq!(*chunk, pattern(read, chunk.len())[..]);
        read += chunk.len();
        lengths.push(chunk.len());
    }
    (lengths, turns)
}

#[test]
fn the_same_seed_is_the_same_again_and_another_is_not() {
    let first = lengths(7, Chaos::HARMLESS);
    assert_eq!(first, lengths(7, Chaos::HARMLESS));
    assert_ne!(first.0, lengths(8, Chaos::HARMLESS).0);
}

#[test]
fn each_way_can_be_had_alone() {
    assert_eq!(lengths(1, NONE), (vec![3_000], 0));
    let splits = |seed| {
        lengths(
            seed,
            Chaos {
                splits: true,
                ..NONE
            },
        )
    };
    let split: Vec<_> = (0..10).map(splits).collect();
    assert!(split.iter().all(|(_, turns)| *turns == 0));
    assert!(
        split
            .iter()
            .any(|(pieces, _)| pieces.len() > 3 && pieces.contains(&1))
    );
    let delayed = (0..10).map(|seed| {
        lengths(
            seed,
            Chaos {
                delays: true,
                ..NONE
            },
        )
    });
    let delayed: Vec<_> = delayed.collect();
    assert!(delayed.iter().all(|(pieces, _)| pieces == &[3_000]));
    assert!(delayed.iter().any(|(_, turns)| *turns > 0));
}

#[test]
fn every_place_is_split_sooner_or_later() {
    let mut split = [false; 20];
    for seed in 0..300 {
        let ctx = Context::new().unwrap();
        let (near, far) = rough(
            &ctx,
            seed,
            Chaos {
                splits: true,
                ..NONE
            },
        );
        done(&ctx, far.writev(pattern(0, 20)));
        let mut at = 0;
        while at < 20 {
            at += done(&ctx, near.read(20)).len();
            split[at - 1] = true;
        }
    }
    assert_eq!(split, [true; 20]);
}

#[test]
fn a_reset_comes_within_its_bytes_and_stays() {
    let mut random = Random::seeded();
    for _ in 0..50 {
        let seed = random.below(1 << 30).try_into().unwrap();
        let ctx = Context::new().unwrap();
        let how = Chaos {
            reset_within: Some(1_000),
            ..Chaos::HARMLESS
        };
        let (near, far) = rough(&ctx, seed, how);
        let (read, written) = (near.readv(vec![0; 600]), near.writev(pattern(0, 600)));
        end_of(&ctx, far.writev(pattern(0, 600))).ok();
        settle(&ctx);
        drop((end_of(&ctx, read), end_of(&ctx, written)));
        // By now it has met its end, or will with the next.
        let last = end_of(&ctx, near.readv(vec![0; 1])).unwrap_err();
        assert_eq!(
            last.error.raw_os_error(),
            Some(Errno::CONNRESET.raw_os_error())
        );
        gives_back(&ctx, near.writev(vec![1]), Errno::CONNRESET);
        while !done(&ctx, far.read(1_000)).is_empty() {}
        gives_back(&ctx, far.writev(vec![1]), Errno::PIPE);
        expect_rest(&ctx);
    }
}

#[test]
fn a_write_side_that_ends_is_read_to_its_end() {
    for seed in 0..20 {
        let ctx = Context::new().unwrap();
        let how = Chaos {
            ends_writes_within: Some(500),
            ..Chaos::HARMLESS
        };
        let (near, far) = rough(&ctx, seed, how);
        let (_, written) = gives_back(&ctx, near.writev(pattern(0, 501)), Errno::PIPE);
        assert!(written <= 500);
        if written > 0 {
            assert_eq!(done(&ctx, far.readv(vec![0; written])), pattern(0, written));
        }
        assert!(done(&ctx, far.read(1)).is_empty());
        done(&ctx, far.writev(&b"the other way"[..]));
        assert_eq!(done(&ctx, near.readv(vec![0; 13])), b"the other way");
    }
}

#[test]
fn what_stands_still_does_so_in_silence() {
    for kind in [contract::MEMORY, contract::SOCKETPAIR] {
        let ctx = Context::new().unwrap();
        let (near, far) = (kind.connect)(&ctx).unwrap();
        let how = Chaos {
            stalls_reads_within: Some(0),
            stalls_writes_within: Some(0),
            ..NONE
        };
        let near = chaos(&ctx, near, 1, how).unwrap();
        let (read, write) = (near.read(10), near.writev(vec![1]));
        done(&ctx, far.writev(&b"can you hear me?"[..]));
        settle(&ctx);
        expect_rest(&ctx);
        assert!(!read.is_finished() && !write.is_finished());
        write.cancel();
        gives_back(&ctx, write, Errno::CANCELED);
        drop(far);
        settle(&ctx);
        expect_rest(&ctx);
        assert!(!read.is_finished(), "not even the end");
        near.abort();
        fails(&ctx, read, Errno::CONNABORTED);
        expect_nothing_left(&ctx);
    }
}

#[test]
fn messages_stay_whole() {
    let ctx = Context::new().unwrap();
    let (near, far) = (contract::MESSAGE_OVER_MEMORY.connect)(&ctx).unwrap();
    let near = chaos(&ctx, near, 5, Chaos::HARMLESS).unwrap();
    for len in [1, 100, 5_000] {
        let write = near.writev(pattern(0, len));
        assert_eq!(&*done(&ctx, far.read(65_535)), pattern(0, len));
        done(&ctx, write);
    }
    gives_back(&ctx, near.writev(vec![0; 65_536]), Errno::MSGSIZE);
}
