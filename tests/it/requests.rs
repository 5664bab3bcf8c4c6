//! Requests: one notification, never inside, and what a drop does.

use std::cell::{Cell, OnceCell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use rustix::io::Errno;
use tevent::{Completer, Context, End, FdEvent, Interest, Request, Timer, Work, wakeup};
use tevent_tests::{
    Drops, Log, everywhere, expect_errno, expect_order, expect_panic, expect_silence,
    on_every_backend, run_to, socket_pair, write_byte,
};

type Slot<T> = Rc<RefCell<Option<T>>>;

#[test]
fn a_completion_runs_once_from_the_loop() {
    everywhere(|ctx| {
        let log = Log::new();
        let (request, completer) = Request::<u32>::pair(ctx, "answer");
        let seen = log.clone();
        let request = request.on_done(move |answer| seen.note(format!("{answer:?}")));
        assert!(!request.is_finished());
        completer.done(42);
        assert!(request.is_finished());
        expect_order(&log, &[]);
        ctx.run().unwrap();
        expect_order(&log, &["Ok(42)"]);
        assert!(request.is_finished());
        expect_silence(ctx, &log);
    });
}

#[test]
fn a_shared_completion_runs_once_for_each_of_its_requests() {
    everywhere(|ctx| {
        let log = Log::new();
        let seen = log.clone();
        let completion: Rc<dyn Fn(std::io::Result<u32>)> =
            Rc::new(move |answer| seen.note(format!("{:?}", answer.map_err(|_| "error"))));
        let pair = || {
            let (request, completer) = Request::<u32>::pair(ctx, "one of many");
            (request.on_done_shared(&completion), completer)
        };
        let (first, completer) = pair();
        completer.done(1);
        expect_order(&log, &[]);
        let (dropped, forgotten) = pair();
        drop(dropped);
        forgotten.done(2);
        let (last, completer) = pair();
        drop(completer);
        ctx.run().unwrap();
        expect_order(&log, &["Ok(1)", "Err(\"error\")"]);
        expect_silence(ctx, &log);
        drop((first, last));
        assert_eq!(Rc::strong_count(&completion), 1, "nobody keeps it");
    });
}

#[test]
fn a_request_that_was_finished_first_notifies_from_the_loop_too() {
    everywhere(|ctx| {
        let log = Log::new();
        let born_done = Request::<()>::finished(ctx, "born done", Ok(()));
        let (done_early, completer) = Request::<()>::pair(ctx, "done early");
        completer.done(());
        let early = done_early.on_done(log.noting("early"));
        let born = born_done.on_done(log.noting("born"));
        expect_order(&log, &[]);
        ctx.run().unwrap();
        // In the order in which there was somebody to notify.
        expect_order(&log, &["early", "born"]);
        drop((early, born));
    });
}

#[test]
fn nothing_runs_inside_the_call_that_finishes_cancels_or_drops() {
    everywhere(|ctx| {
        let log = Log::new();
        let (a, a_completer) = Request::<()>::pair(ctx, "a");
        let (b, _b_completer) = Request::<()>::pair(ctx, "b");
        let (c, c_completer) = Request::<()>::pair(ctx, "c");
        let (d, _d_completer) = Request::<()>::pair(ctx, "d");
        let a = a.on_done(log.noting("finished"));
        let b = b.on_done(log.noting("canceled"));
        let c = c.on_done(log.noting("abandoned"));
        let d = d.on_done(log.noting("dropped"));
        a_completer.done(());
        b.cancel();
        drop((c_completer, d));
        expect_order(&log, &[]);
        ctx.run().unwrap();
        expect_order(&log, &["finished", "canceled", "abandoned"]);
        drop((a, b, c));
    });
}

#[test]
fn a_completion_that_is_replaced_is_dropped_and_never_runs() {
    everywhere(|ctx| {
        let (log, drops) = (Log::new(), Drops::new());
        let (request, completer) = Request::<()>::pair(ctx, "replaced");
        let tattle = drops.tattle();
        let request = request.on_done(move |_| tattle.hold());
        let request = request.on_done(log.noting("second"));
        assert_eq!(drops.count(), 1);
        completer.done(());
        // It stands in line already, and keeps its place.
        let behind = Request::<()>::finished(ctx, "behind", Ok(())).on_done(log.noting("behind"));
        let request = request.on_done(log.noting("third"));
        ctx.run().unwrap();
        expect_order(&log, &["third", "behind"]);
        drop((request, behind));
    });
}

#[test]
fn dropping_a_finished_request_drops_its_completion_and_its_result() {
    everywhere(|ctx| {
        let (log, drops) = (Log::new(), Drops::new());
        let (request, completer) = Request::pair(ctx, "dropped");
        let (tattle, seen) = (drops.tattle(), log.clone());
        let request: Request<_> = request.on_done(move |_| {
            tattle.hold();
            seen.note("completion");
        });
        completer.done(drops.tattle());
        assert_eq!(drops.count(), 0);
        drop(request);
        assert_eq!(drops.count(), 2);
        expect_silence(ctx, &log);
    });
}

#[test]
fn dropping_a_request_drops_what_it_consists_of_at_once() {
    everywhere(|ctx| {
        let drops = Drops::new();
        let tattle = drops.tattle();
        let inner = ctx.spawn(async move {
            std::future::pending::<()>().await;
            drop(tattle);
        });
        let tattle = drops.tattle();
        let outer: Request<()> = tevent::Steps::start(ctx, "outer", tattle, |step| {
            step.then(inner, |step, _| step.done(()))
        });
        let tattle = drops.tattle();
        let queue = tevent::Queue::new(ctx);
        let queued = queue
            .add_eager(move || outer)
            .on_done(move |_| tattle.hold());
        tevent_tests::settle(ctx);
        assert_eq!((drops.count(), ctx.dump().entries().len()), (0, 3));
        drop(queued);
        assert_eq!((drops.count(), ctx.dump().entries().len()), (3, 0));
        ctx.run().unwrap();
    });
}

#[test]
fn a_dropped_request_takes_its_timer_with_it() {
    everywhere(|ctx| {
        let nap = wakeup(ctx, ctx.now() + Duration::from_secs(3600));
        let (patient, _completer) = Request::<()>::pair(ctx, "patient");
        patient.set_timeout(Duration::from_secs(3600));
        drop((nap, patient));
        ctx.run().unwrap();
    });
}

#[test]
fn finishing_a_request_that_was_dropped_is_a_no_op() {
    everywhere(|ctx| {
        let drops = Drops::new();
        let (request, completer) = Request::<_>::pair(ctx, "dropped");
        assert!(!completer.is_moot());
        drop(request);
        assert!(completer.is_moot());
        completer.done(drops.tattle());
        assert_eq!(drops.count(), 1, "a result without a reader is dropped");
        ctx.run().unwrap();
    });
}

/// Notes that it was stopped; owns its completer, as most work does.
struct Stoppable {
    log: Log,
    completer: Cell<Option<Completer<()>>>,
    finishes: bool,
}

impl Work for Stoppable {
    fn stopped(self: Rc<Self>, slot: usize, end: End) {
        self.log.note(format!("stopped {slot} {end:?}"));
        if let Some(completer) = self.completer.take().filter(|_| self.finishes) {
            completer.error(Errno::BUSY.into());
        }
    }
}

fn stoppable(ctx: &Context, log: &Log, finishes: bool) -> Request<()> {
    let (request, completer) = Request::pair(ctx, "stoppable");
    let (hook, seen) = (log.clone(), log.clone());
    completer.on_cleanup(move |end| hook.note(format!("cleanup {end:?}")));
    let work = Rc::new(Stoppable {
        log: log.clone(),
        completer: Cell::new(None),
        finishes,
    });
    completer.set_work(work.clone(), 7);
    work.completer.set(Some(completer));
    request.on_done(move |result| {
        let errno = result.err().and_then(|error| error.raw_os_error());
        seen.note(format!("done {errno:?}"));
    })
}

#[test]
fn work_is_told_when_its_request_is_dropped_or_ended() {
    everywhere(|ctx| {
        let log = Log::new();
        drop(stoppable(ctx, &log, false));
        expect_order(&log, &["stopped 7 Dropped", "cleanup Dropped"]);
        let request = stoppable(ctx, &log, false);
        request.cancel();
        expect_order(
            &log,
            &["stopped 7 Ended(Canceled)", "cleanup Ended(Canceled)"],
        );
        request.cancel();
        ctx.run().unwrap();
        expect_order(
            &log,
            &[&format!("done Some({})", Errno::CANCELED.raw_os_error())],
        );
    });
}

#[test]
fn work_that_is_stopped_may_finish_with_an_error_of_its_own() {
    everywhere(|ctx| {
        let log = Log::new();
        let request = stoppable(ctx, &log, true);
        request.cancel();
        expect_order(
            &log,
            &["stopped 7 Ended(Canceled)", "cleanup Ended(Canceled)"],
        );
        ctx.run().unwrap();
        expect_order(
            &log,
            &[&format!("done Some({})", Errno::BUSY.raw_os_error())],
        );
        drop(request);
        drop(stoppable(ctx, &log, true));
        expect_order(&log, &["stopped 7 Dropped", "cleanup Dropped"]);
        expect_silence(ctx, &log);
    });
}

#[test]
fn a_completion_may_drop_its_own_request_and_others_that_are_done() {
    everywhere(|ctx| {
        let (log, drops) = (Log::new(), Drops::new());
        let own: Slot<Request<()>> = Rc::default();
        let other: Slot<Request<()>> = Rc::default();
        let (owner, others) = (own.clone(), other.clone());
        let (seen, count, tattle) = (log.clone(), drops.clone(), drops.tattle());
        let first = Request::finished(ctx, "first", Ok(())).on_done(move |_| {
            drop((owner.take(), others.take()));
            assert_eq!(count.count(), 0, "a running completion is not dropped");
            tattle.hold();
            seen.note("first");
        });
        own.replace(Some(first));
        let second = Request::finished(ctx, "second", Ok(()));
        other.replace(Some(second.on_done(log.noting("second"))));
        ctx.run().unwrap();
        expect_order(&log, &["first"]);
        assert_eq!(drops.count(), 1);
    });
}

#[test]
fn a_completion_that_panics_has_been_delivered() {
    everywhere(|ctx| {
        let log = Log::new();
        let first = Request::<()>::finished(ctx, "first", Ok(())).on_done(|_| panic!("completion"));
        let next = Request::<()>::finished(ctx, "next", Ok(())).on_done(log.noting("next"));
        assert_eq!(expect_panic(|| ctx.run()), "completion");
        ctx.run().unwrap();
        expect_order(&log, &["next"]);
        assert!(first.is_finished() && ctx.dump().entries().is_empty());
        drop(next);
    });
}

/// Starts a request that is done already, whose completion starts the next.
fn chain(
    ctx: &Context,
    left: usize,
    current: &Rc<RefCell<Option<Request<()>>>>,
    end: &Rc<Cell<usize>>,
) {
    let (weak, next, end) = (ctx.downgrade(), current.clone(), end.clone());
    let request = Request::finished(ctx, "link", Ok(())).on_done(move |_| {
        end.set(end.get() + 1);
        if left > 1 {
            chain(&weak.upgrade().expect("it runs us"), left - 1, &next, &end);
        }
    });
    current.replace(Some(request));
}

#[test]
fn a_million_finished_requests_in_a_row_need_no_stack_and_starve_nobody() {
    on_every_backend(|ctx| {
        const LINKS: usize = 1_000_000;
        let (near, far) = socket_pair();
        write_byte(&far);
        let links = Rc::new(Cell::new(0));
        let (timer_at, fd_at) = (Rc::new(OnceCell::new()), Rc::new(OnceCell::new()));
        let (at, now) = (timer_at.clone(), links.clone());
        let timer = Timer::new(ctx, move || at.set(now.get()).unwrap());
        timer.arm_after(Duration::ZERO);
        let (at, now) = (fd_at.clone(), links.clone());
        let mut event = Some(
            FdEvent::new(ctx, near, Interest::READ, move |_| {
                at.set(now.get()).ok();
            })
            .unwrap(),
        );
        let current = Rc::default();
        // The stack of the thread that runs this is 2 MiB: recursion would overflow it.
        chain(ctx, LINKS, &current, &links);
        run_to(ctx, || {
            if fd_at.get().is_some() {
                drop(event.take());
            }
            links.get() == LINKS
        });
        // One budget before the wait, and one before the descriptor that it brought.
        let bound = 2 * Context::RUN_BUDGET + 1;
        assert!(*timer_at.get().unwrap() <= bound, "{timer_at:?}");
        assert!(*fd_at.get().unwrap() <= bound, "{fd_at:?}");
        current.take();
    });
}

#[test]
fn run_until_hands_out_the_result_instead_of_the_completion() {
    everywhere(|ctx| {
        let log = Log::new();
        let (request, completer) = Request::<u32>::pair(ctx, "asked");
        let request = request.on_done(log.noting("completion"));
        let nap = wakeup(ctx, ctx.now()).on_done(move |_| completer.done(7));
        assert_eq!(ctx.run_until(request).unwrap().unwrap(), 7);
        expect_silence(ctx, &log);
        drop(nap);
        let early = Request::<u32>::finished(ctx, "early", Ok(8)).on_done(log.noting("early"));
        assert_eq!(ctx.run_until(early).unwrap().unwrap(), 8);
        expect_silence(ctx, &log);
    });
}

#[test]
fn run_until_is_edeadlk_when_nothing_could_finish_the_request() {
    everywhere(|ctx| {
        let drops = Drops::new();
        let (request, completer) = Request::<()>::pair(ctx, "for ever");
        let tattle = drops.tattle();
        expect_errno(
            ctx.run_until(request.on_done(move |_| tattle.hold())),
            Errno::DEADLK,
        );
        assert!(
            completer.is_moot() && drops.count() == 1,
            "the request is dropped"
        );
        ctx.run().unwrap();
    });
}

#[test]
fn a_request_of_a_context_that_is_gone_ends_in_silence() {
    everywhere(|ctx| {
        let gone = Context::with_backend(ctx.backend()).unwrap();
        let weak = gone.downgrade();
        drop(gone);
        let log = Log::new();
        let (request, completer) = Request::<()>::pair(&weak, "orphan");
        let request = request.on_done(log.noting("never"));
        request.set_timeout(Duration::ZERO);
        completer.done(());
        assert!(request.is_finished());
        request.detach();
        let born = Request::<()>::finished(&weak, "born orphan", Ok(()));
        drop(born.on_done(log.noting("never")));
        expect_silence(ctx, &log);
    });
}

#[test]
fn a_request_and_its_completer_show_what_they_are() {
    let ctx = Context::new().unwrap();
    let (request, completer) = Request::<()>::pair(&ctx, "shown");
    let text = format!("{request:?} {completer:?}");
    assert!(
        text.contains("Request { kind: \"shown\", state: Pending, created: "),
        "{text}"
    );
    assert!(
        text.contains("Completer { kind: \"shown\"") && text.contains("requests.rs:"),
        "{text}"
    );
}
