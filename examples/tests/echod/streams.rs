//! Streams come back byte for byte, then they end.

use std::io::{Read, Write};
use std::sync::{Condvar, Mutex};
use std::thread;
use std::time::Duration;

use rustix::net::sockopt;

use super::client::Client;
use super::daemon::{Daemon, Kind};
use super::figures::{ensure_descriptors, memory};
use super::flow::{Flow, drive};
use super::patience::{now, scale, tell};
use super::pattern::{Pattern, Random, seed};

/// The largest piece that one write or read of the large transfer is given.
const CHUNK_MAX_LEN: usize = 256 << 10;

/// How far the reader of the large transfer lets the writer get ahead, where the kernel has the room,
/// before it reads as much again.
const LEAD: u64 = 2 << 20;

/// No movement for this long means that the writer waits for the reader.
const QUIET: Duration = Duration::from_millis(30);

/// How much the daemon may grow, in KiB, while a peer sends and does not read.
const GROWTH_MAX: u64 = 8 << 10;

/// How far the writer of a transfer is.
#[derive(Debug, Default)]
struct Progress {
    written: Mutex<(u64, bool)>,
    moved: Condvar,
}

impl Progress {
    fn add(&self, count: usize) {
        self.written.lock().expect("no holder panics").0 += count as u64;
        self.moved.notify_all();
    }

    fn finish(&self) {
        self.written.lock().expect("no holder panics").1 = true;
        self.moved.notify_all();
    }

    /// Waits until `goal` bytes are written, all are written, or the writer is stuck.
    fn wait_for(&self, goal: u64) -> u64 {
        let mut written = self.written.lock().expect("no holder panics");
        loop {
            let before = *written;
            if before.1 || before.0 >= goal {
                return before.0;
            }
            written = self
                .moved
                .wait_timeout(written, QUIET)
                .expect("no holder panics")
                .0;
            if *written == before {
                return before.0;
            }
        }
    }
}

fn report(what: &str, bytes: u64, span: Duration) {
    let mib = bytes >> 20;
    let rate = u128::from(bytes) * 1_000 / (u128::from(1_u64 << 20) * span.as_millis().max(1));
    tell(&format!(
        "{what}: {mib} MiB there and back in {span:.2?}, {rate} MiB/s each way"
    ));
}

#[track_caller]
fn expect_large_transfer(kind: Kind) {
    let len: u64 = scale(16 << 20, 256 << 20);
    let seed = seed();
    let daemon = Daemon::listening(&[kind], &[]);
    let mut reader = Client::connect(&daemon, kind);
    sockopt::set_socket_recv_buffer_size(&reader, 256 << 10).expect("a socket has a buffer size");
    let mut writer = reader.another();
    let progress = Progress::default();
    let memory_before = memory(daemon.pid());
    let start = now();
    thread::scope(|scope| {
        scope.spawn(|| {
            let (mut pattern, mut sizes) = (Pattern::new(seed), Random::new(!seed));
            let mut chunk = vec![0; CHUNK_MAX_LEN];
            while pattern.position() < len {
                let rest = len - pattern.position();
                let size = sizes.size(CHUNK_MAX_LEN);
                let size = usize::try_from(rest).map_or(size, |rest| size.min(rest));
                pattern.fill(&mut chunk[..size]);
                writer
                    .write_all(&chunk[..size])
                    .expect("the daemon goes on taking bytes");
                progress.add(size);
            }
            writer.half_close();
            progress.finish();
        });
        // Nothing is read until the writer cannot go on, or has got everything off.
        let ahead = progress.wait_for(u64::MAX);
        let growth = memory(daemon.pid()).saturating_sub(memory_before);
        tell(&format!(
            "{} KiB were under way unread, the daemon grew by {growth} KiB",
            ahead >> 10
        ));
        assert!(
            growth <= GROWTH_MAX,
            "the daemon grew by {growth} KiB for a peer that reads nothing"
        );
        let (mut expected, mut sizes) = (Pattern::new(seed), Random::new(seed));
        let mut buf = vec![0; CHUNK_MAX_LEN];
        while expected.position() < len {
            let size = sizes.size(CHUNK_MAX_LEN);
            let count = reader
                .read(&mut buf[..size])
                .expect("the daemon goes on sending bytes");
            assert!(
                count > 0,
                "the stream ended after {} of {len} bytes",
                expected.position()
            );
            let before = expected.position();
            expected.expect("the large transfer", &buf[..count]);
            if before / LEAD != expected.position() / LEAD {
                progress.wait_for(expected.position() + LEAD);
            }
        }
        reader.expect_end();
    });
    report(
        &format!("{}, one connection, the reader lags", kind.prefix()),
        len,
        now() - start,
    );
}

#[track_caller]
fn expect_concurrent_transfers(kind: Kind) {
    let (count, len): (u64, u64) = scale((100, 64 << 10), (1_000, 1 << 20));
    ensure_descriptors(count);
    let seed = seed();
    let daemon = Daemon::listening(&[kind], &[]);
    let mut flows = Vec::new();
    for index in 0..count {
        let client = Client::connect(&daemon, kind);
        flows.push(Flow::new(
            format!("connection {index}"),
            client,
            seed ^ (index << 40),
            len,
        ));
    }
    let start = now();
    let half = flows.len() / 2;
    let (one, other) = flows.split_at_mut(half);
    thread::scope(|scope| {
        scope.spawn(|| drive(one));
        drive(other);
    });
    report(
        &format!("{}, {count} connections at once", kind.prefix()),
        count * len,
        now() - start,
    );
}

#[track_caller]
fn expect_half_close_is_answered(kind: Kind) {
    let seed = seed();
    let daemon = Daemon::listening(&[kind], &[]);
    for (index, len) in [0, 1, 100, 4_096, 16_384, 65_536, 1 << 20]
        .into_iter()
        .enumerate()
    {
        let client = Client::connect(&daemon, kind);
        let name = format!("{len} bytes, then a half-close");
        drive(&mut [Flow::new(name, client, seed + index as u64, len)]);
    }
}

/// The daemon stands still meanwhile, so that it sees the bytes together with the end.
#[track_caller]
fn expect_data_and_end_at_once(kind: Kind) {
    let seed = seed();
    let daemon = Daemon::listening(&[kind], &[]);
    for (index, len) in [1, 100, 4_096, 16_384, 32_768].into_iter().enumerate() {
        let bytes = Pattern::new(seed + index as u64).bytes(len);
        for connect_first in [true, false] {
            // Once on a connection that waits for bytes, once on one that is still to be accepted.
            let mut early = connect_first.then(|| Client::connect(&daemon, kind));
            if let Some(client) = &mut early {
                client.expect_echo(b"here");
            }
            daemon.pause();
            let mut client = early.unwrap_or_else(|| Client::connect(&daemon, kind));
            client.send_with_end(&bytes);
            daemon.resume();
            client.expect_bytes(&bytes);
            client.expect_end();
        }
    }
}

#[test]
fn a_large_tcp_transfer_comes_back_byte_for_byte_to_a_reader_that_lags() {
    expect_large_transfer(Kind::Tcp);
}

#[test]
fn a_large_unix_transfer_comes_back_byte_for_byte_to_a_reader_that_lags() {
    expect_large_transfer(Kind::Unix);
}

#[test]
fn many_tcp_connections_at_once_each_get_their_own_bytes_back() {
    expect_concurrent_transfers(Kind::Tcp);
}

#[test]
fn many_unix_connections_at_once_each_get_their_own_bytes_back() {
    expect_concurrent_transfers(Kind::Unix);
}

#[test]
fn a_tcp_peer_that_half_closes_gets_everything_back_and_then_the_end() {
    expect_half_close_is_answered(Kind::Tcp);
}

#[test]
fn a_unix_peer_that_half_closes_gets_everything_back_and_then_the_end() {
    expect_half_close_is_answered(Kind::Unix);
}

#[test]
fn tcp_data_and_end_in_one_segment_are_both_seen() {
    expect_data_and_end_at_once(Kind::Tcp);
}

#[test]
fn unix_data_and_end_at_once_are_both_seen() {
    expect_data_and_end_at_once(Kind::Unix);
}

#[test]
fn all_kinds_are_served_side_by_side() {
    let daemon = Daemon::listening(&[Kind::Tcp, Kind::Unix, Kind::Tcp], &[]);
    assert_eq!(
        daemon.announced().count(),
        3,
        "one line per address: {:?}",
        daemon.banner()
    );
    let mut tcp = Client::connect(&daemon, Kind::Tcp);
    let mut unix = Client::connect(&daemon, Kind::Unix);
    for round in 0..10_u8 {
        tcp.expect_echo(&[round; 10]);
        unix.expect_echo(&[!round; 20]);
    }
}
