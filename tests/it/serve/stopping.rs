//! How a server ends: in an orderly way, at once, and beside handlers that misbehave.

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::time::Duration;

use rustix::io::Errno;
use tevent::{Context, Ended, Request};
use tevent_tests::contract::{done, end_of, expect_nothing_left};
use tevent_tests::{Drops, expect_errno, expect_panic, on_every_backend, run_to, settle};
use tsocket::{Limits, Listener, Server, Stream};
use tsocket_bsd::{ConnectOptions, ListenOptions, connect, listen};

use super::{echo, flood, localhost, told};

const QUIET: Duration = Duration::from_millis(100);

fn listener(ctx: &Context) -> Listener {
    listen(ctx, &localhost(), &ListenOptions::default()).expect("a port is free")
}

#[track_caller]
fn connected(ctx: &Context, listener: &Listener) -> Stream {
    let at = listener.local_address().expect("it listens");
    done(ctx, connect(ctx, &at, &ConnectOptions::default()))
}

#[test]
fn a_stop_ends_quiet_connections_and_accepts_no_more() {
    told(&Limits::default(), echo, |world| {
        let clients = [world.connect(), world.connect()];
        clients.iter().for_each(|client| world.expect_echo(client));
        let stopped = world.server.stop();
        let refused = connect(&world.ctx, &world.at, &ConnectOptions::default());
        expect_errno(end_of(&world.ctx, refused), Errno::CONNREFUSED);
        world.expect_echo(&clients[0]);
        assert!(!stopped.is_finished());
        world.pass(QUIET);
        assert_eq!(done(&world.ctx, stopped).left, 0);
        clients
            .iter()
            .for_each(|client| world.expect_closed(client));
        // Told afterwards as well, and a second stop changes nothing.
        assert_eq!(done(&world.ctx, world.server.stop()).left, 0);
        world.expect_told(&[]);
        assert_eq!(world.server.counts().done, 2);
    });
}

#[test]
fn a_stop_waits_for_those_that_are_not_quiet_until_its_deadline() {
    told(&Limits::default(), flood, |world| {
        let [stuck, reading] = [world.connect(), world.connect()];
        for client in [&stuck, &reading] {
            done(&world.ctx, client.writev(&b"!"[..]));
        }
        settle(&world.ctx);
        let stopped = world.server.stop();
        world.pass(2 * QUIET);
        assert_eq!(world.server.counts().active, 2);
        drop(reading);
        world.expect_active(1);
        world.pass(Limits::DRAIN);
        assert_eq!(done(&world.ctx, stopped).left, 1);
        assert_eq!(world.server.counts().drain, 1);
        let told = world.told.take();
        assert_eq!(told.len(), 2, "{told:?}");
        assert_eq!(told[1], "ipv:...:: the server stopped");
    });
}

#[test]
fn a_request_with_a_way_of_its_own_to_end_is_asked_once() {
    on_every_backend(|ctx| {
        let listener = listener(ctx);
        let client = connected(ctx, &listener);
        let asked = Rc::new(Cell::new(0));
        let kept: Rc<Cell<Option<_>>> = Rc::default();
        let weak = ctx.downgrade();
        let server = listener.serve(Limits::default(), {
            let (asked, kept) = (asked.clone(), kept.clone());
            move |stream, _| {
                let (request, completer) = Request::<()>::pair(&weak, "connection");
                let asked = asked.clone();
                completer.on_cancel(move || asked.set(asked.get() + 1));
                // Nothing comes, so that it waits for its peer.
                let read = stream.read(1);
                kept.set(Some((stream, read, completer)));
                request
            }
        });
        run_to(ctx, || server.counts().active == 1);
        let stopped = server.stop();
        run_to(ctx, || asked.get() > 0);
        settle(ctx);
        assert_eq!((asked.get(), stopped.is_finished()), (1, false));
        let (stream, read, completer) = kept.take().expect("the handler has run");
        drop(read);
        done(ctx, stream.writev(&b"bye"[..]));
        drop(stream);
        completer.error(Errno::CANCELED.into());
        assert_eq!(done(ctx, stopped).left, 0);
        assert_eq!(done(ctx, client.readv(vec![0; 3])), b"bye");
        // An error after it was asked is no failure.
        assert_eq!((server.counts().done, asked.get()), (1, 1));
    });
}

#[test]
fn a_drain_time_without_end_lets_everybody_finish() {
    told(&Limits::default().drain(Duration::MAX), flood, |world| {
        let client = world.connect();
        done(&world.ctx, client.writev(&b"!"[..]));
        settle(&world.ctx);
        let stopped = world.server.stop();
        world.pass(Limits::WRITE_STALL / 2);
        assert_eq!(world.server.counts().active, 1);
        drop(client);
        assert_eq!(done(&world.ctx, stopped).left, 0);
    });
}

#[test]
fn dropping_a_server_ends_everything_at_once() {
    on_every_backend(|ctx| {
        let listener = listener(ctx);
        let at = listener.local_address().unwrap();
        let client = connected(ctx, &listener);
        let drops = Drops::new();
        let weak = ctx.downgrade();
        let server = listener.serve(Limits::default(), {
            let drops = drops.clone();
            move |stream, _| {
                let tattle = drops.tattle();
                weak.upgrade().unwrap().spawn(async move {
                    tattle.hold();
                    echo(stream).await
                })
            }
        });
        run_to(ctx, || server.counts().active == 1);
        let stopped = server.stopped();
        drop(server);
        assert_eq!(drops.count(), 1);
        expect_errno(end_of(ctx, stopped), Errno::IO);
        assert!(done(ctx, client.read(1)).is_empty());
        let refused = connect(ctx, &at, &ConnectOptions::default());
        expect_errno(end_of(ctx, refused), Errno::CONNREFUSED);
        drop(client);
        expect_nothing_left(ctx);
    });
}

#[test]
fn a_server_can_be_dropped_by_its_own_handler_and_hook() {
    on_every_backend(|ctx| {
        for in_handler in [true, false] {
            let listener = listener(ctx);
            let client = connected(ctx, &listener);
            let place: Rc<RefCell<Option<Server>>> = Rc::default();
            let (weak, mine) = (ctx.downgrade(), Rc::downgrade(&place));
            let server = listener.serve(Limits::default(), move |_, _| {
                if in_handler {
                    drop(mine.upgrade().unwrap().take());
                }
                Request::<(), _>::finished(&weak, "refused", Err(Ended::Canceled))
            });
            let mine = Rc::downgrade(&place);
            server.on_error(move |_| drop(mine.upgrade().unwrap().take()));
            place.replace(Some(server));
            assert!(end_of(ctx, client.read(1)).is_ok_and(|chunk| chunk.is_empty()));
            settle(ctx);
            assert!(place.borrow().is_none());
        }
    });
}

#[test]
fn a_handler_that_panics_costs_its_own_connection() {
    on_every_backend(|ctx| {
        let listener = listener(ctx);
        let [first, second] = [connected(ctx, &listener), connected(ctx, &listener)];
        let weak = ctx.downgrade();
        let mut is_first = true;
        let server = listener.serve(Limits::default(), move |stream, _| {
            assert!(!std::mem::take(&mut is_first), "the first one panics");
            weak.upgrade().unwrap().spawn(echo(stream))
        });
        expect_panic(|| settle(ctx));
        done(ctx, second.writev(&b"hello"[..]));
        assert_eq!(done(ctx, second.readv(vec![0; 5])), b"hello");
        assert!(done(ctx, first.read(1)).is_empty());
        assert_eq!(server.counts().active, 1);
    });
}

#[test]
fn a_failed_connection_is_told_with_its_error() {
    on_every_backend(|ctx| {
        let server = Server::new(ctx, Limits::default());
        let told: Rc<RefCell<Vec<String>>> = Rc::default();
        server.on_error({
            let told = told.clone();
            move |error| told.borrow_mut().push(format!("{error:?}"))
        });
        let listeners = [listener(ctx), listener(ctx)];
        let clients = [0, 1].map(|n| connected(ctx, &listeners[n]));
        for listener in listeners {
            let weak = ctx.downgrade();
            server.accept_from(listener, move |stream, _| {
                weak.upgrade().unwrap().spawn(async move {
                    drop(stream);
                    io::Result::<()>::Err(Errno::PROTO.into())
                })
            });
        }
        run_to(ctx, || server.counts().failed == 2);
        let told = told.take();
        for (told, client) in told.iter().zip(&clients) {
            let expected = format!("{}: ", client.local_address().unwrap());
            assert!(
                told.contains(&expected) && told.contains("rotocol"),
                "{told}"
            );
        }
        let dump = ctx.dump().to_string();
        assert!(
            dump.contains("server") && dump.contains("stopping.rs:"),
            "{dump}"
        );
    });
}

#[test]
fn a_listener_that_is_closed_under_its_server_is_told_once() {
    on_every_backend(|ctx| {
        let listener = listener(ctx);
        let same = listener.clone();
        let weak = ctx.downgrade();
        let serve = move |stream, _| weak.upgrade().unwrap().spawn(echo(stream));
        let server = listener.serve(Limits::default(), serve);
        let told: Rc<RefCell<Vec<String>>> = Rc::default();
        server.on_error({
            let told = told.clone();
            move |error| told.borrow_mut().push(error.to_string())
        });
        settle(ctx);
        same.abort();
        settle(ctx);
        let told = told.take();
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].starts_with("accepting has ended: "), "{told:?}");
        assert_eq!(done(ctx, server.stop()).left, 0);
    });
}
