//! Trace points: their order for each kind, and the tags that a hook sees and sets.

use std::cell::{Cell, OnceCell, RefCell};
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::Duration;

use tevent::{
    Context, FdEvent, Immediate, Interest, Signal, Timer, TraceHook, TraceKind, TracePoint,
};
use tevent_tests::{
    Log, alone_with_signals, expect_order, on_every_backend, raise, run_to, socket_pair, write_byte,
};

/// A hook that notes what happens to `kind`, and adds one to the tag each time it is attached.
fn noting(kind: TraceKind, log: &Log) -> TraceHook {
    let log = log.clone();
    Rc::new(move |point| {
        let (name, traced) = match point {
            TracePoint::Attach(traced) => ("attach", traced),
            TracePoint::BeforeHandler(traced) => ("before", traced),
            TracePoint::Detach(traced) => ("detach", traced),
            _ => return,
        };
        if traced.kind() != kind {
            return;
        }
        assert_eq!(traced.location().file(), file!(), "of a {}", kind.name());
        if name == "attach" {
            traced.set_tag(traced.tag() + 1);
        }
        log.note(format!("{name} {}", traced.tag()));
    })
}

/// A log of what happens to `kind` on `ctx`.
fn trace(ctx: &Context, kind: TraceKind) -> Log {
    let log = Log::new();
    ctx.set_trace(Some(noting(kind, &log)));
    log
}

/// A log of what happens to `kind`, and a context of which nothing else is left when `story` returns.
fn trace_until_death(
    ctx: &Context,
    kind: TraceKind,
    story: impl FnOnce(&Context, &Log) -> Box<dyn std::any::Any>,
) {
    let mortal = Context::with_backend(ctx.backend()).expect("a second context");
    let log = trace(&mortal, kind);
    let inert = story(&mortal, &log);
    expect_order(&log, &[]);
    drop(mortal);
    expect_order(&log, &["detach 1"]);
    drop(inert);
    expect_order(&log, &[]);
}

fn readable() -> OwnedFd {
    let (near, far) = socket_pair();
    write_byte(&far);
    near.into()
}

/// An event that drops itself in its handler, after `log` was told so.
fn self_dropping<T: 'static>(log: &Log) -> (Rc<RefCell<Option<T>>>, impl Fn() + use<T>) {
    let place: Rc<RefCell<Option<T>>> = Rc::default();
    let (weak, log) = (Rc::downgrade(&place), log.clone());
    let handler = move || {
        log.note("handler");
        let own = weak.upgrade().and_then(|place| place.take());
        assert!(own.is_some(), "it runs once");
        drop(own);
        log.note("returns");
    };
    (place, handler)
}

#[test]
fn an_fd_event_stays_attached_until_it_is_dropped() {
    on_every_backend(|ctx| {
        let log = trace(ctx, TraceKind::Fd);
        let handler = log.noting("handler");
        let event = FdEvent::new(ctx, readable(), Interest::READ, handler).unwrap();
        expect_order(&log, &["attach 1"]);
        assert!(ctx.run_once().unwrap());
        expect_order(&log, &["before 1", "handler"]);
        event.set_interest(Interest::NONE).unwrap();
        event.set_interest(Interest::READ).unwrap();
        expect_order(&log, &[]);
        assert!(ctx.run_once().unwrap());
        expect_order(&log, &["before 1", "handler"]);
        drop(event);
        expect_order(&log, &["detach 1"]);
    });
}

#[test]
fn an_fd_event_is_detached_when_its_context_goes() {
    on_every_backend(|ctx| {
        trace_until_death(ctx, TraceKind::Fd, |ctx, log| {
            let handler = log.noting("handler");
            let event = FdEvent::new(ctx, readable(), Interest::READ, handler).unwrap();
            expect_order(log, &["attach 1"]);
            Box::new(event)
        });
    });
}

#[test]
fn an_fd_event_can_be_dropped_before_it_runs() {
    on_every_backend(|ctx| {
        let log = trace(ctx, TraceKind::Fd);
        let handler = log.noting("handler");
        let event = FdEvent::new(ctx, readable(), Interest::READ, handler).unwrap();
        drop(event);
        ctx.run().unwrap();
        expect_order(&log, &["attach 1", "detach 1"]);
    });
}

#[test]
fn an_fd_event_is_detached_inside_the_handler_that_drops_it() {
    on_every_backend(|ctx| {
        let log = trace(ctx, TraceKind::Fd);
        let (place, handler) = self_dropping(&log);
        let event = FdEvent::new(ctx, readable(), Interest::READ, move |_| handler()).unwrap();
        place.replace(Some(event));
        ctx.run().unwrap();
        let expected = ["attach 1", "before 1", "handler", "detach 1", "returns"];
        expect_order(&log, &expected);
    });
}

#[test]
fn a_timer_is_detached_when_its_handler_has_returned() {
    on_every_backend(|ctx| {
        let log = trace(ctx, TraceKind::Timer);
        let timer = Timer::new(ctx, log.calling("handler"));
        expect_order(&log, &[]);
        for tag in ["1", "2"] {
            timer.arm_after(Duration::ZERO);
            expect_order(&log, &[&format!("attach {tag}")]);
            ctx.run().unwrap();
            let expected = [
                &format!("before {tag}"),
                "handler",
                &format!("detach {tag}"),
            ];
            expect_order(&log, &expected);
        }
        drop(timer);
        expect_order(&log, &[]);
    });
}

#[test]
fn a_timer_that_is_armed_anew_is_detached_and_attached() {
    on_every_backend(|ctx| {
        let log = trace(ctx, TraceKind::Timer);
        let timer = Timer::new(ctx, log.calling("handler"));
        timer.arm_after(Duration::MAX);
        timer.arm_after(Duration::from_secs(60));
        expect_order(&log, &["attach 1", "detach 1", "attach 2"]);
        timer.disarm();
        timer.disarm();
        expect_order(&log, &["detach 2"]);
        assert_eq!(timer.tag(), 2);
    });
}

#[test]
fn a_timer_is_detached_when_its_context_goes() {
    on_every_backend(|ctx| {
        trace_until_death(ctx, TraceKind::Timer, |ctx, log| {
            let timer = Timer::new(ctx, log.calling("handler"));
            timer.arm_after(Duration::ZERO);
            expect_order(log, &["attach 1"]);
            Box::new(timer)
        });
    });
}

#[test]
fn a_timer_can_be_dropped_before_it_runs() {
    on_every_backend(|ctx| {
        let log = trace(ctx, TraceKind::Timer);
        let timer = Timer::new(ctx, log.calling("handler"));
        timer.arm_after(Duration::ZERO);
        drop(timer);
        ctx.run().unwrap();
        expect_order(&log, &["attach 1", "detach 1"]);
    });
}

#[test]
fn a_timer_is_detached_inside_the_handler_that_drops_it() {
    on_every_backend(|ctx| {
        let log = trace(ctx, TraceKind::Timer);
        let (place, handler) = self_dropping(&log);
        let timer = Timer::new(ctx, handler);
        timer.arm_after(Duration::ZERO);
        place.replace(Some(timer));
        ctx.run().unwrap();
        let expected = ["attach 1", "before 1", "handler", "detach 1", "returns"];
        expect_order(&log, &expected);
    });
}

#[test]
fn a_timer_armed_in_its_handler_is_not_detached_when_it_returns() {
    on_every_backend(|ctx| {
        let log = trace(ctx, TraceKind::Timer);
        let place: Rc<OnceCell<Timer>> = Rc::default();
        let (weak, seen, runs) = (Rc::downgrade(&place), log.clone(), Cell::new(0));
        let handler = move || {
            seen.note("handler");
            runs.set(runs.get() + 1);
            let timer = weak.upgrade().unwrap();
            if runs.get() == 1 {
                timer.get().unwrap().arm_after(Duration::ZERO);
                seen.note("returns");
            }
        };
        place
            .get_or_init(|| Timer::new(ctx, handler))
            .arm_after(Duration::ZERO);
        ctx.run().unwrap();
        let first = [
            "attach 1", "before 1", "handler", "detach 1", "attach 2", "returns",
        ];
        expect_order(
            &log,
            &[&first[..], &["before 2", "handler", "detach 2"]].concat(),
        );
    });
}

#[test]
fn a_signal_stays_attached_until_it_is_dropped() {
    let _alone = alone_with_signals();
    on_every_backend(|ctx| {
        let log = trace(ctx, TraceKind::Signal);
        let signal = Signal::new(ctx, Signal::USR1, log.noting("handler")).unwrap();
        expect_order(&log, &["attach 1"]);
        raise(Signal::USR1);
        run_to(ctx, || log.len() > 1);
        expect_order(&log, &["before 1", "handler"]);
        assert_eq!(signal.tag(), 1);
        drop(signal);
        expect_order(&log, &["detach 1"]);
    });
}

#[test]
fn a_signal_is_detached_when_its_context_goes() {
    let _alone = alone_with_signals();
    on_every_backend(|ctx| {
        trace_until_death(ctx, TraceKind::Signal, |ctx, log| {
            let signal = Signal::new(ctx, Signal::USR1, log.noting("handler")).unwrap();
            expect_order(log, &["attach 1"]);
            raise(Signal::USR1);
            Box::new(signal)
        });
    });
}

#[test]
fn a_signal_can_be_dropped_before_any_delivery() {
    let _alone = alone_with_signals();
    on_every_backend(|ctx| {
        let log = trace(ctx, TraceKind::Signal);
        let signal = Signal::new(ctx, Signal::USR1, log.noting("handler")).unwrap();
        drop(signal);
        ctx.run().unwrap();
        expect_order(&log, &["attach 1", "detach 1"]);
    });
}

#[test]
fn a_signal_is_detached_inside_the_handler_that_drops_it() {
    let _alone = alone_with_signals();
    on_every_backend(|ctx| {
        let log = trace(ctx, TraceKind::Signal);
        let (place, handler) = self_dropping(&log);
        let signal = Signal::new(ctx, Signal::USR1, move |_| handler()).unwrap();
        place.replace(Some(signal));
        raise(Signal::USR1);
        ctx.run().unwrap();
        let expected = ["attach 1", "before 1", "handler", "detach 1", "returns"];
        expect_order(&log, &expected);
    });
}

#[test]
fn a_signal_event_for_one_shot_is_detached_after_it() {
    let _alone = alone_with_signals();
    on_every_backend(|ctx| {
        let log = trace(ctx, TraceKind::Signal);
        let signal = Signal::once(ctx, Signal::USR1, log.noting("handler")).unwrap();
        raise(Signal::USR1);
        ctx.run().unwrap();
        expect_order(&log, &["attach 1", "before 1", "handler", "detach 1"]);
        drop(signal);
        expect_order(&log, &[]);
    });
}

#[test]
fn an_immediate_that_moves_is_detached_here_and_attached_there() {
    on_every_backend(|ctx| {
        let there = Context::with_backend(ctx.backend()).unwrap();
        let (log, log_there) = (
            trace(ctx, TraceKind::Immediate),
            trace(&there, TraceKind::Immediate),
        );
        let immediate = Immediate::new(ctx, log_there.calling("handler"));
        immediate.schedule();
        immediate.schedule_on(&there);
        expect_order(&log, &["attach 1", "detach 1"]);
        there.run().unwrap();
        expect_order(&log_there, &["attach 2", "before 2", "handler", "detach 2"]);
        ctx.run().unwrap();
        expect_order(&log, &[]);
    });
}

#[test]
fn an_immediate_is_attached_while_it_is_scheduled() {
    on_every_backend(|ctx| {
        let log = trace(ctx, TraceKind::Immediate);
        let immediate = Immediate::new(ctx, log.calling("handler"));
        expect_order(&log, &[]);
        immediate.schedule();
        expect_order(&log, &["attach 1"]);
        ctx.run().unwrap();
        expect_order(&log, &["before 1", "handler", "detach 1"]);
        drop(immediate);
        expect_order(&log, &[]);
    });
}

#[test]
fn an_immediate_is_detached_when_it_is_canceled_or_its_context_goes() {
    on_every_backend(|ctx| {
        let log = trace(ctx, TraceKind::Immediate);
        let immediate = Immediate::new(ctx, log.calling("handler"));
        immediate.schedule();
        immediate.cancel();
        immediate.cancel();
        ctx.run().unwrap();
        expect_order(&log, &["attach 1", "detach 1"]);

        trace_until_death(ctx, TraceKind::Immediate, |ctx, log| {
            let immediate = Immediate::new(ctx, log.calling("handler"));
            immediate.schedule();
            expect_order(log, &["attach 1"]);
            Box::new(immediate)
        });
    });
}

#[test]
fn an_immediate_can_be_dropped_before_it_runs() {
    on_every_backend(|ctx| {
        let log = trace(ctx, TraceKind::Immediate);
        let immediate = Immediate::new(ctx, log.calling("handler"));
        immediate.schedule();
        drop(immediate);
        ctx.run().unwrap();
        expect_order(&log, &["attach 1", "detach 1"]);
    });
}

#[test]
fn an_immediate_is_detached_inside_the_handler_that_drops_it() {
    on_every_backend(|ctx| {
        let log = trace(ctx, TraceKind::Immediate);
        let (place, handler) = self_dropping(&log);
        let immediate = Immediate::new(ctx, handler);
        immediate.schedule();
        place.replace(Some(immediate));
        ctx.run().unwrap();
        let expected = ["attach 1", "before 1", "handler", "detach 1", "returns"];
        expect_order(&log, &expected);
    });
}

#[test]
fn an_immediate_scheduled_anew_is_detached_and_attached() {
    on_every_backend(|ctx| {
        let log = trace(ctx, TraceKind::Immediate);
        let place: Rc<OnceCell<Immediate>> = Rc::default();
        let (weak, seen, runs) = (Rc::downgrade(&place), log.clone(), Cell::new(0));
        let handler = move || {
            let immediate = weak.upgrade().unwrap();
            let immediate = immediate.get().unwrap();
            seen.note(format!("handler {}", immediate.tag()));
            runs.set(runs.get() + 1);
            if runs.get() == 1 {
                immediate.schedule();
                immediate.schedule();
                seen.note("returns");
            }
        };
        let immediate = place.get_or_init(|| Immediate::new(ctx, handler));
        immediate.schedule();
        immediate.schedule();
        expect_order(&log, &["attach 1", "detach 1", "attach 2"]);
        assert!(ctx.run_once().unwrap());
        let again = ["detach 2", "attach 3", "detach 3", "attach 4", "returns"];
        expect_order(&log, &[&["before 2", "handler 2"], &again[..]].concat());
        assert!(ctx.run_once().unwrap());
        expect_order(&log, &["before 4", "handler 4", "detach 4"]);
    });
}
