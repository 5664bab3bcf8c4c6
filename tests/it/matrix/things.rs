//! One thing of each kind: how it becomes ready, changes, and is dropped.

use std::cell::RefCell;
use std::os::unix::net::UnixStream;
use std::rc::{Rc, Weak};

use tevent::{Completer, Context, FdEvent, Immediate, Interest, Queue, Request, Signal, Timer};
use tevent_tests::{Tattle, raise, read_byte, socket_pair, write_byte};

use super::cells::{Kind, Role, name};
use super::world::World;

type Slot<T> = Rc<RefCell<Option<T>>>;

fn slot<T>(content: T) -> Slot<T> {
    Rc::new(RefCell::new(Some(content)))
}

type Verb = Rc<dyn Fn()>;

/// A thing of any kind, as the verbs that it knows.
#[derive(Clone)]
pub(super) struct Thing {
    /// Has it run, soon.
    pub(super) excite: Verb,
    pub(super) change: Verb,
    /// Takes back a change that keeps it from running.
    pub(super) restore: Verb,
    pub(super) drop: Verb,
}

impl Thing {
    /// One with nothing to change.
    fn new(excite: impl Fn() + 'static, drop: impl Fn() + 'static) -> Self {
        Self {
            excite: Rc::new(excite),
            change: Rc::new(|| {}),
            restore: Rc::new(|| {}),
            drop: Rc::new(drop),
        }
    }

    fn changing(mut self, change: impl Fn() + 'static, restore: impl Fn() + 'static) -> Self {
        self.change = Rc::new(change);
        self.restore = Rc::new(restore);
        self
    }

    /// A thing of `kind` that tells `world` when it runs.
    pub(super) fn of(world: &Rc<World>, ctx: &Context, role: Role, kind: Kind) -> Self {
        let runs = Runs {
            world: Rc::downgrade(world),
            role,
            kind,
            _tattle: world.tattle(),
        };
        match kind {
            Kind::Fd => fd(world, ctx, runs),
            Kind::Timer => timer(ctx, runs),
            Kind::Signal => signal(ctx, runs),
            Kind::Immediate => immediate(ctx, runs),
            Kind::Remote => remote(ctx, runs),
            Kind::Trigger => trigger(ctx, runs),
            Kind::Completion => completion(world, ctx, runs),
            Kind::Cleanup => cleanup(world, ctx, runs),
            Kind::Cancel => cancel(world, ctx, runs),
        }
    }
}

/// Dropping it drops a thing.
pub(super) struct Owns(pub(super) Thing);

impl Drop for Owns {
    fn drop(&mut self) {
        (self.0.drop)();
    }
}

/// What a handler owns: the way to tell that it runs, and something whose drop is counted.
struct Runs {
    world: Weak<World>,
    role: Role,
    kind: Kind,
    _tattle: Tattle,
}

impl Runs {
    fn run(&self) {
        if let Some(world) = self.world.upgrade() {
            world.runs(self.role, self.kind);
        }
    }

    fn note(&self, suffix: &str) {
        if let Some(world) = self.world.upgrade() {
            let name = name(self.role, self.kind);
            world.log.note(format!("{name} {suffix}"));
        }
    }

    /// Another handler of the same thing.
    fn beside(&self, world: &World) -> Self {
        Self {
            world: self.world.clone(),
            role: self.role,
            kind: self.kind,
            _tattle: world.tattle(),
        }
    }
}

fn clear<T>(slot: &Slot<T>) {
    let content = slot.take();
    drop(content);
}

fn fd(world: &World, ctx: &Context, runs: Runs) -> Thing {
    let (near, far) = socket_pair();
    // Drained when it changes, because a level that nobody looks at stays.
    let reader = near.try_clone().expect("there is a descriptor left");
    let far: Rc<UnixStream> = Rc::new(far);
    let held = world.tattle();
    let event = FdEvent::new(ctx, near, Interest::READ, move |_| {
        held.hold();
        read_byte(&reader);
        runs.run();
    });
    let event = slot(event.expect("a socket can be watched"));
    let (changed, restored, dropped) = (event.clone(), event.clone(), event);
    let ask = |event: &Slot<FdEvent<UnixStream>>, interest| {
        if let Some(event) = event.borrow().as_ref() {
            event.set_interest(interest).expect("it can be asked for");
        }
    };
    Thing::new(move || write_byte(&far), move || clear(&dropped)).changing(
        move || ask(&changed, Interest::NONE),
        move || ask(&restored, Interest::READ),
    )
}

fn timer(ctx: &Context, runs: Runs) -> Thing {
    let timer = slot(Timer::new(ctx, move || runs.run()));
    let (excited, changed, weak) = (timer.clone(), timer.clone(), ctx.downgrade());
    let arm = move |timer: &Slot<Timer>| {
        if let (Some(timer), Some(ctx)) = (timer.borrow().as_ref(), weak.upgrade()) {
            timer.arm(ctx.now());
        }
    };
    let again = arm.clone();
    Thing::new(move || arm(&excited), move || clear(&timer))
        .changing(move || again(&changed), || {})
}

fn signal(ctx: &Context, runs: Runs) -> Thing {
    let signum = runs.role.signum();
    let signal = Signal::new(ctx, signum, move |_| runs.run()).expect("it can be handled");
    let signal = slot(signal);
    Thing::new(move || raise(signum), move || clear(&signal))
}

fn immediate(ctx: &Context, runs: Runs) -> Thing {
    let immediate = slot(Immediate::new(ctx, move || runs.run()));
    let (excited, changed) = (immediate.clone(), immediate.clone());
    let schedule = |immediate: &Slot<Immediate>| {
        if let Some(immediate) = immediate.borrow().as_ref() {
            immediate.schedule();
        }
    };
    Thing::new(move || schedule(&excited), move || clear(&immediate))
        .changing(move || schedule(&changed), || {})
}

thread_local! {
    /// What was sent, which cannot travel itself: a call brings its index.
    static SENT: RefCell<Vec<Rc<Runs>>> = const { RefCell::new(Vec::new()) };
}

/// Drops what was sent.
pub(super) fn forget_sent() {
    let sent = SENT.take();
    drop(sent);
}

fn remote(ctx: &Context, runs: Runs) -> Thing {
    let remote = ctx.remote();
    let index = SENT.with_borrow_mut(|sent| {
        sent.push(Rc::new(runs));
        sent.len() - 1
    });
    let send = move || {
        let sent = remote.send(move |_| {
            let runs = SENT.with_borrow(|sent| sent[index].clone());
            runs.run();
        });
        sent.expect("the context is there");
    };
    Thing::new(send, || {})
}

fn trigger(ctx: &Context, runs: Runs) -> Thing {
    let queue = Rc::new(Queue::new(ctx));
    queue.stop();
    let entry = slot(queue.add_entry(move |turn| {
        turn.expect("the queue is there");
        runs.run();
    }));
    let (changed, restored) = (queue.clone(), queue.clone());
    Thing::new(move || queue.start(), move || clear(&entry))
        .changing(move || changed.stop(), move || restored.start())
}

fn completion(world: &Rc<World>, ctx: &Context, runs: Runs) -> Thing {
    let (request, completer) = Request::<()>::pair(ctx, "completion");
    let another = RefCell::new(Some(runs.beside(world)));
    let request = slot(request.on_done(move |result| {
        result.expect("it was done");
        runs.run();
    }));
    let (completer, changed) = (slot(completer), request.clone());
    let done = completer.clone();
    let excite = move || {
        if let Some(completer) = done.take() {
            completer.done(());
        }
    };
    let drop = move || {
        clear(&request);
        clear(&completer);
    };
    let change = move || {
        if let (Some(request), Some(runs)) = (changed.take(), another.take()) {
            changed.replace(Some(request.on_done(move |_| runs.note("changed"))));
        }
    };
    Thing::new(excite, drop).changing(change, || {})
}

type Parts = (Slot<Rc<Request<()>>>, Slot<Completer<()>>);

/// A request that notes that it is done.
fn noting_request(world: &Rc<World>, ctx: &Context, runs: &Runs) -> Parts {
    let (request, completer) = Request::<()>::pair(ctx, "request");
    let done = runs.beside(world);
    let request = request.on_done(move |_| done.note("done"));
    (slot(Rc::new(request)), slot(completer))
}

/// A thing that is made of a request, and of an immediate in which `deed` is done to it.
fn deed(ctx: &Context, (request, completer): Parts, deed: impl Fn() + 'static) -> Thing {
    let carrier = slot(Immediate::new(ctx, deed));
    let excited = carrier.clone();
    let excite = move || {
        if let Some(carrier) = excited.borrow().as_ref() {
            carrier.schedule();
        }
    };
    Thing::new(excite, move || {
        clear(&carrier);
        clear(&request);
        clear(&completer);
    })
}

fn cleanup(world: &Rc<World>, ctx: &Context, runs: Runs) -> Thing {
    let parts = noting_request(world, ctx, &runs);
    let another = RefCell::new(Some(runs.beside(world)));
    let (finished, changed) = (parts.1.clone(), parts.1.clone());
    if let Some(completer) = parts.1.borrow().as_ref() {
        completer.on_cleanup(move |_| runs.run());
    }
    let finish = move || {
        if let Some(completer) = finished.take() {
            completer.done(());
        }
    };
    let change = move || {
        if let (Some(completer), Some(runs)) = (changed.borrow().as_ref(), another.take()) {
            completer.on_cleanup(move |_| runs.note("changed"));
        }
    };
    deed(ctx, parts, finish).changing(change, || {})
}

fn cancel(world: &Rc<World>, ctx: &Context, runs: Runs) -> Thing {
    let parts = noting_request(world, ctx, &runs);
    let another = RefCell::new(Some(runs.beside(world)));
    let (asked, changed) = (parts.0.clone(), parts.1.clone());
    let handler = |completer: &Slot<Completer<()>>, tell: Box<dyn Fn()>| {
        let own = completer.clone();
        move || {
            tell();
            if let Some(completer) = own.take() {
                completer.done(());
            }
        }
    };
    let first = handler(&parts.1, Box::new(move || runs.run()));
    if let Some(completer) = parts.1.borrow().as_ref() {
        completer.on_cancel(first);
    }
    let ask = move || {
        // What is called may drop the request; it is gone then as soon as the call is over.
        let request = asked.borrow().clone();
        if let Some(request) = request {
            request.cancel();
        }
    };
    let change = move || {
        if let (Some(completer), Some(runs)) = (changed.borrow().as_ref(), another.take()) {
            completer.on_cancel(handler(&changed, Box::new(move || runs.note("changed"))));
        }
    };
    deed(ctx, parts, ask).changing(change, || {})
}
