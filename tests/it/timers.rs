//! Timers: their order, never early, and re-arming in all circumstances.

use std::cell::{Cell, OnceCell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use rustix::io::Errno;
use tevent::{Context, FdEvent, Immediate, Interest, ManualClock, Request, Timer, wakeup};
use tevent_tests::{
    Drops, Log, Random, everywhere, expect_errno, expect_order, expect_silence, on_every_backend,
    run_to, socket_pair, write_byte,
};

const SECOND: Duration = Duration::from_secs(1);

/// Tells `story` on every back end with a clock that is moved by hand.
fn with_manual_clock(story: impl Fn(&Context, &ManualClock) + Clone + Send + 'static) {
    everywhere(move |ctx| {
        let clock = ManualClock::new();
        let builder = Context::builder()
            .backend(ctx.backend())
            .manual_clock(&clock);
        story(&builder.build().expect("it is listed"), &clock);
    });
}

#[test]
fn timers_fire_by_deadline_and_equals_in_the_order_of_arming() {
    with_manual_clock(|ctx, clock| {
        let log = Log::new();
        let start = ctx.now();
        let timers: Vec<_> = [("a", 2), ("b", 1), ("c", 2), ("d", 1), ("e", 3)]
            .iter()
            .map(|(name, seconds)| {
                let timer = Timer::new(ctx, log.calling(name));
                timer.arm(start + SECOND * *seconds);
                timer
            })
            .collect();
        clock.advance(SECOND * 2);
        for _ in 0..4 {
            assert!(ctx.run_once().unwrap());
        }
        expect_order(&log, &["b", "d", "a", "c"]);
        assert_eq!(timers[0].deadline(), None);
        assert_eq!(timers[4].deadline(), Some(start + SECOND * 3));
        expect_silence(ctx, &log);
    });
}

#[test]
fn a_timer_that_is_armed_again_becomes_the_last_among_equals() {
    with_manual_clock(|ctx, clock| {
        let log = Log::new();
        let a = Timer::new(ctx, log.calling("a"));
        let b = Timer::new(ctx, log.calling("b"));
        a.arm_after(SECOND);
        b.arm_after(SECOND);
        a.arm_after(SECOND);
        clock.advance(SECOND);
        ctx.run().unwrap();
        expect_order(&log, &["b", "a"]);
    });
}

#[test]
fn a_timer_never_fires_early() {
    everywhere(|ctx| {
        let early = Rc::new(Cell::new(0));
        let fired = Rc::new(Cell::new(0));
        let timers: Vec<_> = (0..200_u64)
            .map(|n| {
                let deadline = ctx.now() + Duration::from_micros(n * 173);
                let (clock, early, fired) = (ctx.downgrade(), early.clone(), fired.clone());
                let timer = Timer::new(ctx, move || {
                    fired.set(fired.get() + 1);
                    if clock.upgrade().unwrap().now() < deadline {
                        early.set(early.get() + 1);
                    }
                });
                timer.arm(deadline);
                timer
            })
            .collect();
        ctx.run().unwrap();
        assert_eq!((fired.get(), early.get()), (timers.len(), 0));
    });
}

#[test]
fn a_wait_for_a_timer_is_one_wait() {
    everywhere(|ctx| {
        let start = ctx.now();
        let before = ctx.stats();
        ctx.run_until(wakeup(ctx, start + Duration::from_millis(20)))
            .unwrap()
            .unwrap();
        assert!(ctx.now() - start >= Duration::from_millis(20));
        let waits = ctx.stats().since(&before).waits;
        // Two, should the kernel's clock be a little ahead of ours.
        assert!(waits <= 2, "{waits} waits");
    });
}

#[test]
fn a_due_timer_added_by_a_timer_handler_runs_in_a_later_round() {
    on_every_backend(|ctx| {
        let log = Log::new();
        let (near, far) = socket_pair();
        write_byte(&far);
        let event = Rc::new(RefCell::new(None));
        let own = event.clone();
        let seen = log.clone();
        let watched = FdEvent::new(ctx, near, Interest::READ, move |_| {
            seen.note("fd");
            drop(own.take());
        });
        event.replace(Some(watched.unwrap()));
        let second = Timer::new(ctx, log.calling("second"));
        let (seen, long_ago) = (log.clone(), ctx.now());
        let first = Timer::new(ctx, move || {
            seen.note("first");
            second.arm(long_ago);
        });
        let third = Timer::new(ctx, log.calling("third"));
        first.arm(long_ago);
        third.arm(long_ago);
        run_to(ctx, || log.len() == 4);
        expect_order(&log, &["first", "third", "fd", "second"]);
    });
}

#[test]
fn a_handler_may_arm_its_own_timer_again() {
    with_manual_clock(|ctx, clock| {
        let beats = Rc::new(Cell::new(0));
        let own: Rc<OnceCell<Timer>> = Rc::default();
        let (count, weak) = (beats.clone(), Rc::downgrade(&own));
        let handler = move || {
            count.set(count.get() + 1);
            let own = weak.upgrade().unwrap();
            assert_eq!(
                own.get().unwrap().deadline(),
                None,
                "it is idle while it runs"
            );
            own.get().unwrap().arm_after(SECOND);
        };
        own.get_or_init(|| Timer::new(ctx, handler))
            .arm_after(SECOND);
        for beat in 1..=1000 {
            clock.advance(SECOND);
            assert!(ctx.run_once().unwrap());
            assert_eq!(beats.get(), beat);
        }
        own.get().unwrap().disarm();
        ctx.run().unwrap();
        assert_eq!(beats.get(), 1000);
    });
}

#[test]
fn a_handler_may_disarm_move_and_drop_other_timers_that_are_due() {
    with_manual_clock(|ctx, clock| {
        let (log, drops) = (Log::new(), Drops::new());
        let disarmed = Rc::new(Timer::new(ctx, log.calling("disarmed")));
        let moved = Rc::new(Timer::new(ctx, log.calling("moved")));
        let tattle = drops.tattle();
        let dropped = Cell::new(Some(Timer::new(ctx, move || tattle.hold())));
        let first = {
            let (seen, drops) = (log.clone(), drops.clone());
            let (disarmed, moved) = (disarmed.clone(), moved.clone());
            dropped.take().into_iter().for_each(|timer| {
                timer.arm_after(SECOND * 2);
                dropped.set(Some(timer));
            });
            Timer::new(ctx, move || {
                seen.note("first");
                disarmed.disarm();
                moved.arm_after(SECOND);
                drop(dropped.take());
                assert_eq!(drops.count(), 1);
            })
        };
        first.arm_after(SECOND);
        disarmed.arm_after(SECOND);
        moved.arm_after(SECOND);
        clock.advance(SECOND * 2);
        assert!(ctx.run_once().unwrap());
        expect_order(&log, &["first"]);
        expect_silence(ctx, &log);
        clock.advance(SECOND);
        ctx.run().unwrap();
        expect_order(&log, &["moved"]);
    });
}

#[test]
fn a_handler_may_drop_its_own_timer() {
    everywhere(|ctx| {
        let drops = Drops::new();
        let own: Rc<RefCell<Option<Timer>>> = Rc::default();
        let (tattle, owner, seen) = (drops.tattle(), own.clone(), drops.clone());
        let timer = Timer::new(ctx, move || {
            drop(owner.take());
            assert_eq!(seen.count(), 0, "a running handler is not dropped");
            tattle.hold();
        });
        timer.arm_after(Duration::ZERO);
        own.replace(Some(timer));
        ctx.run().unwrap();
        assert_eq!(drops.count(), 1);
    });
}

#[test]
fn arming_and_disarming_leaves_nothing_behind() {
    everywhere(|ctx| {
        let log = Log::new();
        let timer = Timer::new(ctx, log.calling("timer"));
        for _ in 0..1000 {
            timer.arm_after(SECOND * 3600);
        }
        timer.disarm();
        assert_eq!(timer.deadline(), None);
        ctx.run().unwrap();
        expect_silence(ctx, &log);
        assert!(format!("{ctx:?}").contains("timers: 0"), "{ctx:?}");
    });
}

#[test]
fn a_timeout_without_end_is_not_an_overflow() {
    with_manual_clock(|ctx, clock| {
        let log = Log::new();
        let timer = Timer::new(ctx, log.calling("timer"));
        timer.arm_after(Duration::MAX);
        assert!(timer.deadline().unwrap() > ctx.now() + SECOND * 1_000_000_000);
        let (request, _completer) = Request::<()>::pair(ctx, "patient");
        request.set_timeout(Duration::MAX);
        clock.advance(SECOND * 1_000_000_000);
        expect_silence(ctx, &log);
        assert!(!request.is_finished());
    });
}

#[test]
fn hours_of_a_manual_clock_pass_at_once() {
    with_manual_clock(|ctx, clock| {
        let log = Log::new();
        let start = ctx.now();
        let timer = Timer::new(ctx, log.calling("an hour"));
        timer.arm_after(SECOND * 3600);
        expect_silence(ctx, &log);
        clock.advance(SECOND * 3599);
        expect_silence(ctx, &log);
        clock.advance(SECOND);
        assert_eq!(ctx.now() - start, SECOND * 3600);
        ctx.run().unwrap();
        expect_order(&log, &["an hour"]);
    });
}

#[test]
fn a_timer_of_a_clock_that_stands_still_is_nothing_that_could_happen() {
    with_manual_clock(|ctx, clock| {
        let log = Log::new();
        let timer = Timer::new(ctx, log.calling("timer"));
        timer.arm_after(SECOND);
        ctx.run().unwrap();
        assert!(!ctx.run_once().unwrap());
        expect_errno(
            ctx.run_until(wakeup(ctx, ctx.now() + SECOND)),
            Errno::DEADLK,
        );
        expect_order(&log, &[]);
        clock.advance(SECOND);
        ctx.run().unwrap();
        expect_order(&log, &["timer"]);
    });
}

#[test]
fn random_timers_fire_in_the_order_of_their_deadlines() {
    with_manual_clock(|ctx, clock| {
        let mut random = Random::seeded();
        let fired: Rc<RefCell<Vec<usize>>> = Rc::default();
        let mut timers = Vec::new();
        // What is armed, as (deadline, order of arming, timer).
        let mut model: Vec<(std::time::Instant, usize, usize)> = Vec::new();
        for step in 0..20_000 {
            match random.below(6) {
                0..2 => {
                    let (name, seen) = (timers.len(), fired.clone());
                    timers.push(Timer::new(ctx, move || seen.borrow_mut().push(name)));
                    let deadline = ctx.now() + Duration::from_nanos(random.below(50) as u64);
                    timers[name].arm(deadline);
                    model.push((deadline, step, name));
                }
                2 if !timers.is_empty() => {
                    let name = random.below(timers.len());
                    let deadline = ctx.now() + Duration::from_nanos(random.below(50) as u64);
                    timers[name].arm(deadline);
                    model.retain(|armed| armed.2 != name);
                    model.push((deadline, step, name));
                }
                3 if !timers.is_empty() => {
                    let name = random.below(timers.len());
                    timers[name].disarm();
                    model.retain(|armed| armed.2 != name);
                }
                _ => {
                    clock.advance(Duration::from_nanos(random.below(30) as u64));
                    tevent_tests::settle(ctx);
                    model.sort_unstable();
                    let due = model.partition_point(|armed| armed.0 <= ctx.now());
                    let expected: Vec<_> = model.drain(..due).map(|armed| armed.2).collect();
                    assert_eq!(fired.take(), expected, "step {step}");
                }
            }
        }
    });
}

#[test]
fn a_timer_comes_behind_the_immediates_of_its_round() {
    everywhere(|ctx| {
        let log = Log::new();
        let timer = Timer::new(ctx, log.calling("timer"));
        timer.arm_after(Duration::ZERO);
        let second = Immediate::new(ctx, log.calling("second"));
        let seen = log.clone();
        let first = Immediate::new(ctx, move || {
            seen.note("first");
            second.schedule();
        });
        first.schedule();
        ctx.run().unwrap();
        expect_order(&log, &["first", "second", "timer"]);
    });
}

#[test]
fn a_timer_shows_what_it_is() {
    let ctx = Context::new().unwrap();
    let timer = Timer::new(&ctx, || {});
    assert_eq!(format!("{timer:?}"), "Timer { deadline: None, .. }");
}

#[test]
fn arming_and_disarming_without_end_leaves_no_residue() {
    let ctx = Context::new().unwrap();
    let timers: Vec<_> = (0..100).map(|_| Timer::new(&ctx, || ())).collect();
    let start = ctx.now();
    for turn in 0..tevent_tests::scaled(300_000, 100_000_000) {
        let timer = &timers[turn % timers.len()];
        timer.arm(start + SECOND * 3600);
        timer.disarm();
    }
    assert!(format!("{ctx:?}").contains("timers: 0"), "{ctx:?}");
    assert_eq!(ctx.next_deadline(), None);
    ctx.run().unwrap();
}
