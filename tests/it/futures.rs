//! Futures both ways: requests that are awaited, and futures that are requests.

use std::cell::{Cell, RefCell};
use std::future::{self, Future};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::mpsc;
use std::task::{self, Poll, Waker};
use std::thread;
use std::time::Duration;

use rustix::io::Errno;
use tevent::{Context, FdEvent, Interest, Request, Timer, wakeup};
use tevent_tests::{
    Drops, Log, everywhere, expect_errno, expect_order, expect_panic, expect_silence,
    on_every_backend, read_byte, settle, socket_pair, write_byte,
};

type Slot<T> = Rc<RefCell<Option<T>>>;

/// Gives way once to whatever else is ready.
fn yield_now() -> impl Future<Output = ()> {
    let mut has_yielded = false;
    future::poll_fn(move |cx| {
        if std::mem::replace(&mut has_yielded, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
}

/// Hands its waker out each time it is polled, and is ready once `is_ready` says so.
fn handing_out(
    wakers: mpsc::Sender<Waker>,
    is_ready: impl Fn() -> bool,
) -> impl Future<Output = ()> {
    future::poll_fn(move |cx| {
        if is_ready() {
            return Poll::Ready(());
        }
        wakers.send(cx.waker().clone()).expect("the test listens");
        Poll::Pending
    })
}

#[test]
fn a_request_can_be_awaited_and_a_future_is_a_request() {
    everywhere(|ctx| {
        let (request, completer) = Request::<u32>::pair(ctx, "awaited");
        let request = ctx.spawn(async move { request.await.map(|value| value + 1) });
        assert!(!request.is_finished());
        settle(ctx);
        completer.done(41);
        assert_eq!(ctx.run_until(request).unwrap().unwrap().unwrap(), 42);
    });
}

#[test]
fn a_future_is_first_polled_from_the_loop() {
    everywhere(|ctx| {
        let log = Log::new();
        let seen = log.clone();
        let request = ctx.spawn(async move { seen.note("polled") });
        expect_order(&log, &[]);
        ctx.run_until(request).unwrap().unwrap();
        expect_order(&log, &["polled"]);
    });
}

#[test]
fn a_future_that_is_woken_many_times_is_polled_once() {
    everywhere(|ctx| {
        let polls = Rc::new(Cell::new(0));
        let (wakers, handed_out) = mpsc::channel();
        let count = polls.clone();
        let request = ctx.spawn(handing_out(wakers, move || {
            count.set(count.get() + 1);
            false
        }));
        settle(ctx);
        let waker = handed_out.recv().unwrap();
        for _ in 0..10 {
            waker.wake_by_ref();
        }
        ctx.run().unwrap();
        assert_eq!(polls.get(), 2);
        drop(request);
    });
}

#[test]
fn dropping_the_request_of_a_future_drops_the_future() {
    everywhere(|ctx| {
        let drops = Drops::new();
        let (subreq, completer) = Request::<()>::pair(ctx, "subreq");
        let tattle = drops.tattle();
        let request = ctx.spawn(async move {
            subreq.await.ok();
            tattle.hold();
        });
        settle(ctx);
        drop(request);
        assert!(drops.count() == 1 && completer.is_moot());
        // Also before it was ever polled.
        let tattle = drops.tattle();
        drop(ctx.spawn(async move { tattle.hold() }));
        assert_eq!(drops.count(), 2);
        ctx.run().unwrap();
    });
}

#[test]
fn a_deadline_ends_a_future() {
    everywhere(|ctx| {
        let drops = Drops::new();
        let tattle = drops.tattle();
        let request = ctx.spawn(async move {
            future::pending::<()>().await;
            tattle.hold();
        });
        request.set_timeout(Duration::from_millis(1));
        expect_errno(ctx.run_until(request).unwrap(), Errno::TIMEDOUT);
        assert_eq!(drops.count(), 1);
    });
}

#[test]
fn a_future_may_drop_its_own_request() {
    everywhere(|ctx| {
        for is_ready in [true, false] {
            let (log, drops) = (Log::new(), Drops::new());
            let own: Slot<Request<()>> = Rc::default();
            let (owner, tattle, seen) = (own.clone(), drops.tattle(), drops.clone());
            let request = ctx.spawn(async move {
                drop(owner.take());
                assert_eq!(seen.count(), 0, "a running future is not dropped");
                tattle.hold();
                if !is_ready {
                    future::pending::<()>().await;
                }
            });
            own.replace(Some(request.on_done(log.noting("done"))));
            ctx.run().unwrap();
            assert_eq!(drops.count(), 1);
            expect_silence(ctx, &log);
            assert!(ctx.dump().entries().is_empty());
        }
    });
}

#[test]
fn a_panic_in_a_future_abandons_its_request() {
    everywhere(|ctx| {
        let drops = Drops::new();
        let tattle = drops.tattle();
        let request = ctx.spawn(async move {
            tattle.hold();
            panic!("future");
        });
        assert_eq!(expect_panic(|| ctx.run_once()), "future");
        assert!(request.is_finished() && drops.count() == 1);
        expect_errno(ctx.run_until::<(), _>(request).unwrap(), Errno::IO);
    });
}

#[test]
fn a_future_is_woken_from_another_thread() {
    on_every_backend(|ctx| {
        let (wakers, handed_out) = mpsc::channel::<Waker>();
        let polls = Cell::new(0);
        let request = ctx.spawn(handing_out(wakers, move || {
            polls.replace(polls.get() + 1) == 3
        }));
        let waking = thread::spawn(move || handed_out.iter().for_each(Waker::wake));
        let keeps_waiting = Timer::new(ctx, || panic!("nobody woke the loop"));
        keeps_waiting.arm_after(Duration::from_secs(60));
        ctx.run_until(request).unwrap().unwrap();
        waking.join().unwrap();
    });
}

#[test]
fn a_waker_may_outlive_the_future_and_the_context() {
    everywhere(|ctx| {
        let ctx = Context::with_backend(ctx.backend()).unwrap();
        let (wakers, handed_out) = mpsc::channel::<Waker>();
        let request = ctx.spawn(handing_out(wakers, || false));
        settle(&ctx);
        let waker = handed_out.recv().unwrap();
        drop(request);
        waker.wake_by_ref();
        // The slot is let to somebody else, who is not woken by it.
        let polls = Rc::new(Cell::new(0));
        let count = polls.clone();
        let other = ctx.spawn(future::poll_fn(move |_| {
            count.set(count.get() + 1);
            Poll::<()>::Pending
        }));
        settle(&ctx);
        waker.wake_by_ref();
        let sent = waker.clone();
        thread::spawn(move || sent.wake()).join().unwrap();
        settle(&ctx);
        assert_eq!(polls.get(), 1);
        drop((other, ctx));
        waker.wake_by_ref();
        thread::spawn(move || waker.wake()).join().unwrap();
    });
}

#[test]
fn a_future_of_another_context_is_woken_on_the_same_thread() {
    everywhere(|ctx| {
        let other = Context::with_backend(ctx.backend()).unwrap();
        let (request, completer) = Request::<u32>::pair(ctx, "here");
        let there = other.spawn(async move { request.await.unwrap() });
        settle(&other);
        let nap = wakeup(ctx, ctx.now()).on_done(move |_| completer.done(3));
        ctx.run().unwrap();
        assert_eq!(other.run_until(there).unwrap().unwrap(), 3);
        drop(nap);
    });
}

#[test]
fn block_on_runs_the_loop_until_the_future_is_done() {
    everywhere(|ctx| {
        let borrowed = 20;
        let sum = ctx.block_on(async {
            wakeup(ctx, ctx.now()).await.unwrap();
            borrowed + Request::<i32>::finished(ctx, "rest", Ok(22)).await.unwrap()
        });
        assert_eq!(sum.unwrap(), 42);
        expect_errno(ctx.block_on(future::pending::<()>()), Errno::DEADLK);
    });
}

#[test]
fn block_on_is_woken_from_another_thread() {
    on_every_backend(|ctx| {
        let (wakers, handed_out) = mpsc::channel::<Waker>();
        let polls = Cell::new(0);
        let future = handing_out(wakers, move || polls.replace(polls.get() + 1) == 3);
        let waking = thread::spawn(move || handed_out.iter().for_each(Waker::wake));
        // Only work in the loop keeps it going; a thread counts once it has woken.
        let keeps_waiting = Timer::new(ctx, || panic!("nobody woke the loop"));
        keeps_waiting.arm_after(Duration::from_secs(60));
        ctx.block_on(future).unwrap();
        waking.join().unwrap();
    });
}

#[test]
fn block_on_is_woken_at_whatever_point_the_loop_is() {
    on_every_backend(|ctx| {
        for chosen in ["RoundBegin", "WaitBegin"] {
            let (wakers, handed_out) = mpsc::channel::<Waker>();
            let polls = Cell::new(0);
            let future = handing_out(wakers, move || polls.replace(polls.get() + 1) == 1);
            // The hook holds the loop up at that point, and another thread wakes it meanwhile.
            ctx.set_trace(Some(Rc::new(move |point| {
                if format!("{point:?}") == chosen {
                    if let Ok(waker) = handed_out.try_recv() {
                        thread::spawn(move || waker.wake()).join().unwrap();
                    }
                }
            })));
            let keeps_waiting = Timer::new(ctx, || {});
            keeps_waiting.arm_after(Duration::from_secs(10));
            ctx.block_on(future).unwrap();
            let is_waiting = keeps_waiting
                .deadline()
                .is_some_and(|late| ctx.now() < late);
            assert!(is_waiting, "nobody woke the loop at {chosen}");
        }
    });
}

#[test]
fn a_future_that_gives_way_starves_nobody() {
    on_every_backend(|ctx| {
        for spawned in [false, true] {
            let seen = Rc::new(Cell::new(0));
            let (timer_seen, fd_seen) = (seen.clone(), seen.clone());
            let timer = Timer::new(ctx, move || timer_seen.set(timer_seen.get() + 1));
            timer.arm_after(Duration::ZERO);
            let (near, far) = socket_pair();
            write_byte(&far);
            let near = Rc::new(near);
            let socket = near.clone();
            let event = FdEvent::new(ctx, near, Interest::READ, move |_| {
                read_byte(&socket);
                fd_seen.set(fd_seen.get() + 1);
            });
            let patient = async move {
                for _ in 0..10_000_000 {
                    if seen.get() == 2 {
                        return true;
                    }
                    yield_now().await;
                }
                false
            };
            let was_fair = if spawned {
                ctx.run_until(ctx.spawn(patient)).unwrap().unwrap()
            } else {
                ctx.block_on(patient).unwrap()
            };
            assert!(was_fair, "ten million turns were not enough");
            drop(event);
        }
    });
}

/// Awaits nothing else, so that giving way is all that keeps the loop going.
#[test]
fn a_future_that_only_gives_way_comes_to_its_end() {
    everywhere(|ctx| {
        let turns = async {
            for _ in 0..10_000 {
                yield_now().await;
            }
        };
        ctx.block_on(turns).unwrap();
        ctx.run().unwrap();
    });
}

/// Takes the waker of every poll along, and is ready when `left` polls are over.
struct Impatient {
    left: u32,
}

impl Future for Impatient {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<()> {
        if self.left == 0 {
            return Poll::Ready(());
        }
        self.left -= 1;
        // Woken several times, also after it was woken already.
        cx.waker().wake_by_ref();
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

#[test]
fn a_future_that_wakes_itself_in_its_poll_is_polled_again() {
    everywhere(|ctx| {
        ctx.run_until(ctx.spawn(Impatient { left: 1000 }))
            .unwrap()
            .unwrap();
        ctx.block_on(Impatient { left: 1000 }).unwrap();
    });
}

#[test]
fn a_request_that_is_polled_again_after_it_was_ready_panics() {
    everywhere(|ctx| {
        let mut request = Request::<()>::finished(ctx, "ready", Ok(()));
        let text = expect_panic(|| {
            ctx.block_on(async {
                (&mut request).await.unwrap();
                (&mut request).await.unwrap();
            })
        });
        assert_eq!(text, "a request has only one result");
        ctx.run().unwrap();
    });
}

#[test]
fn a_hundred_thousand_futures_are_woken_each_once() {
    everywhere(|ctx| {
        const COUNT: usize = 100_000;
        let done = Rc::new(Cell::new(0));
        let (requests, completers): (Vec<_>, Vec<_>) = (0..COUNT)
            .map(|_| {
                let (subreq, completer) = Request::<()>::pair(ctx, "subreq");
                let done = done.clone();
                let request = ctx.spawn(async move {
                    subreq.await.unwrap();
                    done.set(done.get() + 1);
                });
                (request, completer)
            })
            .unzip();
        settle(ctx);
        completers
            .into_iter()
            .for_each(|completer| completer.done(()));
        ctx.run().unwrap();
        assert_eq!(done.get(), COUNT);
        drop(requests);
    });
}
