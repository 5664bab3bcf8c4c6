//! How much is allocated for what, counted by the allocator of this program.

mod npa;
mod npa_handshake;
mod payloads;
mod sys;
mod tls;

use std::cell::{Cell, OnceCell};
use std::io;
use std::rc::Rc;

use sys::{allocations_of, bytes_kept_by};
use tevent::{Completer, Context, FdEvent, Group, Immediate, Interest, Request, Timer, wakeup};
use tevent_tests::{on_every_backend, read_byte, run_to, scaled, settle, socket_pair, write_byte};
use tsocket::{Address, Family};
use tsocket_bsd::{DatagramOptions, datagram, socketpair};

/// Has tables and lists grow to what they will need.
fn warm_up(ctx: &Context) {
    let many: Vec<_> = (0..100)
        .map(|_| Request::<()>::finished(ctx, "warm up", Ok(())).on_done(|_| {}))
        .collect();
    settle(ctx);
    drop(many);
}

#[test]
fn a_request_takes_at_most_two_allocations() {
    on_every_backend(|ctx| {
        warm_up(ctx);
        let delivered = Rc::new(Cell::new(0));
        let cycle = || {
            let delivered = delivered.clone();
            let (request, completer) = Request::<u64>::pair(ctx, "cycle");
            let request = request.on_done(move |value| delivered.set(value.unwrap()));
            completer.done(42);
            ctx.run().unwrap();
            drop(request);
        };
        let allocations = allocations_of(cycle);
        assert_eq!(delivered.get(), 42);
        assert!(allocations <= 2, "{allocations} allocations");
    });
}

#[test]
fn a_request_with_a_shared_completion_takes_one_allocation() {
    on_every_backend(|ctx| {
        warm_up(ctx);
        let sum = Rc::new(Cell::new(0));
        let added: Rc<dyn Fn(io::Result<u64>)> = Rc::new({
            let sum = sum.clone();
            move |value| sum.set(sum.get() + value.unwrap())
        });
        let cycle = || {
            let (request, completer) = Request::<u64>::pair(ctx, "cycle");
            let request = request.on_done_shared(&added);
            completer.done(42);
            ctx.run().unwrap();
            drop(request);
        };
        assert_eq!(allocations_of(cycle), 1);
        assert_eq!(sum.get(), 42);
    });
}

#[test]
fn an_echo_takes_one_allocation() {
    on_every_backend(|ctx| {
        let (near, far) = socketpair(ctx).unwrap();
        let turn = || {
            for _ in 0..100 {
                near.writev_now(&b"question"[..]).unwrap().unwrap();
                let question = ctx.run_until(far.read(1 << 16)).unwrap().unwrap();
                far.writev_now(question).unwrap().unwrap();
                let answer = ctx.run_until(near.read(1 << 16)).unwrap().unwrap();
                assert_eq!(&*answer, b"question");
            }
        };
        turn();
        let allocations = allocations_of(turn);
        assert!(allocations <= 200, "{allocations} for 200 reads");
        assert_eq!(bytes_kept_by(turn), 0);
    });
}

#[test]
fn finishing_and_delivering_allocates_nothing() {
    on_every_backend(|ctx| {
        warm_up(ctx);
        let (requests, completers): (Vec<_>, Vec<Completer<()>>) = (0..50)
            .map(|_| {
                let (request, completer) = Request::pair(ctx, "queued");
                (request.on_done(|_| {}), completer)
            })
            .unzip();
        let allocations = allocations_of(|| {
            for completer in completers {
                completer.done(());
            }
            ctx.run().unwrap();
            drop(requests);
        });
        assert_eq!(allocations, 0);
    });
}

#[test]
fn scheduling_and_running_an_immediate_allocates_nothing() {
    on_every_backend(|ctx| {
        let own: Rc<OnceCell<Immediate>> = Rc::default();
        let turns = Rc::new(Cell::new(0));
        let (weak, count) = (Rc::downgrade(&own), turns.clone());
        let immediate = own.get_or_init(|| {
            Immediate::new(ctx, move || {
                count.set(count.get() + 1);
                if count.get() % 100 != 0 {
                    weak.upgrade().unwrap().get().unwrap().schedule();
                }
            })
        });
        let turn = || {
            immediate.schedule();
            ctx.run().unwrap();
        };
        turn();
        assert_eq!(allocations_of(turn), 0);
        assert_eq!(turns.get(), 200);
    });
}

#[test]
fn arming_and_firing_a_timer_allocates_nothing() {
    on_every_backend(|ctx| {
        let timer = Timer::new(ctx, || {});
        let turn = || {
            for _ in 0..100 {
                timer.arm_after(std::time::Duration::from_secs(60));
            }
            timer.arm(ctx.now());
            ctx.run().unwrap();
        };
        turn();
        assert_eq!(allocations_of(turn), 0);
    });
}

#[test]
fn an_event_of_a_descriptor_allocates_nothing() {
    on_every_backend(|ctx| {
        let (near, far) = socket_pair();
        let near = Rc::new(near);
        let (socket, reads) = (near.clone(), Rc::new(Cell::new(0)));
        let count = reads.clone();
        let event = FdEvent::new(ctx, near, Interest::READ, move |_| {
            read_byte(&socket);
            count.set(count.get() + 1);
        });
        let turn = || {
            let before = reads.get();
            write_byte(&far);
            run_to(ctx, || reads.get() > before);
        };
        turn();
        assert_eq!(allocations_of(turn), 0);
        drop(event);
    });
}

#[test]
fn an_answer_to_a_datagram_takes_one_allocation_for_each_request() {
    on_every_backend(|ctx| {
        let local = Address::from_strings(Family::Ipv4, Some("127.0.0.1"), 0).unwrap();
        let make = || datagram(ctx, &local, &DatagramOptions::default()).unwrap();
        let (near, far) = (make(), make());
        let to = far.local_address().unwrap();
        let turn = || {
            let answered = (0..100).all(|_| {
                let sent = near.send_to(&b"question"[..], Some(&to));
                ctx.run_until(sent).unwrap().unwrap();
                let (chunk, from) = ctx.run_until(far.recv_from()).unwrap().unwrap();
                let answer = far.send_to(chunk, Some(&from));
                ctx.run_until(answer).unwrap().is_ok()
                    && ctx.run_until(near.recv_from()).unwrap().is_ok()
            });
            assert!(answered);
        };
        turn();
        let allocations = allocations_of(turn);
        assert!(allocations <= 400, "{allocations} for 400 requests");
        let kept = bytes_kept_by(turn);
        assert_eq!(kept, 0);
    });
}

#[test]
fn what_was_dropped_leaves_nothing_behind() {
    on_every_backend(|ctx| {
        let group = Group::new(ctx);
        let (pending, _completer) = Request::<()>::pair(ctx, "pending");
        group.add(pending);
        let turn = || {
            for _ in 0..100 {
                drop(group.finished());
                drop(wakeup(ctx, ctx.now()));
                drop(ctx.spawn(std::future::pending::<()>()));
                let (request, completer) = Request::<()>::pair(ctx, "canceled");
                request.cancel();
                drop((request.on_done(|_| {}), completer));
            }
            settle(ctx);
        };
        turn();
        turn();
        let kept = bytes_kept_by(|| (0..10).for_each(|_| turn()));
        assert_eq!(kept, 0);
    });
}

#[test]
fn a_million_timers_armed_and_disarmed_leave_no_residue() {
    on_every_backend(|ctx| {
        let timers: Vec<_> = (0..1_000)
            .map(|_| Timer::new(ctx, || panic!("it was disarmed")))
            .collect();
        let deadline = ctx.now() + std::time::Duration::from_secs(3_600);
        let all_at_once = || {
            timers.iter().for_each(|timer| timer.arm(deadline));
            timers.iter().for_each(Timer::disarm);
        };
        let one_by_one = || {
            for timer in &timers {
                timer.arm(deadline);
                timer.disarm();
            }
        };
        all_at_once();
        // In the full form, all back ends together make a hundred million.
        let turns = scaled(1_000, 50_000) / Context::backend_list().len();
        let kept = bytes_kept_by(|| {
            for _ in 0..turns {
                all_at_once();
                one_by_one();
            }
        });
        assert_eq!(kept, 0);
        let before = ctx.stats();
        ctx.run().unwrap();
        assert_eq!(ctx.stats().since(&before).waits, 0, "nothing is waited for");
    });
}
