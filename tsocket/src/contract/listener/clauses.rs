//! The clauses, each a story of a listener.

use std::time::Duration;

use rustix::io::Errno;

use super::Ends;
use crate::contract::{done, end_of, expect_errno, expect_rest, fails, settle};

pub(super) fn connections_are_accepted_in_the_order_in_which_they_came(ends: &Ends) {
    let Ends { ctx, listener, .. } = ends;
    let at = listener.local_address().unwrap();
    let clients: Vec<_> = (0..5).map(|_| done(ctx, ends.connect())).collect();
    for (n, client) in (0_u8..).zip(&clients) {
        let (server, peer) = done(ctx, listener.accept());
        assert_eq!(peer, client.local_address().unwrap());
        assert_eq!(server.local_address().unwrap(), at);
        assert_eq!(client.peer_address().unwrap(), at);
        done(ctx, client.writev(vec![n]));
        assert_eq!(&*done(ctx, server.read(10)), [n]);
    }
}

pub(super) fn what_was_written_before_the_accept_arrives(ends: &Ends) {
    let Ends { ctx, listener, .. } = ends;
    let client = done(ctx, ends.connect());
    done(ctx, client.writev(&b"early"[..]));
    client.disconnect().detach();
    let (server, _) = done(ctx, listener.accept());
    assert_eq!(&*done(ctx, server.read(10)), b"early");
    assert!(done(ctx, server.read(10)).is_empty());
}

pub(super) fn a_second_accept_is_refused_and_disturbs_nothing(ends: &Ends) {
    let Ends { ctx, listener, .. } = ends;
    let first = listener.accept();
    fails(ctx, listener.accept(), Errno::BUSY);
    let client = done(ctx, ends.connect());
    let (_server, peer) = done(ctx, first);
    assert_eq!(peer, client.local_address().unwrap());
}

pub(super) fn an_accept_that_is_given_up_loses_no_connection(ends: &Ends) {
    let Ends { ctx, listener, .. } = ends;
    drop(listener.accept());
    let late = listener.accept();
    late.set_timeout(Duration::ZERO);
    fails(ctx, late, Errno::TIMEDOUT);
    let canceled = listener.accept();
    canceled.cancel();
    fails(ctx, canceled, Errno::CANCELED);
    let client = done(ctx, ends.connect());
    let (_server, peer) = done(ctx, listener.accept());
    assert_eq!(peer, client.local_address().unwrap());
}

pub(super) fn connections_that_nobody_accepts_let_the_loop_rest(ends: &Ends) {
    let Ends { ctx, listener, .. } = ends;
    drop(listener.accept());
    let _clients: Vec<_> = (0..3).map(|_| done(ctx, ends.connect())).collect();
    expect_rest(ctx);
    let before = ctx.stats();
    settle(ctx);
    let after = ctx.stats().since(&before);
    assert_eq!((after.accepts, after.registrations), (0, 0));
}

pub(super) fn an_accept_that_waits_lets_the_loop_rest(ends: &Ends) {
    let Ends { ctx, listener, .. } = ends;
    let accept = listener.accept();
    expect_rest(ctx);
    drop(accept);
}

pub(super) fn closing_ends_the_outstanding_accept_and_all_that_come_later(ends: &Ends) {
    let Ends { ctx, listener, .. } = ends;
    let accept = listener.accept();
    let same = listener.clone();
    listener.abort();
    fails(ctx, accept, Errno::CONNABORTED);
    fails(ctx, same.accept(), Errno::NOTCONN);
    expect_errno(same.local_address(), Errno::NOTCONN);
}

pub(super) fn nobody_connects_to_a_listener_that_was_closed(ends: &Ends) {
    let Ends {
        ctx,
        listener,
        kind,
        ..
    } = ends;
    let at = listener.local_address().unwrap();
    listener.abort();
    let refused = end_of(ctx, (kind.connect)(ctx, &at)).unwrap_err();
    let gone = [Errno::CONNREFUSED, Errno::NOENT].map(|errno| Some(errno.raw_os_error()));
    assert!(gone.contains(&refused.raw_os_error()), "{refused}");
}

pub(super) fn accepted_streams_outlive_their_listener(ends: &Ends) {
    let Ends { ctx, listener, .. } = ends;
    let client = done(ctx, ends.connect());
    let (server, _) = done(ctx, listener.accept());
    listener.abort();
    done(ctx, server.writev(&b"still here"[..]));
    assert_eq!(&*done(ctx, client.read(100)), b"still here");
}

pub(super) fn a_listener_lives_as_long_as_a_handle_of_it(ends: &Ends) {
    let Ends { ctx, listener, .. } = ends;
    let same = listener.clone();
    let accept = same.accept();
    drop(same);
    let _client = done(ctx, ends.connect());
    done(ctx, accept);
}
