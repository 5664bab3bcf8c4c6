//! Requests that end from outside: deadlines, cancel, abandonment, and the hooks that are told.

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::time::Duration;

use rustix::io::Errno;
use tevent::{Completer, Context, End, Ended, ManualClock, Request, Work};
use tevent_tests::{
    Drops, Log, everywhere, expect_errno, expect_order, expect_panic, expect_silence,
};

const SECOND: Duration = Duration::from_secs(1);

fn manual(ctx: &Context) -> (Context, ManualClock) {
    let clock = ManualClock::new();
    let builder = Context::builder()
        .backend(ctx.backend())
        .manual_clock(&clock);
    (builder.build().expect("it is listed"), clock)
}

/// A request whose end is noted by two hooks and a completion.
fn watched(ctx: &Context, log: &Log) -> (Request<()>, Completer<()>) {
    let (request, completer) = Request::pair(ctx, "watched");
    for name in ["first", "second"] {
        let log = log.clone();
        completer.on_cleanup(move |end| log.note(format!("{name} {end:?}")));
    }
    let log = log.clone();
    let completion = move |result: io::Result<()>| match result {
        Ok(()) => log.note("done"),
        Err(error) => log.note(format!("errno {}", error.raw_os_error().unwrap_or(0))),
    };
    (request.on_done(completion), completer)
}

fn errno(errno: Errno) -> String {
    format!("errno {}", errno.raw_os_error())
}

#[test]
fn every_way_to_end_tells_the_hooks_then_the_completion() {
    everywhere(|ctx| {
        let (ctx, clock) = &manual(ctx);
        let log = Log::new();
        let expect = |request: Request<()>, end: &str, completion: Option<String>| {
            let hooks = [format!("first {end}"), format!("second {end}")];
            expect_order(&log, &[&hooks[0], &hooks[1]]);
            tevent_tests::settle(ctx);
            let completion: Vec<&str> = completion.iter().map(String::as_str).collect();
            expect_order(&log, &completion);
            drop(request);
            expect_silence(ctx, &log);
        };
        let (request, completer) = watched(ctx, &log);
        completer.done(());
        expect(request, "Done", Some("done".into()));
        let (request, completer) = watched(ctx, &log);
        completer.error(Errno::BADF.into());
        expect(request, "Error", Some(errno(Errno::BADF)));
        let (request, completer) = watched(ctx, &log);
        request.cancel();
        assert!(completer.is_moot());
        expect(request, "Ended(Canceled)", Some(errno(Errno::CANCELED)));
        let (request, completer) = watched(ctx, &log);
        drop(completer);
        expect(request, "Ended(Abandoned)", Some(errno(Errno::IO)));
        let (request, completer) = watched(ctx, &log);
        drop(request);
        expect(Request::finished(ctx, "none", Ok(())), "Dropped", None);
        drop(completer);
        let (request, _completer) = watched(ctx, &log);
        request.set_timeout(SECOND);
        clock.advance(SECOND);
        assert!(ctx.run_once().unwrap());
        expect(request, "Ended(TimedOut)", Some(errno(Errno::TIMEDOUT)));
    });
}

#[test]
fn a_hook_that_is_added_to_an_ended_request_does_not_run() {
    everywhere(|ctx| {
        let (log, drops) = (Log::new(), Drops::new());
        let (request, completer) = Request::<()>::pair(ctx, "ended");
        request.cancel();
        let tattle = drops.tattle();
        completer.on_cleanup(move |_| tattle.hold());
        completer.on_cancel(log.calling("cancel"));
        request.cancel();
        assert_eq!(drops.count(), 1);
        expect_silence(ctx, &log);
    });
}

#[test]
fn a_deadline_can_be_moved_and_taken_away() {
    everywhere(|ctx| {
        let (ctx, clock) = &manual(ctx);
        let log = Log::new();
        let (request, completer) = watched(ctx, &log);
        request.set_deadline(ctx.now() + SECOND);
        request.set_deadline(ctx.now() + SECOND * 3);
        clock.advance(SECOND * 2);
        expect_silence(ctx, &log);
        request.clear_deadline();
        clock.advance(SECOND * 2);
        expect_silence(ctx, &log);
        // A deadline in the past ends it as soon as the loop looks, never inside.
        request.set_deadline(ctx.now());
        expect_order(&log, &[]);
        ctx.run().unwrap();
        let last = errno(Errno::TIMEDOUT);
        expect_order(
            &log,
            &["first Ended(TimedOut)", "second Ended(TimedOut)", &last],
        );
        assert!(completer.is_moot());
    });
}

#[test]
fn a_finished_request_cannot_time_out() {
    everywhere(|ctx| {
        let (ctx, clock) = &manual(ctx);
        let log = Log::new();
        let (request, completer) = watched(ctx, &log);
        request.set_timeout(SECOND);
        clock.advance(SECOND);
        completer.done(());
        request.set_timeout(SECOND);
        ctx.run().unwrap();
        expect_order(&log, &["first Done", "second Done", "done"]);
        drop(request);
    });
}

#[test]
fn an_implementor_may_cancel_in_its_own_way_and_time() {
    everywhere(|ctx| {
        let log = Log::new();
        let (request, completer) = watched(ctx, &log);
        completer.on_cancel(log.calling("asked"));
        request.cancel();
        expect_order(&log, &["asked"]);
        assert!(!request.is_finished() && !completer.is_moot());
        // It came too late.
        completer.done(());
        ctx.run().unwrap();
        expect_order(&log, &["first Done", "second Done", "done"]);
    });
}

#[test]
fn asking_an_implementor_twice_to_cancel_asks_once() {
    everywhere(|ctx| {
        let log = Log::new();
        let (request, completer) = watched(ctx, &log);
        completer.on_cancel(log.calling("asked"));
        request.cancel();
        request.cancel();
        expect_order(&log, &["asked"]);
        assert!(
            !request.is_finished(),
            "the implementor has been asked, and decides"
        );
        completer.done(());
        ctx.run().unwrap();
        expect_order(&log, &["first Done", "second Done", "done"]);
    });
}

#[test]
fn a_cancel_handler_may_finish_the_request() {
    everywhere(|ctx| {
        let log = Log::new();
        let (request, completer) = watched(ctx, &log);
        let owner: Rc<RefCell<Option<Completer<()>>>> = Rc::default();
        let taken = owner.clone();
        completer.on_cancel(move || {
            taken.take().unwrap().error(Errno::CANCELED.into());
        });
        owner.replace(Some(completer));
        request.cancel();
        ctx.run().unwrap();
        expect_order(
            &log,
            &["first Error", "second Error", &errno(Errno::CANCELED)],
        );
    });
}

#[test]
fn a_hook_may_drop_the_request_that_ends() {
    everywhere(|ctx| {
        let log = Log::new();
        let own: Rc<RefCell<Option<Request<()>>>> = Rc::default();
        let (request, completer) = Request::pair(ctx, "dropped by its hook");
        let (owner, seen) = (own.clone(), log.clone());
        completer.on_cleanup(move |end| {
            seen.note(format!("{end:?}"));
            drop(owner.take());
        });
        own.replace(Some(request.on_done(log.noting("done"))));
        completer.done(());
        expect_order(&log, &["Done"]);
        expect_silence(ctx, &log);
        assert!(ctx.dump().entries().is_empty());
    });
}

#[test]
fn a_panicking_hook_does_not_lose_the_completion() {
    everywhere(|ctx| {
        let log = Log::new();
        let (request, completer) = Request::<()>::pair(ctx, "hooked");
        completer.on_cleanup(|_| panic!("hook"));
        let request = request.on_done(log.noting("done"));
        assert_eq!(expect_panic(|| completer.done(())), "hook");
        ctx.run().unwrap();
        expect_order(&log, &["done"]);
        drop(request);
    });
}

/// Panics when it is stopped, with its completer in hand.
struct Clumsy {
    completer: Cell<Option<Completer<()>>>,
}

impl Work for Clumsy {
    fn stopped(self: Rc<Self>, _: usize, _: End) {
        let _completer = self.completer.take();
        panic!("stopped");
    }
}

#[test]
fn work_that_panics_when_it_is_stopped_does_not_keep_the_request_pending() {
    everywhere(|ctx| {
        let log = Log::new();
        let clumsy = || {
            let (request, completer) = watched(ctx, &log);
            let work = Rc::new(Clumsy {
                completer: Cell::new(None),
            });
            completer.set_work(work.clone(), 0);
            work.completer.set(Some(completer));
            request
        };
        let request = clumsy();
        assert_eq!(expect_panic(|| request.cancel()), "stopped");
        assert!(request.is_finished());
        ctx.run().unwrap();
        let last = errno(Errno::CANCELED);
        expect_order(
            &log,
            &["first Ended(Canceled)", "second Ended(Canceled)", &last],
        );
        let request = clumsy();
        request.set_timeout(SECOND * 3600);
        assert_eq!(expect_panic(move || drop(request)), "stopped");
        expect_order(&log, &["first Dropped", "second Dropped"]);
        // Its deadline went, too: nothing is left to wait for.
        ctx.run().unwrap();
    });
}

#[test]
fn an_error_type_of_ones_own_is_told_how_a_request_ended() {
    everywhere(|ctx| {
        let (request, completer) = Request::<(), Ended>::pair(ctx, "own error");
        drop(completer);
        assert_eq!(ctx.run_until(request).unwrap(), Err(Ended::Abandoned));
        let (request, _completer) = Request::<(), Ended>::pair(ctx, "own error");
        request.set_timeout(Duration::ZERO);
        assert_eq!(ctx.run_until(request).unwrap(), Err(Ended::TimedOut));
    });
}

#[test]
fn each_end_from_outside_has_its_errno_and_its_text() {
    let all = [
        (Ended::TimedOut, Errno::TIMEDOUT),
        (Ended::Canceled, Errno::CANCELED),
        (Ended::Abandoned, Errno::IO),
    ];
    for (ended, errno) in all {
        expect_errno::<()>(Err(ended.into()), errno);
        expect_errno::<()>(Err(End::Ended(ended).into()), errno);
        assert!(!ended.to_string().is_empty());
    }
    expect_errno::<()>(Err(End::Dropped.into()), Errno::CANCELED);
}
