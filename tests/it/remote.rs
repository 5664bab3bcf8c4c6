//! Work from other threads: all of it, once, in order, and back again if the context is gone.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, mpsc};
use std::thread;
use std::time::Duration;

use tevent::{Context, Immediate, Timer};
use tevent_tests::{Log, everywhere, expect_order, expect_panic, on_every_backend, run_to, scaled};

thread_local! {
    /// What has arrived on this thread, by sender.
    static ARRIVED: RefCell<HashMap<usize, Vec<usize>>> = RefCell::default();
    static LOG: Log = Log::new();
}

/// Notes on the thread of the loop.
fn note(entry: &'static str) {
    LOG.with(|log| log.note(entry));
}

#[test]
fn every_message_of_a_hundred_threads_arrives_once_and_in_order() {
    on_every_backend(|ctx| {
        const SENDERS: usize = 100;
        let messages = scaled(1_000, 10_000);
        let start = Arc::new(Barrier::new(SENDERS));
        let senders: Vec<_> = (0..SENDERS)
            .map(|sender| {
                let (remote, start) = (ctx.remote(), start.clone());
                thread::spawn(move || {
                    start.wait();
                    for number in 0..messages {
                        let arrive = move |_: &Context| {
                            ARRIVED.with_borrow_mut(|arrived| {
                                arrived.entry(sender).or_default().push(number);
                            });
                        };
                        remote.send(arrive).unwrap();
                    }
                })
            })
            .collect();
        let count = || ARRIVED.with_borrow(|all| all.values().map(Vec::len).sum::<usize>());
        let keeps_waiting = Timer::new(ctx, || {});
        keeps_waiting.arm_after(Duration::from_secs(3600));
        run_to(ctx, || count() == SENDERS * messages);
        for sender in senders {
            sender.join().unwrap();
        }
        keeps_waiting.disarm();
        ctx.run().unwrap();
        let expected: Vec<_> = (0..messages).collect();
        let arrived = ARRIVED.take();
        assert_eq!(arrived.len(), SENDERS);
        assert!(arrived.values().all(|numbers| *numbers == expected));
        assert!(ctx.stats().wakeups <= (SENDERS * messages) as u64);
    });
}

#[test]
fn any_number_of_messages_takes_one_wakeup() {
    everywhere(|ctx| {
        const MESSAGES: usize = 10_000;
        let remote = ctx.remote();
        let arrived = Arc::new(AtomicUsize::new(0));
        let seen = arrived.clone();
        let sender = thread::spawn(move || {
            for _ in 0..MESSAGES {
                let seen = seen.clone();
                let arrive = move |_: &Context| {
                    seen.fetch_add(1, Ordering::Relaxed);
                };
                remote.send(arrive).unwrap();
            }
        });
        sender.join().unwrap();
        let before = ctx.stats();
        ctx.run().unwrap();
        assert_eq!(arrived.load(Ordering::Relaxed), MESSAGES);
        assert_eq!(ctx.stats().since(&before).wakeups, 1);
    });
}

#[test]
fn work_that_was_sent_keeps_run_going_and_an_idle_remote_does_not() {
    everywhere(|ctx| {
        let remote = ctx.remote();
        ctx.run().unwrap();
        remote.send(|_| note("sent")).unwrap();
        ctx.run().unwrap();
        LOG.with(|log| expect_order(log, &["sent"]));
    });
}

#[test]
fn a_message_ends_a_wait() {
    on_every_backend(|ctx| {
        let (asleep, wake) = mpsc::channel();
        let remote = ctx.remote();
        let sender = thread::spawn(move || {
            wake.recv().unwrap();
            remote.send(|_| note("woken")).unwrap();
        });
        let timer = Timer::new(ctx, || panic!("the message did not end the wait"));
        timer.arm_after(Duration::from_secs(60));
        let last = Immediate::new(ctx, move || asleep.send(()).unwrap());
        last.schedule();
        run_to(ctx, || LOG.with(|log| !log.is_empty()));
        LOG.with(|log| expect_order(log, &["woken"]));
        sender.join().unwrap();
    });
}

#[test]
fn messages_stand_in_line_with_immediates() {
    everywhere(|ctx| {
        let first = Immediate::new(ctx, || note("immediate"));
        first.schedule();
        ctx.remote()
            .send(|ctx| {
                note("message");
                ctx.remote().send(|_| note("message of a message")).unwrap();
            })
            .unwrap();
        ctx.run().unwrap();
        LOG.with(|log| expect_order(log, &["immediate", "message", "message of a message"]));
    });
}

#[test]
fn work_for_a_context_that_is_gone_comes_back() {
    everywhere(|ctx| {
        let gone = Context::with_backend(ctx.backend()).unwrap();
        let remote = gone.remote();
        let dropped = Arc::new(());
        let held = dropped.clone();
        remote.send(move |_| drop(held)).unwrap();
        drop(gone);
        assert_eq!(
            Arc::strong_count(&dropped),
            1,
            "what was in line is dropped with the context"
        );
        let refused = remote.send(|_| note("elsewhere")).unwrap_err();
        assert!(refused.to_string().contains("gone"));
        assert!(format!("{refused:?}").contains("Undelivered"));
        (refused.call)(ctx);
        LOG.with(|log| expect_order(log, &["elsewhere"]));
        assert!(format!("{:?}", ctx.remote()).contains("queued: 0"));
    });
}

#[test]
fn a_message_that_panics_does_not_lose_the_next() {
    everywhere(|ctx| {
        ctx.remote().send(|_| panic!("message")).unwrap();
        ctx.remote().send(|_| note("next")).unwrap();
        assert_eq!(expect_panic(|| ctx.run()), "message");
        ctx.run().unwrap();
        LOG.with(|log| expect_order(log, &["next"]));
    });
}

/// Ten threads send as fast as they can until they are told to stop, by the timer that they would
/// starve.
#[test]
fn a_flood_of_messages_starves_no_timer() {
    everywhere(|ctx| {
        let stop = Arc::new(AtomicUsize::new(0));
        let senders: Vec<_> = (0..10)
            .map(|_| {
                let (remote, stop) = (ctx.remote(), stop.clone());
                thread::spawn(move || {
                    // Bounded, should the timer never come.
                    for _ in 0..200_000 {
                        if stop.load(Ordering::Relaxed) > 0 {
                            return true;
                        }
                        remote.send(|_| {}).unwrap();
                    }
                    false
                })
            })
            .collect();
        let stopper = stop.clone();
        let timer = Timer::new(ctx, move || stopper.store(1, Ordering::Relaxed));
        timer.arm_after(Duration::from_millis(1));
        run_to(ctx, || stop.load(Ordering::Relaxed) > 0);
        for sender in senders {
            sender.join().unwrap();
        }
        ctx.run().unwrap();
    });
}

/// Each message runs, comes back, or is dropped with the context; none stays behind.
#[test]
fn a_context_that_goes_while_threads_send_leaves_no_message_behind() {
    const MESSAGES: usize = 20_000;
    on_every_backend(|ctx| {
        for _ in 0..scaled(20, 1_000) {
            let going = Context::with_backend(ctx.backend()).unwrap();
            let (ran, message) = (Arc::new(AtomicUsize::new(0)), Arc::new(()));
            let senders: Vec<_> = (0..4)
                .map(|_| {
                    let (remote, ran, message) = (going.remote(), ran.clone(), message.clone());
                    thread::spawn(move || {
                        // Bounded, should the loop's thread have to wait for a processor.
                        for accepted in 0..MESSAGES {
                            let (ran, message) = (ran.clone(), message.clone());
                            let call = move |_: &Context| {
                                ran.fetch_add(1, Ordering::Relaxed);
                                drop(message);
                            };
                            if remote.send(call).is_err() {
                                assert!(remote.send(|_| {}).is_err(), "gone is gone");
                                return accepted;
                            }
                        }
                        MESSAGES
                    })
                })
                .collect();
            let keeps_waiting = Timer::new(&going, || panic!("no message came"));
            keeps_waiting.arm_after(Duration::from_secs(60));
            run_to(&going, || ran.load(Ordering::Relaxed) >= 100);
            drop(going);
            let ended = senders.into_iter().map(|sender| sender.join().unwrap());
            let accepted: usize = ended.sum();
            assert!(ran.load(Ordering::Relaxed) <= accepted);
            assert_eq!(Arc::strong_count(&message), 1);
        }
    });
}
