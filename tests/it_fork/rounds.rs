//! A fork inside a handler: the rest of the round happens in both processes.

use std::cell::Cell;
use std::process;
use std::rc::Rc;

use rustix::process::Pid;
use tevent::{Context, FdEvent, Immediate, Interest, Signal, Timer, wakeup};
use tevent_tests::{Log, kernel_backends, run_to, socket_pair, write_byte};

use crate::children::expect_end;
use crate::sys::fork_here;

/// What has handlers here, two of each.
const KINDS: [&str; 4] = ["signal", "immediate", "timer", "fd"];

pub(crate) fn main() {
    for backend in kernel_backends() {
        for kind in KINDS {
            for makes_anew in [false, true] {
                goes_on_in_both(backend, kind, makes_anew);
            }
        }
    }
}

/// What happened in a process.
#[derive(Default)]
struct Story {
    log: Log,
    /// The child, as its parent knows it; in the child nothing.
    forked: Cell<Option<Option<Pid>>>,
}

impl Story {
    fn forks(&self) {
        self.forked.set(Some(fork_here()));
    }

    fn is_child(&self) -> bool {
        self.forked.get() == Some(None)
    }
}

/// Two of each kind are ready; the first of `kind` forks.
fn goes_on_in_both(backend: &str, kind: &'static str, makes_anew: bool) {
    let ctx = Context::with_backend(backend).expect("it is listed");
    let story = Rc::new(Story::default());
    let handler = |name: &'static str| {
        let (story, weak) = (story.clone(), ctx.downgrade());
        move || {
            story.log.note(name);
            if name == kind && story.forked.get().is_none() {
                story.forks();
                if makes_anew && story.is_child() {
                    let ctx = weak.upgrade().expect("it runs us");
                    ctx.re_initialise().expect("there is room for a set");
                    let noted = story.log.noting("anew");
                    wakeup(&ctx, ctx.now()).on_done(noted).detach();
                }
            }
        }
    };
    let both = [(); 2];
    let events = both.map(|()| {
        let (near, far) = socket_pair();
        write_byte(&far);
        let (is_told, tell) = (Cell::new(false), handler("fd"));
        // The byte stays: both processes are to be told of it.
        let event = FdEvent::new(&ctx, near, Interest::READ, move |_| {
            if !is_told.replace(true) {
                tell();
            }
        });
        (event.expect("it can be watched"), far)
    });
    let timers = both.map(|()| Timer::new(&ctx, handler("timer")));
    timers.iter().for_each(|timer| timer.arm(ctx.now()));
    let immediates = both.map(|()| Immediate::new(&ctx, handler("immediate")));
    immediates.iter().for_each(Immediate::schedule);
    let signals = both.map(|()| {
        let tell = handler("signal");
        Signal::new(&ctx, Signal::USR1, move |_| tell()).expect("it can be handled")
    });
    let signum = rustix::process::Signal::USR1;
    rustix::process::kill_process(rustix::process::getpid(), signum).expect("we may do that");

    let all: Vec<_> = KINDS.iter().flat_map(|kind| [*kind, *kind]).collect();
    let before = all
        .iter()
        .position(|name| *name == kind)
        .expect("it is one")
        + 1;
    let expected = |story: &Story| match makes_anew && story.is_child() {
        true => [&all[..before], &["anew"]].concat(),
        false => all.clone(),
    };
    run_to(&ctx, || story.log.len() == expected(&story).len());
    assert_eq!(story.log.take(), expected(&story));
    drop((events, timers, immediates, signals));
    ctx.run().expect("nothing is left");
    match story.forked.get().expect("it has forked") {
        Some(pid) => expect_end(pid),
        None => process::exit(0),
    }
}
