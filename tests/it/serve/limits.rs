//! Each limit and deadline of a server, as it is by default.

use std::future::pending;
use std::time::Duration;

use tevent::{Context, ManualClock};
use tevent_tests::contract::done;
use tevent_tests::{on_every_backend, run_to, settle};
use tsocket::{Limits, Stream};
use tsocket_bsd::{ConnectOptions, ListenOptions, connect, listen};
use tsocket_npa::message_mode;

use super::{echo, flood, localhost, told};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_peer_that_says_nothing_at_first_is_ended() {
    told(&Limits::default(), echo, |world| {
        let (silent, talking) = (world.connect(), world.connect());
        world.expect_active(2);
        world.expect_echo(&talking);
        world.pass(Limits::HANDSHAKE - SECOND);
        assert_eq!(world.server.counts().active, 2);
        world.pass(2 * SECOND);
        world.expect_active(1);
        world.expect_closed(&silent);
        world.expect_told(&["ipv:...:: the peer said nothing at first"]);
        world.expect_echo(&talking);
        assert_eq!(world.server.counts().handshake, 1);
    });
}

#[test]
fn a_connection_on_which_nothing_moves_is_ended() {
    told(&Limits::default(), echo, |world| {
        let (quiet, talking) = (world.connect(), world.connect());
        world.expect_echo(&quiet);
        world.expect_echo(&talking);
        for _ in 0..5 {
            world.pass(Limits::IDLE / 5 - SECOND);
            world.expect_echo(&talking);
        }
        assert_eq!(world.server.counts().active, 2);
        world.pass(6 * SECOND);
        world.expect_active(1);
        world.expect_closed(&quiet);
        world.expect_told(&["ipv:...:: nothing moved for too long"]);
        world.expect_echo(&talking);
        assert_eq!(world.server.counts().idle, 1);
    });
}

#[test]
fn a_peer_that_takes_nothing_of_a_write_is_ended() {
    told(&Limits::default(), flood, |world| {
        let (stuck, reading) = (world.connect(), world.connect());
        for client in [&stuck, &reading] {
            done(&world.ctx, client.writev(&b"!"[..]));
        }
        settle(&world.ctx);
        for _ in 0..6 {
            // Enough that the kernel tells of room.
            done(&world.ctx, reading.readv(vec![0; 32 << 20]));
            settle(&world.ctx);
            world.pass(Limits::WRITE_STALL / 6 - SECOND);
        }
        assert_eq!(world.server.counts().active, 2);
        // The kernel may take a last bit late.
        for _ in 0..20 {
            done(&world.ctx, reading.readv(vec![0; 32 << 20]));
            world.pass(SECOND);
        }
        assert_eq!(world.server.counts().active, 1);
        world.expect_told(&["ipv:...:: the peer read nothing for too long"]);
        assert_eq!(world.server.counts().write_stall, 1);
        for _ in 0..10 {
            world.pass(Limits::WRITE_STALL / 2);
        }
        assert_eq!(world.server.counts().active, 0);
    });
}

#[test]
fn what_counts_is_the_transport_below_a_layer() {
    on_every_backend(|ctx| {
        let clock = ManualClock::new();
        let backend = ctx.backend();
        let built = Context::builder()
            .backend(backend)
            .manual_clock(&clock)
            .build();
        let ctx = built.expect("a listed back end can be made");
        let listener = listen(&ctx, &localhost(), &ListenOptions::default()).unwrap();
        let at = listener.local_address().unwrap();
        let weak = ctx.downgrade();
        let server = listener.serve(Limits::default(), move |stream, _| {
            let ctx = weak.upgrade().expect("it runs this");
            let above = message_mode(&ctx, stream).expect("nobody else has touched it");
            ctx.spawn(echo(above))
        });
        let client = done(&ctx, connect(&ctx, &at, &ConnectOptions::default()));
        run_to(&ctx, || server.counts().active == 1);
        clock.advance(Limits::HANDSHAKE - SECOND);
        // A message that is not whole is none for the layer, and bytes for the transport.
        done(&ctx, client.writev(&b"\x05\0he"[..]));
        settle(&ctx);
        clock.advance(2 * SECOND);
        settle(&ctx);
        done(&ctx, client.writev(&b"llo"[..]));
        assert_eq!(done(&ctx, client.readv(vec![0; 7])), b"\x05\0hello");
        clock.advance(Limits::IDLE + 2 * SECOND);
        settle(&ctx);
        assert_eq!((server.counts().handshake, server.counts().idle), (0, 1));
    });
}

#[test]
fn a_foreign_peer_has_so_many_connections_and_no_more() {
    let limits = Limits::default().count_loopback(true);
    told(&limits, echo, |world| {
        let mut clients: Vec<_> = (0..Limits::PER_PEER)
            .map(|_| world.connect_from(2))
            .collect();
        world.expect_active(Limits::PER_PEER);
        let above = world.connect_from(2);
        world.expect_closed(&above);
        world.expect_told(&["ipv:...:: refused: the peer has too many connections"]);
        world.expect_echo(&world.connect_from(3));
        drop(clients.pop());
        world.expect_active(Limits::PER_PEER - 1);
        let next = world.connect_from(2);
        world.expect_echo(&next);
        let counts = world.server.counts();
        assert_eq!((counts.refused, counts.failed), (1, 0));
    });
}

#[test]
fn loopback_peers_count_in_the_total_alone() {
    told(&Limits::default().per_peer(1), echo, |world| {
        let clients = [2, 2, 2].map(|last| world.connect_from(last));
        clients.iter().for_each(|client| world.expect_echo(client));
    });
}

#[test]
fn who_comes_when_all_connections_are_taken_waits() {
    told(&Limits::default().connections(2), echo, |world| {
        let mut clients: Vec<_> = (0..4).map(|_| world.connect()).collect();
        world.expect_echo(&clients[0]);
        world.expect_echo(&clients[1]);
        let waiting = [&clients[2], &clients[3]].map(|client| client.read(1));
        settle(&world.ctx);
        let before = world.ctx.stats();
        settle(&world.ctx);
        let calls = world.ctx.stats().since(&before);
        assert_eq!(
            (calls.accepts, calls.registrations),
            (0, 0),
            "a full server rests"
        );
        drop(waiting);
        assert_eq!(world.server.counts().active, 2);
        drop(clients.remove(0));
        world.expect_echo(&clients[1]);
        drop(clients.remove(0));
        world.expect_echo(&clients[1]);
        assert_eq!(world.server.counts().filled, 3);
        world.expect_told(&[]);
    });
}

#[test]
fn limits_that_are_taken_away_end_nobody() {
    let limits = Limits::default()
        .handshake(None)
        .idle(None)
        .write_stall(None);
    told(&limits, echo, |world| {
        let client = world.connect();
        world.expect_active(1);
        world.pass(Duration::from_secs(1_000_000));
        world.expect_echo(&client);
    });
}

async fn take_out(stream: Stream) -> std::io::Result<()> {
    let (fd, _) = stream.into_parts()?;
    pending::<()>().await;
    drop(fd);
    Ok(())
}

#[test]
fn a_descriptor_that_was_taken_out_is_not_timed() {
    told(&Limits::default(), take_out, |world| {
        let _client = world.connect();
        world.expect_active(1);
        settle(&world.ctx);
        world.pass(Duration::from_secs(1_000_000));
        world.expect_active(1);
    });
}

async fn wait_for_ever(stream: Stream) -> std::io::Result<()> {
    pending::<()>().await;
    drop(stream);
    Ok(())
}

#[test]
fn a_handler_that_never_reads_is_ended_as_well() {
    told(&Limits::default(), wait_for_ever, |world| {
        let client = world.connect();
        done(&world.ctx, client.writev(&b"hello"[..]));
        world.pass(Limits::HANDSHAKE + SECOND);
        world.expect_active(0);
    });
}

#[test]
fn limits_cost_no_system_call() {
    told(&Limits::default(), echo, |world| {
        let client = world.connect();
        world.expect_echo(&client);
        let before = world.ctx.stats();
        for _ in 0..10 {
            world.expect_echo(&client);
        }
        let calls = world.ctx.stats().since(&before);
        // Of both ends, which are on one loop.
        assert_eq!(
            (calls.receives, calls.sends, calls.registrations),
            (20, 20, 0)
        );
        assert!(calls.waits <= 20, "{calls:?}");
    });
}
