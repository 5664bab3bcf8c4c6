//! Signals: SIGTERM drains and ends, SIGUSR1 tells and goes on.

use std::net::TcpStream;
use std::time::Duration;

use rustix::process::Signal;

use super::client::Client;
use super::daemon::{Daemon, Kind};
use super::figures::{expect_idle, pass};
use super::pattern::{Pattern, seed};

/// How long the daemon may take to drain and end.
const DRAIN_LIMIT: Duration = Duration::from_secs(10);

const KINDS: [Kind; 2] = [Kind::Tcp, Kind::Unix];

#[track_caller]
fn expect_clean_end(daemon: &mut Daemon) {
    let status = daemon.expect_exit(DRAIN_LIMIT);
    assert_eq!(
        status.code(),
        Some(0),
        "SIGTERM is a clean end, not `{status}`"
    );
}

#[test]
fn sigterm_ends_a_daemon_that_nobody_uses() {
    let kinds = [Kind::Tcp, Kind::Unix, Kind::Udp, Kind::UnixDatagram];
    let mut daemon = Daemon::listening(&kinds, &[]);
    let files = [daemon.path(Kind::Unix), daemon.path(Kind::UnixDatagram)];
    for file in &files {
        assert!(
            file.exists(),
            "{} is announced and does not exist",
            file.display()
        );
    }
    daemon.signal(Signal::TERM);
    expect_clean_end(&mut daemon);
    for file in &files {
        assert!(!file.exists(), "{} is left behind", file.display());
    }
    assert_eq!(daemon.complaints(), [""; 0], "nothing went wrong");
}

#[test]
fn sigterm_with_open_connections_returns_what_was_sent_before_it() {
    let mut pattern = Pattern::new(seed());
    let mut daemon = Daemon::listening(&KINDS, &[]);
    let mut silent: Vec<_> = KINDS.map(|kind| Client::connect(&daemon, kind)).into();
    let mut used: Vec<_> = KINDS.map(|kind| Client::connect(&daemon, kind)).into();
    for client in &mut used {
        client.expect_echo(b"hello");
    }
    // The bytes and the signal reach the daemon at once, whichever it looks at first.
    daemon.pause();
    let bytes = pattern.bytes(100_000);
    for client in &mut used {
        client.send(&bytes);
    }
    daemon.signal(Signal::TERM);
    daemon.resume();
    for client in &mut used {
        client.expect_bytes(&bytes);
        client.expect_end();
    }
    for client in &mut silent {
        client.expect_end();
    }
    drop((silent, used));
    expect_clean_end(&mut daemon);
    assert!(
        !daemon.path(Kind::Unix).exists(),
        "the socket file is left behind"
    );
}

#[test]
fn sigterm_returns_whole_frames_that_were_sent_before_it() {
    let mut pattern = Pattern::new(seed());
    let mut daemon = Daemon::listening(&KINDS, &["--mode", "frame"]);
    let mut clients: Vec<_> = KINDS.map(|kind| Client::connect(&daemon, kind)).into();
    let frame = [&[0, 0, 0x10, 0][..], &pattern.bytes(0x1000)].concat();
    for client in &mut clients {
        client.expect_echo(&frame);
    }
    daemon.pause();
    let frames = frame.repeat(8);
    for client in &mut clients {
        client.send(&frames);
    }
    daemon.signal(Signal::TERM);
    daemon.resume();
    for client in &mut clients {
        client.expect_bytes(&frames);
        client.expect_ended();
    }
    expect_clean_end(&mut daemon);
}

#[test]
fn sigterm_does_not_wait_for_ever_for_a_peer_that_does_not_read() {
    let mut daemon = Daemon::listening(&KINDS, &[]);
    let mut stuck: Vec<_> = KINDS.map(|kind| Client::connect(&daemon, kind)).into();
    for client in &mut stuck {
        let written = client.stuff(64 << 20, Duration::from_millis(200));
        assert!(
            written < 64 << 20,
            "the daemon took {written} bytes that nobody reads back"
        );
    }
    daemon.signal(Signal::TERM);
    expect_clean_end(&mut daemon);
}

#[test]
fn sigterm_frees_the_port_at_once() {
    let mut daemon = Daemon::listening(&[Kind::Tcp], &[]);
    let address = daemon.inet_address(Kind::Tcp);
    let mut client = Client::connect(&daemon, Kind::Tcp);
    client.expect_echo(b"hello");
    daemon.signal(Signal::TERM);
    expect_clean_end(&mut daemon);
    assert!(
        TcpStream::connect(address).is_err(),
        "somebody still listens on {address}"
    );
    // The connection above lingers in TIME_WAIT, which must not keep the next daemon from starting.
    let mut next = Daemon::with_arguments(&["--listen", &format!("tcp:{address}")]);
    next.expect_listening(1);
    Client::connect(&next, Kind::Tcp).expect_echo(b"hello again");
}

#[test]
fn sigusr1_prints_the_outstanding_requests_and_the_daemon_goes_on() {
    let mut daemon = Daemon::listening(&KINDS, &[]);
    let mut clients: Vec<_> = KINDS.map(|kind| Client::connect(&daemon, kind)).into();
    for client in &mut clients {
        client.expect_echo(b"before");
    }
    let dump = daemon.dump();
    let located = dump
        .iter()
        .filter(|line| names_kind_and_place(line))
        .count();
    assert!(
        located >= clients.len(),
        "a line per connection names a kind and a place: {dump:#?}"
    );
    for client in &mut clients {
        client.expect_echo(b"after");
    }
    for _ in 0..50 {
        assert!(
            !daemon.dump().is_empty(),
            "every dump tells of the connections"
        );
    }
    expect_idle(daemon.pid(), || pass(Duration::from_millis(200)));
    daemon.signal(Signal::TERM);
    expect_clean_end(&mut daemon);
}

/// Whether a line holds `FILE.rs:LINE`, and a word besides that.
fn names_kind_and_place(line: &str) -> bool {
    let is_place = |word: &str| {
        word.split_once(".rs:")
            .is_some_and(|(_, number)| number.starts_with(|c: char| c.is_ascii_digit()))
    };
    let is_word = |word: &str| word.starts_with(|c: char| c.is_ascii_alphabetic());
    let mut words = line.split_whitespace();
    words.clone().any(is_place) && words.any(|word| is_word(word) && !is_place(word))
}
