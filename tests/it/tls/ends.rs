//! How TLS streams end: in good order, cut off, and by one side alone.
#![expect(
    clippy::unwrap_used,
    reason = "what several tests do is a test in all but its attribute"
)]

use std::sync::Arc;

use rustix::io::Errno;
use tevent::Context;
use tevent_tests::contract::{
    self, Kind, done, end_of, expect_nothing_left, expect_rest, fails, gives_back, pattern,
};
use tevent_tests::settle;
use tevent_tests::tls::{VERSIONS, client, client_with, handshake, localhost, over, server};
use tsocket::{Stream, memory, tls};

/// A TLS client, and the raw stream of a peer that has finished the handshake through `relay`.
struct Watched {
    ctx: Context,
    near: Stream,
    far: Stream,
    raw: Stream,
    middle: Stream,
}

/// A client and a server between whom every byte can be looked at.
fn watched() -> Watched {
    let ctx = Context::new().unwrap();
    let (near, raw) = memory::stream_pair(&ctx);
    let (middle, far) = memory::stream_pair(&ctx);
    let accepting = tls::accept(&ctx, far, server());
    let connecting = tls::connect(&ctx, near, client(), localhost());
    for _ in 0..3 {
        relay(&ctx, &raw, &middle);
        relay(&ctx, &middle, &raw);
    }
    let (near, _) = done(&ctx, connecting);
    let (far, _) = done(&ctx, accepting);
    Watched {
        ctx,
        near,
        far,
        raw,
        middle,
    }
}

/// Carries what is there, and returns it.
fn relay(ctx: &Context, from: &Stream, to: &Stream) -> Vec<u8> {
    let mut carried = Vec::new();
    settle(ctx);
    while from.pending_bytes().unwrap() > 0 {
        let chunk = done(ctx, from.read(1 << 16));
        carried.extend_from_slice(&chunk);
        done(ctx, to.writev(chunk));
    }
    carried
}

#[test]
fn a_stream_that_is_cut_off_is_an_error_and_not_the_end() {
    for version in VERSIONS {
        let ctx = Context::new().unwrap();
        let (near, raw) = memory::stream_pair(&ctx);
        let (middle, far) = memory::stream_pair(&ctx);
        let accepting = tls::accept(&ctx, far, server());
        let client = Arc::new(client_with(None, &[version]));
        let connecting = tls::connect(&ctx, near, client, localhost());
        for _ in 0..4 {
            relay(&ctx, &raw, &middle);
            relay(&ctx, &middle, &raw);
        }
        let (near, _) = done(&ctx, connecting);
        let (far, _) = done(&ctx, accepting);
        done(&ctx, far.writev(&b"all of it?"[..]));
        relay(&ctx, &middle, &raw);
        drop(raw);
        assert_eq!(done(&ctx, near.readv(vec![0; 10])), b"all of it?");
        fails(&ctx, near.read(1), Errno::CONNRESET);
        gives_back(&ctx, near.readv(vec![0; 2]), Errno::CONNRESET);
        assert!(end_of(&ctx, near.writev(vec![1])).is_err());
        expect_rest(&ctx);
    }
}

#[test]
fn a_record_that_is_cut_off_is_an_error_as_well() {
    let Watched {
        ctx,
        near,
        far,
        raw,
        middle,
    } = watched();
    done(&ctx, far.writev(pattern(0, 1_000)));
    let record = done(&ctx, middle.read(1 << 16));
    done(&ctx, raw.writev(record[..500].to_vec()));
    drop(raw);
    fails(&ctx, near.read(1), Errno::CONNRESET);
}

#[test]
fn the_word_of_the_end_goes_before_the_end() {
    for how in ["shutdown", "disconnect", "drop"] {
        let Watched {
            ctx,
            near,
            far,
            raw,
            middle,
        } = watched();
        done(&ctx, near.writev(&b"x"[..]));
        assert!(!relay(&ctx, &raw, &middle).is_empty());
        let mut ending = None;
        match how {
            "shutdown" => done(&ctx, near.shutdown()),
            "disconnect" => ending = Some(near.disconnect()),
            _ => drop(near.clone()),
        }
        let other = (how != "drop").then(|| near.clone());
        drop(near);
        // One sealed record of an alert, then the end of the stream below.
        let last = relay(&ctx, &raw, &middle);
        assert_eq!(
            (last.first(), last.len()),
            (Some(&0x17), 5 + 2 + 1 + 16),
            "{how}"
        );
        assert!(done(&ctx, raw.read(1)).is_empty());
        assert_eq!(&*done(&ctx, far.read(100)), b"x");
        assert!(done(&ctx, far.read(100)).is_empty());
        drop((ending, other));
    }
}

#[test]
fn a_write_that_breaks_off_is_not_followed_by_the_word_of_the_end() {
    let ctx = Context::new().unwrap();
    let (near, far) = over(&ctx, memory::stream_pair(&ctx)).unwrap();
    let write = near.writev(pattern(0, 1 << 20));
    settle(&ctx);
    drop(write);
    drop(near);
    loop {
        match end_of(&ctx, far.read(1 << 16)) {
            Ok(chunk) => assert!(!chunk.is_empty(), "not a good end"),
            Err(error) => {
                assert_eq!(error.raw_os_error(), Some(Errno::CONNRESET.raw_os_error()));
                break;
            }
        }
    }
}

#[test]
fn one_side_ends_and_the_other_goes_on() {
    let kinds = [contract::TLS_OVER_MEMORY, contract::TLS_OVER_TCP];
    for Kind { connect, .. } in kinds {
        let ctx = Context::new().unwrap();
        let (near, far) = connect(&ctx).unwrap();
        done(&ctx, near.shutdown());
        assert!(done(&ctx, far.read(1)).is_empty());
        let write = far.writev(pattern(0, 500_000));
        assert!(done(&ctx, near.readv(vec![0; 500_000])) == pattern(0, 500_000));
        done(&ctx, write);
        gives_back(&ctx, near.writev(vec![1]), Errno::PIPE);
    }
}

#[test]
fn in_both_versions_one_side_may_end_alone() {
    for version in VERSIONS {
        let ctx = Context::new().unwrap();
        let client = Arc::new(client_with(None, &[version]));
        let pair = memory::stream_pair(&ctx);
        let ((near, _), (far, _)) = handshake(&ctx, pair, client, server()).unwrap();
        done(&ctx, far.shutdown());
        assert!(done(&ctx, near.read(1)).is_empty());
        let write = near.writev(pattern(0, 100_000));
        assert!(done(&ctx, far.readv(vec![0; 100_000])) == pattern(0, 100_000));
        done(&ctx, write);
        let refused = near.into_parts().unwrap_err();
        let errno = refused.error.raw_os_error();
        assert_eq!(errno, Some(Errno::OPNOTSUPP.raw_os_error()));
        // The other side is told as well when this one goes.
        drop(refused);
        assert!(done(&ctx, far.read(1)).is_empty());
        expect_nothing_left(&ctx);
    }
}

#[test]
fn what_follows_the_word_of_the_end_means_nothing() {
    let Watched {
        ctx,
        near,
        far,
        raw,
        middle,
    } = watched();
    done(&ctx, far.writev(&b"all"[..]));
    done(&ctx, far.shutdown());
    relay(&ctx, &middle, &raw);
    done(&ctx, raw.writev(pattern(0, 1_000)));
    assert_eq!(&*done(&ctx, near.read(100)), b"all");
    assert!(done(&ctx, near.read(100)).is_empty());
    done(&ctx, near.monitor());
    done(&ctx, near.writev(&b"goes on"[..]));
    expect_rest(&ctx);
    done(&ctx, near.disconnect());
}

#[test]
fn over_pipes_without_a_half_close_there_is_one() {
    let ctx = Context::new().unwrap();
    let pair = (contract::MESSAGE_OVER_UNIX.connect)(&ctx).unwrap();
    let ((near, _), (far, _)) = handshake(&ctx, pair, client(), server()).unwrap();
    let write = near.writev(pattern(0, 300_000));
    assert!(done(&ctx, far.readv(vec![0; 300_000])) == pattern(0, 300_000));
    done(&ctx, write);
    done(&ctx, near.shutdown());
    assert!(done(&ctx, far.read(1)).is_empty());
    done(&ctx, far.writev(&b"still"[..]));
    assert_eq!(done(&ctx, near.readv(vec![0; 5])), b"still");
}
