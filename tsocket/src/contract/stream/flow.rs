//! Flow: writes wait for the layer below, and an orderly end loses nothing.

use std::io;

use super::Ends;
use crate::contract::{done, expect_rest, fails, gives_back, pattern, settle};
use crate::{Failed, Stream};
use rustix::io::Errno;
use tevent::Request;

/// A direction that takes no more.
pub(super) struct Filled {
    /// The write that waits.
    pub(super) last: Request<Vec<u8>, Failed<Vec<u8>>>,
    /// How many bytes were written, those of the waiting write included.
    pub(super) total: usize,
}

/// Writes the pattern from `near` to `far`, in pieces of `len` bytes, until a write has to wait.
pub(super) fn fill_by(ends: &Ends, len: usize) -> Filled {
    let Ends { ctx, near, .. } = ends;
    let mut total = 0;
    loop {
        let last = near.writev(pattern(total, len));
        total += len;
        // TCP makes room for a while by carrying bytes to the other end.
        settle(ctx);
        if !last.is_finished() {
            return Filled { last, total };
        }
        done(ctx, last);
    }
}

pub(super) fn fill(ends: &Ends) -> Filled {
    fill_by(ends, 60_000)
}

pub(super) fn a_write_is_done_when_the_layer_below_has_taken_it(ends: &Ends) {
    let Ends { ctx, far, .. } = ends;
    let filled = fill(ends);
    assert!(done(ctx, far.readv(vec![0; filled.total])) == pattern(0, filled.total));
    let returned = done(ctx, filled.last);
    let start = filled.total - returned.len();
    assert!(returned == pattern(start, returned.len()));
}

const RESPONSE_LEN: usize = 200_000;

/// Reads half of a request, writes the response and disconnects.
async fn respond(near: Stream) -> io::Result<()> {
    near.readv(vec![0; 50]).await?;
    for at in (0..RESPONSE_LEN).step_by(50_000) {
        near.writev(pattern(at, 50_000)).await?;
    }
    near.disconnect().await
}

async fn read_to_the_end(far: Stream) -> io::Result<Vec<u8>> {
    let mut read = Vec::new();
    loop {
        let chunk = far.read(10_000).await?;
        if chunk.is_empty() {
            far.abort();
            return Ok(read);
        }
        read.extend_from_slice(&chunk);
    }
}

pub(super) fn a_disconnect_delivers_everything_written_before(ends: &Ends) {
    let Ends { ctx, near, far, .. } = ends;
    done(ctx, far.writev(pattern(0, 100)));
    let responded = ctx.spawn(respond(near.clone()));
    let read = ctx.spawn(read_to_the_end(far.clone()));
    assert!(done(ctx, read).unwrap() == pattern(0, RESPONSE_LEN));
    done(ctx, responded).unwrap();
    fails(ctx, near.read(1), Errno::NOTCONN);
}

pub(super) fn a_disconnect_with_input_unread_loses_nothing(ends: &Ends) {
    let Ends { ctx, near, far, .. } = ends;
    // More than is read ahead, so that some of it stays below.
    done(ctx, far.writev(pattern(0, 50_000)));
    settle(ctx);
    let responded = ctx.spawn(respond(near.clone()));
    let read = ctx.spawn(read_to_the_end(far.clone()));
    assert!(done(ctx, read).unwrap() == pattern(0, RESPONSE_LEN));
    done(ctx, responded).unwrap();
}

pub(super) fn a_disconnect_behind_a_slow_write_does_not_spin(ends: &Ends) {
    let Ends { ctx, near, far, .. } = ends;
    let filled = fill(ends);
    done(ctx, far.readv(vec![0; filled.total]));
    done(ctx, filled.last);
    let disconnected = near.disconnect();
    expect_rest(ctx);
    far.abort();
    done(ctx, disconnected);
}

pub(super) fn a_shutdown_waits_for_the_write_before_it(ends: &Ends) {
    let Ends {
        ctx,
        near,
        far,
        kind,
    } = ends;
    if !kind.has_half_close {
        fails(ctx, near.shutdown(), Errno::OPNOTSUPP);
        done(ctx, near.writev(&b"goes on"[..]));
        ends.expect_read(far, 10, b"goes on");
        return;
    }
    let filled = fill(ends);
    let shut_down = near.shutdown();
    settle(ctx);
    assert!(
        !shut_down.is_finished(),
        "there is something to write first"
    );
    fails(ctx, near.shutdown(), Errno::ALREADY);
    assert!(done(ctx, far.readv(vec![0; filled.total])) == pattern(0, filled.total));
    assert!(done(ctx, far.read(1)).is_empty());
    done(ctx, filled.last);
    done(ctx, shut_down);
    gives_back(ctx, near.writev(&b"more"[..]), Errno::PIPE);
}
