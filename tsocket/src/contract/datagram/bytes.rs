//! Bytes: each datagram arrives as it was sent, or not at all.

use std::rc::Rc;

use rustix::io::Errno;
use tevent::Queue;

use super::Ends;
use crate::contract::{done, expect_rest, gives_back, pattern, settle};

pub(super) fn they_arrive_whole_with_the_address_of_their_sender(ends: &Ends) {
    let Ends { ctx, near, far, .. } = ends;
    let to = ends.to_far();
    for len in [1, 2, 100, 1400, 9000, ends.kind.len_max] {
        let bytes = pattern(len, len.min(ends.kind.len_max));
        let sent = done(ctx, near.send_to(bytes.clone(), to.as_ref()));
        assert!(sent == bytes, "the buffers come back");
        let (chunk, from) = done(ctx, far.recv_from());
        assert!(*chunk == *bytes, "{len} bytes");
        assert_eq!(from, near.local_address().unwrap());
    }
}

pub(super) fn the_parts_of_one_send_are_one_datagram(ends: &Ends) {
    let Ends { ctx, near, far, .. } = ends;
    let parts = [b"one ".to_vec(), Vec::new(), b"datagram".to_vec()];
    done(ctx, near.send_to(parts, ends.to_far().as_ref()));
    assert_eq!(&*done(ctx, far.recv_from()).0, b"one datagram");
}

pub(super) fn many_arrive_in_both_directions_in_order(ends: &Ends) {
    let Ends { ctx, near, far, .. } = ends;
    let to_far = ends.to_far();
    let to_near = to_far.is_some().then(|| near.local_address().unwrap());
    let (out, back) = (Rc::new(Queue::new(ctx)), Rc::new(Queue::new(ctx)));
    let sends: Vec<_> = (0..100_u8)
        .flat_map(|n| {
            [
                near.send_to_queued(&out, vec![n; 10], to_far.as_ref()),
                far.send_to_queued(&back, vec![n; 20], to_near.as_ref()),
            ]
        })
        .collect();
    for n in 0..100 {
        assert_eq!(*done(ctx, far.recv_from()).0, [n; 10]);
        assert_eq!(*done(ctx, near.recv_from()).0, [n; 20]);
    }
    for send in sends {
        done(ctx, send);
    }
}

pub(super) fn empty_ones_are_not_sent(ends: &Ends) {
    let Ends { ctx, near, far, .. } = ends;
    let to = ends.to_far();
    gives_back(ctx, near.send_to(&b""[..], to.as_ref()), Errno::INVAL);
    let parts: Vec<Vec<u8>> = vec![vec![], vec![]];
    gives_back(ctx, near.send_to(parts, to.as_ref()), Errno::INVAL);
    assert_eq!(far.skipped(), 0);
}

pub(super) fn empty_ones_are_skipped_and_counted(ends: &Ends) {
    let Ends { ctx, near, far, .. } = ends;
    let to = ends.to_far();
    near.pass_empty(true);
    let receive = far.recv_from();
    for _ in 0..200 {
        done(ctx, near.send_to(&b""[..], to.as_ref()));
        settle(ctx);
    }
    assert!(!receive.is_finished());
    done(ctx, near.send_to(&b"not empty"[..], to.as_ref()));
    assert_eq!(&*done(ctx, receive).0, b"not empty");
    assert_eq!(far.skipped(), 200);
    expect_rest(ctx);
}

pub(super) fn empty_ones_arrive_if_they_may(ends: &Ends) {
    let Ends { ctx, near, far, .. } = ends;
    let to = ends.to_far();
    assert!(!near.pass_empty(true) && !far.pass_empty(true));
    for bytes in [&b""[..], b"something", b""] {
        done(ctx, near.send_to(bytes, to.as_ref()));
        let (chunk, from) = done(ctx, far.recv_from());
        assert_eq!(&*chunk, bytes);
        assert_eq!(from, near.local_address().unwrap());
    }
    assert_eq!(far.skipped(), 0);
    assert!(near.pass_empty(false), "it says what it was");
    gives_back(ctx, near.send_to(&b""[..], to.as_ref()), Errno::INVAL);
}
