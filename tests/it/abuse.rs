//! Random programs: whatever handlers and the code between rounds do, nothing is lost and nothing stale runs.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::{Rc, Weak};
use std::time::Duration;

use tevent::{Completer, Context, FdEvent, Immediate, Interest, Queue, Request, Timer};
use tevent_tests::{Random, on_every_backend, read_byte, scaled, socket_pair, write_byte};

/// How much one program does.
const DEEDS: usize = 200;

/// One thing with a handler.
struct Toy {
    excite: Rc<dyn Fn()>,
    /// The context that it was made on, counted by how often that was made anew.
    age: usize,
    is_due: bool,
    /// Whether it is of no use once its context was made anew, or it has run.
    is_bound: bool,
    runs_once: bool,
    _owner: Box<dyn Any>,
}

struct World {
    ctx: RefCell<Option<Context>>,
    age: Cell<usize>,
    toys: RefCell<BTreeMap<usize, Toy>>,
    made: Cell<usize>,
    deeds_left: Cell<usize>,
    random: RefCell<Random>,
}

thread_local!(static WORLD: RefCell<Weak<World>> = const { RefCell::new(Weak::new()) });

fn run(number: usize) {
    let world = WORLD.with_borrow(Weak::upgrade);
    if let Some(world) = world {
        world.ran(number);
    }
}

impl World {
    fn below(&self, bound: usize) -> usize {
        self.random.borrow_mut().below(bound)
    }

    /// A handler has run: that of something that is there, due, and of this context.
    fn ran(&self, number: usize) {
        let mut toys = self.toys.borrow_mut();
        let toy = toys
            .get_mut(&number)
            .expect("what was dropped does not run");
        assert!(toy.is_due, "{number} runs once for each time");
        assert!(
            !toy.is_bound || toy.age == self.age.get(),
            "{number} is stale"
        );
        toy.is_due = false;
        let over = toy.runs_once.then(|| toys.remove(&number));
        drop(toys);
        drop(over);
        for _ in 0..self.below(3) {
            self.act();
        }
    }

    fn act(&self) {
        let Some(left) = self.deeds_left.get().checked_sub(1) else {
            return;
        };
        self.deeds_left.set(left);
        match self.below(20) {
            0..6 => self.make(),
            6..14 => self.excite(),
            14..18 => drop(self.pick().and_then(|n| self.toys.borrow_mut().remove(&n))),
            18 => self.make_anew(),
            _ => drop(
                self.ctx()
                    .map(|ctx| (ctx.dump().to_string(), format!("{ctx:?}"))),
            ),
        }
    }

    fn ctx(&self) -> Option<Context> {
        self.ctx.borrow().clone()
    }

    fn pick(&self) -> Option<usize> {
        let count = self.toys.borrow().len();
        let index = (count > 0).then(|| self.below(count))?;
        self.toys.borrow().keys().nth(index).copied()
    }

    fn excite(&self) {
        let Some(number) = self.pick() else { return };
        let excite = {
            let mut toys = self.toys.borrow_mut();
            let toy = toys.get_mut(&number).expect("it was picked");
            if toy.is_due {
                return;
            }
            (toy.is_due, toy.age) = (true, self.age.get());
            toy.excite.clone()
        };
        excite();
    }

    fn make_anew(&self) {
        let Some(ctx) = self.ctx() else { return };
        self.age.set(self.age.get() + 1);
        ctx.re_initialise().expect("there is room for a set");
        let mut toys = self.toys.borrow_mut();
        toys.values_mut().for_each(|toy| toy.is_due = false);
        let all = std::mem::take(&mut *toys);
        let (gone, kept): (BTreeMap<_, _>, _) = all.into_iter().partition(|(_, toy)| toy.is_bound);
        *toys = kept;
        drop(toys);
        drop(gone);
    }

    fn make(&self) {
        let Some(ctx) = self.ctx() else { return };
        let number = self.made.replace(self.made.get() + 1);
        let (excite, owner): (Rc<dyn Fn()>, Box<dyn Any>) = match number % 6 {
            0 => immediate(&ctx, number),
            1 => timer(&ctx, number),
            2 => fd(&ctx, number),
            3 => request(&ctx, number),
            4 => entry(&ctx, number),
            _ => remote(&ctx, number),
        };
        let toy = Toy {
            excite,
            age: self.age.get(),
            is_due: false,
            is_bound: number % 6 > 1,
            runs_once: number % 6 > 2,
            _owner: owner,
        };
        self.toys.borrow_mut().insert(number, toy);
    }
}

type Parts = (Rc<dyn Fn()>, Box<dyn Any>);

fn immediate(ctx: &Context, number: usize) -> Parts {
    let own = Rc::new(Immediate::new(ctx, move || run(number)));
    let weak = Rc::downgrade(&own);
    let excite = move || weak.upgrade().expect("it is there").schedule();
    (Rc::new(excite), Box::new(own))
}

fn timer(ctx: &Context, number: usize) -> Parts {
    let own = Rc::new(Timer::new(ctx, move || run(number)));
    let (weak, ctx) = (Rc::downgrade(&own), ctx.downgrade());
    let excite = move || {
        let (timer, ctx) = (weak.upgrade(), ctx.upgrade());
        timer
            .expect("it is there")
            .arm(ctx.expect("it is there").now());
    };
    (Rc::new(excite), Box::new(own))
}

fn fd(ctx: &Context, number: usize) -> Parts {
    let (near, far) = socket_pair();
    let near = Rc::new(near);
    let reader = near.clone();
    let event = FdEvent::new(ctx, near, Interest::READ, move |_| {
        read_byte(&reader);
        run(number);
    });
    let event = event.expect("it can be watched");
    (Rc::new(move || write_byte(&far)), Box::new(event))
}

fn request(ctx: &Context, number: usize) -> Parts {
    let (request, completer) = Request::<()>::pair(ctx, "toy");
    let completer: Cell<Option<Completer<()>>> = Cell::new(Some(completer));
    let excite = move || completer.take().expect("it is finished once").done(());
    (
        Rc::new(excite),
        Box::new(request.on_done(move |_| run(number))),
    )
}

fn entry(ctx: &Context, number: usize) -> Parts {
    let queue = Rc::new(Queue::new(ctx));
    queue.stop();
    let entry = queue.add_entry(move |_| run(number));
    let own = queue.clone();
    (Rc::new(move || queue.start()), Box::new((entry, own)))
}

/// A call cannot be taken back: until it has run it is dropped with its context only.
fn remote(ctx: &Context, number: usize) -> Parts {
    let remote = ctx.remote();
    let excite = move || {
        let sent = remote.send(move |_| {
            let is_there = |world: &Rc<World>| world.toys.borrow().contains_key(&number);
            if WORLD
                .with_borrow(Weak::upgrade)
                .as_ref()
                .is_some_and(is_there)
            {
                run(number);
            }
        });
        sent.expect("its context is there");
    };
    (Rc::new(excite), Box::new(()))
}

fn tell(ctx: Context, random: Random) {
    let weak = ctx.downgrade();
    ctx.set_wait_limit(Some(Duration::ZERO));
    let world = Rc::new(World {
        ctx: RefCell::new(Some(ctx.clone())),
        age: Cell::new(0),
        toys: RefCell::default(),
        made: Cell::new(0),
        deeds_left: Cell::new(DEEDS),
        random: RefCell::new(random),
    });
    WORLD.set(Rc::downgrade(&world));
    while world.deeds_left.get() > 0 {
        for _ in 0..world.below(6) {
            world.act();
        }
        match world.below(3) {
            0 => ctx.run_once().map(|_| ()),
            _ => ctx.run_ready().map(|_| ()),
        }
        .expect("it runs");
    }
    while ctx.run_ready().expect("it runs") {}
    let late: Vec<_> = world
        .toys
        .borrow()
        .iter()
        .filter(|(_, toy)| toy.is_due)
        .map(|(n, _)| *n)
        .collect();
    assert!(late.is_empty(), "lost: {late:?}");
    let toys = world.toys.take();
    drop(toys);
    assert!(
        ctx.dump().entries().is_empty(),
        "left behind: {}",
        ctx.dump()
    );
    drop((ctx, world));
    assert!(weak.upgrade().is_none(), "nobody holds the context");
}

#[test]
fn random_programs_lose_nothing_and_run_nothing_stale() {
    on_every_backend(|ctx| {
        let mut seeds = Random::seeded();
        for _ in 0..scaled(60, 5000) {
            let random = Random::from_seed(seeds.below(usize::MAX) as u64);
            let ctx = Context::with_backend(ctx.backend()).expect("it is listed");
            tell(ctx, random);
        }
    });
}
