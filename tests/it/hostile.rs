//! Callers' code that does harm: in buffers, in hooks, with contexts that go or begin anew.

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::time::Duration;

use rustix::io::Errno;
use tevent::{Context, ManualClock, Queue, Request, Timer};
use tevent_tests::contract::done;
use tevent_tests::{Drops, everywhere, expect_panic, settle};
use tsocket::{
    Address, Buffers, Datagram, Limits, Listener, Parts, Stream, WriteBuffers, memory, relay,
};

#[test]
fn a_relay_that_was_detached_goes_with_its_context() {
    let drops = Drops::new();
    let ctx = Context::new().unwrap();
    let ((client, a), (b, server)) = (memory::stream_pair(&ctx), memory::stream_pair(&ctx));
    let tattle = drops.tattle();
    let relayed = relay(&ctx, &a, &b).on_done(move |_| tattle.hold());
    relayed.detach();
    settle(&ctx);
    let weak = ctx.downgrade();
    drop((a, b, ctx));
    assert!(weak.upgrade().is_none(), "nothing but the relay is left");
    assert_eq!(drops.count(), 1);
    drop((client, server));
}

#[test]
fn a_queued_read_goes_with_its_handles_when_its_context_is_gone() {
    let drops = Drops::new();
    let ctx = Context::new().unwrap();
    let (near, far) = memory::stream_pair(&ctx);
    let queue = Queue::new(&ctx);
    let tattles = [drops.tattle(), drops.tattle()];
    let [first, second] = tattles.map(|tattle| {
        near.read_pdu_queued(&queue, move |_| {
            tattle.hold();
            Ok(1)
        })
    });
    settle(&ctx);
    drop(ctx);
    drop((near, far, queue));
    drop((first, second));
    assert_eq!(drops.count(), 2);
}

#[test]
fn what_was_to_be_told_when_the_context_was_made_anew_is_no_end_of_telling() {
    everywhere(|ctx| {
        let (near, far) = memory::stream_pair(ctx);
        let before = far.read(10);
        drop(near.writev(&b"before"[..]));
        ctx.re_initialise().unwrap();
        drop(before);
        assert_eq!(&*done(ctx, far.read(10)), b"before");
        let after = far.read(10);
        drop(near.writev(&b"after"[..]));
        assert_eq!(&*done(ctx, after), b"after");
    });
}

fn memory_listener(ctx: &Context) -> (Address, Listener) {
    let address = Address::custom(memory::Name("hostile".to_owned()));
    let listener = memory::listen(ctx, &address).expect("the name is free");
    (address, listener)
}

#[test]
fn a_server_whose_hook_panics_goes_on_accepting() {
    let ctx = Context::new().unwrap();
    let (address, listener) = memory_listener(&ctx);
    let weak = ctx.downgrade();
    let server = listener.serve(Limits::default().connections(1), move |stream, _| {
        weak.upgrade().unwrap().spawn(async move {
            stream.read(1).await?;
            Err::<(), _>(io::Error::from(Errno::IO))
        })
    });
    server.on_error(|_| panic!("it has panicked"));
    for _ in 0..2 {
        let client = done(&ctx, memory::connect(&ctx, &address));
        done(&ctx, client.writev(&b"x"[..]));
        expect_panic(|| settle(&ctx));
        settle(&ctx);
    }
    assert_eq!(server.counts().failed, 2);
}

#[test]
fn a_server_whose_hook_panics_goes_on_keeping_its_limits() {
    let clock = ManualClock::new();
    let ctx = Context::builder().manual_clock(&clock).build().unwrap();
    let (address, listener) = memory_listener(&ctx);
    let weak = ctx.downgrade();
    let limits = Limits::default().handshake(Duration::from_secs(1));
    let server = listener.serve(limits, move |stream: Stream, _| {
        weak.upgrade().unwrap().spawn(async move {
            stream.read(1).await?;
            Ok::<_, io::Error>(())
        })
    });
    server.on_error(|_| panic!("it has panicked"));
    let clients: Vec<_> = (0..3)
        .map(|_| done(&ctx, memory::connect(&ctx, &address)))
        .collect();
    settle(&ctx);
    assert_eq!(server.counts().active, 3);
    clock.advance(Duration::from_secs(2));
    let mut panics = 0;
    while server.counts().active > 0 && panics < 5 {
        expect_panic(|| settle(&ctx));
        clock.advance(Duration::from_secs(2));
        panics += 1;
    }
    assert_eq!((server.counts().active, server.counts().handshake), (0, 3));
    drop(clients);
}

#[test]
fn a_server_whose_hook_panics_comes_to_its_stop() {
    let clock = ManualClock::new();
    let ctx = Context::builder().manual_clock(&clock).build().unwrap();
    let (address, listener) = memory_listener(&ctx);
    let weak = ctx.downgrade();
    let server = listener.serve(Limits::default(), move |stream: Stream, _| {
        weak.upgrade().unwrap().spawn(async move {
            let _stream = stream;
            std::future::pending::<()>().await;
            Ok::<_, io::Error>(())
        })
    });
    server.on_error(|_| panic!("it has panicked"));
    let clients: Vec<_> = (0..3)
        .map(|_| done(&ctx, memory::connect(&ctx, &address)))
        .collect();
    settle(&ctx);
    let stopped = server.stop();
    clock.advance(Limits::DRAIN);
    for _ in &clients {
        assert!(!stopped.is_finished());
        expect_panic(|| settle(&ctx));
    }
    assert_eq!(ctx.run_until(stopped).unwrap().unwrap().left, 3);
    drop(clients);
}

/// Bytes that call back whenever they are looked at.
struct Nosy(Rc<dyn Fn()>);

impl Buffers for Nosy {
    fn empty() -> Self {
        Self(Rc::new(|| {}))
    }
}

impl WriteBuffers for Nosy {
    fn parts<'a>(&'a self, parts: &mut Parts<'a>) {
        (self.0)();
        parts.push(b"nosy");
    }
}

#[test]
fn the_buffers_of_a_datagram_may_ask_it() {
    everywhere(|ctx| {
        let (near, far) = memory::datagram_pair_holding(ctx, 100);
        let asking = near.clone();
        let nosy = || {
            let asking = asking.clone();
            Nosy(Rc::new(move || drop(asking.local_address().unwrap())))
        };
        drop(done(ctx, near.send_to(nosy(), None)));
        let waiting = near.send_to(nosy(), None);
        settle(ctx);
        assert!(!waiting.is_finished());
        assert_eq!(&*done(ctx, far.recv_from()).0, b"nosy");
        drop(done(ctx, waiting));
    });
}

#[test]
fn the_buffers_of_a_datagram_may_close_it() {
    everywhere(|ctx| {
        let (near, _far) = memory::datagram_pair(ctx);
        let place: Rc<RefCell<Option<Datagram>>> = Rc::new(RefCell::new(Some(near.clone())));
        let sent = near.send_to(
            Nosy(Rc::new(move || {
                if let Some(near) = place.take() {
                    near.abort();
                }
            })),
            None,
        );
        assert!(ctx.run_until(sent).unwrap().is_err());
    });
}

#[test]
fn a_write_that_is_given_up_by_its_own_buffers_blocks_nobody() {
    everywhere(|ctx| {
        let (near, far) = memory::stream_pair_holding(ctx, 2);
        let place: Rc<RefCell<Option<Request<Nosy, _>>>> = Rc::default();
        let looks = Rc::new(Cell::new(0));
        let nosy = Nosy(Rc::new({
            let (place, looks) = (place.clone(), looks.clone());
            move || {
                looks.set(looks.get() + 1);
                drop(place.take());
            }
        }));
        place.replace(Some(near.writev(nosy)));
        settle(ctx);
        assert_eq!(&*done(ctx, far.read(10)), b"no");
        settle(ctx);
        assert!(looks.get() > 1);
        // Either it was poisoned, or everything was written; nothing stays in the way.
        let next = near.writev(&b"x"[..]);
        settle(ctx);
        drop(done(ctx, far.read(10)));
        settle(ctx);
        assert!(next.is_finished());
    });
}

#[test]
fn a_listener_that_is_closed_is_not_told_of_with_every_connection_that_ends() {
    let ctx = Context::new().unwrap();
    let (address, listener) = memory_listener(&ctx);
    let weak = ctx.downgrade();
    let server = listener.clone().serve(Limits::default(), move |stream, _| {
        weak.upgrade().unwrap().spawn(async move {
            stream.read(1).await?;
            Ok::<_, io::Error>(())
        })
    });
    let told = Rc::new(Cell::new(0));
    server.on_error({
        let told = told.clone();
        move |_| told.set(told.get() + 1)
    });
    let clients: Vec<_> = (0..3)
        .map(|_| done(&ctx, memory::connect(&ctx, &address)))
        .collect();
    settle(&ctx);
    listener.abort();
    settle(&ctx);
    for client in clients {
        drop(client);
        settle(&ctx);
    }
    assert_eq!((server.counts().done, told.get()), (3, 1));
}

#[test]
fn every_cleanup_hook_runs_also_behind_one_that_panics() {
    everywhere(|ctx| {
        let (request, completer) = Request::<(), io::Error>::pair(ctx.downgrade(), "hooked");
        let ran = Rc::new(Cell::new(0));
        for is_first in [true, false] {
            let ran = ran.clone();
            completer.on_cleanup(move |_| {
                ran.set(ran.get() + 1);
                assert!(!is_first, "the first one panics");
            });
        }
        expect_panic(|| completer.done(()));
        assert_eq!(ran.get(), 2);
        drop(request);
    });
}

#[test]
fn no_timeout_is_too_long() {
    everywhere(|ctx| {
        let timer = Timer::new(ctx, || {});
        timer.arm_after(Duration::MAX);
        let (request, completer) = Request::<(), io::Error>::pair(ctx.downgrade(), "patient");
        request.set_timeout(Duration::MAX);
        settle(ctx);
        completer.done(());
        drop((request, timer));
    });
}
