//! Sessions over a stream that behave: order, ends, and what their owner learns.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use rustix::io::Errno;
use tevent::{Context, Timer};
use tevent_tests::contract::{done, expect_nothing_left, fails, pattern};
use tevent_tests::{expect_errno, settle};
use tsocket::session::{self, Io, Limits};
use tsocket::{Chaos, chaos, memory};

use super::{all, probe};

#[test]
fn what_is_sent_from_anywhere_arrives_in_order() {
    let ctx = Context::new().unwrap();
    let (near, far) = memory::stream_pair(&ctx);
    let handle = Rc::new(RefCell::new(None::<Io>));
    let running = session::run(&ctx, near, Limits::default(), |io| {
        io.send("made ").unwrap();
        handle.replace(Some(io.clone()));
        probe(|bytes, io| {
            io.send("inside ")?;
            Ok(bytes.len())
        })
        .0
    });
    let outside = handle.borrow().clone().unwrap();
    outside.send("outside ").unwrap();
    let timer = Timer::new(&ctx, {
        let io = outside.clone();
        move || io.send("timer ").unwrap()
    });
    timer.arm_after(Duration::from_millis(1));
    assert_eq!(done(&ctx, far.readv(vec![0; 19])), b"made outside timer ");
    done(&ctx, far.writev(&b"?"[..]));
    assert_eq!(done(&ctx, far.readv(vec![0; 7])), b"inside ");
    outside.send("last").unwrap();
    outside.close();
    expect_errno(outside.send("too late"), Errno::NOTCONN);
    assert_eq!(done(&ctx, far.readv(vec![0; 4])), b"last");
    drop(far);
    done(&ctx, running);
    expect_nothing_left(&ctx);
}

#[test]
fn a_thousand_small_sends_and_a_large_one_keep_their_order() {
    let ctx = Context::new().unwrap();
    let (near, far) = memory::stream_pair(&ctx);
    let rough = chaos(&ctx, near, 3, Chaos::HARMLESS).unwrap();
    let running = session::run(&ctx, rough, Limits::default(), |io| {
        for at in 0..1_000 {
            io.send(pattern(7 * at, 7)).unwrap();
        }
        io.send(pattern(7_000, 100_000)).unwrap();
        io.send(pattern(107_000, 10)).unwrap();
        probe(all).0
    });
    assert!(done(&ctx, far.readv(vec![0; 107_010])) == pattern(0, 107_010));
    drop(running);
}

#[test]
fn the_peer_that_goes_is_told_of_once_and_answers_still_go_out() {
    let ctx = Context::new().unwrap();
    let (near, far) = memory::stream_pair(&ctx);
    let (session, notes) = probe(|bytes, io| {
        io.send(vec![b'x'; 150_000])?;
        Ok(bytes.len() - 1)
    });
    let running = session::run(&ctx, near, Limits::default(), |_| session);
    done(&ctx, far.writev(&b"asked"[..]));
    done(&ctx, far.shutdown());
    assert_eq!(done(&ctx, far.readv(vec![0; 150_000])), vec![b'x'; 150_000]);
    assert!(done(&ctx, far.read(1)).is_empty());
    done(&ctx, running);
    assert_eq!(notes.borrow().closed, [(b"d".to_vec(), None)]);
    expect_nothing_left(&ctx);
}

#[test]
fn an_error_of_the_stream_reaches_session_and_owner() {
    let ctx = Context::new().unwrap();
    let (near, far) = memory::stream_pair(&ctx);
    let reset = Chaos {
        reset_within: Some(0),
        ..Chaos::default()
    };
    let broken = chaos(&ctx, near, 1, reset).unwrap();
    let (session, notes) = probe(all);
    let running = session::run(&ctx, broken, Limits::default(), |_| session);
    fails(&ctx, running, Errno::CONNRESET);
    let errno = Errno::CONNRESET.raw_os_error();
    assert_eq!(notes.borrow().closed, [(vec![], Some(errno))]);
    drop(far);
    expect_nothing_left(&ctx);
}

#[test]
fn a_peer_that_takes_no_more_is_listened_to_until_its_end() {
    let ctx = Context::new().unwrap();
    let (near, far) = memory::stream_pair(&ctx);
    let ends = Chaos {
        ends_writes_within: Some(0),
        ..Chaos::default()
    };
    let broken = chaos(&ctx, near, 1, ends).unwrap();
    let (session, notes) = probe(all);
    let running = session::run(&ctx, broken, Limits::default(), |io| {
        io.send("nobody takes this").unwrap();
        session
    });
    settle(&ctx);
    done(&ctx, far.writev(&b"last words"[..]));
    settle(&ctx);
    drop(far);
    fails(&ctx, running, Errno::PIPE);
    assert_eq!(notes.borrow().received, b"last words");
    let errno = Errno::PIPE.raw_os_error();
    assert_eq!(notes.borrow().closed, [(vec![], Some(errno))]);
}

#[test]
fn a_close_waits_for_a_slow_peer_and_a_deadline_ends_that() {
    let ctx = Context::new().unwrap();
    let (near, far) = memory::stream_pair(&ctx);
    let running = session::run(&ctx, near, Limits::default(), |io| {
        io.send(vec![0; memory::CAPACITY + 1]).unwrap();
        io.close();
        probe(all).0
    });
    settle(&ctx);
    assert!(!running.is_finished());
    running.set_timeout(Duration::from_millis(1));
    fails(&ctx, running, Errno::TIMEDOUT);
    drop(far);
    expect_nothing_left(&ctx);
}

#[test]
fn a_dropped_owner_takes_the_session_along_and_tells_it_nothing() {
    let ctx = Context::new().unwrap();
    let (near, far) = memory::stream_pair(&ctx);
    let (session, notes) = probe(all);
    let running = session::run(&ctx, near, Limits::default(), |_| session);
    settle(&ctx);
    drop(running);
    assert!(done(&ctx, far.read(1)).is_empty());
    assert!(notes.borrow().closed.is_empty());
    assert_eq!(Rc::strong_count(&notes), 1, "the session is gone");
    expect_nothing_left(&ctx);
}
