//! Scenarios of the scripting bindings: the small things that everybody does first.

use std::time::Duration;

use tevent::{Context, Signal, Timer};
use tevent_tests::{
    Log, alone_with_signals, expect_order, on_every_backend, raise, run_to, within_limit,
};

#[test]
fn the_listed_back_ends_can_be_made_and_one_is_the_default() {
    within_limit(|| {
        let names = Context::backend_list();
        assert!(!names.is_empty());
        for name in names {
            assert_eq!(Context::with_backend(name).unwrap().backend(), *name);
        }
        assert!(names.contains(&Context::new().unwrap().backend()));
    });
}

#[test]
fn running_a_context_without_anything_returns() {
    on_every_backend(|ctx| {
        ctx.run().unwrap();
        assert!(!ctx.run_once().unwrap());
    });
}

#[test]
fn an_interrupt_is_handled_by_the_loop() {
    let _alone = alone_with_signals();
    on_every_backend(|ctx| {
        let log = Log::new();
        let event = Signal::new(ctx, Signal::INT, log.noting("interrupt")).unwrap();
        raise(Signal::INT);
        run_to(ctx, || !log.is_empty());
        expect_order(&log, &["interrupt"]);
        drop(event);
        ctx.run().unwrap();
    });
}

#[test]
fn a_timer_that_is_due_runs_in_one_pass_and_is_idle_then() {
    on_every_backend(|ctx| {
        let log = Log::new();
        let timer = Timer::new(ctx, log.calling("timer"));
        assert_eq!(timer.deadline(), None);
        timer.arm_after(Duration::ZERO);
        assert!(timer.deadline().is_some());
        assert!(ctx.run_once().unwrap());
        expect_order(&log, &["timer"]);
        assert_eq!(timer.deadline(), None);
    });
}

#[test]
fn a_timer_whose_handle_was_dropped_does_not_run() {
    on_every_backend(|ctx| {
        let log = Log::new();
        let timer = Timer::new(ctx, log.calling("timer"));
        timer.arm_after(Duration::ZERO);
        drop(timer);
        ctx.run().unwrap();
        expect_order(&log, &[]);
    });
}

#[test]
fn a_timer_whose_context_is_gone_is_idle_and_has_not_run() {
    on_every_backend(|ctx| {
        let other = Context::with_backend(ctx.backend()).unwrap();
        let log = Log::new();
        let timer = Timer::new(&other, log.calling("timer"));
        timer.arm_after(Duration::ZERO);
        drop(other);
        assert_eq!(timer.deadline(), None);
        timer.arm_after(Duration::ZERO);
        assert_eq!(timer.deadline(), None);
        expect_order(&log, &[]);
    });
}

#[test]
fn two_timers_run_by_their_time_one_in_each_pass() {
    on_every_backend(|ctx| {
        let log = Log::new();
        let [later, sooner] = ["later", "sooner"].map(|name| Timer::new(ctx, log.calling(name)));
        later.arm_after(Duration::from_millis(20));
        sooner.arm_after(Duration::from_millis(10));
        for name in ["sooner", "later"] {
            run_to(ctx, || !log.is_empty());
            expect_order(&log, &[name]);
        }
    });
}
