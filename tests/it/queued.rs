//! Queued operations: when they begin, and what keeps them going.

use std::cell::RefCell;
use std::rc::Rc;

use rustix::io::Errno;
use tevent::{Context, Queue};
use tevent_tests::contract::{done, expect_nothing_left, fails, pattern};
use tevent_tests::settle;
use tsocket::{Address, memory};
use tsocket_bsd::{DatagramOptions, datagram};

#[test]
fn a_write_begins_at_once_if_nobody_is_in_line() {
    let ctx = Context::new().unwrap();
    let (near, far) = memory::stream_pair(&ctx);
    let queue = Queue::new(&ctx);
    let first = near.writev_queued(&queue, &b"first"[..]);
    assert_eq!(far.pending_bytes().unwrap(), 5, "the loop has not run yet");
    assert!(first.is_finished() && queue.is_empty());
    done(&ctx, first);
}

#[test]
fn a_stopped_queue_holds_writes_back() {
    let ctx = Context::new().unwrap();
    let (near, far) = memory::stream_pair(&ctx);
    let queue = Queue::new(&ctx);
    queue.stop();
    let held = near.writev_queued(&queue, &b"held"[..]);
    settle(&ctx);
    assert_eq!(far.pending_bytes().unwrap(), 0);
    queue.start();
    done(&ctx, held);
    assert_eq!(&*done(&ctx, far.read(100)), b"held");
}

#[test]
fn a_write_that_waits_keeps_its_stream() {
    let ctx = Context::new().unwrap();
    let (near, far) = memory::stream_pair(&ctx);
    let queue = Queue::new(&ctx);
    let blocker = done(&ctx, queue.wait());
    let waiting = near.writev_queued(&queue, &b"the last of it"[..]);
    drop(near);
    settle(&ctx);
    drop(blocker);
    assert_eq!(&*done(&ctx, far.read(100)), b"the last of it");
    done(&ctx, waiting);
    assert!(done(&ctx, far.read(100)).is_empty(), "then it was dropped");
    expect_nothing_left(&ctx);
}

#[test]
fn a_write_is_reported_before_the_next_begins() {
    let ctx = Context::new().unwrap();
    let (near, far) = memory::stream_pair(&ctx);
    let queue = Queue::new(&ctx);
    let seen = Rc::new(RefCell::new(Vec::new()));
    let large = memory::CAPACITY + 1;
    let writes: Vec<_> = (0..3)
        .map(|index| {
            let (seen, far) = (seen.clone(), far.clone());
            near.writev_queued(&queue, pattern(index * large, large))
                .on_done(move |result| {
                    assert!(result.is_ok());
                    let pending = far.pending_bytes().expect("the stream is open");
                    seen.borrow_mut().push((index, pending));
                })
        })
        .collect();
    for index in 0..3 {
        assert!(done(&ctx, far.readv(vec![0; large])) == pattern(index * large, large));
        settle(&ctx);
    }
    let order: Vec<usize> = seen.borrow().iter().map(|(index, _)| *index).collect();
    assert_eq!(order, [0, 1, 2]);
    assert!(
        seen.borrow().iter().all(|(_, pending)| *pending <= 1),
        "the next one had not been written: {seen:?}"
    );
    assert!(writes.iter().all(tevent::Request::is_finished));
}

#[test]
fn a_dropped_queue_lets_the_write_go_on_that_has_begun() {
    let ctx = Context::new().unwrap();
    let (near, far) = memory::stream_pair(&ctx);
    let queue = Queue::new(&ctx);
    let large = memory::CAPACITY + 1;
    let begun = near.writev_queued(&queue, pattern(0, large));
    settle(&ctx);
    drop(queue);
    assert!(done(&ctx, far.readv(vec![0; large])) == pattern(0, large));
    done(&ctx, begun);
}

#[test]
fn queued_receives_take_their_turns_and_lose_nothing() {
    tevent_tests::on_every_backend(|ctx| {
        let directory = tempfile::tempdir().unwrap();
        let make = |name: &str| {
            let local = Address::unix(directory.path().join(name)).unwrap();
            datagram(ctx, &local, &DatagramOptions::default()).unwrap()
        };
        let (near, far) = (make("near"), make("far"));
        let to = far.local_address().unwrap();
        let queue = Queue::new(ctx);
        let mut receives: Vec<_> = (0..4).map(|_| far.recv_from_queued(&queue)).collect();
        drop(receives.remove(1));
        fails(ctx, far.recv_from(), Errno::BUSY);
        for n in 0_u8..3 {
            done(ctx, near.send_to(vec![n], Some(&to)));
        }
        for (n, receive) in (0_u8..3).zip(receives) {
            let (chunk, from) = done(ctx, receive);
            assert_eq!((&*chunk, from), (&[n][..], near.local_address().unwrap()));
        }
        let blocker = done(ctx, queue.wait());
        let orphan = far.recv_from_queued(&queue);
        drop(queue);
        fails(ctx, orphan, Errno::CANCELED);
        drop(blocker);
    });
}
