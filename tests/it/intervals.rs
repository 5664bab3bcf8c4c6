//! Ticks at a steady pace, without bursts.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use rustix::io::Errno;
use tevent::{Context, Interval, ManualClock, Request, Step, Steps, interval};
use tevent_tests::{expect_errno, on_every_backend, settle};

const PERIOD: Duration = Duration::from_millis(100);

/// A context of the same kind as `ctx` whose clock stands still until it is moved.
fn with_clock(ctx: &Context) -> (Context, ManualClock) {
    let clock = ManualClock::new();
    let builder = Context::builder().backend(ctx.backend());
    let ctx = builder.manual_clock(&clock).build();
    (ctx.expect("a back end in use can be made"), clock)
}

/// What `request` was finished with, if it was.
fn outcome(ctx: &Context, request: &mut Option<Request<u64>>) -> Option<u64> {
    settle(ctx);
    let finished = request.take_if(|request| request.is_finished())?;
    let told = ctx.run_until(finished).expect("the loop runs");
    Some(told.expect("a tick does not fail"))
}

#[test]
fn ticks_come_one_period_apart_and_the_first_after_one() {
    on_every_backend(|ctx| {
        let (ctx, clock) = with_clock(ctx);
        let ticks = interval(&ctx, PERIOD).unwrap();
        for _ in 0..3 {
            let mut tick = Some(ticks.tick());
            clock.advance(PERIOD - Duration::from_nanos(1));
            assert_eq!(outcome(&ctx, &mut tick), None);
            clock.advance(Duration::from_nanos(1));
            assert_eq!(outcome(&ctx, &mut tick), Some(0));
        }
        assert_eq!(ticks.period(), PERIOD);
        assert_eq!(format!("{ticks:?}"), "Interval { period: 100ms, .. }");
    });
}

#[test]
fn a_stall_is_followed_by_one_tick_that_counts_the_missed_ones_and_the_pace_is_kept() {
    on_every_backend(|ctx| {
        let (ctx, clock) = with_clock(ctx);
        let ticks = interval(&ctx, PERIOD).unwrap();
        let mut tick = Some(ticks.tick());
        // Ticks at 100, 200, …, 1000 have passed, and half a period more.
        clock.advance(PERIOD * 10 + PERIOD / 2);
        assert_eq!(outcome(&ctx, &mut tick), Some(9));
        let mut tick = Some(ticks.tick());
        assert_eq!(outcome(&ctx, &mut tick), None);
        clock.advance(PERIOD / 2 - Duration::from_nanos(1));
        assert_eq!(outcome(&ctx, &mut tick), None);
        clock.advance(Duration::from_nanos(1));
        assert_eq!(outcome(&ctx, &mut tick), Some(0));
    });
}

#[test]
fn a_tick_that_passed_while_nobody_waited_is_due_at_once() {
    on_every_backend(|ctx| {
        let (ctx, clock) = with_clock(ctx);
        let ticks = interval(&ctx, PERIOD).unwrap();
        clock.advance(PERIOD + PERIOD / 4);
        let mut tick = Some(ticks.tick());
        assert!(tick.as_ref().is_some_and(|tick| !tick.is_finished()));
        assert_eq!(outcome(&ctx, &mut tick), Some(0));
        let mut tick = Some(ticks.tick());
        clock.advance(PERIOD / 2);
        assert_eq!(outcome(&ctx, &mut tick), None);
        clock.advance(PERIOD / 4);
        assert_eq!(outcome(&ctx, &mut tick), Some(0));
    });
}

#[test]
fn a_dropped_request_for_a_tick_leaves_it_to_the_next() {
    on_every_backend(|ctx| {
        let (ctx, clock) = with_clock(ctx);
        let ticks = interval(&ctx, PERIOD).unwrap();
        drop(ticks.tick());
        let timed_out = ticks.tick();
        timed_out.set_timeout(PERIOD / 2);
        clock.advance(PERIOD / 2);
        expect_errno(ctx.run_until(timed_out).unwrap(), Errno::TIMEDOUT);
        let mut tick = Some(ticks.tick());
        clock.advance(PERIOD / 2);
        assert_eq!(outcome(&ctx, &mut tick), Some(0));
        drop(ticks.tick());
        ctx.run().unwrap();
    });
}

#[test]
fn one_request_waits_for_a_tick_and_a_second_is_ebusy() {
    on_every_backend(|ctx| {
        let (ctx, clock) = with_clock(ctx);
        let ticks = interval(&ctx, PERIOD).unwrap();
        let mut first = Some(ticks.tick());
        expect_errno(ctx.run_until(ticks.tick()).unwrap(), Errno::BUSY);
        drop(ticks);
        clock.advance(PERIOD);
        assert_eq!(outcome(&ctx, &mut first), Some(0), "without its interval");
    });
}

#[test]
fn a_period_of_zero_is_einval_and_one_without_end_never_ticks() {
    on_every_backend(|ctx| {
        expect_errno(interval(ctx, Duration::ZERO), Errno::INVAL);
        let never = interval(ctx, Duration::MAX).unwrap();
        let tick = never.tick();
        settle(ctx);
        assert!(!tick.is_finished());
    });
}

#[test]
fn steps_can_follow_ticks_by_the_real_clock() {
    struct Beats {
        ticks: Interval,
        missed: Rc<RefCell<Vec<u64>>>,
    }
    fn beaten(step: &mut Step<'_, Beats, ()>, missed: io::Result<u64>) -> io::Result<()> {
        let state = step.state();
        state.missed.borrow_mut().push(missed?);
        if state.missed.borrow().len() == 3 {
            return step.done(());
        }
        step.then(step.state().ticks.tick(), beaten)
    }
    on_every_backend(|ctx| {
        let period = Duration::from_millis(2);
        let (start, missed) = (ctx.now(), Rc::default());
        let beats = Beats {
            ticks: interval(ctx, period).unwrap(),
            missed: Rc::clone(&missed),
        };
        let request: Request<()> = Steps::start(ctx, "beats", beats, |step| {
            step.then(step.state().ticks.tick(), beaten)
        });
        ctx.run_until(request).unwrap().unwrap();
        let passed = 3 + missed.borrow().iter().sum::<u64>();
        assert!(ctx.now() - start >= period * u32::try_from(passed).unwrap());
    });
}
