//! How long a wait may take: the limit, and the loop that never waits.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use rustix::io::Errno;
use tevent::{Context, FdEvent, Immediate, Interest, Request, Timer, wakeup};
use tevent_tests::{
    Log, expect_errno, expect_order, on_every_backend, read_byte, socket_pair, write_byte,
};

const HOUR: Duration = Duration::from_secs(3600);
const NEVER_WAIT: Option<Duration> = Some(Duration::ZERO);

#[test]
fn a_wait_ends_with_the_limit_and_the_loop_goes_on() {
    on_every_backend(|ctx| {
        assert_eq!(ctx.set_wait_limit(Some(HOUR)), None);
        assert_eq!(
            ctx.set_wait_limit(Some(Duration::from_millis(5))),
            Some(HOUR)
        );
        let (near, _far) = socket_pair();
        let quiet = FdEvent::new(ctx, near, Interest::READ, |_| {}).unwrap();
        let late = Timer::new(ctx, || {});
        late.arm_after(HOUR);
        let start = ctx.now();
        assert!(!ctx.run_once().unwrap(), "nothing happened");
        let took = ctx.now() - start;
        assert!(took >= Duration::from_millis(5) && took < HOUR, "{took:?}");
        let waits = ctx.stats().waits;
        ctx.run_until(wakeup(ctx, ctx.now() + Duration::from_millis(30)))
            .unwrap()
            .unwrap();
        assert!(ctx.stats().waits - waits > 1, "one wait was not enough");
        assert_eq!(ctx.set_wait_limit(None), Some(Duration::from_millis(5)));
        drop(quiet);
    });
}

#[test]
fn a_polling_loop_runs_what_is_ready_and_says_when_nothing_is() {
    on_every_backend(|ctx| {
        ctx.set_wait_limit(NEVER_WAIT);
        let log = Log::new();
        let (near, far) = socket_pair();
        let near = Rc::new(near);
        let (socket, seen) = (near.clone(), log.clone());
        let event = FdEvent::new(ctx, near, Interest::READ, move |_| {
            read_byte(&socket);
            seen.note("fd");
        })
        .unwrap();
        let timer = Timer::new(ctx, log.calling("timer"));
        timer.arm_after(HOUR);
        for _ in 0..3 {
            assert!(!ctx.run_once().unwrap());
            expect_errno(ctx.run(), Errno::AGAIN);
        }
        expect_order(&log, &[]);
        write_byte(&far);
        expect_errno(ctx.run(), Errno::AGAIN);
        expect_order(&log, &["fd"]);
        timer.arm(ctx.now());
        write_byte(&far);
        expect_errno(ctx.run(), Errno::AGAIN);
        expect_order(&log, &["timer", "fd"]);
        drop(event);
        ctx.run().unwrap();
    });
}

#[test]
fn a_polling_loop_ends_well_when_nothing_is_left() {
    on_every_backend(|ctx| {
        ctx.set_wait_limit(NEVER_WAIT);
        let log = Log::new();
        let immediate = Immediate::new(ctx, log.calling("immediate"));
        immediate.schedule();
        ctx.run().unwrap();
        expect_order(&log, &["immediate"]);
        let request = Request::<u8>::finished(ctx, "ready", Ok(7));
        assert_eq!(ctx.run_until(request).unwrap().unwrap(), 7);
    });
}

#[test]
fn a_request_that_has_to_wait_is_dropped_by_a_polling_loop() {
    on_every_backend(|ctx| {
        ctx.set_wait_limit(NEVER_WAIT);
        expect_errno(ctx.run_until(wakeup(ctx, ctx.now() + HOUR)), Errno::AGAIN);
        ctx.run().unwrap();
    });
}

#[test]
fn a_polling_loop_does_not_give_up_while_handlers_run() {
    on_every_backend(|ctx| {
        ctx.set_wait_limit(NEVER_WAIT);
        let turns = Rc::new(Cell::new(0));
        let timer: Rc<std::cell::OnceCell<Timer>> = Rc::default();
        let (count, again, weak) = (turns.clone(), Rc::downgrade(&timer), ctx.downgrade());
        let own = timer.get_or_init(|| {
            Timer::new(ctx, move || {
                count.set(count.get() + 1);
                let (again, ctx): (_, Context) =
                    (again.upgrade().unwrap(), weak.upgrade().unwrap());
                if count.get() < 100 {
                    again.get().unwrap().arm(ctx.now());
                }
            })
        });
        own.arm(ctx.now());
        ctx.run().unwrap();
        assert_eq!(turns.get(), 100);
    });
}
