//! Trace hooks: rounds and waits, queue entries, chaining, tags, and handlers that take their time.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use tevent::{
    Context, FdEvent, Immediate, Interest, ManualClock, Queue, QueueEntry, Request, Signal,
    SlowHandler, Timer, TraceHook, TraceKind, TracePoint,
};
use tevent_tests::{
    Log, alone_with_signals, expect_order, expect_panic, on_every_backend, raise, run_to,
    socket_pair, within_limit, write_byte,
};

/// A hook that notes every point; what is entered in a queue has the number of its turn as its tag.
fn noting(log: &Log) -> TraceHook {
    let (log, entered) = (log.clone(), Cell::new(0));
    Rc::new(move |point| match point {
        TracePoint::Attach(traced) => {
            entered.set(entered.get() + 1);
            traced.set_tag(entered.get());
            log.note(format!("attach {} {}", traced.kind(), traced.tag()));
        }
        TracePoint::BeforeHandler(traced) => {
            log.note(format!("before {} {}", traced.kind(), traced.tag()));
        }
        TracePoint::Detach(traced) => {
            log.note(format!("detach {} {}", traced.kind(), traced.tag()));
        }
        point => log.note(format!("{point:?}")),
    })
}

/// As [`noting`], but without rounds and waits.
fn noting_events(log: &Log) -> TraceHook {
    let hook = noting(log);
    Rc::new(move |point| {
        let is_event = matches!(
            point,
            TracePoint::Attach(_) | TracePoint::BeforeHandler(_) | TracePoint::Detach(_)
        );
        if is_event {
            hook(point);
        }
    })
}

#[test]
fn a_round_begins_waits_and_ends() {
    on_every_backend(|ctx| {
        let log = Log::new();
        let timer = Timer::new(ctx, log.calling("timer"));
        timer.arm_after(Duration::from_millis(1));
        ctx.set_trace(Some(noting(&log)));
        ctx.run().unwrap();
        let mut told = log.take();
        let fired = told.iter().position(|entry| entry == "timer").unwrap();
        let last = told.split_off(fired - 1);
        assert_eq!(
            last,
            ["before timer 0", "timer", "detach timer 0", "RoundEnd"]
        );
        // Rounds that waited, then the one in which it was due.
        assert_eq!(told.pop().unwrap(), "RoundBegin");
        assert!(!told.is_empty());
        for round in told.chunks(4) {
            assert_eq!(round, ["RoundBegin", "WaitBegin", "WaitEnd", "RoundEnd"]);
        }
    });
}

#[test]
fn a_round_that_is_left_after_a_handler_goes_on() {
    on_every_backend(|ctx| {
        let log = Log::new();
        let both = [(); 2].map(|()| Immediate::new(ctx, log.calling("handler")));
        both.iter().for_each(Immediate::schedule);
        ctx.set_trace(Some(noting(&log)));
        assert!(ctx.run_once().unwrap());
        expect_order(
            &log,
            &[
                "RoundBegin",
                "before immediate 0",
                "handler",
                "detach immediate 0",
            ],
        );
        assert!(ctx.run_once().unwrap());
        expect_order(
            &log,
            &["before immediate 0", "handler", "detach immediate 0"],
        );
        assert!(!ctx.run_once().unwrap(), "nothing is left");
        expect_order(&log, &["RoundEnd"]);
    });
}

#[test]
fn what_a_hook_schedules_before_a_wait_does_not_wait() {
    on_every_backend(|ctx| {
        let log = Log::new();
        let timer = Timer::new(ctx, || {});
        timer.arm_after(Duration::MAX);
        let immediate = Immediate::new(ctx, log.calling("handler"));
        ctx.set_trace(Some(Rc::new(move |point| {
            if matches!(point, TracePoint::WaitBegin) {
                immediate.schedule();
            }
        })));
        assert!(ctx.run_once().unwrap());
        expect_order(&log, &["handler"]);
        ctx.set_trace(None);
    });
}

#[test]
fn five_turns_of_two_queues_see_their_tags() {
    on_every_backend(|ctx| {
        let log = Log::new();
        ctx.set_trace(Some(noting_events(&log)));
        let queues = [Queue::new(ctx), Queue::new(ctx)];
        let entries: Rc<RefCell<Vec<Option<QueueEntry>>>> = Rc::default();
        for number in 0..5 {
            let (place, log) = (Rc::downgrade(&entries), log.clone());
            let entry = queues[number % 2].add_entry(move |turn| {
                turn.unwrap();
                let entries = place.upgrade().unwrap();
                let entry = entries.borrow_mut()[number].take().unwrap();
                log.note(format!("turn of {}", entry.tag()));
            });
            entries.borrow_mut().push(Some(entry));
        }
        let attached: Vec<_> = (1..=5)
            .map(|tag| format!("attach queue entry {tag}"))
            .collect();
        assert_eq!(log.take(), attached);
        for tag in 1..=5 {
            assert!(ctx.run_once().unwrap());
            let expected = [
                format!("before queue entry {tag}"),
                format!("turn of {tag}"),
                format!("detach queue entry {tag}"),
            ];
            assert_eq!(log.take(), expected);
        }
        assert!(queues.iter().all(Queue::is_empty));
    });
}

#[test]
fn requests_in_a_queue_are_traced() {
    on_every_backend(|ctx| {
        let log = Log::new();
        ctx.set_trace(Some(noting_events(&log)));
        let queue = Queue::new(ctx);
        let start = {
            let (ctx, log) = (ctx.clone(), log.clone());
            move || {
                log.note("turn");
                Request::<()>::finished(&ctx, "done", Ok(()))
            }
        };
        let at_once = queue.add_eager(start.clone());
        expect_order(
            &log,
            &["attach queue entry 1", "before queue entry 1", "turn"],
        );
        let second = queue.add(start);
        expect_order(&log, &["attach queue entry 2"]);
        ctx.run_until(at_once).unwrap().unwrap();
        ctx.run_until(second).unwrap().unwrap();
        let rest = ["before queue entry 2", "turn", "detach queue entry 2"];
        expect_order(&log, &[&["detach queue entry 1"], &rest[..]].concat());
    });
}

#[test]
fn an_entry_that_has_its_turn_at_once_is_traced_inside_the_call() {
    on_every_backend(|ctx| {
        let log = Log::new();
        ctx.set_trace(Some(noting_events(&log)));
        let queue = Queue::new(ctx);
        drop(queue.try_turn().unwrap());
        let at_once = [
            "attach queue entry 1",
            "before queue entry 1",
            "detach queue entry 1",
        ];
        expect_order(&log, &at_once);
        assert_eq!(queue.len(), 0);

        let blocker = queue.add_entry(|_| {});
        expect_order(&log, &["attach queue entry 2"]);
        assert!(ctx.run_once().unwrap());
        expect_order(&log, &["before queue entry 2"]);
        assert_eq!(queue.len(), 1);

        let normal = queue.add_entry(log.noting("turn"));
        expect_order(&log, &["attach queue entry 3"]);
        ctx.run().unwrap();
        expect_order(&log, &[]);
        assert_eq!(queue.len(), 2);

        drop(blocker);
        expect_order(&log, &["detach queue entry 2"]);
        assert_eq!(queue.len(), 1);
        ctx.run().unwrap();
        expect_order(&log, &["before queue entry 3", "turn"]);
        drop(normal);
        expect_order(&log, &["detach queue entry 3"]);
    });
}

#[test]
fn dropping_a_queue_detaches_its_entries_from_front_to_back() {
    on_every_backend(|ctx| {
        let log = Log::new();
        ctx.set_trace(Some(noting_events(&log)));
        let queue = Queue::new(ctx);
        let entries = [(); 3].map(|()| queue.add_entry(|_| {}));
        assert_eq!(log.take().len(), 3);
        drop(queue);
        let detached = [1, 2, 3].map(|tag| format!("detach queue entry {tag}"));
        assert_eq!(log.take(), detached);
        drop(entries);
        expect_order(&log, &[]);
    });
}

#[test]
fn a_context_has_the_hook_that_was_set_and_none_after_clearing() {
    on_every_backend(|ctx| {
        let log = Log::new();
        assert!(ctx.trace().is_none());
        let hook = noting(&log);
        ctx.set_trace(Some(hook.clone()));
        assert!(ctx.trace().is_some_and(|set| Rc::ptr_eq(&set, &hook)));
        ctx.set_trace(None);
        assert!(ctx.trace().is_none());
        assert_eq!(Rc::strong_count(&hook), 1);
        Immediate::new(ctx, || {}).schedule();
        ctx.run().unwrap();
        expect_order(&log, &[]);
    });
}

/// A story that traces one kind after a hook was chained before the present one.
fn expect_both_hooks(kind: TraceKind, story: impl Fn(&Context) + Clone + Send + 'static) {
    on_every_backend(move |ctx| {
        let log = Log::new();
        for name in ["first", "second"] {
            let (log, former) = (log.clone(), ctx.trace());
            ctx.set_trace(Some(Rc::new(move |point| {
                if let Some(former) = &former {
                    former(point);
                }
                match point {
                    TracePoint::Attach(traced) if traced.kind() == kind => log.note(name),
                    _ => {}
                }
            })));
        }
        story(ctx);
        expect_order(&log, &["first", "second"]);
    });
}

#[test]
fn hooks_can_be_chained_for_fd_events() {
    expect_both_hooks(TraceKind::Fd, |ctx| {
        let event = FdEvent::new(ctx, socket_pair().0, Interest::READ, |_| {});
        drop(event.unwrap());
    });
}

#[test]
fn hooks_can_be_chained_for_timers() {
    expect_both_hooks(TraceKind::Timer, |ctx| {
        Timer::new(ctx, || {}).arm_after(Duration::ZERO);
    });
}

#[test]
fn hooks_can_be_chained_for_signals() {
    let _alone = alone_with_signals();
    expect_both_hooks(TraceKind::Signal, |ctx| {
        drop(Signal::new(ctx, Signal::USR1, |_| {}).unwrap());
    });
}

#[test]
fn hooks_can_be_chained_for_immediates() {
    expect_both_hooks(TraceKind::Immediate, |ctx| {
        Immediate::new(ctx, || {}).schedule();
    });
}

#[test]
fn hooks_can_be_chained_for_queue_entries() {
    expect_both_hooks(TraceKind::QueueEntry, |ctx| {
        drop(Queue::new(ctx).add_entry(|_| {}));
    });
}

#[test]
fn tags_are_kept() {
    let _alone = alone_with_signals();
    on_every_backend(|ctx| {
        let (near, far) = socket_pair();
        let fd = FdEvent::new(ctx, near, Interest::READ, |_| {}).unwrap();
        let timer = Timer::new(ctx, || {});
        let log = Log::new();
        let signal = Signal::new(ctx, Signal::USR1, log.noting("signal")).unwrap();
        let immediate = Immediate::new(ctx, || {});
        let queue = Queue::new(ctx);
        let entries = [queue.add_entry(|_| {}), queue.add_entry(|_| {})];
        let tags = || {
            let sources = [fd.tag(), timer.tag(), signal.tag(), immediate.tag()];
            (sources, [entries[0].tag(), entries[1].tag()])
        };
        assert_eq!(tags(), ([0; 4], [0; 2]));
        fd.set_tag(1);
        timer.set_tag(2);
        signal.set_tag(3);
        immediate.set_tag(u64::MAX);
        entries[0].set_tag(5);
        entries[1].set_tag(6);
        let set = ([1, 2, 3, u64::MAX], [5, 6]);
        assert_eq!(tags(), set);
        timer.arm_after(Duration::MAX);
        timer.arm_after(Duration::ZERO);
        immediate.schedule();
        write_byte(&far);
        raise(Signal::USR1);
        run_to(ctx, || timer.deadline().is_none() && !log.is_empty());
        fd.set_interest(Interest::NONE).unwrap();
        assert_eq!(tags(), set);
        drop(queue);
        assert_eq!(tags(), set);
    });
}

#[test]
fn what_a_hook_does_is_not_told_and_breaks_nothing() {
    on_every_backend(|ctx| {
        let log = Log::new();
        let timer = Rc::new(Timer::new(ctx, log.calling("timer")));
        let immediate = Rc::new(Immediate::new(ctx, log.calling("immediate")));
        let (weak_timer, weak_immediate) = (Rc::downgrade(&timer), Rc::downgrade(&immediate));
        let seen = log.clone();
        ctx.set_trace(Some(Rc::new(move |point| {
            if let TracePoint::Attach(traced) | TracePoint::Detach(traced) = point {
                seen.note(format!("told of {}", traced.kind()));
                weak_timer.upgrade().unwrap().arm_after(Duration::ZERO);
                weak_immediate.upgrade().unwrap().schedule();
            }
        })));
        timer.arm_after(Duration::from_secs(60));
        immediate.schedule();
        timer.arm_after(Duration::from_secs(60));
        immediate.schedule();
        ctx.set_trace(None);
        assert!(log.take().iter().all(|entry| entry.starts_with("told of")));
        timer.arm_after(Duration::ZERO);
        immediate.schedule();
        ctx.run().unwrap();
        expect_order(&log, &["immediate", "timer"]);
    });
}

#[test]
fn the_hook_is_told_again_after_it_has_panicked() {
    on_every_backend(|ctx| {
        let log = Log::new();
        let seen = log.clone();
        ctx.set_trace(Some(Rc::new(move |point| {
            if let TracePoint::BeforeHandler(_) = point {
                seen.note("told");
                assert!(seen.len() > 1, "the first time it fails");
            }
        })));
        let immediate = Immediate::new(ctx, || {});
        immediate.schedule();
        expect_panic(|| ctx.run());
        immediate.schedule();
        ctx.run().unwrap();
        expect_order(&log, &["told", "told"]);
    });
}

/// Runs `story` on a context with a manual clock, and returns what was slow: a second or more.
fn slow_in(story: impl FnOnce(&Context, &ManualClock)) -> Vec<SlowHandler> {
    let clock = ManualClock::new();
    let ctx = Context::builder().manual_clock(&clock);
    let ctx = ctx.build().expect("there is a back end");
    let slow: Rc<RefCell<Vec<SlowHandler>>> = Rc::default();
    let seen = slow.clone();
    let hook = move |slow: &SlowHandler| seen.borrow_mut().push(slow.clone());
    ctx.on_slow_handler(Duration::from_secs(1), Some(Rc::new(hook)));
    story(&ctx, &clock);
    slow.take()
}

#[test]
fn only_a_handler_that_takes_its_time_is_told_of() {
    within_limit(|| {
        let line = Cell::new(0);
        let slow = slow_in(|ctx, clock| {
            let takes = |milliseconds| {
                let clock = clock.clone();
                move || clock.advance(Duration::from_millis(milliseconds))
            };
            line.set(line!() + 1);
            let slow = Immediate::new(ctx, takes(1000));
            let fast = Immediate::new(ctx, takes(999));
            slow.schedule();
            fast.schedule();
            ctx.run().unwrap();
            ctx.on_slow_handler(Duration::ZERO, None);
            slow.schedule();
            ctx.run().unwrap();
        });
        let [slow] = &slow[..] else {
            panic!("{slow:?}");
        };
        assert_eq!(slow.kind, TraceKind::Immediate);
        assert_eq!(slow.duration, Duration::from_secs(1));
        assert_eq!(
            (slow.location.file(), slow.location.line()),
            (file!(), line.get())
        );
        let text = slow.to_string();
        assert!(
            text.starts_with("the handler of the immediate made at "),
            "{text}"
        );
        assert!(text.ends_with(" took 1s"), "{text}");
    });
}

#[test]
fn each_kind_has_its_slow_handlers() {
    let _alone = alone_with_signals();
    within_limit(|| {
        let slow = slow_in(|ctx, clock| {
            let log = Log::new();
            let takes = || {
                let (clock, done) = (clock.clone(), log.calling("done"));
                move || {
                    clock.advance(Duration::from_secs(2));
                    done();
                }
            };
            let (near, far) = socket_pair();
            write_byte(&far);
            let (fd, signal, turn, completion) = (takes(), takes(), takes(), takes());
            let event = FdEvent::new(ctx, near, Interest::READ, move |_| fd()).unwrap();
            run_to(ctx, || log.len() == 1);
            drop(event);
            let event = Signal::new(ctx, Signal::USR1, move |_| signal()).unwrap();
            raise(Signal::USR1);
            run_to(ctx, || log.len() == 2);
            drop(event);
            let timer = Timer::new(ctx, takes());
            timer.arm_after(Duration::ZERO);
            ctx.run().unwrap();
            let queue = Queue::new(ctx);
            let entry = queue.add_entry(move |_| turn());
            ctx.run().unwrap();
            drop(entry);
            let done = Request::<()>::finished(ctx, "done", Ok(())).on_done(move |_| completion());
            ctx.run().unwrap();
            drop(done);
            let task = takes();
            ctx.run_until(ctx.spawn(async move { task() }))
                .unwrap()
                .unwrap();
        });
        let kinds: Vec<_> = slow.iter().map(|slow| slow.kind).collect();
        let expected = [
            TraceKind::Fd,
            TraceKind::Signal,
            TraceKind::Timer,
            TraceKind::QueueEntry,
            TraceKind::Completion,
            TraceKind::Task,
        ];
        assert_eq!(kinds, expected);
        for slow in slow {
            assert_eq!(slow.duration, Duration::from_secs(2));
            assert_eq!(slow.location.file(), file!(), "{slow}");
        }
    });
}
