//! Clients that claim much and send nothing, or send much and read nothing: what they cost.

use std::io::Write as _;
use std::time::Duration;

use super::client::Client;
use super::daemon::{Daemon, Kind};
use super::figures::{descriptors, ensure_descriptors, memory, pass};
use super::patience::{LIMIT, scale, tell, until};

/// What a process may grow by whatever it does: its allocator takes memory in pieces.
const SLACK_KIB: u64 = 1024;

/// The most that 10,000 claims of 16 MiB may cost.
const BOMBS_KIB: u64 = 64 << 10;

/// The most that a client may cost that does not read what is echoed: one read, and what was read ahead.
const UNREAD_KIB: u64 = 64 + 16;

#[test]
fn claims_of_length_cost_little_and_are_ended_by_the_deadline() {
    let count = scale(300, 10_000);
    // It is asked for two kinds of clients, and there is one.
    ensure_descriptors(count / 2);
    let options = ["--mode", "frame", "--idle-timeout", "1"];
    let mut options = options.to_vec();
    if count > 1000 {
        // Connecting takes a while.
        options[3] = "10";
    }
    let daemon = Daemon::listening(&[Kind::Tcp], &options);
    Client::connect(&daemon, Kind::Tcp).expect_echo(b"\0\0\0\x02hi");
    let before = (memory(daemon.pid()), descriptors(daemon.pid()));
    let mut clients = Vec::new();
    let mut most = 0;
    for _ in 0..count {
        let mut client = Client::connect(&daemon, Kind::Tcp);
        client
            .write_all(&[1, 0, 0, 0])
            .expect("there is room for a header");
        clients.push(client);
        if clients.len() % 50 == 0 {
            most = most.max(memory(daemon.pid()));
        }
    }
    until("all claims are ended", LIMIT, || {
        most = most.max(memory(daemon.pid()));
        let left = descriptors(daemon.pid());
        if left <= before.1 {
            Ok(())
        } else {
            Err(format!("{left} descriptors, {} before", before.1))
        }
    });
    for client in &mut clients {
        client.expect_ended();
    }
    let grown = most.saturating_sub(before.0);
    tell(&format!("{count} claims of 16 MiB: {grown} KiB"));
    assert!(
        grown <= BOMBS_KIB * count / 10_000 + SLACK_KIB,
        "{grown} KiB"
    );
    Client::connect(&daemon, Kind::Tcp).expect_echo(b"\0\0\0\x02hi");
}

#[test]
fn clients_that_never_read_cost_one_read_each() {
    let count = scale(100, 1000);
    ensure_descriptors(count);
    let daemon = Daemon::listening(&[Kind::Unix], &[]);
    Client::connect(&daemon, Kind::Unix).expect_echo(b"hello");
    let before = memory(daemon.pid());
    let mut clients: Vec<_> = (0..count)
        .map(|_| Client::connect(&daemon, Kind::Unix))
        .collect();
    // In turns, until nobody gets anything into the sockets any more.
    loop {
        let stuffed = clients
            .iter_mut()
            .map(|client| client.stuff(4 << 20, Duration::ZERO));
        if stuffed.sum::<usize>() == 0 {
            break;
        }
        pass(Duration::from_millis(20));
    }
    let grown = memory(daemon.pid()).saturating_sub(before);
    tell(&format!("{count} clients that never read: {grown} KiB"));
    assert!(grown <= UNREAD_KIB * count + SLACK_KIB, "{grown} KiB");
    Client::connect(&daemon, Kind::Unix).expect_echo(b"others are served");
}
