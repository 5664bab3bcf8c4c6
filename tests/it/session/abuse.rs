//! Sessions that do what they should not, over streams: each has its outcome.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use rustix::io::Errno;
use tevent::{Context, Request};
use tevent_tests::contract::{
    done, end_of, expect_nothing_left, expect_rest, fails, gives_back, pattern,
};
use tevent_tests::{expect_errno, expect_panic, settle};
use tsocket::session::{self, Io, Limits, Session};
use tsocket::{Stream, memory};

use super::{all, probe};

fn start<S: Session>(ctx: &Context, session: S) -> (Request<S>, Stream) {
    let (near, far) = memory::stream_pair(ctx);
    let running = session::run(ctx, near, Limits::default(), |_| session);
    (running, far)
}

#[test]
fn one_that_consumes_nothing_for_ever_stops_its_peer_and_nobody_else() {
    let ctx = Context::new().unwrap();
    let (session, notes) = probe(|_, _| Ok(0));
    let (running, far) = start(&ctx, session);
    let write = far.writev(pattern(0, 1 << 20));
    settle(&ctx);
    assert!(!write.is_finished() && !running.is_finished());
    expect_rest(&ctx);
    let most = notes.borrow().offered.iter().copied().max();
    assert_eq!(most, Some(Limits::default().unconsumed));
    running.cancel();
    fails(&ctx, running, Errno::CANCELED);
    gives_back(&ctx, write, Errno::PIPE);
    expect_nothing_left(&ctx);
}

#[test]
fn one_that_consumes_byte_by_byte_and_asks_for_more_gets_everything() {
    let ctx = Context::new().unwrap();
    let (session, notes) = probe(|_, io| {
        io.resume();
        Ok(1)
    });
    let (running, far) = start(&ctx, session);
    done(&ctx, far.writev(pattern(0, 5_000)));
    done(&ctx, far.shutdown());
    let session = done(&ctx, running);
    assert_eq!(session.notes.borrow().received, pattern(0, 5_000));
    assert_eq!(notes.borrow().closed, [(vec![], None)]);
}

#[test]
fn one_that_consumes_byte_by_byte_and_does_not_ask_gets_one_for_each_arrival() {
    let ctx = Context::new().unwrap();
    let (session, notes) = probe(|_, _| Ok(1));
    let (running, far) = start(&ctx, session);
    for _ in 0..3 {
        done(&ctx, far.writev(&b"abc"[..]));
        settle(&ctx);
    }
    assert_eq!(notes.borrow().offered, [3, 5, 7]);
    drop(far);
    done(&ctx, running);
    assert_eq!(notes.borrow().closed, [(b"abcabc".to_vec(), None)]);
}

#[test]
fn one_that_asks_again_and_consumes_nothing_does_not_spin() {
    let ctx = Context::new().unwrap();
    let (session, notes) = probe(|_, io| {
        io.resume();
        Ok(0)
    });
    let (running, far) = start(&ctx, session);
    done(&ctx, far.writev(&b"abc"[..]));
    expect_rest(&ctx);
    assert_eq!(notes.borrow().offered, [3]);
    drop(running);
    expect_nothing_left(&ctx);
}

#[test]
fn one_that_consumes_more_than_offered_fails() {
    let ctx = Context::new().unwrap();
    let (session, notes) = probe(|bytes, _| Ok(bytes.len() + 1));
    let (running, far) = start(&ctx, session);
    done(&ctx, far.writev(&b"abc"[..]));
    assert!(
        done(&ctx, far.read(1)).is_empty(),
        "the transport is closed"
    );
    far.abort();
    fails(&ctx, running, Errno::INVAL);
    assert!(notes.borrow().closed.is_empty());
}

#[test]
fn one_that_fails_is_closed_and_its_owner_told_why() {
    let ctx = Context::new().unwrap();
    let (session, notes) = probe(|_, io| {
        io.send("what?")?;
        Err(Errno::BADMSG.into())
    });
    let (running, far) = start(&ctx, session);
    done(&ctx, far.writev(&b"abc"[..]));
    assert_eq!(done(&ctx, far.readv(vec![0; 5])), b"what?");
    done(&ctx, far.writev(&b"and more"[..]));
    assert!(done(&ctx, far.read(1)).is_empty());
    far.abort();
    fails(&ctx, running, Errno::BADMSG);
    assert_eq!(notes.borrow().offered, [3], "not called again");
}

#[test]
fn one_that_fails_does_not_wait_for_a_peer_that_takes_nothing() {
    let ctx = Context::new().unwrap();
    let (session, _) = probe(|_, io| {
        io.send(vec![0; memory::CAPACITY + 1])?;
        Err(Errno::BADMSG.into())
    });
    let (running, far) = start(&ctx, session);
    done(&ctx, far.writev(&b"abc"[..]));
    fails(&ctx, running, Errno::BADMSG);
    drop(far);
    expect_nothing_left(&ctx);
}

#[test]
fn one_that_stops_and_resumes_loses_nothing() {
    let ctx = Context::new().unwrap();
    let is_full = Rc::new(Cell::new(true));
    let (session, notes) = probe({
        let is_full = is_full.clone();
        move |bytes, _| Ok(if is_full.get() { 0 } else { bytes.len() })
    });
    let handle = Rc::new(RefCell::new(None::<Io>));
    let (near, far) = memory::stream_pair(&ctx);
    let running = session::run(&ctx, near, Limits::default(), |io| {
        handle.replace(Some(io.clone()));
        session
    });
    let total = 300_000;
    let write = far.writev(pattern(0, total));
    let resume = || handle.borrow().as_ref().unwrap().resume();
    for _ in 0..10 {
        settle(&ctx);
        is_full.set(false);
        resume();
        resume();
        let before = notes.borrow().received.len();
        assert_eq!(notes.borrow().received.len(), before, "not from inside");
        settle(&ctx);
        is_full.set(true);
    }
    assert!(notes.borrow().received == pattern(0, total));
    done(&ctx, write);
    drop((far, handle));
    done(&ctx, running);
}

#[test]
fn one_that_closes_inside_receive_sends_what_it_had_to_say() {
    let ctx = Context::new().unwrap();
    let (session, notes) = probe(|bytes, io| {
        io.send("bye")?;
        io.close();
        Ok(bytes.len())
    });
    let (running, far) = start(&ctx, session);
    done(&ctx, far.writev(&b"hello"[..]));
    assert_eq!(done(&ctx, far.readv(vec![0; 3])), b"bye");
    assert!(done(&ctx, far.read(1)).is_empty());
    done(&ctx, far.writev(&b"are you there?"[..]));
    far.abort();
    done(&ctx, running);
    assert_eq!(notes.borrow().offered, [5]);
    assert!(
        notes.borrow().closed.is_empty(),
        "it was the session that closed"
    );
}

#[test]
fn one_that_drops_itself_inside_receive_is_gone_afterwards() {
    let ctx = Context::new().unwrap();
    let own: Rc<Cell<Option<Request<_>>>> = Rc::default();
    let (session, notes) = probe({
        let own = own.clone();
        move |bytes: &mut [u8], io: &Io| {
            drop(own.take());
            assert!(io.is_closed());
            expect_errno(io.send("late"), Errno::NOTCONN);
            io.resume();
            Ok(bytes.len())
        }
    });
    let session: Box<dyn Session> = Box::new(session);
    let (running, far) = start(&ctx, Boxed(session));
    own.set(Some(running));
    done(&ctx, far.writev(&b"hello"[..]));
    assert!(done(&ctx, far.read(1)).is_empty());
    assert_eq!(notes.borrow().offered, [5]);
    assert_eq!(Rc::strong_count(&notes), 1, "the session is gone");
    expect_nothing_left(&ctx);
}

/// A session whose type does not name itself.
struct Boxed(Box<dyn Session>);

impl Session for Boxed {
    fn receive(&mut self, bytes: &mut [u8], io: &Io) -> std::io::Result<usize> {
        self.0.receive(bytes, io)
    }

    fn closed(&mut self, closed: session::Closed<'_>) {
        self.0.closed(closed);
    }
}

#[test]
fn one_that_panics_takes_its_stream_with_it_and_nothing_else() {
    let ctx = Context::new().unwrap();
    let (session, _) = probe(|_, _| panic!("a mistake"));
    let (running, far) = start(&ctx, session);
    let (other, other_far) = start(&ctx, probe(all).0);
    done(&ctx, far.writev(&b"hello"[..]));
    assert_eq!(expect_panic(|| settle(&ctx)), "a mistake");
    assert!(done(&ctx, far.read(1)).is_empty());
    fails(&ctx, running, Errno::IO);
    drop(other_far);
    done(&ctx, other);
}

#[test]
fn a_peer_that_takes_nothing_stops_an_echo_and_costs_no_more_than_the_limits() {
    let ctx = Context::new().unwrap();
    let io = Rc::new(RefCell::new(None::<Io>));
    let (near, far) = memory::stream_pair(&ctx);
    let running = session::run(&ctx, near, Limits::default(), |own| {
        io.replace(Some(own.clone()));
        probe(|bytes, io| {
            io.send(&*bytes)?;
            Ok(bytes.len())
        })
        .0
    });
    let write = far.writev(pattern(0, 4 << 20));
    settle(&ctx);
    settle(&ctx);
    assert!(!write.is_finished() && !running.is_finished());
    assert!(io.borrow().as_ref().unwrap().unsent() <= Limits::default().unsent);
    expect_rest(&ctx);
    // It goes on where it stood.
    assert!(done(&ctx, far.readv(vec![0; 4 << 20])) == pattern(0, 4 << 20));
    done(&ctx, write);
    io.take();
    drop(far);
    end_of(&ctx, running).ok();
    expect_nothing_left(&ctx);
}
