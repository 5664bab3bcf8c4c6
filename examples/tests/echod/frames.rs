//! `--mode frame`: a length in four bytes, then as many bytes, come back as they went.

use std::io::Read;
use std::time::Duration;

use super::client::Client;
use super::daemon::{Daemon, Kind};
use super::figures::memory;
use super::pattern::{Pattern, Random, seed};

/// The longest body that a test sends; every `echod` takes at least this.
const BODY_LONG_LEN: usize = 1 << 20;

/// How much, in KiB, the daemon may grow when peers claim more than they send.
const GROWTH_MAX: u64 = 4 << 10;

const KINDS: [Kind; 2] = [Kind::Tcp, Kind::Unix];

fn frame(body: &[u8]) -> Vec<u8> {
    let len = u32::try_from(body.len()).expect("a body is small");
    let mut frame = len.to_be_bytes().to_vec();
    frame.extend(body);
    frame
}

fn framed(kinds: &[Kind]) -> Daemon {
    Daemon::listening(kinds, &["--mode", "frame"])
}

#[test]
fn frames_of_all_lengths_come_back() {
    let mut pattern = Pattern::new(seed());
    let daemon = framed(&KINDS);
    for kind in KINDS {
        let mut client = Client::connect(&daemon, kind);
        for len in [1, 2, 100, 4_092, 16_380, 16_384, 65_536, BODY_LONG_LEN, 1] {
            client.expect_echo(&frame(&pattern.bytes(len)));
        }
        client.half_close();
        client.expect_end();
    }
}

#[test]
fn many_frames_in_one_segment_all_come_back() {
    let mut pattern = Pattern::new(seed());
    let daemon = framed(&KINDS);
    for kind in KINDS {
        let mut client = Client::connect(&daemon, kind);
        let frames: Vec<u8> = (1..200)
            .flat_map(|len| frame(&pattern.bytes(len)))
            .collect();
        client.expect_echo(&frames);
        // The end right behind them ends nothing too early.
        client.send_with_end(&frames);
        client.expect_bytes(&frames);
        client.expect_end();
    }
}

#[test]
fn a_frame_that_comes_byte_by_byte_comes_back_whole() {
    let mut pattern = Pattern::new(seed());
    let daemon = framed(&KINDS);
    for kind in KINDS {
        let mut client = Client::connect(&daemon, kind);
        let frames = [frame(&pattern.bytes(100)), frame(&pattern.bytes(1))].concat();
        for byte in &frames {
            client.send(&[*byte]);
        }
        client.expect_bytes(&frames);
    }
}

#[test]
fn a_frame_comes_back_only_when_it_is_complete() {
    let mut pattern = Pattern::new(seed());
    let daemon = framed(&KINDS);
    for kind in KINDS {
        let mut client = Client::connect(&daemon, kind);
        let mut witness = Client::connect(&daemon, kind);
        let frame = frame(&pattern.bytes(1_000));
        let (most, last) = frame.split_at(frame.len() - 1);
        client.send(most);
        // The daemon has seen `most` by the time that it has answered twice elsewhere.
        witness.expect_echo(&[0, 0, 0, 1, b'a']);
        witness.expect_echo(&[0, 0, 0, 1, b'b']);
        assert!(
            !client.is_readable_within(Duration::ZERO),
            "a part came back"
        );
        client.send(last);
        client.expect_bytes(&frame);
    }
}

#[test]
fn frames_in_chunks_of_random_sizes_come_back() {
    let seed = seed();
    let daemon = framed(&KINDS);
    let mut sizes = Random::new(seed);
    for kind in KINDS {
        let (mut pattern, mut client) = (Pattern::new(seed), Client::connect(&daemon, kind));
        let sent: Vec<u8> = (0..50)
            .flat_map(|_| frame(&pattern.bytes(sizes.size(3_000))))
            .collect();
        let mut rest = &sent[..];
        while !rest.is_empty() {
            let (now, later) = rest.split_at(sizes.size(2_000).min(rest.len()));
            client.send(now);
            rest = later;
        }
        client.expect_bytes(&sent);
    }
}

#[test]
fn a_claim_above_the_limit_ends_only_its_own_connection() {
    let daemon = framed(&KINDS);
    let mut witness = Client::connect(&daemon, Kind::Tcp);
    let long = frame(&[7; 1_000]);
    witness.expect_echo(&long);
    let before = memory(daemon.pid());
    for kind in KINDS.repeat(10) {
        let mut client = Client::connect(&daemon, kind);
        client.expect_echo(&[0, 0, 0, 2, b'o', b'k']);
        client.send(&0xFFFF_FFFF_u32.to_be_bytes());
        client.expect_ended();
    }
    let growth = memory(daemon.pid()).saturating_sub(before);
    assert!(
        growth <= GROWTH_MAX,
        "the daemon grew by {growth} KiB for claims"
    );
    witness.expect_echo(&long);
}

#[test]
fn a_claim_above_the_limit_comes_after_the_answers_to_what_was_before_it() {
    let daemon = framed(&KINDS);
    for kind in KINDS {
        let mut client = Client::connect(&daemon, kind);
        let good = frame(b"good");
        client.send(&[&good[..], &0xFFFF_FFFF_u32.to_be_bytes()].concat());
        client.expect_bytes(&good);
        client.expect_ended();
    }
}

#[test]
fn memory_grows_with_what_arrived_and_not_with_what_was_claimed() {
    let daemon = framed(&KINDS);
    let mut witness = Client::connect(&daemon, Kind::Tcp);
    witness.expect_echo(&frame(b"before"));
    let before = memory(daemon.pid());
    let claim = u32::try_from(BODY_LONG_LEN)
        .expect("a body is small")
        .to_be_bytes();
    let claimants: Vec<_> = (0..50)
        .map(|index| {
            let mut client = Client::connect(&daemon, KINDS[index % KINDS.len()]);
            client.send(&claim);
            client.send(b"a little");
            client
        })
        .collect();
    witness.expect_echo(&frame(b"after"));
    witness.expect_echo(&frame(b"after that"));
    let growth = memory(daemon.pid()).saturating_sub(before);
    assert!(
        growth <= GROWTH_MAX,
        "the daemon grew by {growth} KiB for claims"
    );
    drop(claimants);
    witness.expect_echo(&frame(b"at last"));
}

#[test]
fn an_end_within_a_frame_ends_only_its_own_connection() {
    let daemon = framed(&KINDS);
    let mut witness = Client::connect(&daemon, Kind::Tcp);
    for kind in KINDS {
        for part in [&[0, 0][..], &[0, 0, 0, 9], &[0, 0, 0, 9, 1, 2, 3]] {
            let mut client = Client::connect(&daemon, kind);
            client.send_with_end(part);
            client.expect_ended();
            witness.expect_echo(&frame(b"still there"));
        }
    }
}

#[test]
fn an_empty_frame_stops_neither_the_daemon_nor_others() {
    let daemon = framed(&KINDS);
    let mut witness = Client::connect(&daemon, Kind::Tcp);
    for kind in KINDS {
        let mut client = Client::connect(&daemon, kind);
        client.send_with_end(&frame(b""));
        // It is answered by itself or refused: both are an end soon.
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).ok();
        assert!(
            answer.is_empty() || answer == frame(b""),
            "it came back as {answer:?}"
        );
        witness.expect_echo(&frame(b"still there"));
    }
}

#[test]
fn many_connections_with_frames_do_not_mix_them() {
    let mut pattern = Pattern::new(seed());
    let daemon = framed(&KINDS);
    let mut clients: Vec<_> = (0..40)
        .map(|index| Client::connect(&daemon, KINDS[index % KINDS.len()]))
        .collect();
    let frames: Vec<_> = (0..clients.len())
        .map(|index| frame(&pattern.bytes(500 + index)))
        .collect();
    for (client, frame) in clients.iter_mut().zip(&frames) {
        client.send(frame);
    }
    for (client, frame) in clients.iter_mut().zip(&frames) {
        client.expect_bytes(frame);
    }
}
