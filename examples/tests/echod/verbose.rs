//! `-v` tells of every connection and why it ended; without it there is silence.

use std::net::SocketAddr;

use super::client::Client;
use super::daemon::{Daemon, Kind};

#[track_caller]
fn local_address(client: &Client) -> SocketAddr {
    match client {
        Client::Tcp(stream) => stream
            .local_addr()
            .expect("a connected stream has an address"),
        Client::Unix(_) => panic!("a unix client has no name"),
    }
}

/// Ends `client` and gives back why that happened in the daemon's words.
#[track_caller]
fn reason(daemon: &mut Daemon, client: Client, end: impl FnOnce(Client)) -> String {
    let address = local_address(&client);
    end(client);
    let line = daemon.next_complaint("a line about a connection that ended");
    let named = line.contains(&address.to_string());
    assert!(named, "the line names the peer {address}: `{line}`");
    let text = line
        .replace(&address.to_string(), "")
        .replace(&address.port().to_string(), "");
    text.chars().filter(|c| !c.is_ascii_digit()).collect()
}

#[test]
fn every_connection_gets_one_line_that_says_why_it_ended() {
    let mut daemon = Daemon::listening(&[Kind::Tcp], &["-v", "--mode", "frame"]);
    let connect = |daemon: &Daemon| {
        let mut client = Client::connect(daemon, Kind::Tcp);
        client.expect_echo(b"\0\0\0\x02hi");
        client
    };
    let client = connect(&daemon);
    let ended = reason(&mut daemon, client, drop);
    let client = connect(&daemon);
    let reset = reason(&mut daemon, client, Client::reset);
    let client = connect(&daemon);
    let too_long = reason(&mut daemon, client, |mut client| {
        client.send(&[0xFF; 4]);
        client.expect_ended();
    });
    assert!(
        ended != reset && reset != too_long && too_long != ended,
        "the reasons read alike"
    );
    assert_eq!(daemon.complaints(), [""; 0], "one line per connection");
}

#[test]
fn a_connection_that_was_silent_for_too_long_is_told_apart() {
    let mut daemon = Daemon::listening(&[Kind::Tcp], &["-v", "--idle-timeout", "1"]);
    let client = Client::connect(&daemon, Kind::Tcp);
    let ended = reason(&mut daemon, client, drop);
    let client = Client::connect(&daemon, Kind::Tcp);
    let idle = reason(&mut daemon, client, |mut client| client.expect_ended());
    assert_ne!(ended, idle, "the reasons read alike");
}

#[test]
fn without_v_connections_come_and_go_in_silence() {
    let mut daemon = Daemon::listening(&[Kind::Tcp, Kind::Unix], &[]);
    for kind in [Kind::Tcp, Kind::Unix] {
        let mut client = Client::connect(&daemon, kind);
        client.expect_echo(b"hello");
        client.reset();
        let mut client = Client::connect(&daemon, kind);
        client.expect_echo(b"hello");
        client.half_close();
        client.expect_end();
    }
    assert_eq!(daemon.complaints(), [""; 0], "nothing on stderr");
}
