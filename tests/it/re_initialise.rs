//! A context that is made anew: what was attached is inert, and everything can begin again.

use std::cell::{Cell, OnceCell, RefCell};
use std::rc::Rc;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use rustix::io::Errno;
use tevent::{
    Context, FdEvent, Immediate, Interest, Progress, Queue, Request, Signal, Steps, Timer,
    TracePoint, interval, wakeup,
};
use tevent_tests::{
    Drops, Log, alone_with_signals, everywhere, expect_errno, expect_order, expect_silence,
    on_every_backend, raise, run_to, socket_pair, write_byte,
};

const LONG: Duration = Duration::from_secs(3600);

#[test]
fn what_was_attached_is_inert_and_the_context_as_if_new() {
    let _alone = alone_with_signals();
    on_every_backend(|ctx| {
        let log = Log::new();
        let (near, far) = socket_pair();
        write_byte(&far);
        let event = FdEvent::new(ctx, near, Interest::READ, log.noting("fd")).unwrap();
        let timer = Timer::new(ctx, log.calling("timer"));
        timer.arm_after(Duration::ZERO);
        let immediate = Immediate::new(ctx, log.calling("immediate"));
        immediate.schedule();
        let signal = Signal::new(ctx, Signal::USR1, log.noting("signal")).unwrap();
        raise(Signal::USR1);
        let clone = ctx.clone();
        clone.re_initialise().unwrap();

        assert_eq!((event.interest(), timer.deadline()), (Interest::NONE, None));
        assert!(!immediate.is_scheduled());
        expect_errno(event.set_interest(Interest::READ), Errno::SHUTDOWN);
        raise(Signal::USR1);
        ctx.run().unwrap();
        expect_order(&log, &[]);

        let (near, before) = (event.into_inner(), ctx.stats().registrations);
        let event = FdEvent::new(&clone, near, Interest::READ, log.noting("fd again")).unwrap();
        assert_eq!(ctx.stats().registrations, before + 1, "its own set");
        assert!(ctx.run_once().unwrap());
        drop(event);
        immediate.schedule();
        timer.arm_after(Duration::ZERO);
        let again = Signal::new(ctx, Signal::USR1, log.noting("signal again")).unwrap();
        raise(Signal::USR1);
        run_to(ctx, || log.len() == 4);
        drop((signal, again));
        ctx.run().unwrap();
        let mut ran = log.take();
        ran.sort();
        assert_eq!(ran, ["fd again", "immediate", "signal again", "timer"]);
    });
}

#[test]
fn requests_of_before_are_not_delivered_and_not_in_the_dump() {
    everywhere(|ctx| {
        let (log, drops) = (Log::new(), Drops::new());
        let (pending, completer) = Request::<()>::pair(ctx, "pending");
        let pending = pending
            .on_done(log.noting("pending"))
            .on_notify(log.noting("progress"));
        let finished = Request::<()>::finished(ctx, "finished", Ok(()));
        let finished = finished.on_done(log.noting("finished"));
        let nap = wakeup(ctx, ctx.now()).on_done(log.noting("nap"));
        let tattle = drops.tattle();
        wakeup(ctx, ctx.now() + LONG)
            .on_done(move |_| tattle.hold())
            .detach();
        let (guard, subreq) = (drops.tattle(), wakeup(ctx, ctx.now()));
        let steps: Request<()> = Steps::start(ctx, "steps", guard, |step| {
            step.then(subreq, |step, _| step.done(()))
        });
        let steps = steps.on_done(log.noting("steps"));
        let (polled, seen) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
        let count = polled.clone();
        let spawned = ctx.spawn(async move { count.set(1) });
        let heartbeat = interval(ctx, Duration::from_nanos(1)).unwrap();
        let tick = heartbeat.tick().on_done(log.noting("tick"));
        ctx.re_initialise().unwrap();

        assert!(ctx.dump().entries().is_empty(), "{}", ctx.dump());
        assert_eq!(drops.count(), 1, "what was detached is dropped");
        completer.notify(Progress::new(1));
        completer.done(());
        pending.set_timeout(Duration::ZERO);
        nap.set_timeout(Duration::ZERO);
        nap.cancel();
        let count = seen.clone();
        let fresh = ctx.spawn(async move { count.set(1) });
        ctx.run().unwrap();
        expect_order(&log, &[]);
        assert_eq!((polled.get(), seen.get()), (0, 1));
        expect_errno(ctx.run_until(spawned), Errno::DEADLK);
        drop((pending, finished, nap, steps, fresh, tick));
        assert_eq!(drops.count(), 2, "and the rest with its owner");
        ctx.run_until(heartbeat.tick()).unwrap().unwrap();
        expect_silence(ctx, &log);
    });
}

#[test]
fn a_queue_stays_with_what_waits_in_it() {
    everywhere(|ctx| {
        let log = Log::new();
        let queue = Queue::new(ctx);
        let first = queue.add_entry(log.noting("first"));
        ctx.re_initialise().unwrap();
        ctx.run().unwrap();
        expect_order(&log, &[]);
        assert_eq!(queue.len(), 1);
        let second = queue.add_entry(log.noting("second"));
        ctx.run().unwrap();
        drop(first);
        ctx.run().unwrap();
        expect_order(&log, &["first", "second"]);
        drop(second);
    });
}

#[test]
fn work_sent_to_what_was_comes_back_and_a_new_remote_reaches_it() {
    everywhere(|ctx| {
        let (sender, ran) = channel();
        let before = ctx.remote();
        let lost = sender.clone();
        before.send(move |_| lost.send(0).unwrap()).unwrap();
        ctx.re_initialise().unwrap();
        let refused = before.send(|_| ()).unwrap_err();
        let remote = ctx.remote();
        remote.send(refused.call).unwrap();
        let threads: Vec<_> = (1..=100)
            .map(|number| {
                let (remote, sender) = (remote.clone(), sender.clone());
                thread::spawn(move || remote.send(move |_| sender.send(number).unwrap()))
            })
            .collect();
        for thread in threads {
            thread.join().unwrap().unwrap();
        }
        ctx.run().unwrap();
        let mut numbers: Vec<_> = ran.try_iter().collect();
        numbers.sort_unstable();
        assert_eq!(numbers, (1..=100).collect::<Vec<_>>());
    });
}

#[test]
fn tags_limits_and_hooks_stay() {
    let _alone = alone_with_signals();
    on_every_backend(|ctx| {
        let log = Log::new();
        let seen = log.clone();
        ctx.set_trace(Some(Rc::new(move |point| match point {
            TracePoint::Attach(traced) => seen.note(format!("attach {}", traced.kind())),
            TracePoint::Detach(traced) => {
                seen.note(format!("detach {} {}", traced.kind(), traced.tag()));
            }
            _ => {}
        })));
        ctx.set_wait_limit(Some(LONG));
        let (near, _far) = socket_pair();
        let event = FdEvent::new(ctx, near, Interest::READ, |_| ()).unwrap();
        let timer = Timer::new(ctx, || ());
        timer.arm_after(LONG);
        let signal = Signal::new(ctx, Signal::USR1, |_| ()).unwrap();
        let immediate = Immediate::new(ctx, || ());
        immediate.schedule();
        immediate.set_tag(1);
        timer.set_tag(2);
        event.set_tag(3);
        signal.set_tag(4);
        log.take().clear();
        ctx.re_initialise().unwrap();
        let each = [
            "detach immediate 1",
            "detach timer 2",
            "detach fd 3",
            "detach signal 4",
        ];
        expect_order(&log, &each);
        let tags = [immediate.tag(), timer.tag(), event.tag(), signal.tag()];
        assert_eq!(tags, [1, 2, 3, 4]);
        timer.arm_after(LONG);
        timer.disarm();
        expect_order(&log, &["attach timer", "detach timer 2"]);
        drop((event, timer, signal, immediate));
        expect_order(&log, &[]);
        assert_eq!(ctx.set_wait_limit(None), Some(LONG));
    });
}

#[test]
fn a_trace_hook_that_is_told_may_begin_anew() {
    everywhere(|ctx| {
        let log = Log::new();
        let timer = Rc::new(Timer::new(ctx, log.calling("timer")));
        timer.arm_after(LONG);
        let (weak, armed) = (Rc::downgrade(&timer), log.clone());
        ctx.set_trace(Some(Rc::new(move |point| {
            if let (TracePoint::Detach(_), Some(timer)) = (point, weak.upgrade()) {
                armed.note("detached");
                timer.arm_after(Duration::ZERO);
            }
        })));
        ctx.re_initialise().unwrap();
        ctx.set_trace(None);
        ctx.run().unwrap();
        expect_order(&log, &["detached", "timer"]);
    });
}

#[test]
fn a_run_goes_on_with_what_its_handler_has_made_anew() {
    everywhere(|ctx| {
        let log = Log::new();
        let late = Immediate::new(ctx, log.calling("never"));
        let fresh: Rc<OnceCell<Immediate>> = Rc::default();
        let (weak, made, seen) = (ctx.downgrade(), fresh.clone(), log.clone());
        let first = Immediate::new(ctx, move || {
            let ctx = weak.upgrade().unwrap();
            ctx.re_initialise().unwrap();
            expect_errno(ctx.run(), Errno::LOOP);
            let inner = Context::with_backend(ctx.backend()).unwrap();
            let nap = wakeup(&inner, inner.now());
            inner.run_until(nap).unwrap().unwrap();
            seen.note("made anew");
            made.get_or_init(|| Immediate::new(&ctx, seen.calling("fresh")))
                .schedule();
        });
        first.schedule();
        late.schedule();
        ctx.run().unwrap();
        expect_order(&log, &["made anew", "fresh"]);
    });
}

#[test]
fn what_is_dropped_on_the_way_may_use_the_new_context() {
    /// Arms a detached wake-up when it is dropped.
    struct Busy(tevent::WeakContext, Log);
    impl Drop for Busy {
        fn drop(&mut self) {
            let ctx = self.0.upgrade().unwrap();
            let noted = self.1.noting("woken");
            wakeup(&ctx, ctx.now()).on_done(noted).detach();
        }
    }
    everywhere(|ctx| {
        let log = Log::new();
        let busy = || Busy(ctx.downgrade(), log.clone());
        let own = busy();
        wakeup(ctx, ctx.now() + LONG)
            .on_done(move |_| drop(own))
            .detach();
        let held = Rc::new(RefCell::new(None));
        let (own, place) = (busy(), held.clone());
        let immediate = Immediate::new(ctx, move || {
            let _used = (&own, &place);
        });
        immediate.schedule();
        held.replace(Some(immediate));
        ctx.re_initialise().unwrap();
        drop(held.take());
        ctx.run().unwrap();
        expect_order(&log, &["woken", "woken"]);
    });
}

#[test]
fn jobs_of_before_are_neither_waited_for_nor_delivered() {
    everywhere(|ctx| {
        let (release, is_released) = channel::<()>();
        let (started, has_started) = channel();
        let log = Log::new();
        let job = ctx.offload(move || {
            started.send(()).unwrap();
            is_released.recv().is_ok()
        });
        let job = job.on_done(log.noting("job"));
        has_started.recv().unwrap();
        ctx.re_initialise().unwrap();
        ctx.run().unwrap();
        let next = ctx.offload(|| 7);
        assert_eq!(ctx.run_until(next).unwrap().unwrap(), 7);
        release.send(()).unwrap();
        drop(job);
        expect_silence(ctx, &log);
    });
}
