//! Handlers may do anything: panic, drop everything, outlive the context.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use rustix::io::Errno;
use tevent::{
    Context, End, FdEvent, Group, Immediate, Interest, Queue, Request, Signal, Steps, Timer,
    WeakContext, Work, wakeup,
};
use tevent_tests::{
    Drops, Log, alone_with_signals, everywhere, expect_errno, expect_order, expect_panic,
    expect_silence, on_every_backend, raise, run_to, socket_pair, write_byte,
};

/// `SIGWINCH` is ignored by default, so that a stray one harms nobody.
const WINCH: i32 = 28;

/// A source of each kind that panics when it runs.
fn panicking_sources(ctx: &Context) -> Vec<(&'static str, Box<dyn Any>)> {
    let (near, far) = socket_pair();
    write_byte(&far);
    let event = FdEvent::new(ctx, near, Interest::READ, |_| panic!("fd")).expect("it is watched");
    let timer = Timer::new(ctx, || panic!("timer"));
    timer.arm_after(Duration::ZERO);
    let immediate = Immediate::new(ctx, || panic!("immediate"));
    immediate.schedule();
    let signal = Signal::new(ctx, WINCH, |_| panic!("signal")).expect("it is handled");
    raise(WINCH);
    let request = Request::<()>::finished(ctx, "panics", Ok(())).on_done(|_| panic!("completion"));
    ctx.remote()
        .send(|_| panic!("remote"))
        .expect("the context is there");
    vec![
        ("signal", Box::new(signal)),
        ("immediate", Box::new(immediate)),
        ("completion", Box::new(request)),
        ("remote", Box::new(())),
        ("timer", Box::new(timer)),
        ("fd", Box::new((event, far))),
    ]
}

#[test]
fn a_panic_in_a_handler_of_any_kind_leaves_the_context_usable() {
    let _alone = alone_with_signals();
    on_every_backend(|ctx| {
        for (name, source) in panicking_sources(ctx) {
            assert_eq!(expect_panic(|| ctx.run_once()), name);
            drop(source);
        }
        assert!(!ctx.run_once().unwrap());
        // Every table still takes and gives.
        let log = Log::new();
        let (near, far) = socket_pair();
        write_byte(&far);
        let (seen, stop) = (log.clone(), Rc::new(Cell::new(false)));
        let stopped = stop.clone();
        let event = FdEvent::new(ctx, near, Interest::READ, move |_| {
            seen.note("fd");
            stopped.set(true);
        });
        let timer = Timer::new(ctx, log.calling("timer"));
        timer.arm_after(Duration::ZERO);
        let immediate = Immediate::new(ctx, log.calling("immediate"));
        immediate.schedule();
        let signal = Signal::new(ctx, WINCH, log.noting("signal")).unwrap();
        raise(WINCH);
        run_to(ctx, || stop.get());
        expect_order(&log, &["signal", "immediate", "timer", "fd"]);
        drop((event, signal));
    });
}

/// Everything that can be dropped from a handler, each with a handler that counts its drop.
struct Victims {
    drops: Drops,
    log: Log,
    owned: Rc<RefCell<Vec<Box<dyn Any>>>>,
}

fn victims(ctx: &Context) -> Victims {
    let (drops, log) = (Drops::new(), Log::new());
    let owned: Rc<RefCell<Vec<Box<dyn Any>>>> = Rc::default();
    let handler = |name: &'static str| {
        let (tattle, log, owned) = (drops.tattle(), log.clone(), owned.clone());
        move || {
            tattle.hold();
            log.note(name);
            let all = owned.take();
            drop(all);
        }
    };
    let (near, far) = socket_pair();
    write_byte(&far);
    let run = handler("fd");
    let event = FdEvent::new(ctx, near, Interest::READ, move |_| run()).expect("it is watched");
    let timer = Timer::new(ctx, handler("timer"));
    timer.arm_after(Duration::ZERO);
    let immediate = Immediate::new(ctx, handler("immediate"));
    immediate.schedule();
    let run = handler("signal");
    let signal = Signal::new(ctx, WINCH, move |_| run()).expect("it is handled");
    let run = handler("completion");
    let request = Request::<()>::finished(ctx, "victim", Ok(())).on_done(move |_| run());
    owned.borrow_mut().extend([
        Box::new((event, far)) as Box<dyn Any>,
        Box::new(timer),
        Box::new(immediate),
        Box::new(signal),
        Box::new(request),
    ]);
    Victims { drops, log, owned }
}

#[test]
fn a_handler_of_any_kind_may_drop_everything_itself_included() {
    let _alone = alone_with_signals();
    on_every_backend(|ctx| {
        // Each kind in turn is the one that is left to run first.
        for first in ["fd", "timer", "immediate", "signal", "completion"] {
            let ctx = &Context::with_backend(ctx.backend()).unwrap();
            let victims = victims(ctx);
            let order = ["fd", "timer", "immediate", "signal", "completion"];
            let drop_first = |names: &[&str]| {
                for name in names {
                    let index = order.iter().position(|known| known == name).unwrap();
                    let victim: Box<dyn Any> = Box::new(());
                    let dropped = std::mem::replace(&mut victims.owned.borrow_mut()[index], victim);
                    drop(dropped);
                }
            };
            match first {
                "signal" => raise(WINCH),
                "immediate" => {}
                "completion" => drop_first(&["immediate"]),
                "timer" => drop_first(&["immediate", "completion"]),
                _ => drop_first(&["immediate", "completion", "timer"]),
            }
            run_to(ctx, || !victims.log.is_empty());
            expect_order(&victims.log, &[first]);
            assert_eq!(victims.drops.count(), 5, "{first} dropped all");
            expect_silence(ctx, &victims.log);
        }
    });
}

#[test]
fn the_last_handle_of_another_context_may_go_while_a_handler_runs() {
    on_every_backend(|ctx| {
        let drops = Drops::new();
        let other = Context::new().unwrap();
        let tattle = drops.tattle();
        let timer = Timer::new(&other, move || tattle.hold());
        timer.arm_after(Duration::from_secs(1000));
        other
            .spawn({
                let tattle = drops.tattle();
                async move {
                    std::future::pending::<()>().await;
                    drop(tattle);
                }
            })
            .detach();
        let immediate = Immediate::new(ctx, {
            let other = Cell::new(Some((other, timer)));
            move || drop(other.take())
        });
        immediate.schedule();
        ctx.run().unwrap();
        assert_eq!(drops.count(), 2);
    });
}

thread_local! {
    /// The only lasting handle of a context, where a closure that was sent can find it.
    static LAST: RefCell<Option<Context>> = const { RefCell::new(None) };
}

/// Makes a context in `LAST`, with an immediate in line behind what `prepare` does.
fn run_without_a_lasting_handle(backend: &str, prepare: impl FnOnce(&Context)) {
    let (log, drops) = (Log::new(), Drops::new());
    let ctx = Context::with_backend(backend).expect("it is listed");
    prepare(&ctx);
    let tattle = drops.tattle();
    let seen = log.clone();
    let immediate = Immediate::new(&ctx, move || {
        tattle.hold();
        seen.note("went on");
    });
    immediate.schedule();
    let weak: WeakContext = ctx.downgrade();
    LAST.set(Some(ctx));
    let borrowed = weak.upgrade().expect("it is there");
    borrowed.run().expect("it runs");
    assert!(LAST.take().is_none());
    drop(borrowed);
    assert!(weak.upgrade().is_none());
    expect_order(&log, &["went on"]);
    drop(immediate);
    assert_eq!(drops.count(), 1);
}

#[test]
fn the_last_handle_may_go_while_the_context_runs() {
    everywhere(|ctx| {
        run_without_a_lasting_handle(ctx.backend(), |ctx| {
            let request = Request::<()>::finished(ctx, "last", Ok(()));
            request.on_done(|_| drop(LAST.take())).detach();
        });
        run_without_a_lasting_handle(ctx.backend(), |ctx| {
            ctx.remote().send(|_| drop(LAST.take())).unwrap();
        });
    });
}

#[test]
fn a_step_and_a_future_may_drop_the_last_handle() {
    everywhere(|ctx| {
        run_without_a_lasting_handle(ctx.backend(), |ctx| {
            ctx.spawn(async { drop(LAST.take()) }).detach();
        });
        run_without_a_lasting_handle(ctx.backend(), |ctx| {
            let state = wakeup(ctx, ctx.now());
            let request: Request<()> = Steps::start(ctx, "last", Some(state), |step| {
                let subreq = step.state_mut().take().expect("it was put there");
                step.then(subreq, |step, woken| {
                    woken?;
                    drop(LAST.take());
                    step.done(())
                })
            });
            request.detach();
        });
    });
}

#[test]
fn what_outlives_its_context_is_inert() {
    on_every_backend(|_| {
        let ctx = Context::new().unwrap();
        let (near, _far) = socket_pair();
        let log = Log::new();
        let event = FdEvent::new(&ctx, near, Interest::READ, log.noting("fd")).unwrap();
        let timer = Timer::new(&ctx, log.calling("timer"));
        timer.arm_after(Duration::ZERO);
        let immediate = Immediate::new(&ctx, log.calling("immediate"));
        immediate.schedule();
        let signal = Signal::new(&ctx, WINCH, log.noting("signal")).unwrap();
        let (request, completer) = Request::<u32>::pair(&ctx, "orphan");
        let request = request.on_done(log.noting("completion"));
        let weak = ctx.downgrade();
        drop(ctx);
        expect_errno(event.set_interest(Interest::WRITE), Errno::SHUTDOWN);
        timer.arm_after(Duration::ZERO);
        immediate.schedule();
        request.set_timeout(Duration::ZERO);
        completer.done(1);
        assert!(request.is_finished() && weak.upgrade().is_none());
        drop((event, timer, immediate, signal, request));
        assert!(log.is_empty());
    });
}

/// Uses every table of its context when it is dropped.
struct Busybody {
    ctx: WeakContext,
    log: Log,
}

impl Busybody {
    /// Does nothing: a closure that calls this owns it.
    fn hold(&self) {}
}

impl Drop for Busybody {
    fn drop(&mut self) {
        self.log.note("dropped");
        let Some(ctx) = self.ctx.upgrade() else {
            return;
        };
        let (near, _far) = socket_pair();
        let event = FdEvent::new(&ctx, near, Interest::READ, |_| {}).expect("it is watched");
        let timer = Timer::new(&ctx, || {});
        timer.arm_after(Duration::ZERO);
        let immediate = Immediate::new(&ctx, || {});
        immediate.schedule();
        let signal = Signal::new(&ctx, WINCH, |_| {}).expect("it is handled");
        let spawned = ctx.spawn(async {});
        let queue = Queue::new(&ctx);
        let waiting = queue.wait();
        let group = Group::new(&ctx);
        group.add(wakeup(&ctx, ctx.now()));
        ctx.remote().send(|_| {}).expect("the context is there");
        let dump = ctx.dump().to_string() + &format!("{ctx:?}");
        drop((
            event, timer, immediate, signal, spawned, waiting, queue, group, dump,
        ));
        wakeup(&ctx, ctx.now()).detach();
    }
}

/// Of each kind, one that owns `own`; what the caller gets is dropped to drop it.
fn owners(ctx: &Context, own: impl Fn() -> Busybody) -> Vec<(&'static str, Box<dyn Any>)> {
    let (near, _far) = socket_pair();
    let guard = own();
    let event = FdEvent::new(ctx, near, Interest::READ, move |_| guard.hold());
    let guard = own();
    let timer = Timer::new(ctx, move || guard.hold());
    timer.arm_after(Duration::from_secs(60));
    let guard = own();
    let immediate = Immediate::new(ctx, move || guard.hold());
    immediate.schedule();
    let guard = own();
    let signal = Signal::new(ctx, WINCH, move |_| guard.hold());
    let (pending, completer) = Request::<()>::pair(ctx, "pending");
    let (guard, hook) = (own(), own());
    completer.on_cleanup(move |_| drop(hook));
    let pending = pending.on_done(move |_| drop(guard));
    let result = Request::<Busybody>::finished(ctx, "result", Ok(own()));
    let guard = own();
    let spawned = ctx.spawn(async move {
        std::future::pending::<()>().await;
        drop(guard);
    });
    let queue = Queue::new(ctx);
    let guard = own();
    let entry = queue.add_entry(move |_| drop(guard));
    let steps: Request<()> = Steps::start(ctx, "steps", own(), |step| {
        let (subreq, _) = Request::<()>::pair(step.state().ctx.clone(), "subreq");
        step.then(subreq, |_, _| Ok(()))
    });
    let group = Group::new(ctx);
    let guard = own();
    group.add(wakeup(ctx, ctx.now() + Duration::from_secs(60)).on_done(move |_| drop(guard)));
    vec![
        ("fd", Box::new(event.expect("it is watched"))),
        ("timer", Box::new(timer)),
        ("immediate", Box::new(immediate)),
        ("signal", Box::new(signal.expect("it is handled"))),
        ("request", Box::new((pending, completer))),
        ("result", Box::new(result)),
        ("spawned", Box::new(spawned)),
        ("entry", Box::new(entry)),
        ("steps", Box::new(steps)),
        ("group", Box::new(group)),
        ("queue", Box::new(queue)),
    ]
}

#[test]
fn what_a_handler_owns_may_use_the_context_when_it_is_dropped() {
    let _alone = alone_with_signals();
    on_every_backend(|ctx| {
        let log = Log::new();
        let own = || Busybody {
            ctx: ctx.downgrade(),
            log: log.clone(),
        };
        for (name, owner) in owners(ctx, own) {
            log.take().clear();
            drop(owner);
            let expected = match name {
                "request" => 2,
                "queue" => 0,
                _ => 1,
            };
            assert_eq!(log.len(), expected, "{name}");
        }
        ctx.run().unwrap();
        // And when the context itself is dropped.
        let gone = Context::with_backend(ctx.backend()).unwrap();
        let own = || Busybody {
            ctx: gone.downgrade(),
            log: log.clone(),
        };
        let owned = owners(&gone, own);
        drop(gone);
        drop(owned);
    });
}

/// Drops its own request when it is stopped.
struct Dropping(Rc<RefCell<Option<Request<()>>>>);

impl Work for Dropping {
    fn stopped(self: Rc<Self>, _: usize, _: End) {
        let own = self.0.take();
        drop(own);
    }
}

#[test]
fn work_that_is_stopped_may_drop_its_own_request() {
    everywhere(|ctx| {
        let log = Log::new();
        let own: Rc<RefCell<Option<Request<()>>>> = Rc::default();
        let (request, completer) = Request::<()>::pair(ctx, "dropped by its work");
        let seen = log.clone();
        completer.on_cleanup(move |end| seen.note(format!("{end:?}")));
        completer.set_work(Rc::new(Dropping(own.clone())), 0);
        request.set_timeout(Duration::ZERO);
        own.replace(Some(request.on_done(log.noting("done"))));
        ctx.run().unwrap();
        expect_order(&log, &["Dropped"]);
        assert!(completer.is_moot() && own.borrow().is_none());
    });
}
