//! Queues: one at a time, in order, whatever leaves and however.

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::time::Duration;

use rustix::io::Errno;
use tevent::{Completer, Context, Immediate, Queue, QueueEntry, Request};
use tevent_tests::{
    Drops, Log, everywhere, expect_errno, expect_order, expect_panic, expect_silence, settle,
};

type Slot<T> = Rc<RefCell<Option<T>>>;

/// Adds a request called `name` that stays as it is until its completer, in the slot, is used.
fn add(
    queue: &Queue,
    ctx: &Context,
    log: &Log,
    name: &'static str,
) -> (Request<()>, Slot<Completer<()>>) {
    let completer: Slot<Completer<()>> = Rc::default();
    let (weak, slot, seen) = (ctx.downgrade(), completer.clone(), log.clone());
    let request = queue.add(move || {
        seen.note(format!("{name} starts"));
        let (request, completer) = Request::pair(&weak, name);
        slot.replace(Some(completer));
        request
    });
    (
        request.on_done(log.noting(&format!("{name} is done"))),
        completer,
    )
}

fn finish(completer: &Slot<Completer<()>>) {
    completer.take().expect("it has started").done(());
}

#[test]
fn members_have_their_turn_in_order_and_completions_come_before_the_next_turn() {
    everywhere(|ctx| {
        let log = Log::new();
        let queue = Queue::new(ctx);
        let (_a, a) = add(&queue, ctx, &log, "a");
        let (_b, b) = add(&queue, ctx, &log, "b");
        expect_order(&log, &[]);
        assert!(queue.len() == 2 && !queue.is_empty() && queue.is_running());
        settle(ctx);
        expect_order(&log, &["a starts"]);
        finish(&a);
        settle(ctx);
        expect_order(&log, &["a is done", "b starts"]);
        assert_eq!(queue.len(), 1, "one that is done and still kept has left");
        finish(&b);
        settle(ctx);
        expect_order(&log, &["b is done"]);
        assert!(queue.is_empty());
    });
}

#[test]
fn the_completion_of_one_that_is_ended_comes_before_the_next_turn() {
    everywhere(|ctx| {
        let log = Log::new();
        let queue = Queue::new(ctx);
        let (a, _a) = add(&queue, ctx, &log, "a");
        let (b, _b) = add(&queue, ctx, &log, "b");
        let (_c, _c_completer) = add(&queue, ctx, &log, "c");
        settle(ctx);
        expect_order(&log, &["a starts"]);
        a.cancel();
        assert_eq!(queue.len(), 2);
        settle(ctx);
        expect_order(&log, &["a is done", "b starts"]);
        b.set_timeout(Duration::ZERO);
        settle(ctx);
        expect_order(&log, &["b is done", "c starts"]);
    });
}

#[test]
fn a_wait_that_is_ended_is_done_before_the_next_turn() {
    everywhere(|ctx| {
        let log = Log::new();
        let queue = Queue::new(ctx);
        let blocker = queue.add_entry(|_| {});
        let waits = queue.wait().on_done(log.noting("wait is done"));
        settle(ctx);
        let _next = queue.add_entry(log.noting("next"));
        drop(blocker);
        waits.cancel();
        settle(ctx);
        expect_order(&log, &["wait is done", "next"]);
        expect_errno(ctx.run_until(waits_again(&queue)).unwrap(), Errno::CANCELED);
    });
}

fn waits_again(queue: &Queue) -> Request<QueueEntry> {
    let request = queue.wait();
    request.cancel();
    request
}

#[test]
fn a_dropped_member_leaves_wherever_it_stands() {
    everywhere(|ctx| {
        let log = Log::new();
        let queue = Queue::new(ctx);
        let (a, a_completer) = add(&queue, ctx, &log, "a");
        let (b, _) = add(&queue, ctx, &log, "b");
        let (c, _) = add(&queue, ctx, &log, "c");
        let (d, d_completer) = add(&queue, ctx, &log, "d");
        settle(ctx);
        expect_order(&log, &["a starts"]);
        drop(b);
        assert_eq!(queue.len(), 3);
        expect_silence(ctx, &log);
        drop(a);
        assert!(
            a_completer.take().unwrap().is_moot(),
            "what it had started is dropped"
        );
        drop(c);
        settle(ctx);
        expect_order(&log, &["d starts"]);
        finish(&d_completer);
        drop(d);
        ctx.run().unwrap();
        expect_silence(ctx, &log);
        assert!(queue.is_empty());
    });
}

#[test]
fn an_entry_blocks_until_it_is_dropped() {
    everywhere(|ctx| {
        let log = Log::new();
        let queue = Queue::new(ctx);
        let first = queue.add_entry(log.noting("first"));
        let second = queue.add_entry(log.noting("second"));
        settle(ctx);
        expect_order(&log, &["first"]);
        assert_eq!(format!("{second:?}"), "QueueEntry { is_waiting: true, .. }");
        drop(first);
        settle(ctx);
        expect_order(&log, &["second"]);
        assert_eq!(
            format!("{second:?}"),
            "QueueEntry { is_waiting: false, .. }"
        );
        drop(second);
        ctx.run().unwrap();
        assert!(queue.is_empty());
    });
}

#[test]
fn a_wait_gives_the_turn_to_a_guard() {
    everywhere(|ctx| {
        let log = Log::new();
        let queue = Queue::new(ctx);
        let guard = ctx.run_until(queue.wait()).unwrap().unwrap();
        let (_b, b) = add(&queue, ctx, &log, "b");
        expect_silence(ctx, &log);
        drop(guard);
        settle(ctx);
        expect_order(&log, &["b starts"]);
        finish(&b);
        settle(ctx);
        // One that has its turn and is dropped before its guard was taken leaves, too.
        let unread = queue.wait();
        settle(ctx);
        assert!(unread.is_finished() && queue.len() == 1);
        drop(unread);
        assert!(queue.is_empty());
    });
}

#[test]
fn a_stopped_queue_begins_no_turn() {
    everywhere(|ctx| {
        let log = Log::new();
        let queue = Queue::new(ctx);
        let (_a, a) = add(&queue, ctx, &log, "a");
        queue.stop();
        assert!(!queue.is_running());
        expect_silence(ctx, &log);
        queue.start();
        expect_order(&log, &[]);
        settle(ctx);
        expect_order(&log, &["a starts"]);
        let (_b, _b_completer) = add(&queue, ctx, &log, "b");
        queue.stop();
        finish(&a);
        settle(ctx);
        expect_order(&log, &["a is done"]);
        let eager = queue.add_eager(|| panic!("the queue is stopped"));
        drop::<Request<()>>(eager);
        expect_silence(ctx, &log);
        queue.start();
        queue.start();
        settle(ctx);
        expect_order(&log, &["b starts"]);
        assert_eq!(
            format!("{queue:?}"),
            "Queue { len: 1, is_running: true, .. }"
        );
    });
}

#[test]
fn an_eager_member_starts_at_once_only_if_nobody_is_in_line() {
    everywhere(|ctx| {
        let log = Log::new();
        let queue = Rc::new(Queue::new(ctx));
        let (seen, inner, weak) = (log.clone(), queue.clone(), ctx.downgrade());
        let second: Slot<Request<()>> = Rc::default();
        let kept = second.clone();
        let first = queue.add_eager(move || {
            seen.note("first starts");
            let (seen_inside, ctx) = (seen.clone(), weak.clone());
            let request = inner.add_eager(move || {
                seen_inside.note("second starts");
                Request::<()>::finished(&ctx, "second", Ok(()))
            });
            kept.replace(Some(request.on_done(seen.noting("second is done"))));
            seen.note("first has started");
            Request::<()>::finished(&weak, "first", Ok(()))
        });
        expect_order(&log, &["first starts", "first has started"]);
        let first = first.on_done(log.noting("first is done"));
        ctx.run().unwrap();
        expect_order(&log, &["first is done", "second starts", "second is done"]);
        drop(first);
    });
}

#[test]
fn a_turn_can_be_had_at_once_if_nobody_is_in_line() {
    everywhere(|ctx| {
        let log = Log::new();
        let queue = Queue::new(ctx);
        let turn = queue.try_turn().expect("nobody is in line");
        assert!(queue.try_turn().is_none());
        let (_a, _a_completer) = add(&queue, ctx, &log, "a");
        expect_silence(ctx, &log);
        drop(turn);
        assert!(queue.try_turn().is_none());
        settle(ctx);
        expect_order(&log, &["a starts"]);
        let stopped = Queue::new(ctx);
        stopped.stop();
        assert!(stopped.try_turn().is_none());
    });
}

#[test]
fn dropping_a_queue_ends_what_waits_and_leaves_who_has_the_turn() {
    everywhere(|ctx| {
        let log = Log::new();
        let queue = Queue::new(ctx);
        let (_a, a) = add(&queue, ctx, &log, "a");
        settle(ctx);
        let waits = queue.wait();
        let seen = log.clone();
        let entry = queue.add_entry(move |turn: io::Result<()>| {
            expect_errno(turn, Errno::CANCELED);
            seen.note("entry is told");
        });
        let forgotten = queue.add_entry(log.noting("never"));
        let (c, _c) = add(&queue, ctx, &log, "c");
        drop(queue);
        drop(forgotten);
        expect_order(&log, &["a starts"]);
        let error = ctx.run_until(waits).unwrap();
        expect_errno(error, Errno::CANCELED);
        settle(ctx);
        expect_order(&log, &["entry is told", "c is done"]);
        assert!(c.is_finished());
        finish(&a);
        settle(ctx);
        expect_order(&log, &["a is done"]);
        drop(entry);
        ctx.run().unwrap();
    });
}

#[test]
fn start_may_drop_its_own_request_and_others() {
    everywhere(|ctx| {
        for eager in [false, true] {
            let (log, drops) = (Log::new(), Drops::new());
            let queue = Queue::new(ctx);
            let owned: Rc<RefCell<Vec<Request<()>>>> = Rc::default();
            let (all, tattle, weak) = (owned.clone(), drops.tattle(), ctx.downgrade());
            let moot: Slot<Completer<()>> = Rc::default();
            let kept = moot.clone();
            let start = move || {
                let dropped = all.take();
                drop(dropped);
                tattle.hold();
                let (request, completer) = Request::pair(&weak, "nobody's");
                kept.replace(Some(completer));
                request
            };
            let blocker = eager.then(|| queue.add_entry(|_| {}));
            let first = queue.add(start).on_done(log.noting("never"));
            let (second, _) = add(&queue, ctx, &log, "second");
            owned.borrow_mut().extend([first, second]);
            let (_third, _third_completer) = add(&queue, ctx, &log, "third");
            drop(blocker);
            settle(ctx);
            expect_order(&log, &["third starts"]);
            assert!(moot.take().unwrap().is_moot() && drops.count() == 1);
        }
    });
}

#[test]
fn a_trigger_may_drop_the_queue() {
    everywhere(|ctx| {
        let log = Log::new();
        let own: Slot<Queue> = Rc::default();
        let queue = Queue::new(ctx);
        let (owner, seen) = (own.clone(), log.clone());
        let _first = queue.add_entry(move |_| {
            drop(owner.take());
            seen.note("first");
        });
        let (second, _) = add(&queue, ctx, &log, "second");
        own.replace(Some(queue));
        settle(ctx);
        expect_order(&log, &["first", "second is done"]);
        expect_errno(ctx.run_until(second_result(ctx)).unwrap(), Errno::CANCELED);
        drop(second);
    });
}

fn second_result(ctx: &Context) -> Request<()> {
    let queue = Queue::new(ctx);
    queue.stop();
    let weak = ctx.downgrade();
    queue.add(move || Request::finished(&weak, "never", Ok(())))
}

#[test]
fn a_start_that_panics_abandons_its_request_and_passes_the_turn() {
    everywhere(|ctx| {
        let log = Log::new();
        let queue = Queue::new(ctx);
        let first: Request<()> = queue.add(|| panic!("start"));
        let (_second, _completer) = add(&queue, ctx, &log, "second");
        assert_eq!(expect_panic(|| ctx.run_once()), "start");
        assert!(first.is_finished());
        settle(ctx);
        expect_order(&log, &["second starts"]);
        expect_errno(ctx.run_until(first).unwrap(), Errno::IO);
    });
}

#[test]
fn an_error_of_what_was_started_is_passed_on() {
    everywhere(|ctx| {
        let queue = Queue::new(ctx);
        let weak = ctx.downgrade();
        let failing: Request<()> =
            queue.add(move || Request::finished(&weak, "fails", Err(Errno::BADF.into())));
        expect_errno(ctx.run_until(failing).unwrap(), Errno::BADF);
        assert!(queue.is_empty());
    });
}

#[test]
fn a_line_of_a_hundred_thousand_needs_no_stack() {
    everywhere(|ctx| {
        const COUNT: usize = 100_000;
        let queue = Queue::new(ctx);
        let done = Rc::new(Cell::new(0));
        let line: Vec<_> = (0..COUNT)
            .map(|_| {
                let (weak, done) = (ctx.downgrade(), done.clone());
                let start = move || Request::<()>::finished(&weak, "quick", Ok(()));
                queue.add(start).on_done(move |_| done.set(done.get() + 1))
            })
            .collect();
        let immediate = Immediate::new(ctx, || {});
        immediate.schedule();
        ctx.run().unwrap();
        assert_eq!(done.get(), COUNT);
        drop(line);
    });
}

#[test]
fn the_first_of_a_stopped_queue_can_give_its_turn_back_and_has_the_next() {
    everywhere(|ctx| {
        let log = Log::new();
        let queue = Queue::new(ctx);
        let first = queue.add_entry(log.noting("first"));
        let second = queue.add_entry(log.noting("second"));
        settle(ctx);
        expect_order(&log, &["first"]);
        queue.stop();
        first.untrigger(log.noting("first again")).unwrap();
        expect_silence(ctx, &log);
        queue.start();
        settle(ctx);
        expect_order(&log, &["first again"]);
        drop(first);
        settle(ctx);
        expect_order(&log, &["second"]);
        drop(second);
    });
}

#[test]
fn a_turn_that_was_not_triggered_can_be_given_back_as_well() {
    everywhere(|ctx| {
        let log = Log::new();
        let queue = Queue::new(ctx);
        let direct = queue.try_turn().unwrap();
        queue.stop();
        direct.untrigger(log.noting("direct")).unwrap();
        queue.start();
        settle(ctx);
        expect_order(&log, &["direct"]);
        drop(direct);
        let waited = ctx.run_until(queue.wait()).unwrap().unwrap();
        queue.stop();
        waited.untrigger(log.noting("waited")).unwrap();
        let behind = queue.add_entry(log.noting("behind"));
        queue.start();
        settle(ctx);
        expect_order(&log, &["waited"]);
        drop((waited, behind));
    });
}

#[test]
fn a_turn_given_back_is_lost_with_its_entry_or_its_queue() {
    everywhere(|ctx| {
        let log = Log::new();
        let queue = Queue::new(ctx);
        let leaves = queue.try_turn().unwrap();
        let stays = queue.add_entry(log.noting("stays"));
        queue.stop();
        leaves.untrigger(log.noting("left")).unwrap();
        drop(leaves);
        queue.start();
        settle(ctx);
        expect_order(&log, &["stays"]);
        queue.stop();
        let seen = log.clone();
        let told = move |turn: io::Result<()>| {
            expect_errno(turn, Errno::CANCELED);
            seen.note("canceled");
        };
        stays.untrigger(told).unwrap();
        drop(queue);
        ctx.run().unwrap();
        expect_order(&log, &["canceled"]);
        drop(stays);
    });
}

#[test]
fn only_a_turn_of_a_stopped_queue_can_be_given_back() {
    everywhere(|ctx| {
        let (log, drops) = (Log::new(), Drops::new());
        let refused = |entry: &QueueEntry| {
            let tattle = drops.tattle();
            expect_errno(entry.untrigger(move |_| tattle.hold()), Errno::INVAL);
        };
        let queue = Queue::new(ctx);
        let first = queue.try_turn().unwrap();
        let second = queue.add_entry(log.noting("second"));
        refused(&first); // the queue is running
        queue.stop();
        refused(&second); // it is not its turn
        first.untrigger(log.noting("first")).unwrap();
        refused(&first); // it has been given back
        drop(queue);
        refused(&first); // the queue is gone
        assert_eq!(drops.count(), 4);
        ctx.run().unwrap();
        expect_order(&log, &["first", "second"]);
        drop((first, second));
    });
}
