//! What handshakes of named pipes leave in memory, and what silent peers cost.

use std::io::Write as _;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tevent::{Context, ManualClock};
use tevent_tests::{run_to, scaled, within_limit};
use tsocket_bsd::{socketpair, stream_from_fd};
use tsocket_npa::codec::{Level, MAX_PACKET_LEN, NtStatus, Secret, Sid};
use tsocket_npa::{AcceptOptions, Identity, accept, connect_over};

use crate::sys::{freed_with, peak_of};

const MARKER: [u8; 16] = *b"MarkerSessionKey";

/// What 10,000 silent peers may cost.
const SILENT_BYTES: usize = 64 << 20;
const SILENT_COUNT: usize = 10_000;

/// What is left for everything but the connections of a test.
const RESERVED_DESCRIPTORS: u64 = 64;

fn alice() -> Identity {
    let groups = (0..500).map(Sid::unix_group);
    let sid = Sid::unix_user(1000);
    let alice = Identity::user("alice", "EXAMPLE", sid, 1000, 100);
    let alice = groups.fold(alice, Identity::sid);
    alice.session_key(Secret::from(&MARKER[..]))
}

#[test]
fn a_session_key_goes_through_a_handshake_and_stays_nowhere() {
    within_limit(|| {
        for level in Level::ALL {
            for is_denied in [false, true] {
                let freed = freed_with(MARKER, || shake_hands(*level, is_denied));
                assert_eq!(freed, 0, "{level}");
            }
        }
    });
}

fn shake_hands(level: Level, is_denied: bool) {
    // Made and dropped here, so that its pools and scratch buffers are looked at too.
    let ctx = Context::new().expect("the system has a loop");
    let (near, far) = socketpair(&ctx).expect("the system has socket pairs");
    let options = AcceptOptions::default().admit(move |caller| {
        assert_eq!(caller.session_key.expose(), MARKER);
        if is_denied {
            return Err(NtStatus::ACCESS_DENIED);
        }
        Ok(())
    });
    let server = accept(&ctx, far, &options);
    let client = connect_over(&ctx, near, &alice(), level);
    let client = ctx.run_until(client).expect("the loop runs");
    let server = ctx.run_until(server).expect("the loop runs");
    assert_eq!((client.is_ok(), server.is_ok()), (!is_denied, !is_denied));
}

#[test]
fn a_handshake_that_breaks_off_leaves_no_part_of_a_session_key() {
    within_limit(|| {
        let packet = alice().request(Level::L8).encode().unwrap();
        let freed = freed_with(MARKER, || {
            for cut in [600, packet.len() - 1] {
                let ctx = Context::new().unwrap();
                let (near, far) = UnixStream::pair().unwrap();
                let far = stream_from_fd(&ctx, far.into()).unwrap();
                let server = accept(&ctx, far, &AcceptOptions::default());
                (&near).write_all(&packet.expose()[..cut]).unwrap();
                drop(near);
                ctx.run_until(server).unwrap().unwrap_err();
            }
        });
        assert_eq!(freed, 0);
    });
}

/// How many pairs of sockets this process may have: as many as are wanted, or as its limit has room for.
fn affordable(count: usize) -> usize {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    let is_raised = setrlimit(Resource::Nofile, raised).is_ok();
    let limit = if is_raised {
        limit.maximum
    } else {
        limit.current
    };
    let pairs = limit
        .unwrap_or(u64::MAX)
        .saturating_sub(RESERVED_DESCRIPTORS)
        / 2;
    count.min(usize::try_from(pairs).unwrap_or(usize::MAX))
}

#[test]
fn peers_that_claim_the_largest_request_and_say_no_more_cost_little_and_are_closed() {
    within_limit(|| {
        let count = affordable(scaled(1000, SILENT_COUNT));
        let clock = ManualClock::new();
        let ctx = Context::builder().manual_clock(&clock).build().unwrap();
        let timeout = Duration::from_secs(10);
        let options = AcceptOptions::default()
            .max_request_len(MAX_PACKET_LEN)
            .timeout(timeout);
        let mut handshakes = Vec::with_capacity(count);
        let mut peers = Vec::with_capacity(count);
        let peak = peak_of(|| {
            for _ in 0..count {
                let (near, far) = UnixStream::pair().unwrap();
                (&near).write_all(b"\0\xff\xff\xffNPAM").unwrap();
                let far = stream_from_fd(&ctx, far.into()).unwrap();
                handshakes.push(accept(&ctx, far, &options));
                peers.push(near);
            }
            // Each receives the length, the magic, and finds nothing behind.
            let receives = 3 * u64::try_from(count).unwrap();
            run_to(&ctx, || ctx.stats().receives >= receives);
            assert!(handshakes.iter().all(|handshake| !handshake.is_finished()));
        });
        let bound = SILENT_BYTES / SILENT_COUNT * count;
        assert!(peak <= bound, "{peak} bytes for {count} silent peers");
        clock.advance(timeout);
        run_to(&ctx, || handshakes.iter().all(tevent::Request::is_finished));
        for peer in &peers {
            peer.set_nonblocking(true).unwrap();
            let closed = std::io::Read::read(&mut &*peer, &mut [0]);
            assert!(closed.is_ok_and(|len| len == 0), "it is closed");
        }
    });
}
