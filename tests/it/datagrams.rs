//! Datagrams: one suite of what every kind of them promises, told of UDP and unix.

use std::net::UdpSocket;
use std::rc::Rc;
use std::time::Duration;

use rustix::io::Errno;
use tempfile::TempDir;
use tevent::{Context, Queue};
use tevent_tests::contract::{done, expect_nothing_left, fails, gives_back};
use tevent_tests::{expect_errno, settle};
use tsocket::{Address, Datagram, Family};
use tsocket_bsd::{DatagramOptions, datagram};

/// Two sockets that can reach each other, and the directory of their files.
struct Pair {
    near: Datagram,
    far: Datagram,
    _directory: TempDir,
}

fn udp(ctx: &Context) -> Pair {
    let local =
        Address::from_strings(Family::Ipv4, Some("127.0.0.1"), 0).expect("that is an address");
    let make = || datagram(ctx, &local, &DatagramOptions::default()).expect("the address is free");
    Pair {
        near: make(),
        far: make(),
        _directory: tempfile::tempdir().expect("there is room for a directory"),
    }
}

fn unix(ctx: &Context) -> Pair {
    let directory = tempfile::tempdir().expect("there is room for a directory");
    let make = |name: &str| {
        let local = Address::unix(directory.path().join(name)).expect("that is an address");
        datagram(ctx, &local, &DatagramOptions::default()).expect("the address is free")
    };
    Pair {
        near: make("near"),
        far: make("far"),
        _directory: directory,
    }
}

/// Tells `story` of each kind on each back end, and expects that nothing is left behind.
#[track_caller]
fn of_every_kind(story: fn(&Context, &Pair)) {
    for make in [udp, unix] {
        tevent_tests::on_every_backend(move |ctx| {
            let pair = make(ctx);
            story(ctx, &pair);
            drop(pair);
            expect_nothing_left(ctx);
        });
    }
}

#[test]
fn a_datagram_arrives_whole_with_the_address_of_its_sender() {
    of_every_kind(|ctx, Pair { near, far, .. }| {
        let to = far.local_address().unwrap();
        for len in [1_usize, 100, 1400, 9000, 60_000] {
            let bytes = vec![len.to_le_bytes()[0]; len];
            assert_eq!(done(ctx, near.send_to(bytes.clone(), Some(&to))), bytes);
            let (chunk, from) = done(ctx, far.recv_from());
            assert_eq!(&*chunk, &bytes[..]);
            assert_eq!(from, near.local_address().unwrap());
        }
    });
}

#[test]
fn the_parts_of_one_send_are_one_datagram() {
    of_every_kind(|ctx, Pair { near, far, .. }| {
        let to = far.local_address().unwrap();
        done(
            ctx,
            near.send_to(
                [b"one ".to_vec(), Vec::new(), b"datagram".to_vec()],
                Some(&to),
            ),
        );
        assert_eq!(&*done(ctx, far.recv_from()).0, b"one datagram");
    });
}

#[test]
fn a_second_operation_of_one_kind_is_refused_and_disturbs_nothing() {
    of_every_kind(|ctx, Pair { near, far, .. }| {
        let first = far.recv_from();
        fails(ctx, far.recv_from(), Errno::BUSY);
        fails(ctx, far.disconnect(), Errno::BUSY);
        done(
            ctx,
            near.send_to(&b"for the first"[..], Some(&far.local_address().unwrap())),
        );
        assert_eq!(&*done(ctx, first).0, b"for the first");
    });
}

#[test]
fn an_empty_datagram_is_not_sent_and_not_received() {
    tevent_tests::on_every_backend(|ctx| {
        let Pair { far, .. } = udp(ctx);
        let at = far.local_address().unwrap();
        gives_back(ctx, far.send_to(&b""[..], Some(&at)), Errno::INVAL);

        let stranger = UdpSocket::bind("127.0.0.1:0").unwrap();
        stranger.connect(("127.0.0.1", at.port().unwrap())).unwrap();
        let received = far.recv_from();
        for _ in 0..200 {
            stranger.send(b"").unwrap();
        }
        settle(ctx);
        stranger.send(b"not empty").unwrap();
        assert_eq!(&*done(ctx, received).0, b"not empty");
        assert_eq!(far.skipped(), 200);
        let before = ctx.stats();
        settle(ctx);
        assert_eq!(
            ctx.stats().since(&before).receives,
            0,
            "nothing is left to look for"
        );
    });
}

#[test]
fn what_is_too_large_for_a_datagram_comes_back() {
    of_every_kind(|ctx, Pair { near, far, .. }| {
        let to = far.local_address().unwrap();
        let too_large = vec![7; 16 << 20];
        let failed = ctx
            .run_until(near.send_to(too_large, Some(&to)))
            .unwrap()
            .unwrap_err();
        assert_eq!(
            failed.error.raw_os_error(),
            Some(Errno::MSGSIZE.raw_os_error())
        );
        assert_eq!((failed.buffers.len(), failed.transferred), (16 << 20, 0));
    });
}

#[test]
fn queued_sends_arrive_in_order_and_one_that_is_dropped_does_not() {
    of_every_kind(|ctx, Pair { near, far, .. }| {
        let to = far.local_address().unwrap();
        let queue = Rc::new(Queue::new(ctx));
        let holder = done(ctx, queue.wait());
        let mut sends: Vec<_> = (0_u8..5)
            .map(|n| near.send_to_queued(&queue, vec![n], Some(&to)))
            .collect();
        drop(sends.remove(2));
        drop(holder);
        for expected in [0, 1, 3, 4] {
            assert_eq!(&*done(ctx, far.recv_from()).0, [expected]);
        }
        let last = sends.pop().expect("there were five");
        assert_eq!(done(ctx, last), [4]);
    });
}

#[test]
fn the_end_of_the_queue_returns_the_buffers() {
    of_every_kind(|ctx, Pair { near, far, .. }| {
        let to = far.local_address().unwrap();
        let queue = Queue::new(ctx);
        let holder = done(ctx, queue.wait());
        let waiting = near.send_to_queued(&queue, b"mine".to_vec(), Some(&to));
        drop(queue);
        let failed = ctx.run_until(waiting).unwrap().unwrap_err();
        assert_eq!(
            failed.error.raw_os_error(),
            Some(Errno::CANCELED.raw_os_error())
        );
        assert_eq!(failed.buffers, b"mine");
        drop(holder);
    });
}

#[test]
fn closing_ends_what_is_outstanding_and_all_that_comes_later() {
    of_every_kind(|ctx, Pair { near, far, .. }| {
        let to = far.local_address().unwrap();
        let receive = near.recv_from();
        near.abort();
        fails(ctx, receive, Errno::CONNABORTED);
        fails(ctx, near.recv_from(), Errno::NOTCONN);
        gives_back(ctx, near.send_to(&b"late"[..], Some(&to)), Errno::NOTCONN);
        fails(ctx, near.disconnect(), Errno::NOTCONN);
        expect_errno(near.local_address(), Errno::NOTCONN);
        done(ctx, far.disconnect());
        fails(ctx, far.recv_from(), Errno::NOTCONN);
    });
}

#[test]
fn a_receive_that_is_given_up_frees_its_place_at_once() {
    of_every_kind(|ctx, Pair { near, far, .. }| {
        drop(far.recv_from());
        let late = far.recv_from();
        late.set_timeout(Duration::ZERO);
        fails(ctx, late, Errno::TIMEDOUT);
        let receive = far.recv_from();
        done(
            ctx,
            near.send_to(&b"here"[..], Some(&far.local_address().unwrap())),
        );
        assert_eq!(&*done(ctx, receive).0, b"here");
    });
}

#[test]
fn a_connected_socket_needs_no_address_and_knows_its_peer() {
    tevent_tests::on_every_backend(|ctx| {
        let Pair { far, near, .. } = udp(ctx);
        let at = far.local_address().unwrap();
        let any = Address::from_strings(Family::Ipv4, None, 0).unwrap();
        let connected = DatagramOptions::default().remote(at.clone());
        let connected = datagram(ctx, &any, &connected).unwrap();
        assert_eq!(connected.peer_address().unwrap(), at);
        done(ctx, connected.send_to(&b"to the peer"[..], None));
        assert_eq!(&*done(ctx, far.recv_from()).0, b"to the peer");
        expect_errno(near.peer_address(), Errno::NOTCONN);
        gives_back(ctx, near.send_to(&b"to whom"[..], None), Errno::DESTADDRREQ);
    });
}
