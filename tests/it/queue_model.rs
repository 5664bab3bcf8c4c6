//! Random operations on a queue and on a list that is as simple as can be.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;

use tevent::{Completer, Context, Queue, QueueEntry, Request};
use tevent_tests::{Random, everywhere, scaled, settle};

/// What the caller of an operation owns.
enum Member {
    Request(Request<()>),
    Entry { _held: QueueEntry },
}

/// What happens, by the number of the member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Event {
    Turn(usize),
    Done(usize),
}

#[derive(Default)]
struct World {
    events: Rc<RefCell<Vec<Event>>>,
    // Of the requests that were started: what finishes them.
    started: Rc<RefCell<HashMap<usize, Completer<()>>>>,
    members: HashMap<usize, Member>,
    next: usize,
}

/// What stands in the run queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Job {
    /// The turn of whoever is first by then.
    Turn,
    /// What this member had started is done.
    Finish(usize),
    /// The completion of this member.
    Done(usize),
}

/// The list: who is in line, and what is on its way to happen.
#[derive(Default)]
struct Model {
    line: VecDeque<usize>,
    head_has_turn: bool,
    is_stopped: bool,
    jobs: VecDeque<Job>,
    expected: Vec<Event>,
}

impl Model {
    fn enter(&mut self, number: usize) {
        self.line.push_back(number);
        self.schedule();
    }

    fn schedule(&mut self) {
        let wants_turn = !self.head_has_turn && !self.is_stopped && !self.line.is_empty();
        if wants_turn && !self.jobs.contains(&Job::Turn) {
            self.jobs.push_back(Job::Turn);
        }
    }

    fn leave(&mut self, number: usize) {
        let Some(index) = self.line.iter().position(|&known| known == number) else {
            return;
        };
        self.line.remove(index);
        if index == 0 {
            self.head_has_turn = false;
            self.jobs.retain(|job| *job != Job::Turn);
        }
        self.schedule();
    }

    fn begin_turn(&mut self) {
        if let (Some(&head), false, false) =
            (self.line.front(), self.head_has_turn, self.is_stopped)
        {
            self.head_has_turn = true;
            self.expected.push(Event::Turn(head));
        }
    }

    /// The completion is put in line first, and then the next turn.
    fn end(&mut self, number: usize) {
        self.jobs.retain(|job| *job != Job::Finish(number));
        self.jobs.push_back(Job::Done(number));
        self.leave(number);
    }

    fn run(&mut self) -> Vec<Event> {
        while let Some(job) = self.jobs.pop_front() {
            match job {
                Job::Turn => self.begin_turn(),
                Job::Finish(number) => self.end(number),
                Job::Done(number) => self.expected.push(Event::Done(number)),
            }
        }
        std::mem::take(&mut self.expected)
    }
}

impl World {
    fn number(&mut self) -> usize {
        self.next += 1;
        self.next
    }

    fn add(&mut self, queue: &Queue, ctx: &Context, is_eager: bool) -> usize {
        let number = self.number();
        let (events, started) = (self.events.clone(), self.started.clone());
        let weak = ctx.downgrade();
        let start = move || {
            events.borrow_mut().push(Event::Turn(number));
            let (request, completer) = Request::pair(&weak, "member");
            started.borrow_mut().insert(number, completer);
            request
        };
        let request = if is_eager {
            queue.add_eager(start)
        } else {
            queue.add(start)
        };
        let events = self.events.clone();
        let request = request.on_done(move |_| events.borrow_mut().push(Event::Done(number)));
        self.members.insert(number, Member::Request(request));
        number
    }

    fn add_entry(&mut self, queue: &Queue) -> usize {
        let number = self.number();
        let events = self.events.clone();
        let entry = queue.add_entry(move |turn| {
            turn.expect("the queue is there");
            events.borrow_mut().push(Event::Turn(number));
        });
        self.members.insert(number, Member::Entry { _held: entry });
        number
    }

    fn anyone(&self, random: &mut Random) -> Option<usize> {
        let mut all: Vec<_> = self.members.keys().copied().collect();
        all.sort_unstable();
        (!all.is_empty()).then(|| all[random.below(all.len())])
    }
}

/// One operation on both sides; what it causes happens when the loop runs.
fn step(queue: &Queue, ctx: &Context, world: &mut World, model: &mut Model, random: &mut Random) {
    match random.below(9) {
        0 | 1 => model.enter(world.add(queue, ctx, false)),
        2 => {
            let is_at_once = model.line.is_empty() && !model.is_stopped;
            let number = world.add(queue, ctx, true);
            if is_at_once {
                model.line.push_back(number);
                model.begin_turn();
            } else {
                model.enter(number);
            }
        }
        3 => model.enter(world.add_entry(queue)),
        4 => {
            queue.stop();
            model.is_stopped = true;
        }
        5 => {
            queue.start();
            model.is_stopped = false;
            model.schedule();
        }
        6 => {
            if let Some(number) = world.anyone(random) {
                drop(world.members.remove(&number));
                world.started.borrow_mut().remove(&number);
                let its_own = [Job::Done(number), Job::Finish(number)];
                model.jobs.retain(|job| !its_own.contains(job));
                model.leave(number);
            }
        }
        7 => {
            let head = model.line.front().copied();
            let completer = head.and_then(|head| world.started.borrow_mut().remove(&head));
            if let (Some(number), Some(completer)) = (head, completer) {
                completer.done(());
                model.jobs.push_back(Job::Finish(number));
            }
        }
        _ => {
            let number = world
                .anyone(random)
                .filter(|number| model.line.contains(number));
            let Some((number, Member::Request(request))) =
                number.map(|number| (number, &world.members[&number]))
            else {
                return;
            };
            request.cancel();
            world.started.borrow_mut().remove(&number);
            model.end(number);
        }
    }
    assert_eq!(queue.len(), model.line.len());
    assert_eq!(queue.is_running(), !model.is_stopped);
}

#[test]
fn random_operations_agree_with_a_list() {
    everywhere(|ctx| {
        let mut random = Random::seeded();
        for _ in 0..scaled(20, 100) {
            let queue = Queue::new(ctx);
            let (mut world, mut model) = (World::default(), Model::default());
            for _ in 0..scaled(500, 1_500) {
                for _ in 0..=random.below(3) {
                    step(&queue, ctx, &mut world, &mut model, &mut random);
                }
                settle(ctx);
                assert_eq!(world.events.take(), model.run());
            }
            drop(world);
            assert!(queue.is_empty());
        }
        assert!(ctx.dump().entries().is_empty());
    });
}
