//! Idle connections cost nothing, and the limits of the command line hold.

use std::io::{Read, Write};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags};

use super::client::{Client, wait};
use super::daemon::{Daemon, Kind};
use super::figures::{expect_idle, pass};
use super::patience::{LIMIT, now, until};

/// For how long the daemon is watched while nothing happens.
const IDLE_SPAN: Duration = Duration::from_millis(300);

/// How long an answer that must not come is waited for.
const SILENCE_SPAN: Duration = Duration::from_millis(200);

const KINDS: [Kind; 2] = [Kind::Tcp, Kind::Unix];

/// Waits while nothing must come from the daemon.
#[track_caller]
fn expect_silence(clients: &[Client], span: Duration) {
    let mut fds: Vec<_> = clients
        .iter()
        .map(|client| PollFd::new(client, PollFlags::IN))
        .collect();
    assert_eq!(
        wait(&mut fds, span),
        0,
        "the daemon said something to an idle connection"
    );
}

#[track_caller]
fn expect_idle_with_fifty_connections(options: &[&str]) {
    let daemon = Daemon::listening(&KINDS, options);
    let mut clients: Vec<_> = (0..50)
        .map(|index| Client::connect(&daemon, KINDS[index % KINDS.len()]))
        .collect();
    for client in &mut clients[..25] {
        client.expect_echo(b"\0\0\0\x04work");
    }
    expect_idle(daemon.pid(), || expect_silence(&clients, IDLE_SPAN));
    for client in &mut clients {
        client.expect_echo(b"\0\0\0\x05again");
    }
}

#[test]
fn idle_connections_cost_no_processor_time() {
    expect_idle_with_fifty_connections(&[]);
}

#[test]
fn idle_connections_with_a_time_limit_cost_no_processor_time() {
    expect_idle_with_fifty_connections(&["--idle-timeout", "60", "--mode", "frame"]);
}

#[test]
fn a_peer_that_does_not_read_costs_no_processor_time() {
    let daemon = Daemon::listening(&KINDS, &[]);
    let mut stuck: Vec<_> = KINDS.map(|kind| Client::connect(&daemon, kind)).into();
    for client in &mut stuck {
        client.stuff(64 << 20, SILENCE_SPAN);
    }
    expect_idle(daemon.pid(), || pass(IDLE_SPAN));
    // An end behind bytes that cannot be echoed yet must not wake the daemon again and again.
    for client in &stuck {
        client.half_close();
    }
    expect_idle(daemon.pid(), || pass(IDLE_SPAN));
    for kind in KINDS {
        Client::connect(&daemon, kind).expect_echo(b"others are served");
    }
}

#[test]
fn connections_above_the_limit_are_not_served_until_one_ends() {
    for kind in KINDS {
        let daemon = Daemon::listening(&[kind], &["--max-connections", "3"]);
        let mut clients: Vec<_> = (0..3).map(|_| Client::connect(&daemon, kind)).collect();
        for client in &mut clients {
            client.expect_echo(b"served");
        }
        let mut above = Client::connect(&daemon, kind);
        // It may have been turned away already, then sending fails; both are answers to this test.
        above.write_all(b"me too").ok();
        let turned_away = above.is_readable_within(SILENCE_SPAN);
        if turned_away {
            above.expect_ended();
        }
        for client in &mut clients {
            client.expect_echo(b"still served");
        }
        drop(clients.pop());
        if !turned_away {
            above.expect_bytes(b"me too");
            above.half_close();
            above.expect_end();
        }
        drop(above);
        until("there is room for another connection", LIMIT, || {
            let mut next = Client::connect(&daemon, kind);
            let sent = next.write_all(b"now me");
            let mut answer = [0; 6];
            let answered = sent.and_then(|()| next.read_exact(&mut answer));
            answered.map_err(|err| format!("it is turned away: {err}"))
        });
        for client in &mut clients {
            client.expect_echo(b"served to the end");
        }
    }
}

#[test]
fn the_connection_limit_counts_all_addresses_together() {
    let daemon = Daemon::listening(&KINDS, &["--max-connections", "2"]);
    let mut clients = KINDS.map(|kind| Client::connect(&daemon, kind));
    for client in &mut clients {
        client.expect_echo(b"served");
    }
    for kind in KINDS {
        let mut above = Client::connect(&daemon, kind);
        above.write_all(b"me too").ok();
        if above.is_readable_within(SILENCE_SPAN) {
            above.expect_ended();
        }
    }
    expect_idle(daemon.pid(), || expect_silence(&clients, IDLE_SPAN));
    for client in &mut clients {
        client.expect_echo(b"still served");
    }
}

#[test]
fn a_silent_connection_is_closed_after_the_idle_time() {
    let daemon = Daemon::listening(&KINDS, &["--idle-timeout", "1"]);
    for kind in KINDS {
        let mut talking = Client::connect(&daemon, kind);
        let mut silent = Client::connect(&daemon, kind);
        silent.expect_echo(b"my last word");
        let start = now();
        let mut never = Client::connect(&daemon, kind);
        while !silent.is_readable_within(Duration::from_millis(200)) {
            talking.expect_echo(b"and another thing");
            assert!(now() - start < LIMIT, "the silent connection stays open");
        }
        let span = now() - start;
        assert!(
            span >= Duration::from_millis(900),
            "it was closed after {span:?} already"
        );
        silent.expect_ended();
        never.expect_ended();
        talking.expect_echo(b"I am still here");
    }
}

#[test]
fn a_peer_that_stops_reading_is_closed_after_the_idle_time() {
    let daemon = Daemon::listening(&KINDS, &["--idle-timeout", "1"]);
    for kind in KINDS {
        let mut stuck = Client::connect(&daemon, kind);
        stuck.stuff(64 << 20, SILENCE_SPAN);
        let start = now();
        let mut fds = [PollFd::new(&stuck, PollFlags::HUP | PollFlags::ERR)];
        assert!(
            wait(&mut fds, LIMIT) > 0,
            "a peer that does not read is kept for ever"
        );
        assert!(
            now() - start < LIMIT,
            "a peer that does not read is kept for ever"
        );
    }
}
