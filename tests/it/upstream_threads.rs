//! Scenarios with threads: a sleeping loop is given an event, and a hundred threads send and are answered.

use std::cell::RefCell;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use tevent::{Context, FdEvent, Interest, Timer};
use tevent_tests::{on_every_backend, run_to, scaled};

thread_local! {
    /// What has arrived on this thread.
    static ARRIVED: RefCell<Vec<usize>> = const { RefCell::new(Vec::new()) };
}

fn arrived_count() -> usize {
    ARRIVED.with_borrow(Vec::len)
}

/// A timer without which a loop that waits for other threads would have nothing to wait for.
fn patience(ctx: &Context) -> Timer {
    let timer = Timer::new(ctx, || panic!("nothing has arrived for ten seconds"));
    timer.arm_after(Duration::from_secs(10));
    timer
}

/// What another thread has had a loop watch; it is dropped when the loop is to end.
#[derive(Default)]
struct Watched {
    event: RefCell<Option<FdEvent<Rc<OwnedFd>>>>,
    patience: RefCell<Option<Timer>>,
}

/// Watches `reader` and passes on what arrives, until that is a zero.
fn watch(ctx: &Context, reader: OwnedFd, bytes: mpsc::Sender<u8>) {
    let reader = Rc::new(reader);
    let (from, weak) = (reader.clone(), ctx.downgrade());
    let event = FdEvent::new(ctx, reader, Interest::READ, move |_| {
        let mut byte = [0];
        assert_eq!(rustix::io::read(&from, &mut byte), Ok(1));
        bytes.send(byte[0]).expect("the test waits for it");
        if byte == [0] {
            let ctx = weak.upgrade().expect("it runs");
            let watched = ctx.local::<Watched>();
            drop((watched.event.take(), watched.patience.take()));
        }
    });
    let event = event.expect("a pipe can be watched");
    ctx.local::<Watched>().event.replace(Some(event));
}

#[test]
fn another_thread_has_a_sleeping_loop_watch_a_descriptor() {
    on_every_backend(|ctx| {
        let backend = ctx.backend();
        let (sender, receiver) = mpsc::channel();
        let looping = thread::spawn(move || {
            let ctx = Context::with_backend(backend).unwrap();
            let watched = ctx.local::<Watched>();
            watched.patience.replace(Some(patience(&ctx)));
            sender.send(ctx.remote()).unwrap();
            ctx.run().unwrap();
        });
        let remote = receiver.recv().unwrap();
        let (reader, writer) = rustix::pipe::pipe().unwrap();
        let (bytes, arrived) = mpsc::channel();
        remote.send(move |ctx| watch(ctx, reader, bytes)).unwrap();
        for byte in [7, 0] {
            assert_eq!(rustix::io::write(&writer, &[byte]).unwrap(), 1);
            assert_eq!(arrived.recv_timeout(Duration::from_secs(10)), Ok(byte));
        }
        looping.join().unwrap();
    });
}

#[test]
fn what_a_hundred_threads_send_arrives_once_with_its_payload() {
    on_every_backend(|ctx| {
        const SENDERS: usize = 100;
        let patience = patience(ctx);
        let senders: Vec<_> = (0..SENDERS)
            .map(|number| {
                let remote = ctx.remote();
                thread::spawn(move || {
                    let payload = Box::new(number);
                    let arrive =
                        move |_: &Context| ARRIVED.with_borrow_mut(|all| all.push(*payload));
                    remote.send(arrive).unwrap();
                })
            })
            .collect();
        run_to(ctx, || arrived_count() == SENDERS);
        for sender in senders {
            sender.join().unwrap();
        }
        drop(patience);
        ctx.run().unwrap();
        let mut numbers = ARRIVED.take();
        numbers.sort_unstable();
        assert!(numbers.into_iter().eq(0..SENDERS), "each one once");
    });
}

#[test]
fn every_thread_with_a_loop_of_its_own_is_answered() {
    on_every_backend(|ctx| {
        // Each loop has up to four descriptors.
        let asking = scaled(25, 100);
        let backend = ctx.backend();
        let patience_here = patience(ctx);
        let threads: Vec<_> = (0..asking)
            .map(|number| {
                let master = ctx.remote();
                thread::spawn(move || {
                    let ctx = Context::with_backend(backend).unwrap();
                    let patience = patience(&ctx);
                    let back = ctx.remote();
                    let ask = move |_: &Context| {
                        ARRIVED.with_borrow_mut(|all| all.push(number));
                        let answer =
                            move |_: &Context| ARRIVED.with_borrow_mut(|all| all.push(number));
                        back.send(answer).unwrap();
                    };
                    master.send(ask).unwrap();
                    run_to(&ctx, || arrived_count() > 0);
                    drop(patience);
                    ctx.run().unwrap();
                    assert_eq!(ARRIVED.take(), [number], "its own answer, once");
                })
            })
            .collect();
        run_to(ctx, || arrived_count() == asking);
        for thread in threads {
            thread.join().unwrap();
        }
        drop(patience_here);
        ctx.run().unwrap();
        assert_eq!(ARRIVED.take().len(), asking);
    });
}
