//! Scenario fd3: nine events on each end of a pair take turns, each told its part, none twice.

use std::cell::{Cell, RefCell};
use std::io::{ErrorKind, Write};
use std::os::unix::net::UnixStream;
use std::rc::Rc;

use tevent::{Context, FdEvent, Interest, Readiness};
use tevent_tests::{on_every_backend, run_to, scaled, settle, socket_pair, write_byte};

const R: Interest = Interest::READ;
const W: Interest = Interest::WRITE;
const E: Interest = Interest::ERROR;
const EVENTS: usize = 9;

/// One end of the pair with its events, and what they are to be told in this phase.
struct End {
    socket: Rc<UnixStream>,
    events: RefCell<Vec<FdEvent<Rc<UnixStream>>>>,
    asked: Cell<[Interest; EVENTS]>,
    expected: Cell<Readiness>,
    called: Cell<[bool; EVENTS]>,
    turns_left: Cell<usize>,
}

impl End {
    fn new(ctx: &Context, socket: UnixStream) -> Rc<Self> {
        let end = Rc::new(Self {
            socket: Rc::new(socket),
            events: RefCell::default(),
            asked: Cell::new([Interest::NONE; EVENTS]),
            expected: Cell::new(Readiness::NONE),
            called: Cell::default(),
            turns_left: Cell::new(0),
        });
        for index in 0..EVENTS {
            let weak = Rc::downgrade(&end);
            let handler = move |told| weak.upgrade().expect("it is there").told(index, told);
            let event = FdEvent::new(ctx, end.socket.clone(), Interest::NONE, handler);
            end.events.borrow_mut().push(event.expect("it works"));
        }
        end
    }

    /// Begins a phase in which the events ask for `asked` and the descriptor has `expected` for them.
    fn begin(&self, asked: [Interest; EVENTS], expected: Interest) {
        self.asked.set(asked);
        self.expected.set(expected.into());
        self.turns_left.set(scaled(127, 12_700));
        self.ask(asked);
    }

    fn ask(&self, asked: [Interest; EVENTS]) {
        for (event, interest) in self.events.borrow().iter().zip(asked) {
            let asked = event.set_interest(interest);
            asked.expect("the context is there");
        }
    }

    /// What the event is to be told; an error is not told to those who can only write.
    fn part_of(&self, index: usize) -> Readiness {
        let asked = self.asked.get()[index];
        if self.expected.get().contains(Readiness::ERROR) && asked == W {
            return Readiness::NONE;
        }
        self.expected.get() & asked.into()
    }

    fn told(&self, index: usize, told: Readiness) {
        assert!(self.turns_left.get() > 0, "event {index} in silence");
        assert_eq!(told, self.part_of(index), "event {index}");
        let mut called = self.called.get();
        assert!(!called[index], "event {index} twice before the others");
        called[index] = true;
        self.called.set(called);
        let is_eligible = |index: usize| !self.part_of(index).is_empty();
        if (0..EVENTS).all(|index| called[index] == is_eligible(index)) {
            self.called.set([false; EVENTS]);
            self.turns_left.set(self.turns_left.get() - 1);
        }
        if self.turns_left.get() == 0 {
            self.ask([Interest::NONE; EVENTS]);
        }
    }

    fn fill(&self) {
        let mut socket = &*self.socket;
        let full = loop {
            if let Err(err) = socket.write(&[0; 1024]) {
                break err;
            }
        };
        assert_eq!(full.kind(), ErrorKind::WouldBlock);
    }
}

fn run_phase(ctx: &Context, ends: &[&Rc<End>]) {
    run_to(ctx, || ends.iter().all(|end| end.turns_left.get() == 0));
    settle(ctx);
}

#[test]
fn nine_events_on_each_end_take_turns_and_are_told_their_part() {
    on_every_backend(|ctx| {
        let every_way = [
            Interest::NONE,
            R,
            W,
            E,
            R | W,
            R | E,
            W | E,
            R | W | E,
            R | W | E,
        ];
        let (near, far) = socket_pair();
        let (near, far) = (End::new(ctx, near), End::new(ctx, far));

        near.begin(every_way, W);
        far.begin([W; EVENTS], W);
        run_phase(ctx, &[&near, &far]);

        write_byte(&near.socket);
        write_byte(&far.socket);
        near.begin(every_way, R | W);
        far.begin([R | W; EVENTS], R | W);
        run_phase(ctx, &[&near, &far]);

        near.fill();
        far.fill();
        near.begin(every_way, R);
        far.begin([R | W; EVENTS], R);
        run_phase(ctx, &[&near, &far]);

        // The last event and the end itself own the descriptor: now the peer is gone.
        drop(near);
        far.begin(every_way, R | W | E);
        run_phase(ctx, &[&far]);
    });
}
