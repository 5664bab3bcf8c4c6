//! Streams in memory: what is theirs alone, and what only they let one see of the front.

use std::time::Duration;

use rustix::io::Errno;
use tevent::{Context, ManualClock};
use tevent_tests::contract::{done, expect_nothing_left, fails, gives_back, pattern};
use tevent_tests::{expect_errno, settle};
use tsocket::{DISCONNECT_TIME, memory, pdu};

#[test]
fn a_vectored_read_leaves_no_hole_where_the_memory_wraps_round() {
    let ctx = Context::new().unwrap();
    let (near, far) = memory::stream_pair(&ctx);
    // Never empty, and of lengths that do not divide any buffer: it wraps round at every place.
    let mut written = 900;
    let mut read = 0;
    done(&ctx, near.writev(pattern(0, written)));
    for round in 0..2_000 {
        let len = 700 + round % 13;
        done(&ctx, near.writev(pattern(written, len)));
        written += len;
        let pieces = done(&ctx, far.readv(vec![vec![0; 333], vec![0; len - 333]]));
        assert!(pieces.concat() == pattern(read, len), "round {round}");
        read += len;
    }
}

#[test]
fn each_direction_holds_what_it_says() {
    let ctx = Context::new().unwrap();
    let (near, far) = memory::stream_pair(&ctx);
    done(&ctx, near.writev(pattern(0, memory::CAPACITY)));
    let over = near.writev(pattern(memory::CAPACITY, 1));
    settle(&ctx);
    assert!(!over.is_finished());
    assert_eq!(far.pending_bytes().unwrap(), memory::CAPACITY);
    assert_eq!(&*done(&ctx, far.read(1)), pattern(0, 1));
    done(&ctx, over);
}

#[test]
fn a_write_gives_its_result_at_once_if_it_is_over() {
    let ctx = Context::new().unwrap();
    let (near, far) = memory::stream_pair(&ctx);
    let written = near.writev_now(pattern(0, memory::CAPACITY)).unwrap();
    assert_eq!(written.unwrap().len(), memory::CAPACITY);
    let waits = near.writev_now(b"!".to_vec()).unwrap_err();
    let busy = near.writev_now(b"?".to_vec()).unwrap().unwrap_err();
    assert_eq!(busy.buffers, b"?");
    expect_errno::<()>(Err(busy.error), Errno::BUSY);
    assert_eq!(&*done(&ctx, far.read(1)), pattern(0, 1));
    assert_eq!(done(&ctx, waits), b"!");
}

#[test]
fn an_untouched_write_leaves_no_trace() {
    let ctx = Context::new().unwrap();
    let (near, far) = memory::stream_pair(&ctx);
    done(&ctx, near.writev(pattern(0, memory::CAPACITY)));
    drop(near.writev(vec![1; 10]));
    let untouched = near.writev(vec![2; 10]);
    settle(&ctx);
    drop(untouched);
    done(&ctx, far.readv(vec![0; memory::CAPACITY]));
    done(&ctx, near.writev(&b"goes on"[..]));
    assert_eq!(&*done(&ctx, far.read(100)), b"goes on");
}

#[test]
fn a_disconnect_waits_for_the_peer_only_so_long() {
    let clock = ManualClock::default();
    let ctx = Context::builder().manual_clock(&clock).build().unwrap();
    let (near, far) = memory::stream_pair(&ctx);
    let disconnected = near.disconnect();
    clock.advance(DISCONNECT_TIME - Duration::from_millis(1));
    settle(&ctx);
    assert!(!disconnected.is_finished());
    clock.advance(Duration::from_millis(2));
    done(&ctx, disconnected);
    gives_back(&ctx, far.writev(vec![1]), Errno::PIPE);
    expect_nothing_left(&ctx);
}

#[test]
fn a_disconnect_that_is_given_up_closes_and_says_why() {
    for _ in 0..2 {
        let ctx = Context::new().unwrap();
        let (near, far) = memory::stream_pair(&ctx);
        let late = near.disconnect();
        late.set_timeout(Duration::from_millis(1));
        fails(&ctx, late, Errno::TIMEDOUT);
        fails(&ctx, near.read(1), Errno::NOTCONN);

        drop(far.disconnect());
        fails(&ctx, far.read(1), Errno::NOTCONN);
        expect_nothing_left(&ctx);
    }
}

#[test]
fn a_shutdown_that_is_given_up_says_why_and_can_be_asked_for_again() {
    let ctx = Context::new().unwrap();
    let (near, far) = memory::stream_pair(&ctx);
    let write = near.writev(pattern(0, memory::CAPACITY + 1));
    let unwanted = near.shutdown();
    unwanted.cancel();
    fails(&ctx, unwanted, Errno::CANCELED);
    let wanted = near.shutdown();
    assert!(done(&ctx, far.readv(vec![0; memory::CAPACITY + 1])).len() > memory::CAPACITY);
    done(&ctx, write);
    done(&ctx, wanted);
    assert!(done(&ctx, far.read(1)).is_empty());
}

#[test]
fn without_its_context_a_stream_does_nothing_more() {
    let ctx = Context::new().unwrap();
    let (near, far) = memory::stream_pair(&ctx);
    let read = near.read(1);
    drop(ctx);
    assert!(!read.is_finished());
    drop(read);
    assert!(near.disconnect().is_finished());
    assert!(far.writev(vec![1]).is_finished());
    expect_errno(near.pending_bytes(), Errno::NOTCONN);
}

#[test]
fn a_stream_may_be_closed_by_the_function_that_a_read_asks() {
    let ctx = Context::new().unwrap();
    let (near, far) = memory::stream_pair(&ctx);
    let own = std::rc::Rc::new(far.clone());
    let read = far.read_pdu(move |arrived| {
        own.abort();
        pdu::u32_be(10)(arrived)
    });
    fails(&ctx, read, Errno::CONNABORTED);
    gives_back(&ctx, near.writev(vec![1]), Errno::PIPE);
}
