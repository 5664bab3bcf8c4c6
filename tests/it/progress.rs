//! How far a request has come: told from the loop, the latest only, and never after its end.

use std::cell::RefCell;
use std::rc::Rc;

use rustix::io::Errno;
use tevent::{Context, Progress, Request, Step, Steps, wakeup};
use tevent_tests::{
    Drops, Log, expect_order, expect_panic, expect_silence, on_every_backend, settle,
};

/// A handler that adds each progress to `log`.
fn following(log: &Log) -> impl FnMut(Progress) + use<> {
    let log = log.clone();
    move |progress| log.note(progress.to_string())
}

#[test]
fn progress_is_told_from_the_loop_and_only_the_latest() {
    on_every_backend(|ctx| {
        let log = Log::new();
        let (request, completer) = Request::<()>::pair(ctx, "copy");
        let request = request.on_notify(following(&log));
        completer.notify(Progress::of(1, 3));
        completer.notify(Progress::of(2, 3));
        expect_order(&log, &[]);
        settle(ctx);
        expect_order(&log, &["2/3"]);
        settle(ctx);
        completer.notify(Progress::new(7));
        settle(ctx);
        expect_order(&log, &["7"]);
        drop(request);
    });
}

#[test]
fn progress_made_before_anybody_asked_is_told() {
    on_every_backend(|ctx| {
        let log = Log::new();
        let (request, completer) = Request::<()>::pair(ctx, "copy");
        completer.notify(Progress::of(1, 3));
        settle(ctx);
        let request = request.on_notify(following(&log));
        settle(ctx);
        expect_order(&log, &["1/3"]);
        let seen = log.clone();
        let request = request.on_notify(move |progress| seen.note(format!("now {progress}")));
        settle(ctx);
        expect_order(&log, &["now 1/3"]);
        drop(request);
    });
}

#[test]
fn nothing_is_told_after_the_end() {
    on_every_backend(|ctx| {
        let (log, drops) = (Log::new(), Drops::new());
        let start = || {
            let (request, completer) = Request::<()>::pair(ctx, "copy");
            let (mut follow, tattle) = (following(&log), drops.tattle());
            let request = request.on_notify(move |progress| {
                tattle.hold();
                follow(progress);
            });
            completer.notify(Progress::new(1));
            (request, completer)
        };
        let (finished, completer) = start();
        completer.done(());
        let (canceled, completer) = start();
        canceled.cancel();
        completer.notify(Progress::new(2));
        let (dropped, completer) = start();
        drop(dropped);
        completer.notify(Progress::new(2));
        assert_eq!(drops.count(), 3, "the handler goes with the end");
        let finished = finished.on_done(log.noting("finished"));
        let finished = finished.on_notify(following(&log));
        ctx.run().unwrap();
        expect_order(&log, &["finished"]);
        drop((finished, canceled));
        expect_silence(ctx, &log);
    });
}

#[test]
fn a_handler_may_drop_its_request_and_may_panic() {
    on_every_backend(|ctx| {
        let log = Log::new();
        let own: Rc<RefCell<Option<Request<()>>>> = Rc::default();
        let (request, completer) = Request::<()>::pair(ctx, "copy");
        let (owner, seen) = (own.clone(), log.clone());
        own.replace(Some(request.on_notify(move |progress| {
            drop(owner.take());
            seen.note(progress.to_string());
        })));
        completer.notify(Progress::new(1));
        ctx.run().unwrap();
        assert!(completer.is_moot());
        expect_order(&log, &["1"]);

        let (request, completer) = Request::<()>::pair(ctx, "copy");
        let (seen, mut is_first) = (log.clone(), true);
        let request = request.on_notify(move |progress| {
            assert!(!std::mem::take(&mut is_first), "first");
            seen.note(progress.to_string());
        });
        completer.notify(Progress::new(1));
        assert_eq!(expect_panic(|| ctx.run_once()), "first");
        completer.notify(Progress::new(2));
        ctx.run().unwrap();
        expect_order(&log, &["2"]);
        drop(request);
    });
}

#[test]
fn steps_tell_how_far_they_have_come() {
    fn stepped(step: &mut Step<'_, (Context, u64), ()>) -> std::io::Result<()> {
        let (ctx, done) = step.state_mut();
        *done += 1;
        let pause = wakeup(ctx, ctx.now());
        let done = *done;
        step.notify(Progress::of(done, 3));
        if done == 3 {
            return Err(Errno::BADF.into());
        }
        step.then(pause, |step, _| stepped(step))
    }
    on_every_backend(|ctx| {
        let log = Log::new();
        let steps: Request<()> = Steps::start(ctx, "steps", (ctx.clone(), 0), stepped);
        let steps = steps.on_notify(following(&log)).on_done(log.noting("end"));
        ctx.run().unwrap();
        expect_order(&log, &["1/3", "2/3", "end"]);
        drop(steps);
    });
}

#[test]
fn the_dump_shows_progress_until_the_end() {
    on_every_backend(|ctx| {
        let (request, completer) = Request::<()>::pair(ctx, "copy");
        assert_eq!(ctx.dump().entries()[0].progress, None);
        completer.notify(Progress::of(1, 3));
        let entry = ctx.dump().entries()[0];
        assert_eq!(entry.progress, Some(Progress::of(1, 3)));
        assert!(entry.to_string().ends_with("s, 1/3"), "{entry}");
        completer.done(());
        // Whoever lives there next begins anew.
        let (next, _next_completer) = Request::<()>::pair(ctx, "next");
        assert_eq!(ctx.dump().entries()[0].progress, None);
        drop((request, next));
    });
}
