//! Signals: each occurrence counted, for each context, ahead of everything else.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use rustix::io::Errno;
use tevent::{Context, Delivery, Immediate, Signal};
#[cfg(target_os = "linux")]
use tevent_tests::raise_with_value;
use tevent_tests::{
    Drops, Log, alone_with_signals, everywhere, expect_errno, expect_order, expect_panic,
    expect_silence, raise, run_to, settle,
};

/// `SIGCONT` and `SIGURG` do nothing to a process that does not handle them.
const CONT: i32 = 18;
const URG: i32 = 23;

#[test]
fn deliveries_are_counted_between_runs() {
    let _alone = alone_with_signals();
    everywhere(|ctx| {
        let counts: Rc<RefCell<Vec<u32>>> = Rc::default();
        let seen = counts.clone();
        let _signal =
            Signal::new(ctx, URG, move |told| seen.borrow_mut().push(told.count)).unwrap();
        for _ in 0..3 {
            raise(URG);
        }
        assert!(ctx.run_once().unwrap());
        raise(URG);
        assert!(ctx.run_once().unwrap());
        assert_eq!(counts.take(), [3, 1]);
        settle(ctx);
        assert_eq!(counts.take(), []);
    });
}

#[test]
fn every_context_sees_every_delivery() {
    let _alone = alone_with_signals();
    everywhere(|ctx| {
        let other = Context::with_backend(ctx.backend()).unwrap();
        let here = Rc::new(Cell::new(0));
        let there = Rc::new(Cell::new(0));
        let (mine, yours) = (here.clone(), there.clone());
        let _mine = Signal::new(ctx, URG, move |told| mine.set(mine.get() + told.count)).unwrap();
        let _yours =
            Signal::new(&other, URG, move |told| yours.set(yours.get() + told.count)).unwrap();
        for round in 1..=3 {
            raise(URG);
            run_to(ctx, || here.get() == round);
            run_to(&other, || there.get() == round);
        }
    });
}

#[test]
fn several_handlers_run_by_number_and_newest_first() {
    let _alone = alone_with_signals();
    everywhere(|ctx| {
        let log = Log::new();
        let events: Vec<_> = [
            ("u1", URG),
            ("c1", CONT),
            ("u2", URG),
            ("c2", CONT),
            ("u3", URG),
        ]
        .iter()
        .map(|(name, signum)| Signal::new(ctx, *signum, log.noting(name)).unwrap())
        .collect();
        // Both are pending before the loop looks.
        raise(URG);
        raise(CONT);
        run_to(ctx, || log.len() >= events.len());
        expect_order(&log, &["c2", "c1", "u3", "u2", "u1"]);
    });
}

#[test]
fn a_signal_raised_by_a_handler_comes_in_the_next_round_before_its_immediates() {
    let _alone = alone_with_signals();
    everywhere(|ctx| {
        let log = Log::new();
        let _signal = Signal::new(ctx, URG, log.noting("signal")).unwrap();
        let last = Rc::new(Immediate::new(ctx, log.calling("last")));
        let (seen, next) = (log.clone(), last.clone());
        let timer = tevent::Timer::new(ctx, move || {
            seen.note("timer");
            raise(URG);
            next.schedule();
        });
        timer.arm_after(std::time::Duration::ZERO);
        run_to(ctx, || log.len() == 3);
        expect_order(&log, &["timer", "signal", "last"]);
    });
}

#[test]
fn a_handler_may_drop_itself_and_the_next_one_for_its_number() {
    let _alone = alone_with_signals();
    everywhere(|ctx| {
        let (log, drops) = (Log::new(), Drops::new());
        let owned: Rc<RefCell<Vec<Signal>>> = Rc::default();
        let (tattle, seen) = (drops.tattle(), log.clone());
        let older = Signal::new(ctx, URG, move |_| {
            tattle.hold();
            seen.note("older");
        });
        let (tattle, seen, all) = (drops.tattle(), log.clone(), owned.clone());
        let newer = Signal::new(ctx, URG, move |_| {
            tattle.hold();
            let dropped = all.take();
            drop(dropped);
            seen.note("newer");
        });
        let others = Signal::new(ctx, URG, log.noting("oldest"));
        owned.borrow_mut().extend([older.unwrap(), newer.unwrap()]);
        drop(others);
        raise(URG);
        run_to(ctx, || log.len() == 1);
        expect_order(&log, &["newer"]);
        assert_eq!(drops.count(), 2);
        ctx.run().unwrap();
        expect_silence(ctx, &log);
    });
}

#[test]
fn a_handler_made_during_a_dispatch_does_not_see_that_delivery() {
    let _alone = alone_with_signals();
    everywhere(|ctx| {
        let log = Log::new();
        let made: Rc<RefCell<Option<Signal>>> = Rc::default();
        let (weak, seen, kept) = (ctx.downgrade(), log.clone(), made.clone());
        let _signal = Signal::new(ctx, URG, move |_| {
            seen.note("first");
            let ctx = weak.upgrade().unwrap();
            let late = Signal::new(&ctx, URG, seen.noting("late")).unwrap();
            kept.replace(Some(late));
        })
        .unwrap();
        raise(URG);
        run_to(ctx, || !log.is_empty());
        expect_order(&log, &["first"]);
        expect_silence(ctx, &log);
    });
}

#[test]
fn a_delivery_from_before_the_event_is_not_seen() {
    let _alone = alone_with_signals();
    everywhere(|ctx| {
        let log = Log::new();
        raise(URG);
        let _signal = Signal::new(ctx, URG, log.noting("signal")).unwrap();
        expect_silence(ctx, &log);
    });
}

#[test]
fn signals_that_cannot_be_handled_are_einval() {
    everywhere(|ctx| {
        let (kill, stop, segv, ill, fpe) = (9, 19, 11, 4, 8);
        for signum in [0, -1, 1000, kill, stop, segv, ill, fpe] {
            expect_errno(Signal::new(ctx, signum, |_| {}), Errno::INVAL);
        }
        ctx.run().unwrap();
    });
}

#[test]
fn an_event_for_a_signal_keeps_run_going_until_it_is_dropped() {
    let _alone = alone_with_signals();
    everywhere(|ctx| {
        let own: Rc<RefCell<Option<Signal>>> = Rc::default();
        let owner = own.clone();
        let signal = Signal::new(ctx, URG, move |_| drop(owner.take())).unwrap();
        own.replace(Some(signal));
        // Raised while the loop waits, if the thread is slow; before, if it is fast.
        let raiser = std::thread::spawn(|| raise(URG));
        ctx.run().unwrap();
        raiser.join().unwrap();
        assert!(own.borrow().is_none());
    });
}

#[test]
fn a_panicking_handler_does_not_lose_the_other_handlers() {
    let _alone = alone_with_signals();
    everywhere(|ctx| {
        let log = Log::new();
        let _older = Signal::new(ctx, URG, log.noting("older")).unwrap();
        let _newer = Signal::new(ctx, URG, |_| panic!("newer")).unwrap();
        raise(URG);
        assert_eq!(expect_panic(|| ctx.run_once()), "newer");
        assert!(ctx.run_once().unwrap());
        expect_order(&log, &["older"]);
    });
}

#[test]
fn a_signal_shows_what_it_is() {
    let ctx = Context::new().unwrap();
    let signal = Signal::new(&ctx, URG, |_| {}).unwrap();
    assert_eq!(format!("{signal:?}"), "Signal { signum: 23, .. }");
}

/// What an event for `URG` told each time it ran.
fn told(ctx: &Context) -> (Signal, Rc<RefCell<Vec<Delivery>>>) {
    let told: Rc<RefCell<Vec<Delivery>>> = Rc::default();
    let seen = told.clone();
    let signal = Signal::new(ctx, URG, move |delivery| seen.borrow_mut().push(delivery));
    (signal.expect("it is handled"), told)
}

#[test]
fn a_delivery_names_its_sender() {
    let _alone = alone_with_signals();
    everywhere(|ctx| {
        let (_signal, told) = told(ctx);
        raise(URG);
        raise(URG);
        assert!(ctx.run_once().unwrap());
        let told = told.take();
        assert_eq!((told.len(), told[0].count, told[0].infos.len()), (1, 2, 2));
        let pid = rustix::process::getpid().as_raw_nonzero().get();
        let uid = rustix::process::getuid().as_raw();
        for info in &told[0].infos {
            assert_eq!((info.pid, info.uid), (Some(pid), Some(uid)));
            assert_eq!(info.value, None);
            if cfg!(target_os = "linux") {
                assert_eq!(info.code, 0);
            }
        }
    });
}

#[cfg(target_os = "linux")]
#[test]
fn a_queued_signal_brings_its_value() {
    let _alone = alone_with_signals();
    everywhere(|ctx| {
        let (_signal, told) = told(ctx);
        let values = [1, -1, i32::MAX, i32::MIN];
        for value in values {
            raise_with_value(URG, value);
        }
        assert!(ctx.run_once().unwrap());
        let told = told.take();
        let infos = &told[0].infos;
        let brought: Vec<_> = infos.iter().filter_map(|info| info.value).collect();
        assert_eq!(brought, values);
        assert!(
            infos
                .iter()
                .all(|info| info.code == -1 && info.pid.is_some())
        );
    });
}

#[cfg(target_os = "linux")]
#[test]
fn infos_beyond_the_bound_are_lost_but_counted() {
    let _alone = alone_with_signals();
    everywhere(|ctx| {
        let (_signal, told) = told(ctx);
        for value in 0..=256 {
            raise_with_value(URG, value);
        }
        assert!(ctx.run_once().unwrap());
        raise_with_value(URG, 1000);
        assert!(ctx.run_once().unwrap());
        let told = told.take();
        assert_eq!(
            (told[0].count, told[0].infos.len()),
            (257, Signal::INFO_MAX)
        );
        assert_eq!(told[0].infos[255].value, Some(255));
        assert_eq!((told[1].count, told[1].infos.len()), (1, 1));
        assert_eq!(told[1].infos[0].value, Some(1000));
    });
}

#[test]
fn a_one_shot_event_runs_once_and_the_others_go_on() {
    let _alone = alone_with_signals();
    everywhere(|ctx| {
        let (log, drops) = (Log::new(), Drops::new());
        let other = Signal::new(ctx, URG, log.noting("each")).unwrap();
        let (seen, tattle) = (log.clone(), drops.tattle());
        let once = Signal::once(ctx, URG, move |told| {
            tattle.hold();
            seen.note(format!("once, {}", told.count));
        });
        raise(URG);
        raise(URG);
        run_to(ctx, || log.len() == 2);
        expect_order(&log, &["once, 2", "each"]);
        assert_eq!(drops.count(), 1);
        raise(URG);
        run_to(ctx, || !log.is_empty());
        expect_order(&log, &["each"]);
        expect_silence(ctx, &log);
        drop(other);
        // The one-shot event is still held, but is nothing to wait for.
        ctx.run().unwrap();
        drop(once.unwrap());
    });
}

#[test]
fn a_one_shot_event_may_be_dropped_before_it_ran_or_by_its_handler() {
    let _alone = alone_with_signals();
    everywhere(|ctx| {
        let log = Log::new();
        let before = Signal::once(ctx, URG, log.noting("dropped")).unwrap();
        raise(URG);
        drop(before);
        let own: Rc<RefCell<Option<Signal>>> = Rc::default();
        let (owner, seen) = (own.clone(), log.clone());
        let signal = Signal::once(ctx, URG, move |_| {
            drop(owner.take());
            seen.note("own");
        });
        own.replace(Some(signal.unwrap()));
        raise(URG);
        ctx.run().unwrap();
        expect_order(&log, &["own"]);
        expect_errno(Signal::once(ctx, 9, |_| {}), Errno::INVAL);
    });
}
