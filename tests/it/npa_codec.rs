//! What the codec of the handshake does with bytes and values of any kind.

use std::io;

use arbtest::arbtest;
use rustix::io::Errno;
use tevent_tests::npa::{any_packet, any_request, fit_length, vectors};
use tevent_tests::scaled;
use tsocket_npa::codec::{
    Caller, CodecError, CodecErrorKind, EvaluateClaims, FileType, Incoming, Level, MAGIC,
    MAX_PACKET_LEN, NotACaller, NtStatus, Reply, Request, SessionInfo, TicketType, Transport,
    UserFlags, packet_len,
};

/// How long a property is tried, in milliseconds.
fn budget() -> u64 {
    u64::try_from(scaled(200, 20_000)).expect("no machine is wider")
}

fn session_of(request: &mut Request) -> Option<&mut SessionInfo> {
    request.session_info.as_mut()?.session_info.as_mut()
}

#[test]
fn what_was_encoded_decodes_to_the_same_value_and_bytes() {
    arbtest(|source| {
        let level = *source.choose(Level::ALL)?;
        let mut request = any_request(source, level)?;
        let packet = request.encode().unwrap();
        let mut decoded = Request::decode(packet.expose()).unwrap();
        assert_eq!(decoded.encode().unwrap(), packet);
        // Early releases have no such field: then padding may look like one that is zero.
        if let Some(session) = session_of(&mut decoded) {
            if session.ticket_type == Some(TicketType::UNKNOWN) {
                let original = session_of(&mut request).unwrap();
                original.ticket_type.get_or_insert_default();
            }
        }
        assert_eq!(decoded, request);
        Ok(())
    })
    .budget_ms(budget());
}

#[test]
fn any_bytes_are_decoded_or_refused_where_they_are_wrong() {
    arbtest(|source| {
        let packet = any_packet(source)?;
        match Request::decode(&packet) {
            Ok(request) => {
                let usual = request.encode().unwrap();
                // Not the same value: padding may look like a ticket type that early releases did not have.
                let again = Request::decode(usual.expose()).unwrap();
                assert_eq!(again.encode(), Ok(usual));
            }
            // Padding that is not there is passed over.
            Err(error) => assert!(error.offset() < packet.len() + 8, "{error}"),
        }
        if let Ok(reply) = Reply::decode(&packet) {
            assert_eq!(Reply::decode(&reply.encode()), Ok(reply));
        }
        Ok(())
    })
    .budget_ms(budget());
}

#[test]
fn a_reply_of_any_kind_survives_the_wire() {
    arbtest(|source| {
        let reply = Reply {
            level: *source.choose(Level::ALL)?,
            file_type: FileType(source.arbitrary()?),
            device_state: source.arbitrary()?,
            allocation_size: source.arbitrary()?,
            status: NtStatus(source.arbitrary()?),
        };
        assert_eq!(Reply::decode(&reply.encode()), Ok(reply));
        let mut packet = reply.encode().to_vec();
        let at = source.choose_index(packet.len())?;
        packet.truncate(at);
        fit_length(&mut packet);
        assert!(Reply::decode(&packet).is_err());
        Ok(())
    })
    .budget_ms(budget());
}

/// Has `bytes` arrive, as much at once as `piece` says, and gives what came of it and what was not asked for.
fn collect(
    bytes: &[u8],
    limit: usize,
    mut piece: impl FnMut() -> usize,
) -> (Result<Option<Vec<u8>>, CodecError>, usize) {
    let mut incoming = Incoming::new(limit);
    let mut rest = bytes;
    loop {
        let room = incoming.room();
        let len = room.len().min(rest.len()).min(piece());
        room[..len].copy_from_slice(&rest[..len]);
        rest = &rest[len..];
        match incoming.advance(len) {
            Ok(true) => {
                assert!(incoming.room().is_empty(), "there is no more of it");
                return (Ok(Some(incoming.bytes().to_vec())), rest.len());
            }
            Err(error) => {
                assert!(incoming.room().is_empty(), "there is no use in more of it");
                assert_eq!(incoming.advance(0), Err(error));
                return (Err(error), 0);
            }
            Ok(false) if rest.is_empty() => return (Ok(None), 0),
            Ok(false) => {}
        }
    }
}

#[test]
fn a_packet_in_pieces_is_the_same_packet() {
    arbtest(|source| {
        let mut bytes = any_packet(source)?;
        let limit = source.int_in_range(0..=2 * bytes.len() + 100)?;
        bytes.extend(source.bytes(source.len().min(20))?);
        let (at_once, behind) = collect(&bytes, limit, || usize::MAX);
        let by_byte = collect(&bytes, limit, || 1);
        assert_eq!(by_byte, (at_once.clone(), behind));
        let in_pieces = collect(&bytes, limit, || source.int_in_range(1..=50).unwrap_or(1));
        assert_eq!(in_pieces, (at_once.clone(), behind));
        match at_once {
            Ok(Some(packet)) => {
                assert_eq!(packet_len(&bytes, limit), Ok(Some(packet.len())));
                assert_eq!([&packet, &bytes[bytes.len() - behind..]].concat(), bytes);
            }
            Ok(None) => assert_ne!(packet_len(&bytes, limit), Ok(Some(bytes.len()))),
            Err(error) => assert_eq!(packet_len(&bytes, limit), Err(error)),
        }
        Ok(())
    })
    .budget_ms(budget());
}

#[test]
fn the_limit_is_looked_at_before_the_magic_has_arrived() {
    let kind = |head: &[u8], limit| packet_len(head, limit).map_err(|error| *error.kind());
    let head = 1000_u32.to_be_bytes();
    assert_eq!(kind(&head[..3], 10), Ok(None));
    assert_eq!(kind(&head, 1004), Ok(Some(1004)));
    let too_long = CodecErrorKind::TooLong {
        len: 1004,
        limit: 1003,
    };
    assert_eq!(kind(&head, 1003), Err(too_long));
    let largest = 0x00ff_ffff_u32.to_be_bytes();
    assert_eq!(kind(&largest, usize::MAX), Ok(Some(MAX_PACKET_LEN)));
    let larger = CodecErrorKind::TooLong {
        len: MAX_PACKET_LEN + 1,
        limit: MAX_PACKET_LEN,
    };
    assert_eq!(
        kind(&0x0100_0000_u32.to_be_bytes(), usize::MAX),
        Err(larger)
    );
    let other = [&head[..], b"HTTP"].concat();
    assert_eq!(kind(&other, 1004), Err(CodecErrorKind::Magic(*b"HTTP")));
    assert_eq!(kind(&[&head[..], &MAGIC].concat(), 1004), Ok(Some(1004)));
}

#[test]
fn errors_become_error_numbers_of_their_own() {
    let number = |name: &str| {
        let vector = &vectors(name)[0];
        let error = Request::decode(&vector.bytes).unwrap_err();
        io::Error::from(error).raw_os_error().unwrap()
    };
    assert_eq!(number("bad-l7-magic"), Errno::PROTO.raw_os_error());
    assert_eq!(number("bad-l7-level-unknown"), Errno::PROTO.raw_os_error());
    assert_eq!(
        number("bad-l7-length-too-large"),
        Errno::MSGSIZE.raw_os_error()
    );
    assert_eq!(number("bad-l7-truncated-4"), Errno::BADMSG.raw_os_error());
}

#[test]
fn a_text_with_a_nul_is_not_encoded() {
    let mut request = Request::decode(&vectors("req-l8-user-smb21")[0].bytes).unwrap();
    request.local_server.name = Some("two\0parts".to_owned());
    let error = request.encode().unwrap_err();
    assert_eq!(*error.kind(), CodecErrorKind::EmbeddedNul);
    assert_eq!(error.field(), "local_server_name");
    let number = io::Error::from(error).raw_os_error();
    assert_eq!(number, Some(Errno::INVAL.raw_os_error()));
}

#[test]
fn more_than_a_packet_can_have_is_not_encoded() {
    let mut request = Request::decode(&vectors("req-l8-user-smb21")[0].bytes).unwrap();
    let without = request.encode().unwrap().len();
    let mut with = |len| {
        request.remote_client.name = Some("x".repeat(len));
        request.encode()
    };
    // What is behind the name may be aligned anew.
    let room = (MAX_PACKET_LEN - without) / 8 * 8;
    assert!(with(room).unwrap().len() > MAX_PACKET_LEN - 16);
    let error = with(room + 24).unwrap_err();
    assert!(
        matches!(error.kind(), CodecErrorKind::TooLong { .. }),
        "{error}"
    );
    let number = io::Error::from(error).raw_os_error();
    assert_eq!(number, Some(Errno::MSGSIZE.raw_os_error()));
}

#[test]
fn numbers_of_users_and_groups_have_32_bits() {
    let vector = &vectors("req-l7-system")[0];
    let places = [(0x100, "uid"), (0x108, "gid"), (0x118, "groups")];
    for (at, field) in places {
        let mut packet = vector.bytes.clone();
        packet[at..at + 8].copy_from_slice(&u64::from(u32::MAX).to_le_bytes());
        assert!(Request::decode(&packet).is_ok());
        packet[at + 4] = 1;
        let error = Request::decode(&packet).unwrap_err();
        let expected = format!(
            "at byte {at}, unix_token.{field}: 8589934591 is no user or group, it has more than 32 bits"
        );
        assert_eq!(error.to_string(), expected);
    }
}

#[test]
fn claims_are_refused_by_name() {
    let vector = &vectors("req-l8-user-smb21")[0];
    let mut packet = vector.bytes.clone();
    assert!(Request::decode(&packet).is_ok());
    // Behind the masks, which are behind the last SID: that of the flags.
    let flags_sid = 2_041_152_804_u32.to_le_bytes();
    let at = packet
        .windows(4)
        .position(|window| window == flags_sid)
        .unwrap()
        + 8;
    let counts_at = at.next_multiple_of(8) + 12;
    packet[counts_at + 4] = 3;
    let error = Request::decode(&packet).unwrap_err();
    let expected = format!(
        "at byte {}, security_token.num_user_claims: 3 claims, which nobody can decode",
        counts_at + 4
    );
    assert_eq!(error.to_string(), expected);
}

#[test]
fn each_level_says_in_its_own_way_who_has_proved_to_be_somebody() {
    use UserFlags::{Authenticated, Flags};
    let mut request = Request::decode(&vectors("req-l8-user-smb21")[0].bytes).unwrap();
    let mut through = |level, flags| {
        request.level = level;
        session_of(&mut request)
            .unwrap()
            .info
            .as_mut()
            .unwrap()
            .user_flags = flags;
        let packet = request.encode().unwrap();
        let mut decoded = Request::decode(packet.expose()).unwrap();
        session_of(&mut decoded)
            .unwrap()
            .info
            .as_ref()
            .unwrap()
            .user_flags
    };
    for level in [Level::L4, Level::L5] {
        assert_eq!(through(level, Flags(0x120)), Authenticated(1));
        assert_eq!(through(level, Flags(0x121)), Authenticated(0));
        assert_eq!(through(level, Authenticated(1)), Authenticated(1));
    }
    assert_eq!(through(Level::L7, Authenticated(1)), Authenticated(1));
    assert_eq!(through(Level::L7, Flags(0x120)), Flags(0x120));
    assert_eq!(through(Level::L8, Authenticated(1)), Flags(0));
    assert_eq!(through(Level::L8, Authenticated(0)), Flags(1));
    assert_eq!(through(Level::L8, Flags(0x121)), Flags(0x121));
}

#[test]
fn flags_at_the_end_of_a_packet_of_level_7_have_the_size_that_is_left() {
    let vector = &vectors("req-l7-no-strings")[0];
    let mut request = Request::decode(&vector.bytes).unwrap();
    let info = session_of(&mut request).unwrap().info.as_mut().unwrap();
    assert_eq!(info.user_flags, UserFlags::Authenticated(1));
    info.user_flags = UserFlags::Flags(1);
    let packet = request.encode().unwrap();
    assert_eq!(packet.len(), vector.bytes.len() + 3);
    assert_eq!(Request::decode(packet.expose()), Ok(request));
}

#[test]
fn what_a_level_has_no_field_for_is_left_out() {
    let mut request = Request::decode(&vectors("req-l8-device-sids")[0].bytes).unwrap();
    request.transport = Transport::LOCAL;
    request.need_idle_server = true;
    for &level in Level::ALL {
        request.level = level;
        let packet = request.encode().unwrap();
        let mut decoded = Request::decode(packet.expose()).unwrap();
        assert_eq!(decoded.need_idle_server, level == Level::L5);
        assert_eq!(decoded.transport == Transport::LOCAL, level != Level::L4);
        let session = session_of(&mut decoded).unwrap();
        let token = session.security_token.as_ref().unwrap();
        assert_eq!(token.device_sids.is_empty(), level != Level::L8);
        let is_always = token.evaluate_claims == EvaluateClaims::ALWAYS;
        assert_eq!(is_always, level == Level::L8);
    }
}

#[test]
fn a_refusal_is_one_for_clients_that_look_at_either_field() {
    for &level in Level::ALL {
        for file_type in [FileType::BYTE_MODE, FileType::MESSAGE_MODE] {
            let reply = Reply::accept(level, file_type);
            assert!(reply.is_accepted());
            assert_eq!(reply.allocation_size, Reply::ALLOCATION_SIZE);
            let status = NtStatus::ACCESS_DENIED;
            assert!(!Reply { status, ..reply }.is_accepted());
        }
        let refusal = Reply::refuse(level, NtStatus::ACCESS_DENIED);
        assert_eq!(refusal.file_type, FileType::REFUSED);
        assert_eq!(refusal.status, NtStatus::ACCESS_DENIED);
        let status = NtStatus::OK;
        assert!(!Reply { status, ..refusal }.is_accepted());
    }
}

/// The caller of a captured request, with another address and another account.
fn caller(address: &str, account: &str) -> Result<Caller, NotACaller> {
    let vector = &vectors("req-l8-user-smb21")[0];
    let mut request = Request::decode(&vector.bytes).expect("it is a request");
    request.remote_client.address = Some(address.to_owned());
    let session = session_of(&mut request).expect("it has a session");
    session.info.get_or_insert_default().account_name = Some(account.to_owned());
    Caller::from_request(request)
}

#[test]
fn addresses_are_numeric_and_may_name_an_interface() {
    for (address, expected) in [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1"),
        ("fe80::1%2", "fe80::1"),
    ] {
        let caller = caller(address, "daemon").unwrap();
        assert_eq!(caller.client_address.ip().to_string(), expected);
        assert_ne!(caller.client_address.port(), 0);
    }
    for address in [
        "",
        "localhost",
        "192.0.2.1%eth0",
        "192.0.2.1:80",
        "[::1]",
        "1.2.3",
    ] {
        let error = caller(address, "daemon").unwrap_err();
        assert_eq!(error, NotACaller::Address, "{address}");
        assert!(error.to_string().contains("addresses"), "{error}");
    }
}

#[test]
fn a_caller_is_one_line_whatever_the_name() {
    let caller = caller("::1", "two\nlines \u{7f}").unwrap();
    assert_eq!(caller.account(), "two\nlines \u{7f}");
    let line = caller.to_string();
    assert!(line.contains("\\two\\nlines \\u{7f} (S-1-5-21-"), "{line}");
}
