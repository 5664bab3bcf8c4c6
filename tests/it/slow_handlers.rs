//! Slow handlers of what has no trace point: work that was sent, and deadlines.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use tevent::{Context, ManualClock, Request, SlowHandler, TraceKind};

const THRESHOLD: Duration = Duration::from_secs(1);

fn watched() -> (Context, ManualClock, Rc<RefCell<Vec<SlowHandler>>>) {
    let clock = ManualClock::new();
    let ctx = Context::builder()
        .manual_clock(&clock)
        .build()
        .expect("there is a back end");
    let told: Rc<RefCell<Vec<SlowHandler>>> = Rc::default();
    let seen = told.clone();
    let hook = Rc::new(move |slow: &SlowHandler| seen.borrow_mut().push(slow.clone()));
    ctx.on_slow_handler(THRESHOLD, Some(hook));
    (ctx, clock, told)
}

#[track_caller]
fn expect_one(told: &RefCell<Vec<SlowHandler>>, kind: TraceKind, line: u32) {
    let told = told.take();
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!((told[0].kind, told[0].duration), (kind, THRESHOLD));
    let place = (told[0].location.file(), told[0].location.line());
    assert_eq!(place, (file!(), line), "{}", told[0]);
}

thread_local!(static CLOCK: RefCell<Option<ManualClock>> = const { RefCell::new(None) });

#[test]
fn slow_work_from_elsewhere_is_told_with_where_it_was_sent() {
    let (ctx, clock, told) = watched();
    CLOCK.set(Some(clock));
    let advance = |_: &Context| {
        CLOCK.with_borrow(|clock| clock.as_ref().expect("set before").advance(THRESHOLD));
    };
    ctx.remote().send(|_| ()).unwrap();
    ctx.run().unwrap();
    assert!(told.borrow().is_empty(), "a quick one is not told of");
    let line = line!() + 1;
    ctx.remote().send(advance).unwrap();
    ctx.run().unwrap();
    expect_one(&told, TraceKind::Remote, line);
    assert_eq!(TraceKind::Remote.to_string(), "remote call");
}

#[test]
fn a_slow_hook_of_a_deadline_is_told_with_its_request() {
    let (ctx, clock, told) = watched();
    let line = line!() + 1;
    let (request, completer) = Request::<()>::pair(&ctx, "late");
    completer.on_cleanup(move |_| clock.advance(THRESHOLD));
    request.set_timeout(Duration::ZERO);
    ctx.run().unwrap();
    expect_one(&told, TraceKind::Deadline, line);
    assert_eq!(TraceKind::Deadline.to_string(), "deadline");
}
