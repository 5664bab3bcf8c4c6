//! The modes that go one way: a sink says nothing, a source never stops.

use std::io::Read as _;
use std::time::Duration;

use rustix::process::Signal;

use super::client::Client;
use super::daemon::{Daemon, Kind};
use super::figures::memory;
use super::patience::{LIMIT, now};

const KINDS: [Kind; 2] = [Kind::Tcp, Kind::Unix];

#[test]
fn a_sink_takes_everything_and_says_nothing() {
    let mut daemon = Daemon::listening(&KINDS, &["--mode", "sink", "-v"]);
    for kind in KINDS {
        let mut client = Client::connect(&daemon, kind);
        let most = 8 << 20;
        assert_eq!(client.stuff(most, LIMIT), most);
        client.half_close();
        client.expect_end();
        let line = daemon.next_complaint("a line about the connection");
        assert!(line.contains("8388608 bytes taken"), "{line}");
    }
}

#[test]
fn a_source_sends_for_as_long_as_somebody_reads() {
    let mut daemon = Daemon::listening(&KINDS, &["--mode", "source"]);
    let before = memory(daemon.pid());
    let mut clients = KINDS.map(|kind| Client::connect(&daemon, kind));
    let mut bytes = vec![0; 8 << 20];
    for client in &mut clients {
        client.read_exact(&mut bytes).expect("it sends without end");
        assert!(bytes.iter().all(|byte| *byte == b'.'));
    }
    let grown = memory(daemon.pid()).saturating_sub(before);
    assert!(grown < 1024, "{grown} KiB for what nobody has read yet");
    daemon.signal(Signal::TERM);
    let start = now();
    for client in &mut clients {
        client.read_to_end(&mut bytes).expect("it ends in order");
    }
    assert_eq!(daemon.expect_exit(LIMIT).code(), Some(0));
    assert!(
        now() - start < Duration::from_secs(4),
        "a source need not be cut off"
    );
}
