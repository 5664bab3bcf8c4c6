//! Listeners: one suite of what every kind of them promises, told of TCP and unix.

use std::time::Duration;

use rustix::io::Errno;
use tempfile::TempDir;
use tevent::Context;
use tevent_tests::contract::{done, expect_nothing_left, fails};
use tevent_tests::{expect_errno, settle};
use tsocket::{Address, Family, Listener};
use tsocket_bsd::{ConnectOptions, ListenOptions, connect, listen};

fn tcp(ctx: &Context, _: &TempDir) -> Listener {
    let any_port =
        Address::from_strings(Family::Ipv4, Some("127.0.0.1"), 0).expect("that is an address");
    listen(ctx, &any_port, &ListenOptions::default()).expect("the address is free")
}

fn unix(ctx: &Context, directory: &TempDir) -> Listener {
    let address = Address::unix(directory.path().join("socket")).expect("that is an address");
    listen(ctx, &address, &ListenOptions::default().backlog(16)).expect("the address is free")
}

/// Tells `story` of each kind on each back end, and expects that nothing is left behind.
#[track_caller]
fn of_every_kind(story: fn(&Context, &Listener)) {
    for make in [tcp, unix] {
        tevent_tests::on_every_backend(move |ctx| {
            let directory = tempfile::tempdir().expect("there is room for a directory");
            let listener = make(ctx, &directory);
            story(ctx, &listener);
            drop(listener);
            expect_nothing_left(ctx);
        });
    }
}

#[test]
fn connections_are_accepted_in_the_order_in_which_they_came() {
    of_every_kind(|ctx, listener| {
        let at = listener.local_address().unwrap();
        let options = ConnectOptions::default();
        let clients: Vec<_> = (0..5)
            .map(|_| done(ctx, connect(ctx, &at, &options)))
            .collect();
        for (n, client) in (0_u8..).zip(&clients) {
            let (server, peer) = done(ctx, listener.accept());
            assert_eq!(peer, client.local_address().unwrap());
            assert_eq!(server.local_address().unwrap(), at);
            done(ctx, client.writev(vec![n]));
            assert_eq!(&*done(ctx, server.read(10)), [n]);
        }
    });
}

#[test]
fn a_second_accept_is_refused_and_disturbs_nothing() {
    of_every_kind(|ctx, listener| {
        let first = listener.accept();
        fails(ctx, listener.accept(), Errno::BUSY);
        let at = listener.local_address().unwrap();
        let client = done(ctx, connect(ctx, &at, &ConnectOptions::default()));
        let (_, peer) = done(ctx, first);
        assert_eq!(peer, client.local_address().unwrap());
    });
}

#[test]
fn an_accept_that_is_given_up_loses_no_connection() {
    of_every_kind(|ctx, listener| {
        drop(listener.accept());
        let late = listener.accept();
        late.set_timeout(Duration::ZERO);
        fails(ctx, late, Errno::TIMEDOUT);
        let at = listener.local_address().unwrap();
        let client = done(ctx, connect(ctx, &at, &ConnectOptions::default()));
        let (_, peer) = done(ctx, listener.accept());
        assert_eq!(peer, client.local_address().unwrap());
    });
}

#[test]
fn connections_that_nobody_accepts_let_the_loop_rest() {
    of_every_kind(|ctx, listener| {
        drop(listener.accept());
        let at = listener.local_address().unwrap();
        let _clients: Vec<_> = (0..3)
            .map(|_| done(ctx, connect(ctx, &at, &ConnectOptions::default())))
            .collect();
        settle(ctx);
        let before = ctx.stats();
        settle(ctx);
        let after = ctx.stats().since(&before);
        assert_eq!((after.accepts, after.registrations), (0, 0));
    });
}

#[test]
fn closing_ends_the_outstanding_accept_and_all_that_come_later() {
    of_every_kind(|ctx, listener| {
        let at = listener.local_address().unwrap();
        let accept = listener.accept();
        let same = listener.clone();
        listener.abort();
        fails(ctx, accept, Errno::CONNABORTED);
        fails(ctx, same.accept(), Errno::NOTCONN);
        expect_errno(same.local_address(), Errno::NOTCONN);
        let connected = connect(ctx, &at, &ConnectOptions::default());
        let refused = ctx.run_until(connected).unwrap().unwrap_err();
        let gone = [Errno::CONNREFUSED, Errno::NOENT].map(|errno| Some(errno.raw_os_error()));
        assert!(gone.contains(&refused.raw_os_error()), "{refused}");
    });
}

#[test]
fn a_listener_lives_as_long_as_a_handle_of_it() {
    of_every_kind(|ctx, listener| {
        let at = listener.local_address().unwrap();
        let same = listener.clone();
        let accept = same.accept();
        drop(same);
        let _client = done(ctx, connect(ctx, &at, &ConnectOptions::default()));
        done(ctx, accept);
    });
}
