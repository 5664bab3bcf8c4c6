//! Datagrams, listeners and narrow streams in memory: like sockets, with a capacity one can choose.

use rustix::io::Errno;
use tevent::Context;
use tevent_tests::contract::{done, expect_nothing_left, fails, gives_back, pattern};
use tevent_tests::{everywhere, expect_errno, settle};
use tsocket::{Address, memory};

fn named(name: &str) -> Address {
    Address::custom(memory::Name(name.to_owned()))
}

#[test]
fn a_narrow_stream_carries_as_much_as_a_wide_one() {
    everywhere(|ctx| {
        for capacity in [0, 1, 7, 4096] {
            let (near, far) = memory::stream_pair_holding(ctx, capacity);
            let write = near.writev(pattern(0, 3_000));
            settle(ctx);
            assert_eq!(far.pending_bytes().unwrap(), capacity.clamp(1, 3_000));
            assert_eq!(done(ctx, far.readv(vec![0; 3_000])), pattern(0, 3_000));
            done(ctx, write);
        }
        expect_nothing_left(ctx);
    });
}

#[test]
fn datagrams_keep_their_borders_and_their_order() {
    everywhere(|ctx| {
        let (near, far) = memory::datagram_pair(ctx);
        let receive = far.recv_from();
        for len in [1, 60_000, 3] {
            done(ctx, near.send_to(pattern(len, len), None));
        }
        let (first, from) = done(ctx, receive);
        assert_eq!(
            (&*first, from),
            (&pattern(1, 1)[..], Address::unix_unnamed())
        );
        for len in [60_000, 3] {
            assert_eq!(&*done(ctx, far.recv_from()).0, pattern(len, len));
        }
        done(
            ctx,
            far.send_to(vec![b"the ".to_vec(), b"other way".to_vec()], None),
        );
        assert_eq!(&*done(ctx, near.recv_from()).0, b"the other way");
        drop((near, far));
        expect_nothing_left(ctx);
    });
}

#[test]
fn a_full_line_has_senders_wait() {
    let ctx = Context::new().unwrap();
    let (near, far) = memory::datagram_pair_holding(&ctx, 1_000);
    done(&ctx, near.send_to(vec![1; 900], None));
    let waiting = near.send_to(vec![2; 900], None);
    settle(&ctx);
    assert!(!waiting.is_finished());
    assert_eq!(&*done(&ctx, far.recv_from()).0, [1; 900]);
    done(&ctx, waiting);
    let (bytes, _) = gives_back(&ctx, near.send_to(vec![3; 1_001], None), Errno::MSGSIZE);
    assert_eq!(bytes.len(), 1_001);
    assert_eq!(&*done(&ctx, far.recv_from()).0, [2; 900]);
}

#[test]
fn a_datagram_peer_that_is_gone_refuses() {
    let ctx = Context::new().unwrap();
    let (near, far) = memory::datagram_pair_holding(&ctx, 100);
    done(&ctx, far.send_to(&b"last words"[..], None));
    done(&ctx, near.send_to(vec![1; 100], None));
    let waiting = near.send_to(vec![1; 100], None);
    settle(&ctx);
    drop(far);
    gives_back(&ctx, waiting, Errno::CONNREFUSED);
    gives_back(&ctx, near.send_to(vec![1], None), Errno::CONNREFUSED);
    assert_eq!(&*done(&ctx, near.recv_from()).0, b"last words");
    let to = near.peer_address().unwrap();
    gives_back(&ctx, near.send_to(vec![1], Some(&to)), Errno::ISCONN);
    drop(near);
    expect_nothing_left(&ctx);
}

#[test]
fn whoever_connects_is_accepted_in_turn() {
    everywhere(|ctx| {
        let printer = named("printer");
        assert_eq!(printer.to_string(), "memory:printer");
        let listener = memory::listen(ctx, &printer).unwrap();
        let accept = listener.accept();
        let first = done(ctx, memory::connect(ctx, &printer));
        let second = done(ctx, memory::connect(ctx, &printer));
        done(ctx, second.writev(&b"second"[..]));
        drop(second);
        let (server, peer) = done(ctx, accept);
        assert_eq!(server.local_address().unwrap(), printer);
        assert_eq!(first.peer_address().unwrap(), printer);
        assert_eq!(first.local_address().unwrap(), peer);
        done(ctx, server.writev(&b"hello"[..]));
        assert_eq!(done(ctx, first.readv(vec![0; 5])), b"hello");
        let (other, _) = done(ctx, listener.accept());
        assert_eq!(&*done(ctx, other.read(100)), b"second");
        assert!(done(ctx, other.read(100)).is_empty());
        drop((listener, server, first, other));
        expect_nothing_left(ctx);
    });
}

#[test]
fn a_name_is_one_listeners_and_free_afterwards() {
    let ctx = Context::new().unwrap();
    let (a, b) = (named("a"), named("b"));
    let listener = memory::listen(&ctx, &a).unwrap();
    expect_errno(memory::listen(&ctx, &a), Errno::ADDRINUSE);
    expect_errno(
        memory::listen(&ctx, &Address::unix_unnamed()),
        Errno::AFNOSUPPORT,
    );
    fails(&ctx, memory::connect(&ctx, &b), Errno::CONNREFUSED);
    fails(
        &ctx,
        memory::connect(&ctx, &Address::unix_unnamed()),
        Errno::AFNOSUPPORT,
    );
    let other = Context::new().unwrap();
    fails(&other, memory::connect(&other, &a), Errno::CONNREFUSED);

    let unaccepted = done(&ctx, memory::connect(&ctx, &a));
    drop(listener);
    assert!(
        done(&ctx, unaccepted.read(1)).is_empty(),
        "nobody will accept it"
    );
    gives_back(&ctx, unaccepted.writev(vec![1]), Errno::PIPE);
    fails(&ctx, memory::connect(&ctx, &a), Errno::CONNREFUSED);
    assert!(memory::listen(&ctx, &a).is_ok());
}

#[test]
fn a_full_backlog_refuses_more() {
    let ctx = Context::new().unwrap();
    let door = named("door");
    let listener = memory::listen(&ctx, &door).unwrap();
    let waiting: Vec<_> = (0..memory::BACKLOG)
        .map(|_| done(&ctx, memory::connect(&ctx, &door)))
        .collect();
    fails(&ctx, memory::connect(&ctx, &door), Errno::AGAIN);
    done(&ctx, listener.accept());
    done(&ctx, memory::connect(&ctx, &door));
    drop(waiting);
}
