//! Misuse: refused with its errno, with the buffers, and without disturbing anybody.

use rustix::io::Errno;

use super::Ends;
use crate::contract::{done, expect_errno, fails, gives_back};

pub(super) fn a_second_receive_is_refused_and_disturbs_nothing(ends: &Ends) {
    let Ends { ctx, near, far, .. } = ends;
    let first = far.recv_from();
    fails(ctx, far.recv_from(), Errno::BUSY);
    fails(ctx, far.disconnect(), Errno::BUSY);
    done(
        ctx,
        near.send_to(&b"for the first"[..], ends.to_far().as_ref()),
    );
    assert_eq!(&*done(ctx, first).0, b"for the first");
}

pub(super) fn what_is_too_large_comes_back(ends: &Ends) {
    let Ends { ctx, near, far, .. } = ends;
    let to = ends.to_far();
    let len = 16 << 20;
    let (bytes, sent) = gives_back(ctx, near.send_to(vec![7; len], to.as_ref()), Errno::MSGSIZE);
    assert_eq!((bytes.len(), sent), (len, 0));
    done(ctx, near.send_to(&b"small"[..], to.as_ref()));
    assert_eq!(&*done(ctx, far.recv_from()).0, b"small");
}

pub(super) fn closing_ends_what_is_outstanding_and_all_that_comes_later(ends: &Ends) {
    let Ends { ctx, near, .. } = ends;
    let to = ends.to_far();
    let receive = near.recv_from();
    let same = near.clone();
    near.abort();
    fails(ctx, receive, Errno::CONNABORTED);
    for closed in [near, &same] {
        fails(ctx, closed.recv_from(), Errno::NOTCONN);
        let send = closed.send_to(&b"late"[..], to.as_ref());
        assert_eq!(gives_back(ctx, send, Errno::NOTCONN), (&b"late"[..], 0));
        fails(ctx, closed.disconnect(), Errno::NOTCONN);
        expect_errno(closed.local_address(), Errno::NOTCONN);
        expect_errno(closed.peer_address(), Errno::NOTCONN);
    }
}

pub(super) fn a_disconnect_waits_for_nobody(ends: &Ends) {
    let Ends { ctx, near, far, .. } = ends;
    done(ctx, near.send_to(&b"unread"[..], ends.to_far().as_ref()));
    let disconnect = far.disconnect();
    fails(ctx, far.recv_from(), Errno::NOTCONN);
    fails(ctx, far.disconnect(), Errno::NOTCONN);
    done(ctx, disconnect);
    done(ctx, near.disconnect());
}
