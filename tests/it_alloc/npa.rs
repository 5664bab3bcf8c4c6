//! What the codec of the handshake costs, and what it leaves behind.

use arbtest::arbtest;
use tevent_tests::npa::{any_packet, fit_length, vectors};
use tevent_tests::scaled;
use tsocket_npa::codec::{
    Caller, Incoming, Level, MAX_PACKET_LEN, Reply, Request, Secret, SessionInfo, Sid, packet_len,
};

use crate::sys::{freed_with, peak_of};

/// What stands for a session key: it shows in any form of output.
const MARKER: [u8; 16] = *b"MarkerSessionKey";

#[track_caller]
fn expect_bounded(packet: &[u8]) {
    let peak = peak_of(|| {
        drop(Request::decode(packet));
        Reply::decode(packet).ok();
        packet_len(packet, MAX_PACKET_LEN).ok();
    });
    let bound = 64 * 1024 + 16 * packet.len();
    assert!(
        peak <= bound,
        "{peak} bytes for a packet of {}",
        packet.len()
    );
}

/// A session with a lot of everything, at any level.
fn large_request(level: Level, count: usize) -> Request {
    let vector = &vectors("req-l8-user-smb311")[0];
    let mut request = Request::decode(&vector.bytes).expect("it is a request");
    request.level = level;
    let session = session_of(&mut request);
    let token = session.security_token.as_mut().expect("it has one");
    token.sids = vec![Sid::new(5, &[]).expect("it is short"); count];
    token.device_sids.clone_from(&token.sids);
    let unix = session.unix_token.as_mut().expect("it has one");
    unix.groups = vec![u32::MAX; count];
    request
}

fn session_of(request: &mut Request) -> &mut SessionInfo {
    let outer = request.session_info.as_mut().expect("it has one");
    outer.session_info.as_mut().expect("it has one")
}

#[test]
fn decoding_costs_at_most_64_kib_and_16_times_the_packet() {
    vectors("")
        .iter()
        .for_each(|vector| expect_bounded(&vector.bytes));
    let budget = scaled(300, 20_000);
    arbtest(|source| {
        expect_bounded(&any_packet(source)?);
        Ok(())
    })
    .budget_ms(budget.try_into().unwrap());
}

#[test]
fn the_elements_of_large_arrays_cost_no_more_than_that() {
    for &level in Level::ALL {
        let packet = large_request(level, 50_000).encode().unwrap();
        expect_bounded(packet.expose());
        // One byte too few: all that was read is given up again.
        let mut cut = packet.expose().to_vec();
        cut.pop();
        fit_length(&mut cut);
        expect_bounded(&cut);
    }
}

#[test]
fn a_count_that_cannot_be_true_costs_nothing() {
    let vector = &vectors("bad-l7-sids-huge")[0];
    let peak = peak_of(|| drop(Request::decode(&vector.bytes)));
    assert!(peak < 1024, "{peak}");
}

#[test]
fn a_packet_that_is_claimed_and_not_sent_costs_little() {
    let mut head = (u32::try_from(MAX_PACKET_LEN).unwrap() - 4)
        .to_be_bytes()
        .to_vec();
    head.extend(*b"NPAM");
    let peak = peak_of(|| {
        let mut incoming = Incoming::new(MAX_PACKET_LEN);
        incoming.room()[..8].copy_from_slice(&head);
        assert_eq!(incoming.advance(8), Ok(false));
        assert!(incoming.room().len() > 1000);
    });
    assert!(peak <= 4096, "{peak}");
}

#[test]
fn a_packet_on_its_way_in_costs_at_most_three_times_what_has_arrived() {
    let packet = large_request(Level::L8, 20_000).encode().unwrap();
    for piece in [1000, 4096, 100_000] {
        let mut arrived = 0;
        let peak = peak_of(|| arrived = collect(packet.expose(), piece).bytes().len());
        assert_eq!(arrived, packet.len());
        assert!(peak <= 4096 + 3 * arrived, "{peak} for {arrived}");
    }
}

/// Has `packet` arrive in pieces of at most `piece` bytes.
fn collect(packet: &[u8], piece: usize) -> Incoming {
    let mut incoming = Incoming::new(MAX_PACKET_LEN);
    let mut rest = packet;
    loop {
        let room = incoming.room();
        let len = room.len().min(rest.len()).min(piece);
        room[..len].copy_from_slice(&rest[..len]);
        rest = &rest[len..];
        if incoming.advance(len).expect("the packet is in order") {
            return incoming;
        }
    }
}

#[test]
fn what_is_freed_is_looked_at() {
    let freed = freed_with(MARKER, || {
        drop([&b"before"[..], &MARKER, b"behind"].concat());
    });
    assert_eq!(freed, 1);
    let freed = freed_with(MARKER, || {
        let mut grows = MARKER.to_vec();
        grows.reserve_exact(1000);
        grows.fill(0);
        drop(grows);
    });
    assert_eq!(freed, 1);
    assert_eq!(freed_with(MARKER, || drop(vec![1; 1000])), 0);
}

#[test]
fn a_session_key_stays_in_no_memory_that_was_freed() {
    for &level in Level::ALL {
        let mut request = large_request(level, 1000);
        session_of(&mut request).session_key = Secret::from(&MARKER[..]);
        let outer = request.session_info.as_mut().unwrap();
        outer.exported_gssapi_credentials = Secret::from([MARKER; 300].concat());
        let freed = freed_with(MARKER, || {
            let packet = request.encode().unwrap();
            for piece in [7, 3000] {
                let incoming = collect(packet.expose(), piece);
                let decoded = Request::decode(incoming.bytes()).unwrap();
                assert_eq!(decoded.encode().unwrap(), packet);
                let caller = Caller::from_request(decoded).unwrap();
                assert_eq!(caller.session_key.expose(), MARKER);
                drop(caller.clone());
            }
            drop(packet);
            drop(request);
        });
        assert_eq!(freed, 0, "{level}");
    }
}

#[test]
fn a_session_key_shows_in_no_output_and_stays_behind_no_error() {
    for &level in Level::ALL {
        let mut request = large_request(level, 2);
        session_of(&mut request).session_key = Secret::from(&MARKER[..]);
        let packet = request.encode().unwrap();
        let caller = Caller::from_request(request.clone()).unwrap();
        let incoming = collect(packet.expose(), 100);
        let mut outputs =
            format!("{request:?} {request:#?} {caller} {caller:?} {packet:?} {incoming:?}");
        for len in 0..packet.len() {
            let mut cut = packet.expose()[..len].to_vec();
            fit_length(&mut cut);
            let freed = freed_with(MARKER, || {
                let error = Request::decode(&cut).unwrap_err();
                outputs.push_str(&format!(
                    "{error} {error:?} {}",
                    std::io::Error::from(error)
                ));
            });
            assert_eq!(freed, 0, "{level}, {len} bytes");
        }
        expect_no_marker(&outputs);
    }
}

/// Whoever prints bytes prints them as text, as hexadecimal digits or as decimal numbers.
#[track_caller]
fn expect_no_marker(output: &str) {
    let hexadecimal: String = MARKER[..4]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let list = format!("{:?}", &MARKER[..4]);
    let decimal = list.trim_matches(['[', ']']);
    for form in ["Marker", &hexadecimal, decimal] {
        assert!(
            !output.to_lowercase().contains(&form.to_lowercase()),
            "{form}"
        );
    }
}
