//! Immediates: one line, first in first out, and the freedom to do anything in a handler.

use std::cell::{Cell, OnceCell, RefCell};
use std::rc::Rc;

use tevent::{Context, Immediate};
use tevent_tests::{Drops, Log, everywhere, expect_order, expect_silence};

#[test]
fn immediates_run_in_the_order_in_which_they_were_scheduled() {
    everywhere(|ctx| {
        let log = Log::new();
        let a = Immediate::new(ctx, log.calling("a"));
        let b = Immediate::new(ctx, log.calling("b"));
        let c = Immediate::new(ctx, log.calling("c"));
        for immediate in [&b, &c, &a] {
            immediate.schedule();
            assert!(immediate.is_scheduled());
        }
        expect_order(&log, &[]);
        ctx.run().unwrap();
        expect_order(&log, &["b", "c", "a"]);
        assert!(!a.is_scheduled());
        expect_silence(ctx, &log);
    });
}

#[test]
fn scheduling_again_moves_to_the_end_and_runs_once() {
    everywhere(|ctx| {
        let log = Log::new();
        let a = Immediate::new(ctx, log.calling("a"));
        let b = Immediate::new(ctx, log.calling("b"));
        a.schedule();
        b.schedule();
        a.schedule();
        ctx.run().unwrap();
        expect_order(&log, &["b", "a"]);
    });
}

#[test]
fn a_canceled_or_dropped_immediate_does_not_run() {
    everywhere(|ctx| {
        let (log, drops) = (Log::new(), Drops::new());
        let canceled = Immediate::new(ctx, log.calling("canceled"));
        let tattle = drops.tattle();
        let dropped = Immediate::new(ctx, move || tattle.hold());
        canceled.schedule();
        dropped.schedule();
        canceled.cancel();
        canceled.cancel();
        assert!(!canceled.is_scheduled());
        drop(dropped);
        assert_eq!(drops.count(), 1, "its handler goes at once");
        ctx.run().unwrap();
        expect_silence(ctx, &log);
        canceled.schedule();
        ctx.run().unwrap();
        expect_order(&log, &["canceled"]);
    });
}

#[test]
fn one_that_schedules_itself_waits_behind_the_others() {
    everywhere(|ctx| {
        let log = Log::new();
        let again: Rc<OnceCell<Immediate>> = Rc::default();
        let (seen, weak, left) = (log.clone(), Rc::downgrade(&again), Cell::new(2));
        let handler = move || {
            seen.note("again");
            if left.replace(left.get() - 1) > 0 {
                let again = weak.upgrade().unwrap();
                assert!(!again.get().unwrap().is_scheduled());
                again.get().unwrap().schedule();
            }
        };
        let other = Immediate::new(ctx, log.calling("other"));
        again
            .get_or_init(|| Immediate::new(ctx, handler))
            .schedule();
        other.schedule();
        ctx.run().unwrap();
        expect_order(&log, &["again", "other", "again", "again"]);
    });
}

#[test]
fn a_handler_may_drop_its_own_immediate() {
    everywhere(|ctx| {
        let drops = Drops::new();
        let own: Rc<RefCell<Option<Immediate>>> = Rc::default();
        let (tattle, owner, seen) = (drops.tattle(), own.clone(), drops.clone());
        let immediate = Immediate::new(ctx, move || {
            drop(owner.take());
            assert_eq!(seen.count(), 0, "a running handler is not dropped");
            tattle.hold();
        });
        immediate.schedule();
        own.replace(Some(immediate));
        ctx.run().unwrap();
        assert_eq!(drops.count(), 1);
    });
}

#[test]
fn what_a_handler_makes_runs_too() {
    everywhere(|ctx| {
        let log = Log::new();
        let made: Rc<RefCell<Vec<Immediate>>> = Rc::default();
        let (weak, kept, seen) = (ctx.downgrade(), made.clone(), log.clone());
        let first = Immediate::new(ctx, move || {
            let ctx: Context = weak.upgrade().unwrap();
            for name in ["second", "third"] {
                let immediate = Immediate::new(&ctx, seen.calling(name));
                immediate.schedule();
                kept.borrow_mut().push(immediate);
            }
            seen.note("first");
        });
        first.schedule();
        ctx.run().unwrap();
        expect_order(&log, &["first", "second", "third"]);
        assert_eq!(made.borrow().len(), 2);
    });
}

#[test]
fn an_immediate_shows_what_it_is() {
    let ctx = Context::new().unwrap();
    let immediate = Immediate::new(&ctx, || {});
    immediate.schedule();
    assert_eq!(
        format!("{immediate:?}"),
        "Immediate { is_scheduled: true, .. }"
    );
}

#[test]
fn an_immediate_moves_to_another_context_and_leaves_the_first() {
    everywhere(|ctx| {
        let log = Log::new();
        let other = Context::with_backend(ctx.backend()).unwrap();
        let immediate = Immediate::new(ctx, log.calling("moved"));
        let there = Immediate::new(&other, log.calling("there"));
        immediate.schedule();
        there.schedule();
        immediate.schedule_on(&other);
        ctx.run().unwrap();
        expect_order(&log, &[]);
        other.run().unwrap();
        expect_order(&log, &["there", "moved"]);
        immediate.schedule();
        ctx.run().unwrap();
        expect_order(&log, &[]);
        other.run().unwrap();
        expect_order(&log, &["moved"]);
    });
}

#[test]
fn an_immediate_whose_context_is_gone_can_be_scheduled_on_another() {
    everywhere(|ctx| {
        let log = Log::new();
        let gone = Context::with_backend(ctx.backend()).unwrap();
        let immediate = Immediate::new(&gone, log.calling("survivor"));
        immediate.schedule();
        drop(gone);
        assert!(!immediate.is_scheduled());
        immediate.schedule();
        immediate.schedule_on(ctx);
        assert!(immediate.is_scheduled());
        ctx.run().unwrap();
        expect_order(&log, &["survivor"]);
    });
}

#[test]
fn an_immediate_that_is_run_inside_its_own_handler_is_put_off_until_that_has_returned() {
    everywhere(|ctx| {
        let log = Log::new();
        let other = Context::with_backend(ctx.backend()).unwrap();
        let own: Rc<OnceCell<Immediate>> = Rc::default();
        let (seen, weak, there) = (log.clone(), Rc::downgrade(&own), other.clone());
        let handler = move || {
            seen.note("begins");
            if seen.len() == 1 {
                let own = weak.upgrade().unwrap();
                let own = own.get().unwrap();
                own.schedule_on(&there);
                there.run().unwrap();
                assert!(own.is_scheduled());
            }
            seen.note("ends");
        };
        own.get_or_init(|| Immediate::new(ctx, handler)).schedule();
        ctx.run().unwrap();
        expect_order(&log, &["begins", "ends"]);
        log.note("nested");
        other.run().unwrap();
        expect_order(&log, &["nested", "begins", "ends"]);
    });
}
