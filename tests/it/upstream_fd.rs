//! Scenarios fd1 and fd2: one event is told what it asks for, and two fill and drain each other.

use std::cell::{Cell, OnceCell, RefCell};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::rc::{Rc, Weak};
use std::time::Duration;

use tevent::{Context, FdEvent, Interest, Readiness, Timer};
use tevent_tests::{on_every_backend, run_to, settle, socket_pair, write_byte};

const R: Interest = Interest::READ;
const W: Interest = Interest::WRITE;

/// An end that asks for one thing after the other, and its peer that asks for nothing.
#[derive(Default)]
struct Cycle {
    event: OnceCell<FdEvent<UnixStream>>,
    far: RefCell<Option<FdEvent<UnixStream>>>,
    is_draining: Cell<bool>,
    writes: Cell<u32>,
    reads: Cell<u32>,
    drained: Cell<u32>,
}

impl Cycle {
    fn event(&self) -> &FdEvent<UnixStream> {
        self.event.get().expect("it was made before it was told")
    }

    fn ask(&self, interest: Interest) {
        let asked = self.event().set_interest(interest);
        asked.expect("the context is there");
    }

    fn told(&self, told: Readiness) {
        if self.is_draining.get() {
            assert!(told.contains(Readiness::READ), "{told:?}");
            let mut byte = [0];
            match self.event().get_ref().read(&mut byte) {
                Ok(1) => self.drained.set(self.drained.get() + 1),
                _ => self.ask(Interest::NONE),
            }
            return;
        }
        let asked = self.event().interest();
        assert_eq!(told, Readiness::from(asked), "exactly what was asked for");
        if asked == W {
            self.writes.set(self.writes.get() + 1);
            let far = self.far.borrow();
            write_byte(far.as_ref().expect("the peer is there").get_ref());
            self.ask(R);
        } else {
            // The byte stays where it is: only the interest silences the event.
            self.reads.set(self.reads.get() + 1);
            self.ask(Interest::NONE);
        }
    }
}

/// Runs the loop for `milliseconds`, whatever happens meanwhile.
fn run_for(ctx: &Context, milliseconds: u64) {
    let is_over = Rc::new(Cell::new(false));
    let over = is_over.clone();
    let timer = Timer::new(ctx, move || over.set(true));
    timer.arm_after(Duration::from_millis(milliseconds));
    run_to(ctx, || is_over.get());
}

#[test]
fn an_event_is_told_exactly_what_it_asks_for_at_that_moment() {
    on_every_backend(|ctx| {
        let (near, far) = socket_pair();
        let cycle = Rc::new(Cycle::default());
        let weak: Weak<Cycle> = Rc::downgrade(&cycle);
        let handler = move |told| weak.upgrade().expect("it is there").told(told);
        let event = FdEvent::new(ctx, near, W, handler).unwrap();
        cycle.event.set(event).expect("it was empty");
        let never = |told| panic!("asked for nothing, told {told:?}");
        let far = FdEvent::new(ctx, far, Interest::NONE, never).unwrap();
        cycle.far.replace(Some(far));
        for (round, pause) in [(1, 10), (2, 2), (3, 2)] {
            run_to(ctx, || cycle.reads.get() == round);
            run_for(ctx, pause);
            assert_eq!((cycle.writes.get(), cycle.reads.get()), (round, round));
            assert_eq!(cycle.event().interest(), Interest::NONE);
            if round < 3 {
                cycle.ask(W);
            }
        }

        cycle.is_draining.set(true);
        cycle.far.take();
        cycle.ask(R | W);
        run_to(ctx, || cycle.event().interest().is_empty());
        assert_eq!(cycle.drained.get(), 3, "one byte for each round");
        cycle.is_draining.set(false);
        run_for(ctx, 5);
        assert_eq!((cycle.writes.get(), cycle.reads.get()), (3, 3));
    });
}

/// An end that writes numbers until there is no room, then reads what the other end wrote.
struct End {
    event: OnceCell<FdEvent<UnixStream>>,
    peer: OnceCell<Weak<Self>>,
    is_first_call: Cell<bool>,
    is_full: Cell<bool>,
    is_drained: Cell<bool>,
    sent: Cell<u8>,
    sent_count: Cell<usize>,
    received: Cell<u8>,
    received_count: Cell<usize>,
}

impl End {
    fn new(ctx: &Context, socket: UnixStream) -> Rc<Self> {
        let end = Rc::new(Self {
            event: OnceCell::new(),
            peer: OnceCell::new(),
            is_first_call: Cell::new(true),
            is_full: Cell::new(false),
            is_drained: Cell::new(false),
            sent: Cell::new(0),
            sent_count: Cell::new(0),
            received: Cell::new(0),
            received_count: Cell::new(0),
        });
        let weak = Rc::downgrade(&end);
        let handler = move |told| weak.upgrade().expect("it is there").told(told);
        let event = FdEvent::new(ctx, socket, R | W, handler).expect("it works");
        end.event.set(event).expect("it was empty");
        end
    }

    fn event(&self) -> &FdEvent<UnixStream> {
        self.event.get().expect("it was made before it was told")
    }

    fn ask(&self, interest: Interest) {
        let asked = self.event().set_interest(interest);
        asked.expect("the context is there");
    }

    fn peer(&self) -> Rc<Self> {
        let peer = self.peer.get().and_then(Weak::upgrade);
        peer.expect("it was made before it was told")
    }

    /// Writes the next number, and returns whether there was room for it.
    fn send(&self) -> bool {
        match self.event().get_ref().write(&[self.sent.get()]) {
            Ok(1) => {
                self.sent.set(self.sent.get().wrapping_add(1));
                self.sent_count.set(self.sent_count.get() + 1);
                true
            }
            Err(err) if err.kind() == ErrorKind::WouldBlock => false,
            other => panic!("{other:?}"),
        }
    }

    fn told(&self, told: Readiness) {
        if self.is_first_call.replace(false) {
            assert_eq!(told, Readiness::from(R | W));
        }
        assert!(told.contains(Readiness::READ), "{told:?}");
        let peer = self.peer();
        if self.is_full.get() {
            self.drain(told);
        } else if !told.contains(Readiness::WRITE) || !self.send() {
            self.is_full.set(true);
            self.ask(Interest::NONE);
            if peer.is_full.get() {
                self.ask(R | W);
                peer.ask(R | W);
            }
        }
    }

    fn drain(&self, told: Readiness) {
        let peer = self.peer();
        assert!(peer.is_full.get(), "a parked event is silent");
        if peer.received_count.get() == self.sent_count.get() {
            assert!(told.contains(Readiness::WRITE), "there is room again");
        }
        let mut byte = [0];
        let read = self.event().get_ref().read_exact(&mut byte);
        read.expect("a byte is there");
        assert_eq!(byte[0], self.received.get(), "in the order of the writes");
        self.received.set(self.received.get().wrapping_add(1));
        self.received_count.set(self.received_count.get() + 1);
        if self.received_count.get() == peer.sent_count.get() {
            self.ask(R);
            self.is_drained.set(true);
        }
    }
}

#[test]
fn two_ends_fill_each_other_park_and_drain_in_order() {
    on_every_backend(|ctx| {
        let (near, far) = socket_pair();
        let (near, far) = (End::new(ctx, near), End::new(ctx, far));
        near.peer.set(Rc::downgrade(&far)).expect("it was empty");
        far.peer.set(Rc::downgrade(&near)).expect("it was empty");
        assert!(near.send() && far.send(), "the first byte always fits");
        run_to(ctx, || near.is_drained.get() && far.is_drained.get());
        assert!(near.sent_count.get() > 16 && far.sent_count.get() > 16);
        settle(ctx);
        for end in [near, far] {
            assert_eq!(end.event().interest(), R);
        }
    });
}
