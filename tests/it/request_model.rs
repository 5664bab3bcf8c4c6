//! Random operations on trees of requests, and on trees that are as simple as can be.

mod forest;

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use tevent::{Completer, Context, Group, ManualClock, Queue, Request, Step, Steps, join, race};
use tevent_tests::{Random, on_every_backend, scaled, settle};

use forest::{Forest, GATHERED, Outcome, Shape, Spec};

/// The real side: what the callers and the implementors hold.
struct World {
    ctx: Context,
    clock: ManualClock,
    start: Instant,
    queue: RefCell<Option<Queue>>,
    group: Group,
    roots: RefCell<BTreeMap<usize, Request<u32>>>,
    completers: RefCell<HashMap<usize, Completer<u32>>>,
    outcomes: Rc<RefCell<Vec<(usize, Outcome)>>>,
}

const STEP: Duration = Duration::from_millis(1);

fn outcome(result: std::io::Result<u32>) -> Outcome {
    result.map_err(|error| error.raw_os_error().expect("it has a number"))
}

/// Passes on what the subrequests came to: the sum, or the first error.
fn sum<S>(step: &mut Step<'_, S, u32>, all: Vec<std::io::Result<u32>>) -> std::io::Result<()> {
    let all: std::io::Result<Vec<u32>> = all.into_iter().collect();
    step.done(all?.iter().sum())
}

impl World {
    fn new(backend: &str) -> Rc<Self> {
        let clock = ManualClock::new();
        let builder = Context::builder().backend(backend).manual_clock(&clock);
        let ctx = builder.build().expect("it is listed");
        Rc::new(Self {
            start: clock.now(),
            clock,
            queue: RefCell::new(Some(Queue::new(&ctx))),
            group: Group::new(&ctx),
            ctx,
            roots: RefCell::default(),
            completers: RefCell::default(),
            outcomes: Rc::default(),
        })
    }

    fn build(self: &Rc<Self>, spec: Spec) -> Request<u32> {
        let (id, deadline) = (spec.id, spec.deadline);
        let request = match spec.shape {
            Shape::Leaf => {
                let (request, completer) = Request::pair(&self.ctx, "leaf");
                self.completers.borrow_mut().insert(id, completer);
                request
            }
            Shape::Steps(child) => Steps::start(&self.ctx, "steps", (), |step| {
                step.then(self.build(*child), |step, value| step.done(value? + 1))
            }),
            Shape::All(parts) => Steps::start(&self.ctx, "all", (), |step| {
                let parts: Vec<_> = parts.into_iter().map(|part| self.build(part)).collect();
                step.then(join(&self.ctx, parts), |step, all| sum(step, all?))
            }),
            Shape::First(parts) => Steps::start(&self.ctx, "first", (), |step| {
                let parts: Vec<_> = parts.into_iter().map(|part| self.build(part)).collect();
                let race = race(&self.ctx, parts);
                step.then(race, |step, first| step.done(first?.1?))
            }),
            Shape::Gathered(parts) => {
                let state = Group::new(&self.ctx);
                Steps::start(&self.ctx, "gathered", state, |step| {
                    let parts = parts.into_iter().map(|part| self.build(part));
                    parts.for_each(|part| step.state().add(part));
                    let finished = step.state().finished();
                    step.then(finished, |step, _| step.done(GATHERED))
                })
            }
            Shape::Queued(child) => {
                let weak = Rc::downgrade(self);
                let start = move || weak.upgrade().expect("it is there").build(*child);
                let queue = self.queue.borrow();
                queue.as_ref().expect("there is always one").add(start)
            }
        };
        if let Some(tick) = deadline {
            request.set_deadline(self.start + STEP * tick);
        }
        request
    }

    fn plant(self: &Rc<Self>, spec: Spec, is_grouped: bool) {
        let (id, outcomes) = (spec.id, self.outcomes.clone());
        let request = self.build(spec).on_done(move |result| {
            outcomes.borrow_mut().push((id, outcome(result)));
        });
        if is_grouped {
            self.group.add(request);
        } else {
            self.roots.borrow_mut().insert(id, request);
        }
    }

    fn complete(&self, leaf: usize) -> Completer<u32> {
        let completer = self.completers.borrow_mut().remove(&leaf);
        completer.expect("a leaf that lives was not completed")
    }

    fn replace_queue(&self) {
        let queue = self.queue.replace(Some(Queue::new(&self.ctx)));
        drop(queue);
    }

    fn tree(&self) -> Vec<String> {
        let dump = self.ctx.dump();
        let entries = dump.entries().iter();
        entries
            .map(|entry| format!("{:1$}{2}", "", entry.depth, entry.kind))
            .collect()
    }
}

/// One of `all`, if there is any.
fn any_of(random: &mut Random, all: &[usize]) -> Option<usize> {
    (!all.is_empty()).then(|| all[random.below(all.len())])
}

/// One operation on both sides.
fn step(world: &Rc<World>, forest: &mut Forest, random: &mut Random) {
    let held: Vec<_> = world.roots.borrow().keys().copied().collect();
    match random.below(12) {
        0..=2 => {
            let spec = forest.random_spec(random);
            let is_grouped = random.below(3) == 0;
            forest.plant(&spec, is_grouped);
            world.plant(spec, is_grouped);
        }
        number @ 3..=6 => {
            let Some(leaf) = any_of(random, &forest.leaves()) else {
                return;
            };
            let completer = world.complete(leaf);
            let result = match number {
                3 | 4 => {
                    completer.done(5);
                    Ok(5)
                }
                5 => {
                    completer.error(Errno::BADF.into());
                    Err(Errno::BADF)
                }
                _ => {
                    drop(completer);
                    Err(Errno::IO)
                }
            };
            forest.finish(leaf, result.map_err(Errno::raw_os_error));
        }
        7 => {
            if let Some(root) = any_of(random, &held) {
                world.roots.borrow()[&root].cancel();
                forest.finish(root, Err(Errno::CANCELED.raw_os_error()));
            }
        }
        8 => {
            if let Some(root) = any_of(random, &held) {
                let request = world.roots.borrow_mut().remove(&root);
                drop(request);
                forest.uproot(root);
            }
        }
        9 if random.below(4) == 0 => {
            world.group.clear();
            forest.uproot_grouped();
        }
        10 if random.below(4) == 0 => {
            world.replace_queue();
            forest.replace_queue();
        }
        _ => {
            world.clock.advance(STEP);
            forest.advance();
        }
    }
}

#[test]
fn random_operations_on_requests_agree_with_simple_trees() {
    on_every_backend(|ctx| {
        let mut random = Random::seeded();
        for _ in 0..scaled(50, 200) {
            let world = World::new(ctx.backend());
            let mut forest = Forest::default();
            for _ in 0..scaled(200, 1_000) {
                step(&world, &mut forest, &mut random);
                settle(&world.ctx);
                let mut outcomes = world.outcomes.take();
                outcomes.sort_unstable();
                assert_eq!(outcomes, forest.take_outcomes());
                assert_eq!(world.tree(), forest.tree());
                assert_eq!(world.group.len(), forest.grouped_count());
                let delivered = outcomes.into_iter().map(|(root, _)| root);
                delivered.for_each(|root| drop(world.roots.borrow_mut().remove(&root)));
            }
            world.roots.take();
            world.group.clear();
            assert_eq!(world.tree(), Vec::<String>::new());
            assert!(world.queue.borrow().as_ref().is_some_and(Queue::is_empty));
            assert!(world.completers.take().values().all(Completer::is_moot));
            world.ctx.run().unwrap();
        }
    });
}
