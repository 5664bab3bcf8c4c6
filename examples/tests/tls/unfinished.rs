//! Clients that begin a handshake and do not go on.

use std::io::Write as _;
use std::time::Duration;

use super::fixtures::{Client, daemon};
use crate::rig::client::Client as Raw;
use crate::rig::daemon::{Daemon, ECHOD, Kind};
use crate::rig::patience::{LIMIT, now, scale};

/// The beginning of a record with a `ClientHello` of 508 bytes (RFC 8446, sections 4 and 5.1).
const HELLO: [u8; 11] = [22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3];

/// Waits until `client` is closed, while others are served and it says a byte every now and then.
#[track_caller]
fn expect_given_up(daemon: &Daemon, mut client: Raw, dribble: bool) -> Duration {
    client.send(&HELLO);
    let start = now();
    let mut other = Client::connect(daemon);
    while !client.is_readable_within(Duration::from_millis(100)) {
        other.expect_echo(b"others are served");
        assert!(now() - start < LIMIT, "it stays open");
        if dribble {
            // It may have been closed by now.
            client.write_all(&[0]).ok();
        }
    }
    client.expect_ended();
    now() - start
}

#[test]
fn a_client_that_does_not_go_on_is_closed_after_the_idle_time() {
    let mut daemon = daemon(ECHOD, &["--idle-timeout", "1"]);
    let client = Raw::connect(&daemon, Kind::Tls);
    expect_given_up(&daemon, client, false);
    let line = daemon.next_complaint("why it was closed");
    assert!(line.contains("nothing moved"), "{line}");
}

#[test]
fn a_client_that_goes_on_for_ever_is_closed_by_the_deadline() {
    // Ten seconds, which the small form does not have.
    if !scale(false, true) {
        return;
    }
    let mut daemon = daemon(ECHOD, &[]);
    let client = Raw::connect(&daemon, Kind::Tls);
    let span = expect_given_up(&daemon, client, true);
    assert!(span >= Duration::from_secs(9), "closed after {span:?}");
    let line = daemon.next_complaint("why it was closed");
    assert!(line.contains("TLS handshake: "), "{line}");
}
