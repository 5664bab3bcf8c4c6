//! The back end without a kernel: time jumps, descriptors are refused, others still reach the loop.

use std::cell::{Cell, OnceCell};
use std::rc::Rc;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use rustix::io::Errno;
use tevent::{Context, FdEvent, Interest, ManualClock, Signal, Timer, wakeup};
use tevent_tests::{
    Log, alone_with_signals, expect_errno, expect_order, raise, settle, socket_pair, within_limit,
};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

fn sim() -> Context {
    Context::with_backend("sim").expect("it needs no kernel")
}

#[test]
fn it_is_listed_and_never_the_default() {
    let names = Context::backend_list();
    assert_eq!(names.iter().filter(|name| **name == "sim").count(), 1);
    assert_ne!(names[0], "sim");
    assert_eq!(sim().backend(), "sim");
}

#[test]
fn an_hour_of_timers_runs_at_once() {
    within_limit(|| {
        let real = Context::with_backend("polling").unwrap();
        let started = real.now();
        let ctx = sim();
        let start = ctx.now();
        let ticks = Rc::new(Cell::new(0_u32));
        let timers: Vec<_> = [1, 7, 60]
            .into_iter()
            .map(|seconds| ticking(&ctx, seconds * SECOND, start + HOUR, &ticks))
            .collect();
        ctx.run().unwrap();
        assert_eq!(ticks.get(), 3600 + 3600 / 7 + 60);
        assert_eq!(ctx.now() - start, HOUR, "no more time than was asked for");
        drop(timers);
        let took = real.now() - started;
        assert!(took < SECOND, "an hour took {took:?}");
    });
}

/// A timer that goes off each `period` until `end`.
fn ticking(
    ctx: &Context,
    period: Duration,
    end: std::time::Instant,
    ticks: &Rc<Cell<u32>>,
) -> Rc<OnceCell<Timer>> {
    let slot: Rc<OnceCell<Timer>> = Rc::default();
    let (again, ticks, weak) = (Rc::downgrade(&slot), ticks.clone(), ctx.downgrade());
    let timer = slot.get_or_init(|| {
        Timer::new(ctx, move || {
            ticks.set(ticks.get() + 1);
            let ctx = weak.upgrade().expect("it runs us");
            if ctx.now() + period <= end {
                let timer = again.upgrade().expect("it is kept");
                timer.get().expect("it is made").arm_after(period);
            }
        })
    });
    timer.arm_after(period);
    slot
}

#[test]
fn time_stands_still_while_there_is_work_and_jumps_exactly() {
    within_limit(|| {
        let ctx = sim();
        let start = ctx.now();
        settle(&ctx);
        assert_eq!(ctx.now(), start);
        let nap = Duration::from_nanos(1_234_567);
        ctx.run_until(wakeup(&ctx, start + nap)).unwrap().unwrap();
        assert_eq!(ctx.now() - start, nap);
        assert!(!ctx.run_once().unwrap(), "nothing is left");
        assert_eq!(ctx.now() - start, nap);
    });
}

#[test]
fn the_clock_jumps_no_further_than_the_wait_limit() {
    within_limit(|| {
        let ctx = sim();
        let (start, log) = (ctx.now(), Log::new());
        let timer = Timer::new(&ctx, log.calling("timer"));
        timer.arm_after(HOUR);
        ctx.set_wait_limit(Some(SECOND));
        assert!(!ctx.run_once().unwrap());
        assert_eq!(ctx.now() - start, SECOND);
        ctx.set_wait_limit(Some(Duration::ZERO));
        expect_errno(ctx.run(), Errno::AGAIN);
        assert_eq!(ctx.now() - start, SECOND);
        ctx.set_wait_limit(None);
        assert!(ctx.run_once().unwrap());
        expect_order(&log, &["timer"]);
        assert_eq!(ctx.now() - start, HOUR);
    });
}

#[test]
fn a_descriptor_is_refused_and_comes_back() {
    within_limit(|| {
        let ctx = sim();
        let (near, _far) = socket_pair();
        let silent = FdEvent::new(&ctx, near, Interest::NONE, |_| {}).unwrap();
        expect_errno(silent.set_interest(Interest::READ), Errno::OPNOTSUPP);
        assert_eq!(silent.interest(), Interest::NONE);
        let near = silent.into_inner();
        let refused = FdEvent::new(&ctx, near, Interest::READ, |_| {}).unwrap_err();
        expect_errno::<()>(Err(refused.error), Errno::OPNOTSUPP);
        ctx.run().unwrap();
    });
}

#[test]
fn a_manual_clock_is_moved_by_hand_only() {
    within_limit(|| {
        let clock = ManualClock::new();
        let builder = Context::builder().backend("sim");
        let ctx = builder.manual_clock(&clock).build().unwrap();
        let log = Log::new();
        let timer = Timer::new(&ctx, log.calling("timer"));
        timer.arm_after(SECOND);
        ctx.run().unwrap();
        expect_order(&log, &[]);
        clock.advance(SECOND);
        ctx.run().unwrap();
        expect_order(&log, &["timer"]);
    });
}

#[test]
fn another_thread_ends_the_wait_for_a_signal() {
    let _alone = alone_with_signals();
    within_limit(|| {
        let ctx = sim();
        let (asleep, wake_up) = mpsc::channel();
        let log = Log::new();
        // Keeps the loop waiting, without a timer that time could jump to.
        let signal = Signal::new(&ctx, Signal::USR1, {
            let log = log.clone();
            move |_| log.note("signal")
        })
        .unwrap();
        let remote = ctx.remote();
        let sender = thread::spawn(move || {
            wake_up.recv().unwrap();
            remote.send(|_| {}).unwrap();
        });
        asleep.send(()).unwrap();
        assert!(ctx.run_once().unwrap(), "what was sent has run");
        sender.join().unwrap();
        raise(Signal::USR1);
        assert!(ctx.run_once().unwrap());
        expect_order(&log, &["signal"]);
        drop(signal);
        ctx.run().unwrap();
    });
}
