//! Ends: what a stream says when its peer has closed, and when it is gone.

use rustix::io::Errno;

use super::Ends;
use super::flow::fill;
use crate::contract::{done, end_of, expect_rest, gives_back, pattern, settle};

pub(super) fn the_end_comes_after_the_data_and_again_and_again(ends: &Ends) {
    let Ends { ctx, near, far, .. } = ends;
    done(ctx, far.writev(&b"last words"[..]));
    far.abort();
    settle(ctx);
    ends.expect_read(near, 4, b"last");
    ends.expect_read(near, 100, b" words");
    assert!(done(ctx, near.read(100)).is_empty());
    let before = ctx.stats();
    for _ in 0..100 {
        assert!(done(ctx, near.read(100)).is_empty());
    }
    let waits = ctx.stats().since(&before).waits;
    assert!(waits <= 100, "{waits} waits for an end that is known");
    // Nobody reads: the end must not wake the loop over and over.
    expect_rest(ctx);
}

pub(super) fn nobody_is_woken_by_what_nobody_reads(ends: &Ends) {
    let Ends { ctx, near, far, .. } = ends;
    let read = near.read(10);
    expect_rest(ctx);
    done(ctx, far.writev(&b"once"[..]));
    ends.expect_more(done(ctx, read), near, b"once");
    done(ctx, far.writev(pattern(0, 50_000)));
    expect_rest(ctx);
    let filled = fill(ends);
    expect_rest(ctx);
    assert!(done(ctx, near.readv(vec![0; 50_000])) == pattern(0, 50_000));
    far.abort();
    assert!(end_of(ctx, filled.last).is_err());
    expect_rest(ctx);
    drop(near.read(10));
    expect_rest(ctx);
}

pub(super) fn readv_that_meets_the_end_says_what_had_arrived(ends: &Ends) {
    let Ends { ctx, near, far, .. } = ends;
    let read = near.readv(vec![0; 10]);
    done(ctx, far.writev(&b"four"[..]));
    settle(ctx);
    far.abort();
    let (buffer, transferred) = gives_back(ctx, read, Errno::PIPE);
    assert_eq!((&buffer[..], transferred), (&b"four\0\0\0\0\0\0"[..], 4));
    assert_eq!(
        gives_back(ctx, near.readv(vec![0; 10]), Errno::PIPE),
        (vec![0; 10], 0)
    );
}

pub(super) fn one_direction_ends_and_the_other_goes_on(ends: &Ends) {
    let Ends {
        ctx,
        near,
        far,
        kind,
    } = ends;
    if !kind.has_half_close {
        return;
    }
    let waiting = near.read(100);
    settle(ctx);
    done(ctx, far.shutdown());
    assert!(done(ctx, waiting).is_empty());
    gives_back(ctx, far.writev(&b"no more"[..]), Errno::PIPE);
    for _ in 0..10 {
        assert!(done(ctx, near.read(100)).is_empty());
        done(ctx, near.writev(&b"still"[..]));
        assert_eq!(done(ctx, far.readv(vec![0; 5])), b"still");
    }
    done(ctx, near.shutdown());
    assert!(done(ctx, far.read(100)).is_empty());
}

pub(super) fn the_data_of_a_peer_that_is_gone_can_be_read(ends: &Ends) {
    let Ends { ctx, near, far, .. } = ends;
    done(ctx, far.writev(&b"last words"[..]));
    far.abort();
    settle(ctx);
    let failed = loop {
        // A kernel may take a few before it hears that nobody is there.
        match end_of(ctx, near.writev(&b"anybody?"[..])) {
            Ok(_) => settle(ctx),
            Err(failed) => break failed,
        }
    };
    let errno = failed.error.raw_os_error();
    let gone = [Errno::PIPE, Errno::CONNRESET].map(|errno| Some(errno.raw_os_error()));
    assert!(gone.contains(&errno), "{failed}");
    assert_eq!(done(ctx, near.readv(vec![0; 10])), b"last words");
}

pub(super) fn a_writer_learns_that_the_peer_is_gone(ends: &Ends) {
    let Ends { ctx, near, far, .. } = ends;
    let filled = fill(ends);
    far.abort();
    let Err(failed) = end_of(ctx, filled.last) else {
        panic!("nobody was there to take it");
    };
    let gone = [Errno::PIPE, Errno::CONNRESET].map(|errno| Some(errno.raw_os_error()));
    assert!(gone.contains(&failed.error.raw_os_error()), "{failed}");
    assert!(failed.transferred < failed.buffers.len());
    // The first error stays.
    gives_back(ctx, near.writev(vec![1]), errno_of(&failed.error));
}

fn errno_of(error: &std::io::Error) -> Errno {
    Errno::from_io_error(error).expect("the errno is the contract")
}

pub(super) fn clones_are_the_same_stream(ends: &Ends) {
    let Ends { ctx, near, far, .. } = ends;
    let read = near.clone().read(100);
    gives_back(ctx, near.readv(vec![0; 1]), Errno::BUSY);
    done(ctx, far.clone().writev(&b"hello"[..]));
    ends.expect_more(done(ctx, read), near, b"hello");
    near.clone().abort();
    gives_back(ctx, near.writev(vec![0; 1]), Errno::NOTCONN);
}
