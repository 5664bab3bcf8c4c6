//! Ends: what is given up, closed or dropped takes nothing else with it.

use std::rc::Rc;
use std::time::Duration;

use rustix::io::Errno;
use tevent::Queue;

use super::Ends;
use crate::contract::{Subject, done, expect_rest, fails, gives_back, settle};

pub(super) fn a_receive_that_is_given_up_loses_nothing(ends: &Ends) {
    let Ends { ctx, near, far, .. } = ends;
    let to = ends.to_far();
    drop(far.recv_from());
    let late = far.recv_from();
    late.set_timeout(Duration::ZERO);
    fails(ctx, late, Errno::TIMEDOUT);
    let canceled = far.recv_from();
    canceled.cancel();
    fails(ctx, canceled, Errno::CANCELED);
    for bytes in [&b"one"[..], b"two", b"three"] {
        done(ctx, near.send_to(bytes, to.as_ref()));
    }
    assert_eq!(&*done(ctx, far.recv_from()).0, b"one");
    let waiting = far.recv_from();
    // It is given up before anybody looks.
    let has_it = waiting.is_finished();
    drop(waiting);
    settle(ctx);
    if !has_it {
        assert_eq!(&*done(ctx, far.recv_from()).0, b"two");
    }
    assert_eq!(&*done(ctx, far.recv_from()).0, b"three");
}

pub(super) fn what_was_sent_arrives_after_the_sender_is_gone(ends: &Ends) {
    let Ends { ctx, near, far, .. } = ends;
    done(
        ctx,
        near.send_to(&b"last words"[..], ends.to_far().as_ref()),
    );
    done(ctx, near.disconnect());
    assert_eq!(&*done(ctx, far.recv_from()).0, b"last words");
}

pub(super) fn the_last_handle_takes_what_is_outstanding_with_it(ends: &Ends) {
    let Ends { ctx, kind, .. } = ends;
    let other = kind.ends(ctx);
    let same = other.far.clone();
    let receive = same.recv_from();
    drop(same);
    settle(ctx);
    assert!(!receive.is_finished(), "a handle is left");
    drop(other);
    fails(ctx, receive, Errno::CONNABORTED);
}

pub(super) fn nobody_is_woken_by_what_nobody_receives(ends: &Ends) {
    let Ends { ctx, near, far, .. } = ends;
    drop(far.recv_from());
    done(ctx, near.send_to(&b"later"[..], ends.to_far().as_ref()));
    expect_rest(ctx);
    assert_eq!(&*done(ctx, far.recv_from()).0, b"later");
    let waiting = far.recv_from();
    expect_rest(ctx);
    drop(waiting);
}

pub(super) fn queued_sends_keep_their_order_and_one_that_is_dropped_is_not_sent(ends: &Ends) {
    let Ends { ctx, near, far, .. } = ends;
    let to = ends.to_far();
    let queue = Rc::new(Queue::new(ctx));
    let holder = done(ctx, queue.wait());
    let mut sends: Vec<_> = (0_u8..5)
        .map(|n| near.send_to_queued(&queue, vec![n], to.as_ref()))
        .collect();
    drop(sends.remove(2));
    drop(holder);
    for expected in [0, 1, 3, 4] {
        assert_eq!(&*done(ctx, far.recv_from()).0, [expected]);
    }
    let last = sends.pop().unwrap();
    assert_eq!(done(ctx, last), [4]);
}

pub(super) fn the_end_of_the_queue_returns_the_buffers(ends: &Ends) {
    let Ends { ctx, near, .. } = ends;
    let queue = Queue::new(ctx);
    let holder = done(ctx, queue.wait());
    let waiting = near.send_to_queued(&queue, b"mine".to_vec(), ends.to_far().as_ref());
    drop(queue);
    let returned = gives_back(ctx, waiting, Errno::CANCELED);
    assert_eq!(returned, (b"mine".to_vec(), 0));
    drop(holder);
}
