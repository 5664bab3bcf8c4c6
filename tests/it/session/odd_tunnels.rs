//! Tunnels that drop, flood and stop where it is least convenient.
#![expect(
    clippy::unwrap_used,
    reason = "what several tests do is a test in all but its attribute"
)]

use std::cell::{Cell, RefCell};
use std::io::{self, IoSlice, IoSliceMut, Read as _};
use std::rc::Rc;

use rustix::io::Errno;
use tevent::{Context, Request};
use tevent_tests::contract::{
    self, done, end_of, expect_nothing_left, expect_rest, fails, gives_back, pattern,
};
use tevent_tests::{expect_panic, settle, within_limit};
use tsocket::session::{self, Closed, Io, Limits, Session, Tunnel};
use tsocket::{Chaos, Stream, chaos, memory};

/// What a question is answered with: this many exclamation marks.
const ANSWER_LEN: usize = 100;

const SMALL: Limits = Limits {
    unconsumed: 2_000,
    unsent: 1_000,
};

/// Answers each question mark that it receives, passes on all else as it is, and calls what it was told to call.
struct Odd {
    call: Box<dyn FnMut()>,
    opened: Vec<u8>,
    ended: bool,
    negotiates: bool,
}

impl Odd {
    fn calling(call: impl FnMut() + 'static) -> Self {
        Self {
            call: Box::new(call),
            opened: Vec::new(),
            ended: false,
            negotiates: false,
        }
    }
}

impl Session for Odd {
    fn receive(&mut self, bytes: &mut [u8], io: &Io) -> io::Result<usize> {
        (self.call)();
        for byte in &*bytes {
            match byte {
                b'?' => io.send([b'!'; ANSWER_LEN])?,
                b'.' => self.negotiates = false,
                byte => self.opened.push(*byte),
            }
        }
        Ok(bytes.len())
    }

    fn closed(&mut self, _: Closed<'_>) {
        self.ended = true;
    }
}

impl Tunnel for Odd {
    fn read(&mut self, buffers: &mut [IoSliceMut<'_>]) -> usize {
        let read = (&self.opened[..]).read_vectored(buffers).unwrap();
        self.opened.drain(..read);
        read
    }

    fn pending(&self) -> usize {
        self.opened.len()
    }

    fn end(&self) -> Option<io::Result<()>> {
        self.ended.then_some(Ok(()))
    }

    fn write(&mut self, buffers: &[IoSlice<'_>], io: &Io) -> io::Result<usize> {
        let len = buffers[0].len().min(SMALL.unsent / 2);
        io.send(&buffers[0][..len])?;
        Ok(len)
    }

    fn is_negotiating(&self) -> bool {
        self.negotiates
    }
}

fn odd(ctx: &Context, stream: Stream) -> Stream {
    session::tunnel(ctx, stream, SMALL, |_| Odd::calling(|| ())).unwrap()
}

fn negotiate(ctx: &Context, stream: Stream, call: impl FnMut() + 'static) -> Request<(Stream, ())> {
    let make = |_: &Io| Odd {
        negotiates: true,
        ..Odd::calling(call)
    };
    session::negotiate(ctx, stream, "odd", Limits::default(), make, |_| ())
}

fn is_answered(ctx: &Context, peer: &Stream) {
    done(ctx, peer.writev(&b"?"[..]));
    let answer = done(ctx, peer.readv(vec![0; ANSWER_LEN]));
    assert_eq!(answer, [b'!'; ANSWER_LEN]);
}

#[test]
fn what_comes_after_something_was_read_is_answered_while_nobody_reads() {
    within_limit(|| {
        for kind in [contract::MEMORY, contract::SOCKETPAIR] {
            let ctx = Context::new().unwrap();
            let (near, far) = (kind.connect)(&ctx).unwrap();
            let near = odd(&ctx, near);
            for _ in 0..3 {
                done(&ctx, far.writev(&b"hello"[..]));
                settle(&ctx);
                assert_eq!(done(&ctx, near.readv(vec![0; 5])), b"hello");
                is_answered(&ctx, &far);
                expect_rest(&ctx);
            }
        }
    });
}

#[test]
fn a_tunnel_that_has_moved_answers_while_nobody_reads() {
    within_limit(|| {
        for kind in [contract::MEMORY, contract::SOCKETPAIR] {
            let (here, there) = (Context::new().unwrap(), Context::new().unwrap());
            let (near, far) = (kind.connect)(&here).unwrap();
            let near = odd(&here, near);
            settle(&here);
            let far = far.move_to(&there).unwrap();
            let _near = near.move_to(&there).unwrap();
            is_answered(&there, &far);
            expect_rest(&there);
        }
    });
}

#[test]
fn a_reader_that_waits_for_room_to_answer_goes_on_when_a_writer_made_it() {
    within_limit(|| {
        let ctx = Context::new().unwrap();
        let (near, far) = memory::stream_pair_holding(&ctx, 20 * ANSWER_LEN);
        let near = odd(&ctx, near);
        for count in [10, 10, 6] {
            done(&ctx, far.writev(vec![b'?'; count]));
            settle(&ctx);
        }
        // More waits now than half of what may.
        let read = near.readv(vec![0; 5]);
        done(&ctx, far.writev(&b"hello"[..]));
        settle(&ctx);
        assert!(!read.is_finished());
        let answers = far.readv(vec![0; 20 * ANSWER_LEN]);
        let write = near.writev(&b"x"[..]);
        done(&ctx, answers);
        done(&ctx, write);
        assert_eq!(done(&ctx, read), b"hello");
    });
}

#[test]
fn answers_that_nobody_can_take_any_more_do_not_end_the_reading() {
    let ctx = Context::new().unwrap();
    let (near, far) = memory::stream_pair(&ctx);
    let how = Chaos {
        ends_writes_within: Some(0),
        ..Chaos::default()
    };
    let near = odd(&ctx, chaos(&ctx, near, 1, how).unwrap());
    for _ in 0..10 {
        done(&ctx, far.writev(&b"?????"[..]));
        settle(&ctx);
    }
    done(&ctx, far.writev(&b"hello"[..]));
    assert_eq!(done(&ctx, near.readv(vec![0; 5])), b"hello");
    gives_back(&ctx, near.writev(vec![1]), Errno::PIPE);
}

#[test]
fn a_negotiation_leaves_no_interest_behind_that_nobody_has() {
    let ctx = Context::new().unwrap();
    let (near, far) = (contract::SOCKETPAIR.connect)(&ctx).unwrap();
    let write = near.writev(pattern(0, 4 << 20));
    settle(&ctx);
    assert!(!write.is_finished());
    drop(done(&ctx, far.readv(vec![0; 4 << 20])));
    done(&ctx, write);
    let negotiated = negotiate(&ctx, near, || ());
    expect_rest(&ctx);
    done(&ctx, far.writev(&b"."[..]));
    let (near, ()) = done(&ctx, negotiated);
    is_answered(&ctx, &far);
    drop(near);
}

#[test]
fn one_that_drops_its_negotiation_inside_receive_is_closed() {
    let ctx = Context::new().unwrap();
    let (near, far) = memory::stream_pair(&ctx);
    let own: Rc<Cell<Option<Request<_>>>> = Rc::default();
    let negotiated = negotiate(&ctx, near, {
        let own = own.clone();
        move || drop(own.take())
    });
    own.set(Some(negotiated));
    settle(&ctx);
    done(&ctx, far.writev(&b"hello"[..]));
    assert!(done(&ctx, far.read(1)).is_empty());
    expect_nothing_left(&ctx);
}

/// A tunnel that is given its own stream to do something with inside `receive`, once.
fn owned(
    ctx: &Context,
    how: impl FnOnce(Stream) + 'static,
) -> (Rc<RefCell<Option<Stream>>>, Stream) {
    let (near, far) = memory::stream_pair(ctx);
    let own: Rc<RefCell<Option<Stream>>> = Rc::default();
    let mut how = Some(how);
    let call = {
        let own = own.clone();
        move || {
            let stream = own.take();
            if let (Some(stream), Some(how)) = (stream, how.take()) {
                how(stream);
            }
        }
    };
    let near = session::tunnel(ctx, near, SMALL, |_| Odd::calling(call)).unwrap();
    own.replace(Some(near));
    (own, far)
}

#[test]
fn one_that_drops_its_stream_inside_receive_is_closed_afterwards() {
    let ctx = Context::new().unwrap();
    let (own, far) = owned(&ctx, drop);
    done(&ctx, far.writev(&b"hello"[..]));
    assert!(done(&ctx, far.read(1)).is_empty());
    assert!(own.borrow().is_none());
    expect_nothing_left(&ctx);
}

#[test]
fn one_that_closes_its_stream_inside_receive_ends_what_is_outstanding() {
    let ctx = Context::new().unwrap();
    let (own, far) = owned(&ctx, |stream| stream.abort());
    let other = own.borrow().clone().unwrap();
    let (read, write) = (
        other.read(10),
        other.writev(pattern(0, memory::CAPACITY + 1)),
    );
    done(&ctx, far.writev(&b"hello"[..]));
    fails(&ctx, read, Errno::CONNABORTED);
    gives_back(&ctx, write, Errno::CONNABORTED);
    fails(&ctx, other.read(1), Errno::NOTCONN);
    while !done(&ctx, far.read(1 << 16)).is_empty() {}
    drop((own, other));
    expect_nothing_left(&ctx);
}

#[test]
fn one_that_drops_a_write_inside_receive_ends_the_write_side() {
    let ctx = Context::new().unwrap();
    let writing = Rc::new(Cell::new(None));
    let (own, far) = owned(&ctx, {
        let writing = writing.clone();
        move |_| drop(writing.take())
    });
    let near = own.borrow().clone().unwrap();
    writing.set(Some(near.writev(pattern(0, 2 * memory::CAPACITY))));
    let ended = near.shutdown();
    done(&ctx, far.writev(&b"hello"[..]));
    settle(&ctx);
    assert!(writing.take().is_none());
    end_of(&ctx, ended).ok();
    gives_back(&ctx, near.writev(vec![1]), Errno::PIPE);
    assert_eq!(done(&ctx, near.readv(vec![0; 5])), b"hello");
}

#[test]
fn one_that_panics_inside_receive_is_not_called_again() {
    let ctx = Context::new().unwrap();
    let (near, far) = memory::stream_pair(&ctx);
    let calls = Rc::new(Cell::new(0));
    let call = {
        let calls = calls.clone();
        move || {
            calls.set(calls.get() + 1);
            panic!("a mistake");
        }
    };
    let near = session::tunnel(&ctx, near, SMALL, |_| Odd::calling(call)).unwrap();
    settle(&ctx);
    done(&ctx, far.writev(&b"hello"[..]));
    assert_eq!(expect_panic(|| settle(&ctx)), "a mistake");
    done(&ctx, far.writev(&b"hello"[..]));
    fails(&ctx, near.read(1), Errno::NOTCONN);
    assert_eq!(calls.get(), 1);
    drop(near);
    while !done(&ctx, far.read(1)).is_empty() {}
    expect_nothing_left(&ctx);
}

#[test]
fn a_session_over_messages_keeps_to_their_length() {
    for kind in [contract::MESSAGE_OVER_MEMORY, contract::MESSAGE_OVER_UNIX] {
        let ctx = Context::new().unwrap();
        let (near, far) = (kind.connect)(&ctx).unwrap();
        let running = session::run(&ctx, near, Limits::default(), |io| {
            io.send(pattern(0, 150_000)).unwrap();
            for at in 0..20 {
                io.send(pattern(150_000 + 5_000 * at, 5_000)).unwrap();
            }
            Odd::calling(|| ())
        });
        assert!(done(&ctx, far.readv(vec![0; 250_000])) == pattern(0, 250_000));
        drop(far);
        done(&ctx, running);
    }
}
