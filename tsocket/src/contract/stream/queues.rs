//! Queues: operations that wait for their turn, and leave when nobody waits for them.

use std::time::Duration;

use crate::pdu;
use rustix::io::Errno;
use tevent::Queue;

use super::Ends;
use super::flow::fill;
use crate::contract::{done, gives_back, pattern, settle};

pub(super) fn writes_keep_their_order(ends: &Ends) {
    let Ends { ctx, near, far, .. } = ends;
    let queue = Queue::new(ctx);
    let len = 30_000;
    let writes: Vec<_> = (0..40)
        .map(|index| near.writev_queued(&queue, pattern(index * len, len)))
        .collect();
    assert!(done(ctx, far.readv(vec![0; 40 * len])) == pattern(0, 40 * len));
    for write in writes {
        done(ctx, write);
    }
    assert!(queue.is_empty());
}

pub(super) fn reads_keep_their_order(ends: &Ends) {
    let Ends { ctx, near, far, .. } = ends;
    let queue = Queue::new(ctx);
    let reads: Vec<_> = (0..5)
        .map(|_| far.read_pdu_queued(&queue, pdu::u32_be(100)))
        .collect();
    let pdus: Vec<Vec<u8>> = (1..=5).map(|byte| vec![0, 0, 0, 1, byte]).collect();
    done(ctx, near.writev(pdus.concat()));
    for (read, pdu) in reads.into_iter().zip(pdus) {
        assert_eq!(&*done(ctx, read), pdu);
    }
    assert!(queue.is_empty());
}

pub(super) fn a_dropped_write_leaves_the_queue(ends: &Ends) {
    let Ends { ctx, near, far, .. } = ends;
    let filled = fill(ends);
    let queue = Queue::new(ctx);
    let blocker = done(ctx, queue.wait());
    let first = near.writev_queued(&queue, &b"first"[..]);
    let second = near.writev_queued(&queue, &b"second"[..]);
    let third = near.writev_queued(&queue, &b"third"[..]);
    settle(ctx);
    drop(second);
    assert_eq!(queue.len(), 3);
    assert!(done(ctx, far.readv(vec![0; filled.total])) == pattern(0, filled.total));
    done(ctx, filled.last);
    drop(blocker);
    assert_eq!(done(ctx, far.readv(vec![0; 10])), b"firstthird");
    done(ctx, first);
    done(ctx, third);
}

pub(super) fn a_write_given_up_in_the_queue_returns_its_buffers(ends: &Ends) {
    let Ends { ctx, near, far, .. } = ends;
    let queue = Queue::new(ctx);
    let blocker = done(ctx, queue.wait());
    let late = near.writev_queued(&queue, vec![1; 3]);
    let unwanted = near.writev_queued(&queue, vec![2; 3]);
    let orphan = near.writev_queued(&queue, vec![3; 3]);
    late.set_timeout(Duration::from_millis(1));
    assert_eq!(gives_back(ctx, late, Errno::TIMEDOUT), (vec![1; 3], 0));
    unwanted.cancel();
    assert_eq!(gives_back(ctx, unwanted, Errno::CANCELED), (vec![2; 3], 0));
    assert_eq!(queue.len(), 2);
    drop(queue);
    assert_eq!(gives_back(ctx, orphan, Errno::CANCELED), (vec![3; 3], 0));
    drop(blocker);
    done(ctx, near.writev(&b"nothing before this"[..]));
    ends.expect_read(far, 100, b"nothing before this");
}
