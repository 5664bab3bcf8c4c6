//! A context that is driven by a loop which is not its own.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::thread;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use tevent::{Context, FdEvent, Immediate, Interest, ManualClock, Signal, Timer, wakeup};
use tevent_tests::{
    Log, alone_with_signals, everywhere, expect_errno, expect_order, on_every_backend, read_byte,
    run_to, socket_pair, write_byte,
};

const LONG: Duration = Duration::from_secs(3600);

/// What poll(2) and `ctx` came to in a loop that ends when `is_enough` says so.
#[derive(Debug, Default)]
struct Tally {
    waits: usize,
    /// How often it was called for nothing.
    idle: usize,
}

fn drive(ctx: &Context, is_enough: impl Fn() -> bool) -> Tally {
    let fd = ctx.poll_fd().expect("a kernel set has a descriptor");
    let mut tally = Tally::default();
    while !is_enough() {
        let timeout = ctx.next_deadline().map(|deadline| {
            let left = deadline.saturating_duration_since(ctx.now());
            Timespec::try_from(left).expect("it is near")
        });
        poll(&mut [PollFd::new(&fd, PollFlags::IN)], timeout.as_ref()).expect("it waits");
        tally.waits += 1;
        tally.idle += usize::from(!ctx.run_ready().expect("it runs"));
    }
    tally
}

#[test]
fn a_foreign_loop_sees_everything_and_nothing_spins() {
    let _alone = alone_with_signals();
    on_every_backend(|ctx| {
        let log = Log::new();
        // It waits on its own before: what that leaves in the kernel must not be told of.
        let brief = wakeup(ctx, ctx.now() + Duration::from_millis(1));
        ctx.run_until(brief).unwrap().unwrap();
        let (near, far) = socket_pair();
        let (near, seen) = (Rc::new(near), log.clone());
        let reader = near.clone();
        let event = FdEvent::new(ctx, near, Interest::READ, move |_| {
            read_byte(&reader);
            seen.note("fd");
        });
        let event = event.unwrap();
        let timers: Vec<_> = (1..=3)
            .map(|n| {
                let timer = Timer::new(ctx, log.calling("timer"));
                timer.arm_after(Duration::from_millis(n * 3));
                timer
            })
            .collect();
        let immediate = Immediate::new(ctx, log.calling("immediate"));
        immediate.schedule();
        let seen = log.clone();
        let signal = Signal::new(ctx, Signal::USR1, move |_| seen.note("signal")).unwrap();
        let (remote, pid) = (ctx.remote(), rustix::process::getpid());
        let calls = Rc::new(Cell::new(0));
        thread_local!(static CALLS: RefCell<Option<Rc<Cell<usize>>>> = const { RefCell::new(None) });
        CALLS.set(Some(calls.clone()));
        let sender = thread::spawn(move || {
            for _ in 0..10 {
                let call = |_: &Context| {
                    CALLS.with_borrow(|calls| {
                        let calls = calls.as_ref().expect("set before");
                        calls.set(calls.get() + 1);
                    });
                };
                remote.send(call).expect("the context is there");
                thread::yield_now();
            }
            let signum = rustix::process::Signal::USR1;
            rustix::process::kill_process(pid, signum).expect("we may do that");
            write_byte(&far);
            far
        });
        let tally = drive(ctx, || log.len() == 6 && calls.get() == 10);
        let far = sender.join().unwrap();
        let mut ran = log.take();
        assert_eq!(ran[0], "immediate", "what is in line is not waited for");
        ran.sort();
        let expected = ["fd", "immediate", "signal", "timer", "timer", "timer"];
        assert_eq!(ran, expected);
        // Each of the sixteen may come alone; a wake-up whose work was taken already comes for nothing.
        assert!(tally.waits <= 40 && tally.idle <= 24, "{tally:?}");

        // And at rest it rests: no deadline, and nothing to read.
        drop((timers, signal));
        while ctx.run_ready().unwrap() {}
        assert_eq!(ctx.next_deadline(), None);
        let fd = ctx.poll_fd().unwrap();
        let at_once = Timespec::default();
        let ready = poll(&mut [PollFd::new(&fd, PollFlags::IN)], Some(&at_once));
        assert_eq!(ready, Ok(0));
        write_byte(&far);
        let ready = poll(&mut [PollFd::new(&fd, PollFlags::IN)], Some(&at_once));
        assert_eq!(ready, Ok(1));
        assert!(ctx.run_ready().unwrap());
        drop(event);
    });
}

#[test]
fn the_next_deadline_is_now_if_anything_is_in_line() {
    everywhere(|ctx| {
        let is_now = || {
            let before = ctx.now();
            ctx.next_deadline()
                .is_some_and(|at| at <= ctx.now() && at >= before)
        };
        assert_eq!(ctx.next_deadline(), None);
        let timer = Timer::new(ctx, || ());
        timer.arm_after(LONG);
        assert_eq!(ctx.next_deadline(), timer.deadline());
        let immediate = Immediate::new(ctx, || ());
        immediate.schedule();
        assert!(is_now());
        assert!(ctx.run_ready().unwrap());
        assert!(!ctx.run_ready().unwrap());
        ctx.remote().send(|_| ()).unwrap();
        assert!(is_now());
        ctx.run_ready().unwrap();
        let due = [Timer::new(ctx, || ()), Timer::new(ctx, || ())];
        for timer in &due {
            timer.arm_after(Duration::ZERO);
        }
        // One of them is left set aside.
        assert!(ctx.run_once().unwrap() && is_now());
        assert!(ctx.run_ready().unwrap());
        timer.arm_after(Duration::MAX);
        assert!(ctx.next_deadline().is_some_and(|at| at > ctx.now() + LONG));
    });
}

#[test]
fn what_run_once_has_left_of_the_kernels_answer_is_now() {
    on_every_backend(|ctx| {
        let log = Log::new();
        let events: Vec<_> = (0..2)
            .map(|_| {
                let (near, far) = socket_pair();
                write_byte(&far);
                FdEvent::new(ctx, near, Interest::READ, log.noting("fd")).unwrap()
            })
            .collect();
        assert!(ctx.run_once().unwrap());
        assert!(ctx.next_deadline().is_some_and(|at| at <= ctx.now()));
        drop(events);
        let file = std::fs::File::open("/proc/self/exe").or_else(|_| tempfile::tempfile());
        let always = FdEvent::new(ctx, file.unwrap(), Interest::READ, log.noting("file"));
        log.take().clear();
        assert!(ctx.next_deadline().is_some_and(|at| at <= ctx.now()));
        assert!(ctx.run_ready().unwrap());
        expect_order(&log, &["file"]);
        always.unwrap().set_interest(Interest::NONE).unwrap();
        assert_eq!(ctx.next_deadline(), None);
    });
}

#[test]
fn run_ready_bounds_a_chain_and_refuses_to_nest() {
    everywhere(|ctx| {
        let place: Rc<RefCell<Option<Immediate>>> = Rc::default();
        let (weak, own, runs) = (
            ctx.downgrade(),
            Rc::downgrade(&place),
            Rc::new(Cell::new(0)),
        );
        let count = runs.clone();
        let endless = Immediate::new(ctx, move || {
            count.set(count.get() + 1);
            let ctx = weak.upgrade().expect("it is running");
            expect_errno(ctx.run_ready(), Errno::LOOP);
            if let Some(place) = own.upgrade() {
                place.borrow().as_ref().expect("it runs").schedule();
            }
        });
        endless.schedule();
        place.replace(Some(endless));
        assert!(ctx.run_ready().unwrap());
        let most = 3 * Context::RUN_BUDGET + 3;
        assert!((1..=most).contains(&runs.get()), "{}", runs.get());
        drop(place.take());
    });
}

#[test]
fn a_context_can_be_driven_by_another() {
    on_every_backend(|outer| {
        let inner = Context::with_backend(outer.backend()).unwrap();
        let log = Log::new();
        let (near, far) = socket_pair();
        let (near, seen) = (Rc::new(near), log.clone());
        let reader = near.clone();
        let event = FdEvent::new(&inner, near, Interest::READ, move |_| {
            read_byte(&reader);
            seen.note("inner");
        });
        let event = event.unwrap();
        let (fd, driven) = (inner.poll_fd().unwrap(), inner.clone());
        let bridge = FdEvent::new(outer, fd, Interest::READ, move |_| {
            driven.run_ready().expect("it runs");
        });
        let bridge = bridge.unwrap();
        for turn in 1..=3 {
            write_byte(&far);
            run_to(outer, || log.len() == turn);
        }
        inner.remote().send(|_| ()).unwrap();
        let waits = outer.stats().waits;
        run_to(outer, || inner.stats().wakeups > 0);
        assert!(outer.stats().waits - waits <= 2);
        drop((event, bridge));
    });
}

#[test]
fn a_context_without_a_kernel_has_no_descriptor() {
    let ctx = Context::with_backend("sim").unwrap();
    expect_errno(ctx.poll_fd(), Errno::OPNOTSUPP);
    let clock = ManualClock::new();
    let ctx = Context::builder().manual_clock(&clock).build().unwrap();
    let timer = Timer::new(&ctx, || ());
    timer.arm_after(LONG);
    assert_eq!(ctx.next_deadline(), None, "waiting does not move the clock");
    clock.advance(LONG);
    assert_eq!(ctx.next_deadline(), Some(ctx.now()));
}
