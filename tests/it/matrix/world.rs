//! One cell, told: everything that takes part in it, and what is done from within.

use std::any::Any;
use std::cell::{self, RefCell};
use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::rc::{Rc, Weak};

use rustix::io::Errno;
use tevent::{Completer, Context, Group, Queue, Request, Steps, WeakContext};
use tevent_tests::{Drops, Log, Tattle, settle};

use super::cells::{Action, Cell, Kind, Owner, Role, Timing, name};
use super::things::{Owns, Thing, forget_sent};

/// What the acting code panics with.
const PANIC: &str = "the code that acts panics";

pub(super) struct World {
    cell: Cell,
    timing: Timing,
    // All that the user holds of the context.
    handle: RefCell<Option<Context>>,
    weak: WeakContext,
    pub(super) log: Log,
    drops: Drops,
    made: cell::Cell<usize>,
    has_acted: cell::Cell<bool>,
    own: RefCell<Option<Thing>>,
    others: RefCell<Vec<Thing>>,
    added: RefCell<Vec<Thing>>,
    parent: RefCell<Option<Box<dyn Any>>>,
    // What goes on when the parent is gone, and what keeps it from ending by itself.
    kept: RefCell<Vec<Box<dyn Any>>>,
    unfinished: RefCell<Option<Completer<()>>>,
}

impl World {
    pub(super) fn new(ctx: Context, cell: Cell, timing: Timing) -> Rc<Self> {
        let world = Rc::new(Self {
            cell,
            timing,
            weak: ctx.downgrade(),
            handle: RefCell::default(),
            log: Log::new(),
            drops: Drops::new(),
            made: cell::Cell::new(0),
            has_acted: cell::Cell::new(false),
            own: RefCell::default(),
            others: RefCell::default(),
            added: RefCell::default(),
            parent: RefCell::default(),
            kept: RefCell::default(),
            unfinished: RefCell::default(),
        });
        let others = Kind::ALL.map(|kind| Thing::of(&world, &ctx, Role::Other, kind));
        world.others.replace(others.into());
        let own = Thing::of(&world, &ctx, Role::Own, cell.running);
        world.own.replace(Some(own.clone()));
        if let Action::DropParent(owner) = cell.action {
            let parent = world.parent_of(&ctx, owner, own);
            world.parent.replace(Some(parent));
        }
        let (request, completer) = Request::<()>::pair(&ctx, "unfinished");
        let request = request.on_done(world.log.noting("finished"));
        world.kept.borrow_mut().push(Box::new(request));
        world.unfinished.replace(Some(completer));
        world.handle.replace(Some(ctx));
        world
    }

    fn parent_of(&self, ctx: &Context, owner: Owner, own: Thing) -> Box<dyn Any> {
        let (subreq, completer) = Request::<()>::pair(ctx, "never");
        let state = (Owns(own), self.tattle());
        let request: Request<()> = Steps::start(ctx, "parent", state, |step| {
            step.then(subreq, |step, _| step.done(()))
        });
        let mut kept = self.kept.borrow_mut();
        kept.push(Box::new(completer));
        match owner {
            Owner::Steps => Box::new(request),
            Owner::Group => {
                let group = Group::new(ctx);
                group.add(request);
                Box::new(group)
            }
            Owner::Queue => {
                let queue = Queue::new(ctx);
                kept.push(Box::new(queue.add_eager(move || request)));
                let tattle = self.tattle();
                let waiting = queue.add(move || -> Request<()> {
                    tattle.hold();
                    panic!("it never has its turn")
                });
                kept.push(Box::new(waiting.on_done(self.log.noting("canceled"))));
                Box::new(queue)
            }
        }
    }

    /// Something whose drop is counted.
    pub(super) fn tattle(&self) -> Tattle {
        self.made.set(self.made.get() + 1);
        self.drops.tattle()
    }

    /// A thing of this world runs.
    pub(super) fn runs(self: &Rc<Self>, role: Role, kind: Kind) {
        self.log.note(name(role, kind));
        if role == Role::Own && !self.has_acted.replace(true) {
            self.act();
        }
    }

    fn other(&self, kind: Kind) -> Thing {
        let index = Kind::ALL.iter().position(|known| *known == kind);
        self.others.borrow()[index.expect("there is one of each")].clone()
    }

    fn excite_others(&self) {
        for kind in Kind::ALL {
            (self.other(kind).excite)();
        }
    }

    fn excite_own(&self) {
        let own = self.own.borrow().clone();
        (own.expect("it is there").excite)();
    }

    fn act(self: &Rc<Self>) {
        if self.timing == Timing::Within {
            self.excite_others();
        }
        let (running, own) = (self.cell.running, self.own.borrow().clone());
        let own = own.expect("it is there while it runs");
        match self.cell.action {
            Action::Add(kind) => {
                let ctx = self.weak.upgrade().expect("it is running");
                let thing = Thing::of(self, &ctx, Role::Added, kind);
                (thing.excite)();
                self.added.borrow_mut().push(thing);
            }
            Action::Change(kind) => (self.other(kind).change)(),
            Action::ChangeSelf => (own.excite)(),
            Action::DropSelf => {
                if running.repeats() {
                    (own.excite)();
                }
                (own.drop)();
            }
            Action::DropOther(kind) => (self.other(kind).drop)(),
            Action::DropParent(_) => {
                if running.repeats() {
                    (own.excite)();
                }
                let parent = self.parent.take();
                drop(parent.expect("it is dropped once"));
            }
            Action::DropLastHandle => {
                let handle = self.handle.take();
                drop(handle.expect("it is dropped once"));
            }
            Action::ReInitialise => {
                let ctx = self.weak.upgrade().expect("it is running");
                ctx.re_initialise().expect("there is room for a set");
            }
            Action::FinishRequest => {
                let completer = self.unfinished.take();
                completer.expect("it is finished once").done(());
            }
            Action::Panic => panic!("{PANIC}"),
        }
    }

    /// Lets everything happen, through panics; returns what the panics said.
    fn run(ctx: &Context) -> Vec<String> {
        let mut panics = Vec::new();
        let mut quiet_runs = 0;
        while quiet_runs < 2 {
            match panic::catch_unwind(AssertUnwindSafe(|| settle(ctx))) {
                Ok(()) => quiet_runs += 1,
                Err(panic) => panics.push(
                    panic
                        .downcast::<String>()
                        .map_or_else(|_| "not ours".to_owned(), |text| *text),
                ),
            }
            assert!(panics.len() < 10, "{panics:?}");
        }
        panics
    }

    /// Tells the cell: what has run, and what runs once changes were taken back.
    pub(super) fn traces(self: &Rc<Self>) -> (Vec<String>, Vec<String>) {
        self.excite_own();
        if self.timing == Timing::Before {
            self.excite_others();
        }
        let running = self.weak.upgrade().expect("it is held");
        let panics = Self::run(&running);
        let expected = match self.cell.action {
            Action::Panic => vec![PANIC.to_owned()],
            // What the verb waits for is of before, and nothing can bring it about.
            Action::ReInitialise => vec![format!(
                "the loop runs: {:?}",
                io::Error::from(Errno::DEADLK)
            )],
            _ => Vec::new(),
        };
        assert_eq!(panics, expected);
        let trace = self.log.take();
        if let Action::Change(kind) = self.cell.action {
            (self.other(kind).restore)();
        }
        assert_eq!(Self::run(&running), Vec::<String>::new());
        (trace, self.log.take())
    }

    /// One more of each kind runs, once.
    fn probe(self: &Rc<Self>, ctx: &Context) {
        let probes = Kind::ALL.map(|kind| Thing::of(self, ctx, Role::Probe, kind));
        for probe in &probes {
            (probe.excite)();
        }
        assert_eq!(Self::run(ctx), Vec::<String>::new());
        let mut seen = self.log.take();
        seen.sort();
        let mut expected: Vec<_> = Kind::ALL.map(|kind| name(Role::Probe, kind)).into();
        expected.extend([Kind::Cleanup, Kind::Cancel].map(|kind| format!("Probe {kind:?} done")));
        expected.sort();
        assert_eq!(seen, expected);
        for probe in probes {
            (probe.drop)();
        }
    }

    /// The context works, nothing is left behind, and nothing lives on.
    pub(super) fn end(self: Rc<Self>) {
        let handle = self.handle.take();
        if let Some(ctx) = &handle {
            self.probe(ctx);
        }
        assert_eq!(handle.is_none(), self.cell.action == Action::DropLastHandle);
        assert_eq!(
            self.weak.upgrade().is_none(),
            handle.is_none(),
            "nobody else holds the context"
        );
        let (own, others, added) = (self.own.take(), self.others.take(), self.added.take());
        for thing in own.into_iter().chain(others).chain(added) {
            (thing.drop)();
        }
        let rest = (self.parent.take(), self.kept.take(), self.unfinished.take());
        drop(rest);
        forget_sent();
        if let Some(ctx) = handle {
            assert_eq!(Self::run(&ctx), Vec::<String>::new());
            assert!(
                ctx.dump().entries().is_empty(),
                "left behind: {}",
                ctx.dump()
            );
        }
        assert!(self.weak.upgrade().is_none(), "nobody holds the context");
        let (made, drops, weak) = (self.made.get(), self.drops.clone(), Rc::downgrade(&self));
        drop(self);
        assert!(Weak::upgrade(&weak).is_none());
        assert_eq!(drops.count(), made, "everything was dropped");
    }
}
