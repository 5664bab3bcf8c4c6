//! Requests that are given up: their buffers come back, and their place is free at once.

use std::time::Duration;

use rustix::io::Errno;

use super::Ends;
use super::flow::{fill, fill_by};
use crate::contract::{Subject, done, fails, gives_back, pattern, settle};

pub(super) fn a_deadline_returns_the_buffers_and_frees_the_slot(ends: &Ends) {
    let Ends { ctx, near, far, .. } = ends;
    let read = near.readv(vec![0; 10]);
    done(ctx, far.writev(&b"four"[..]));
    settle(ctx);
    read.set_timeout(Duration::from_millis(1));
    let (buffer, transferred) = gives_back(ctx, read, Errno::TIMEDOUT);
    assert_eq!((&buffer[..4], transferred), (&b"four"[..], 4));

    let idle = near.read(10);
    idle.set_timeout(Duration::from_millis(1));
    fails(ctx, idle, Errno::TIMEDOUT);
    done(ctx, far.writev(&b"next"[..]));
    assert_eq!(done(ctx, near.readv(vec![0; 4])), b"next");
}

pub(super) fn a_cancel_returns_the_buffers_and_frees_the_slot(ends: &Ends) {
    let Ends { ctx, near, far, .. } = ends;
    let read = near.readv(vec![0; 10]);
    done(ctx, far.writev(&b"four"[..]));
    settle(ctx);
    read.cancel();
    // The slot is free before anybody is told.
    let next = near.readv(vec![0; 4]);
    let (buffer, transferred) = gives_back(ctx, read, Errno::CANCELED);
    assert_eq!((&buffer[..4], transferred), (&b"four"[..], 4));
    done(ctx, far.writev(&b"next"[..]));
    assert_eq!(done(ctx, next), b"next");

    let filled = fill(ends);
    filled.last.cancel();
    let (buffer, transferred) = gives_back(ctx, filled.last, Errno::CANCELED);
    let start = filled.total - buffer.len();
    assert!(buffer == pattern(start, buffer.len()) && transferred < buffer.len());
    let taken = start + transferred;
    assert!(done(ctx, far.readv(vec![0; taken])) == pattern(0, taken));
}

pub(super) fn a_dropped_request_frees_the_slot_at_once(ends: &Ends) {
    let Ends { ctx, near, far, .. } = ends;
    drop(near.read(10));
    drop(near.readv(vec![0; 10]));
    let read = near.read(10);
    settle(ctx);
    drop(read);
    done(ctx, far.writev(&b"for the last one"[..]));
    ends.expect_read(near, 100, b"for the last one");
}

pub(super) fn only_a_write_that_was_taken_in_part_ends_the_write_side(ends: &Ends) {
    let Ends { ctx, kind, .. } = ends;
    // Unix sockets take small writes whole or not at all.
    for len in [1024, 60_000] {
        let ends = kind.ends(ctx);
        let filled = fill_by(&ends, len);
        filled.last.cancel();
        let (_, transferred) = gives_back(ctx, filled.last, Errno::CANCELED);
        if transferred > 0 {
            let (buffer, transferred) = gives_back(ctx, ends.near.writev(vec![3; 3]), Errno::PIPE);
            assert_eq!((buffer, transferred), (vec![3; 3], 0));
        } else if !kind.is_message_mode {
            let written = ends.near.writev(vec![3; 3]);
            let start = filled.total - len;
            assert!(done(ctx, ends.far.readv(vec![0; start])) == pattern(0, start));
            assert_eq!(done(ctx, ends.far.readv(vec![0; 3])), [3; 3]);
            done(ctx, written);
        }
    }
}

pub(super) fn a_dropped_partial_write_ends_the_write_side(ends: &Ends) {
    let Ends {
        ctx,
        near,
        far,
        kind,
    } = ends;
    if kind.is_message_mode {
        // How much of a message a kernel takes is its own choice; over memory it is known.
        return;
    }
    let write = near.writev(vec![7; 64 << 20]);
    settle(ctx);
    assert!(!write.is_finished());
    drop(write);
    assert_eq!(
        gives_back(ctx, near.writev(vec![3; 3]), Errno::PIPE),
        (vec![3; 3], 0)
    );
    done(ctx, far.writev(&b"the other way"[..]));
    ends.expect_read(near, 100, b"the other way");
    if kind.has_half_close {
        // The peer need not wait for a rest that never comes.
        done(ctx, near.shutdown());
        while !done(ctx, far.read(1 << 16)).is_empty() {}
    }
}
