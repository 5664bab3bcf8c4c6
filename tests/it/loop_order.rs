//! What comes before what in a round, that nothing starves, and that handlers may do anything.

use std::cell::{Cell, OnceCell};
use std::rc::Rc;
use std::time::Duration;

use rustix::io::Errno;
use tevent::{Context, FdEvent, Immediate, Interest, ManualClock, Request, Signal, Timer, wakeup};
use tevent_tests::{
    Log, alone_with_signals, everywhere, expect_errno, expect_order, expect_silence,
    on_every_backend, raise, read_byte, run_to, settle, socket_pair, write_byte,
};

/// `SIGWINCH` is ignored by default, so that a stray one harms nobody.
const WINCH: i32 = 28;

#[test]
fn a_signal_comes_before_an_immediate_before_a_timer_before_a_descriptor() {
    let _alone = alone_with_signals();
    on_every_backend(|ctx| {
        let log = Log::new();
        let (near, far) = socket_pair();
        write_byte(&far);
        let seen = log.clone();
        let event = FdEvent::new(ctx, near, Interest::READ, move |_| seen.note("fd")).unwrap();
        let timer = Timer::new(ctx, log.calling("timer"));
        timer.arm_after(Duration::ZERO);
        let immediate = Immediate::new(ctx, log.calling("immediate"));
        immediate.schedule();
        let signal = Signal::new(ctx, WINCH, log.noting("signal")).unwrap();
        raise(WINCH);
        for _ in 0..4 {
            assert!(ctx.run_once().unwrap());
        }
        expect_order(&log, &["signal", "immediate", "timer", "fd"]);
        drop((event, signal));
    });
}

#[test]
fn one_handler_runs_for_each_run_once() {
    everywhere(|ctx| {
        let log = Log::new();
        let all: Vec<_> = ["a", "b", "c"]
            .iter()
            .map(|name| Immediate::new(ctx, log.calling(name)))
            .collect();
        all.iter().for_each(Immediate::schedule);
        assert!(ctx.run_once().unwrap());
        expect_order(&log, &["a"]);
        assert!(ctx.run_once().unwrap());
        expect_order(&log, &["b"]);
        ctx.run().unwrap();
        expect_order(&log, &["c"]);
        assert!(!ctx.run_once().unwrap(), "nothing is left");
    });
}

#[test]
fn each_descriptor_is_followed_by_the_completions_it_caused() {
    on_every_backend(|ctx| {
        let log = Log::new();
        let mut events = Vec::new();
        for name in ["one", "two", "three"] {
            let (near, far) = socket_pair();
            write_byte(&far);
            let (seen, weak) = (log.clone(), ctx.downgrade());
            let owner: Rc<Cell<Option<Request<()>>>> = Rc::default();
            let kept = owner.clone();
            let event = FdEvent::new(ctx, near, Interest::READ, move |_| {
                let done = Request::finished(&weak, "caused", Ok(()));
                seen.note(name);
                owner.set(Some(done.on_done(seen.noting(&format!("{name} done")))));
            });
            events.push((event.unwrap(), far, kept));
        }
        run_to(ctx, || log.len() >= 6);
        let order = log.take();
        for pair in order.chunks(2) {
            assert_eq!(pair[1], format!("{} done", pair[0]), "{order:?}");
        }
    });
}

#[test]
fn run_returns_when_nothing_is_left_that_could_happen() {
    on_every_backend(|ctx| {
        let log = Log::new();
        let (near, _far) = socket_pair();
        let _asks_nothing = FdEvent::new(ctx, near, Interest::NONE, log.noting("fd")).unwrap();
        let _idle_timer = Timer::new(ctx, log.calling("timer"));
        let _idle_immediate = Immediate::new(ctx, log.calling("immediate"));
        let _idle_remote = ctx.remote();
        let (_pending, _completer) = Request::<()>::pair(ctx, "pending");
        ctx.run().unwrap();
        assert!(!ctx.run_once().unwrap());
        expect_silence(ctx, &log);
        assert!(ctx.stats().receives == 0 && ctx.stats().sends == 0);
    });
}

#[test]
fn a_chain_of_immediates_starves_neither_a_timer_nor_a_descriptor() {
    on_every_backend(|ctx| {
        let (near, far) = socket_pair();
        write_byte(&far);
        let (turns, fd_at, timer_at) = (
            Rc::new(Cell::new(0_usize)),
            Rc::new(Cell::new(0)),
            Rc::new(Cell::new(0)),
        );
        let again: Rc<OnceCell<Immediate>> = Rc::default();
        let handler = {
            let (turns, again) = (turns.clone(), Rc::downgrade(&again));
            move || {
                turns.set(turns.get() + 1);
                again.upgrade().unwrap().get().unwrap().schedule();
            }
        };
        again
            .get_or_init(|| Immediate::new(ctx, handler))
            .schedule();
        let (at, now) = (timer_at.clone(), turns.clone());
        let timer = Timer::new(ctx, move || at.set(now.get()));
        timer.arm_after(Duration::ZERO);
        let (at, now) = (fd_at.clone(), turns.clone());
        let _event = FdEvent::new(ctx, near, Interest::READ, move |_| at.set(now.get())).unwrap();
        run_to(ctx, || fd_at.get() > 0 && timer_at.get() > 0);
        let bound = Context::RUN_BUDGET + 1;
        assert!(timer_at.get() <= bound, "{} immediates", timer_at.get());
        assert!(fd_at.get() <= 2 * bound, "{} immediates", fd_at.get());
    });
}

#[test]
fn a_timer_that_is_always_due_starves_no_descriptor() {
    on_every_backend(|ctx| {
        let (near, far) = socket_pair();
        write_byte(&far);
        let turns = Rc::new(Cell::new(0));
        let again: Rc<OnceCell<Timer>> = Rc::default();
        let handler = {
            let (turns, again) = (turns.clone(), Rc::downgrade(&again));
            move || {
                turns.set(turns.get() + 1);
                again
                    .upgrade()
                    .unwrap()
                    .get()
                    .unwrap()
                    .arm_after(Duration::ZERO);
            }
        };
        again
            .get_or_init(|| Timer::new(ctx, handler))
            .arm_after(Duration::ZERO);
        let seen = Rc::new(Cell::new(false));
        let told = seen.clone();
        let _event = FdEvent::new(ctx, near, Interest::READ, move |_| told.set(true)).unwrap();
        run_to(ctx, || seen.get());
        assert!(turns.get() <= 2, "{} timers came first", turns.get());
    });
}

#[test]
fn running_a_running_context_is_eloop_and_harms_nothing() {
    everywhere(|ctx| {
        let log = Log::new();
        let (inner, seen) = (ctx.clone(), log.clone());
        let immediate = Immediate::new(ctx, move || {
            expect_errno(inner.run(), Errno::LOOP);
            expect_errno(inner.run_once(), Errno::LOOP);
            expect_errno(inner.run_until(wakeup(&inner, inner.now())), Errno::LOOP);
            expect_errno(inner.block_on(async {}), Errno::LOOP);
            seen.note("refused");
        });
        immediate.schedule();
        ctx.run().unwrap();
        immediate.schedule();
        ctx.run().unwrap();
        expect_order(&log, &["refused", "refused"]);
    });
}

#[test]
fn another_context_may_be_run_from_a_handler() {
    on_every_backend(|ctx| {
        let log = Log::new();
        let other = Context::new().unwrap();
        let (seen, outer) = (log.clone(), ctx.clone());
        let immediate = Immediate::new(ctx, move || {
            let (seen_inside, outer) = (seen.clone(), outer.clone());
            let inner = Immediate::new(&other, move || {
                expect_errno(outer.run(), Errno::LOOP);
                seen_inside.note("inner");
            });
            inner.schedule();
            other.run().unwrap();
            seen.note("outer");
        });
        immediate.schedule();
        ctx.run().unwrap();
        expect_order(&log, &["inner", "outer"]);
    });
}

#[test]
fn time_spent_outside_of_run_once_counts() {
    on_every_backend(|ctx| {
        let clock = ManualClock::new();
        let builder = Context::builder().backend(ctx.backend());
        let ctx = builder.manual_clock(&clock).build().unwrap();
        let log = Log::new();
        let (quiet, _peer) = socket_pair();
        let _keeps_waiting = FdEvent::new(&ctx, quiet, Interest::READ, |_| {}).unwrap();
        let (near, far) = socket_pair();
        let unwanted = FdEvent::new(&ctx, near, Interest::READ, log.noting("fd")).unwrap();
        write_byte(&far);
        unwanted.set_interest(Interest::NONE).unwrap();
        let timer = Timer::new(&ctx, log.calling("timer"));
        timer.arm_after(Duration::from_secs(1));
        assert!(!ctx.run_once().unwrap(), "a wait for what nobody wants");
        clock.advance(Duration::from_secs(2));
        assert!(ctx.run_once().unwrap());
        expect_order(&log, &["timer"]);
    });
}

#[test]
fn an_unknown_back_end_is_refused_by_name() {
    let refused = Context::with_backend("select").unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::InvalidInput);
    assert!(refused.to_string().contains("'select'"));
    for name in Context::backend_list() {
        assert_eq!(Context::with_backend(name).unwrap().backend(), *name);
    }
}

#[test]
fn a_descriptor_does_not_wait_for_the_end_of_a_flood_of_requests() {
    on_every_backend(|ctx| {
        let (near, far) = socket_pair();
        let reads = Rc::new(Cell::new(0));
        let seen = reads.clone();
        let near = Rc::new(near);
        let socket = near.clone();
        let _event = FdEvent::new(ctx, near, Interest::READ, move |_| {
            read_byte(&socket);
            seen.set(seen.get() + 1);
        })
        .unwrap();
        write_byte(&far);
        let flood: Vec<_> = (0..10_000)
            .map(|_| Request::<()>::finished(ctx, "flood", Ok(())).on_done(|_| {}))
            .collect();
        // What was there when the round began is handled first, then the descriptor.
        for _ in 0..=flood.len() {
            ctx.run_once().unwrap();
        }
        assert_eq!(reads.get(), 1);
        settle(ctx);
    });
}
