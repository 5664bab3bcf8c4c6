//! The bound of a queue's bytes: what is refused, what comes back, and when there is room again.

use rustix::io::Errno;
use tevent::{Context, Queue, Request};
use tevent_tests::contract::{done, pattern};
use tevent_tests::{expect_errno, settle};
use tsocket::{Address, Failed, Stream, memory};

fn expect_refused(ctx: &Context, write: Request<Vec<u8>, Failed<Vec<u8>>>, len: usize) {
    let failed = ctx
        .run_until(write)
        .expect("it runs")
        .expect_err("it is refused");
    let errno = failed.error.raw_os_error();
    assert_eq!(errno, Some(Errno::NOBUFS.raw_os_error()));
    assert_eq!((failed.buffers.len(), failed.transferred), (len, 0));
}

/// A stream whose peer does not read, and a queue for its writes of at most 1,000 bytes.
fn stalled(ctx: &Context) -> (Stream, Stream, Queue) {
    let (near, far) = memory::stream_pair(ctx);
    let queue = Queue::new(ctx);
    assert_eq!(queue.set_byte_limit(Some(1000)), None);
    queue.stop();
    (near, far, queue)
}

#[test]
fn charges_count_until_they_are_dropped() {
    let ctx = Context::new().unwrap();
    let queue = Queue::new(&ctx);
    let unbounded = queue.charge(usize::MAX).unwrap();
    expect_errno(queue.charge(1), Errno::NOBUFS);
    drop(unbounded);
    queue.set_byte_limit(Some(10));
    let (six, four) = (queue.charge(6).unwrap(), queue.charge(4).unwrap());
    assert_eq!(queue.charged_bytes(), 10);
    expect_errno(queue.charge(1), Errno::NOBUFS);
    assert!(queue.charge(0).is_ok(), "nothing fits always");
    drop(six);
    expect_errno(queue.charge(7), Errno::NOBUFS);
    let six = queue.charge(6).unwrap();
    assert_eq!(queue.set_byte_limit(Some(5)), Some(10));
    assert_eq!(queue.charged_bytes(), 10, "what is charged stays");
    drop((four, queue));
    drop(six);
}

#[test]
fn a_write_above_the_bound_is_refused_with_its_buffers() {
    let ctx = Context::new().unwrap();
    let (near, far, queue) = stalled(&ctx);
    let first = near.writev_queued(&queue, pattern(0, 600));
    expect_refused(&ctx, near.writev_queued(&queue, pattern(0, 401)), 401);
    let second = near.writev_queued(&queue, pattern(0, 400));
    assert_eq!((queue.charged_bytes(), queue.len()), (1000, 2));
    queue.start();
    done(&ctx, first);
    done(&ctx, second);
    assert_eq!((queue.charged_bytes(), queue.len()), (0, 0));
    assert_eq!(far.pending_bytes().unwrap(), 1000);
    expect_refused(&ctx, near.writev_queued(&queue, pattern(0, 1001)), 1001);
    done(&ctx, near.writev_queued(&queue, pattern(0, 1000)));
}

#[test]
fn a_write_that_is_given_up_makes_room() {
    let ctx = Context::new().unwrap();
    let (near, _far, queue) = stalled(&ctx);
    let dropped = near.writev_queued(&queue, pattern(0, 1000));
    drop(dropped);
    assert_eq!(queue.charged_bytes(), 0);
    let late = near.writev_queued(&queue, pattern(0, 1000));
    late.cancel();
    let failed = ctx.run_until(late).unwrap().unwrap_err();
    assert_eq!((failed.buffers.len(), queue.charged_bytes()), (1000, 0));
    let waiting = near.writev_queued(&queue, pattern(0, 1000));
    drop(queue);
    settle(&ctx);
    let failed = ctx.run_until(waiting).unwrap().unwrap_err();
    assert_eq!(failed.buffers.len(), 1000);
}

#[test]
fn many_writes_to_a_peer_that_does_not_read_stay_within_the_bound() {
    let ctx = Context::new().unwrap();
    let (near, far) = memory::stream_pair(&ctx);
    let queue = Queue::new(&ctx);
    queue.set_byte_limit(Some(1 << 20));
    let mut writes = Vec::new();
    let refused = loop {
        let write = near.writev_queued(&queue, pattern(0, 10_000));
        settle(&ctx);
        assert!(queue.charged_bytes() <= 1 << 20);
        if write.is_finished() && !queue.is_empty() {
            break write;
        }
        writes.push(write);
    };
    expect_refused(&ctx, refused, 10_000);
    assert!(writes.len() >= (1 << 20) / 10_000);
    for _ in &writes {
        assert!(done(&ctx, far.readv(vec![0; 10_000])) == pattern(0, 10_000));
    }
    for write in writes {
        done(&ctx, write);
    }
    assert_eq!(queue.charged_bytes(), 0);
}

#[test]
fn a_send_above_the_bound_is_refused_with_its_buffers() {
    let ctx = Context::new().unwrap();
    let (near, far) = memory::datagram_pair(&ctx);
    let queue = Queue::new(&ctx);
    queue.set_byte_limit(Some(1000));
    queue.stop();
    let send = |len| near.send_to_queued(&queue, pattern(0, len), None::<&Address>);
    let first = send(600);
    expect_refused(&ctx, send(401), 401);
    let dropped = send(400);
    assert_eq!(queue.charged_bytes(), 1000);
    drop(dropped);
    let second = send(300);
    queue.start();
    done(&ctx, first);
    done(&ctx, second);
    assert_eq!(queue.charged_bytes(), 0);
    for len in [600, 300] {
        assert!(*done(&ctx, far.recv_from()).0 == *pattern(0, len));
    }
    expect_refused(&ctx, send(1001), 1001);
    // A queue without a bound lets the endpoint refuse what no datagram can be.
    queue.set_byte_limit(None);
    let failed = ctx.run_until(send(70_000)).unwrap().unwrap_err();
    assert_eq!(
        failed.error.raw_os_error(),
        Some(Errno::MSGSIZE.raw_os_error())
    );
    assert_eq!(queue.charged_bytes(), 0);
}
