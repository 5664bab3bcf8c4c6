//! Misuse: refused with its errno, with the buffers, and without disturbing anybody.

use crate::{MAX_BUFFER_COUNT, pdu};
use rustix::io::Errno;

use super::Ends;
use super::flow::fill;
use crate::contract::{done, end_of, expect_errno, fails, gives_back, pattern, settle};

pub(super) fn a_second_read_is_refused_and_disturbs_nothing(ends: &Ends) {
    let Ends { ctx, near, far, .. } = ends;
    let first = far.readv(vec![0; 4]);
    done(ctx, near.writev(&b"ab"[..]));
    settle(ctx);
    assert_eq!(
        gives_back(ctx, far.readv(vec![7; 3]), Errno::BUSY),
        (vec![7; 3], 0)
    );
    fails(ctx, far.read(1), Errno::BUSY);
    fails(ctx, far.read_pdu(pdu::u32_be(10)), Errno::BUSY);
    fails(ctx, far.disconnect(), Errno::BUSY);
    done(ctx, near.writev(&b"cd"[..]));
    assert_eq!(done(ctx, first), b"abcd");
}

pub(super) fn a_second_write_is_refused_and_disturbs_nothing(ends: &Ends) {
    let Ends { ctx, near, far, .. } = ends;
    let filled = fill(ends);
    assert_eq!(
        gives_back(ctx, near.writev(&b"second"[..]), Errno::BUSY),
        (&b"second"[..], 0)
    );
    fails(ctx, near.disconnect(), Errno::BUSY);
    assert!(done(ctx, far.readv(vec![0; filled.total])) == pattern(0, filled.total));
    done(ctx, filled.last);
    done(ctx, near.writev(&b"third"[..]));
    ends.expect_read(far, 10, b"third");
}

pub(super) fn nothing_to_transfer_is_invalid(ends: &Ends) {
    let Ends { ctx, near, .. } = ends;
    let nothing: Vec<Vec<u8>> = vec![vec![], vec![]];
    assert_eq!(
        gives_back(ctx, near.readv(nothing.clone()), Errno::INVAL),
        (nothing.clone(), 0)
    );
    assert_eq!(
        gives_back(ctx, near.writev(nothing.clone()), Errno::INVAL),
        (nothing, 0)
    );
    gives_back(ctx, near.writev(Vec::<Vec<u8>>::new()), Errno::INVAL);
    fails(ctx, near.read(0), Errno::INVAL);
    fails(ctx, near.read_pdu(|_| Ok(0)), Errno::INVAL);
}

pub(super) fn too_many_buffers_are_refused(ends: &Ends) {
    let Ends { ctx, near, far, .. } = ends;
    let many = vec![vec![1]; MAX_BUFFER_COUNT + 1];
    assert_eq!(
        gives_back(ctx, near.writev(many.clone()), Errno::MSGSIZE),
        (many.clone(), 0)
    );
    assert_eq!(
        gives_back(ctx, near.readv(many.clone()), Errno::MSGSIZE),
        (many, 0)
    );
    done(ctx, near.writev(&b"goes on"[..]));
    ends.expect_read(far, 100, b"goes on");
}

pub(super) fn an_aborted_stream_is_not_connected(ends: &Ends) {
    let Ends { ctx, near, .. } = ends;
    near.abort();
    near.abort();
    fails(ctx, near.read(1), Errno::NOTCONN);
    assert_eq!(
        gives_back(ctx, near.readv(vec![5; 2]), Errno::NOTCONN),
        (vec![5; 2], 0)
    );
    assert_eq!(
        gives_back(ctx, near.writev(vec![5; 2]), Errno::NOTCONN),
        (vec![5; 2], 0)
    );
    fails(ctx, near.read_pdu(pdu::u32_be(10)), Errno::NOTCONN);
    fails(ctx, near.shutdown(), Errno::NOTCONN);
    fails(ctx, near.disconnect(), Errno::NOTCONN);
    expect_errno(near.pending_bytes(), Errno::NOTCONN);
    expect_errno(near.local_address(), Errno::NOTCONN);
    expect_errno(near.peer_address(), Errno::NOTCONN);
    let refused = near.clone().into_transport().unwrap_err();
    assert_eq!(
        refused.error.raw_os_error(),
        Some(Errno::NOTCONN.raw_os_error())
    );
}

pub(super) fn an_abort_hands_back_what_is_outstanding(ends: &Ends) {
    let Ends { ctx, near, far, .. } = ends;
    let filled = fill(ends);
    done(ctx, far.writev(&b"ab"[..]));
    let read = near.readv(vec![0; 4]);
    settle(ctx);
    near.abort();
    let (buffer, read) = gives_back(ctx, read, Errno::CONNABORTED);
    assert_eq!((&buffer[..], read), (&b"ab\0\0"[..], 2));
    let (buffer, written) = gives_back(ctx, filled.last, Errno::CONNABORTED);
    let start = filled.total - buffer.len();
    assert!(buffer == pattern(start, buffer.len()) && written < buffer.len());
}

pub(super) fn the_last_handle_takes_what_is_outstanding_with_it(ends: &Ends) {
    let Ends { ctx, kind, .. } = ends;
    let (near, far) = (kind.connect)(ctx).unwrap();
    let read = near.readv(vec![0; 4]);
    let other = near.clone();
    drop(near);
    settle(ctx);
    assert!(!read.is_finished(), "there is another handle");
    drop(other);
    assert_eq!(gives_back(ctx, read, Errno::CONNABORTED), (vec![0; 4], 0));
    assert!(done(ctx, far.read(1)).is_empty(), "the peer sees the end");
}

pub(super) fn a_disconnect_excludes_everything_else(ends: &Ends) {
    let Ends {
        ctx,
        near,
        far,
        kind,
    } = ends;
    let disconnected = near.disconnect();
    if !kind.has_half_close {
        done(ctx, disconnected);
        fails(ctx, near.disconnect(), Errno::NOTCONN);
        return;
    }
    settle(ctx);
    assert!(!disconnected.is_finished(), "the peer has not closed");
    fails(ctx, near.disconnect(), Errno::ALREADY);
    fails(ctx, near.read(1), Errno::CONNABORTED);
    gives_back(ctx, near.readv(vec![0; 1]), Errno::CONNABORTED);
    gives_back(ctx, near.writev(vec![0; 1]), Errno::CONNABORTED);
    fails(ctx, near.shutdown(), Errno::CONNABORTED);
    far.abort();
    done(ctx, disconnected);
    fails(ctx, near.disconnect(), Errno::NOTCONN);
}

pub(super) fn a_stream_in_use_is_not_taken_apart(ends: &Ends) {
    let Ends { ctx, kind, .. } = ends;
    let (near, far) = (kind.connect)(ctx).unwrap();
    let busy = Some(Errno::BUSY.raw_os_error());
    let other = near.clone();
    let refused = near.into_transport().unwrap_err();
    assert_eq!(refused.error.raw_os_error(), busy);
    drop(other);
    let read = refused.stream.read(1);
    let refused = refused.stream.into_transport().unwrap_err();
    assert_eq!(refused.error.raw_os_error(), busy);
    done(ctx, far.writev(&b"x"[..]));
    assert_eq!(&*end_of(ctx, read).unwrap(), b"x");
    assert!(refused.stream.into_transport().is_ok(), "it is idle now");
}
