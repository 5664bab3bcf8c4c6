//! The handshake of named pipes: both sides over memory and sockets, and all the ways it can fail.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use rustix::io::Errno;
use tevent::{Context, ManualClock, Request};
use tevent_tests::contract::{
    SOCKETPAIR, Subject, UNIX, done, end_of, expect_nothing_left, gives_back, pattern,
};
use tevent_tests::{everywhere, on_every_backend, settle};
use tsocket::{Stream, memory};
use tsocket_npa::codec::{
    CodecErrorKind, FileType, Guid, Level, NotACaller, NpaFlags, NtStatus, Reply, Secret, Sid,
    Transport,
};
use tsocket_npa::{
    AcceptOptions, Accepted, HandshakeError, Identity, Levels, MessageHeader, Opened, PeerPolicy,
    Pipe, PipeMode, accept, connect_over,
};

const LONGEST: usize = MessageHeader::MAX_PAYLOAD_LEN;

fn trusting() -> AcceptOptions {
    AcceptOptions::default().peers(PeerPolicy::Trusted)
}

fn alice() -> Identity {
    let sid = "S-1-5-21-1-2-3-1000".parse().expect("that is a SID");
    Identity::user("alice", "EXAMPLE", sid, 1000, 100)
}

/// Both ends of a handshake over memory.
#[track_caller]
fn opened(
    ctx: &Context,
    identity: &Identity,
    level: Level,
    options: &AcceptOptions,
) -> (Opened, Accepted) {
    let (near, far) = memory::stream_pair(ctx);
    let server = accept(ctx, far, options);
    let client = done(ctx, connect_over(ctx, near, identity, level));
    (client, done(ctx, server))
}

/// Expects `request` to fail, and returns with what.
#[track_caller]
fn failure<T>(ctx: &Context, request: Request<T, HandshakeError>) -> HandshakeError {
    match end_of(ctx, request) {
        Ok(_) => panic!("it went well"),
        Err(error) => error,
    }
}

#[track_caller]
fn expect_errno(error: HandshakeError, errno: Errno) {
    assert!(!error.to_string().is_empty());
    let error = io::Error::from(error);
    assert_eq!(error.raw_os_error(), Some(errno.raw_os_error()), "{error}");
}

#[test]
fn every_level_and_mode_opens_a_pipe_and_says_who_has_opened_it() {
    everywhere(|ctx| {
        for level in Level::ALL {
            for mode in [PipeMode::Byte, PipeMode::Message] {
                let options = trusting().mode(mode);
                let (client, server) = opened(ctx, &alice(), *level, &options);
                assert_eq!((client.level, server.level), (*level, *level));
                assert_eq!((client.pipe.mode(), server.pipe.mode()), (mode, mode));
                assert_eq!(server.caller.account(), "alice");
                done(ctx, client.pipe.stream().writev(&b"there"[..]));
                assert_eq!(&*done(ctx, server.pipe.stream().read(100)), b"there");
                done(ctx, server.pipe.stream().writev(&b"back"[..]));
                assert_eq!(&*done(ctx, client.pipe.stream().read(100)), b"back");
            }
        }
        expect_nothing_left(ctx);
    });
}

#[test]
fn all_that_an_identity_says_arrives() {
    let ctx = Context::new().unwrap();
    let group: Sid = "S-1-5-21-1-2-3-513".parse().unwrap();
    let session = Guid::from_wire(*b"a random session");
    let identity = alice()
        .sid(group)
        .sid(NpaFlags::PROBE.to_sid())
        .groups([100, 27])
        .privileges(0x80_0000)
        .client_address("192.0.2.7:50000".parse().unwrap())
        .server_address("[2001:db8::1]:445".parse().unwrap())
        .host("fileserver")
        .session_key(Secret::from(&b"0123456789abcdef"[..]))
        .session(session)
        .flags(NpaFlags::WINBIND_OFF);
    let (_, server) = opened(&ctx, &identity, Level::L8, &trusting());
    let caller = server.caller;
    assert_eq!((caller.account(), caller.domain()), ("alice", "EXAMPLE"));
    assert!(caller.is_authenticated() && !caller.is_anonymous() && !caller.is_system());
    assert!(caller.has_sid(&group) && caller.has_sid(&Sid::unix_user(1000)));
    let sids = &caller.token.sids;
    assert!(
        sids.iter().all(|sid| NpaFlags::from_sid(sid).is_none()),
        "{sids:?}"
    );
    assert_eq!(caller.flags, NpaFlags::WINBIND_OFF);
    assert_eq!(caller.token.privilege_mask, 0x80_0000);
    let unix = caller.unix_token.clone().unwrap();
    assert_eq!(
        (unix.uid, unix.gid, unix.groups),
        (1000, 100, vec![100, 27])
    );
    assert_eq!(caller.client_address, "192.0.2.7:50000".parse().unwrap());
    assert_eq!(caller.server_address, "[2001:db8::1]:445".parse().unwrap());
    assert_eq!(caller.transport, Transport::NAMED_PIPE);
    assert_eq!(caller.session_key.expose(), b"0123456789abcdef");
    assert_eq!(caller.session, session);
    assert_eq!(caller.unix_info.unix_name.as_deref(), Some("alice"));
}

#[test]
fn anonymous_and_the_system_are_told_by_their_sids() {
    let ctx = Context::new().unwrap();
    for level in Level::ALL {
        let (_, server) = opened(&ctx, &Identity::anonymous(), *level, &trusting());
        assert!(server.caller.is_anonymous() && !server.caller.is_authenticated());
        let (_, server) = opened(&ctx, &Identity::system(), *level, &trusting());
        assert!(server.caller.is_system() && server.caller.is_authenticated());
        assert_eq!(server.caller.unix_token.unwrap().uid, 0);
        if *level > Level::L4 {
            assert_eq!(server.caller.transport, Transport::LOCAL);
        }
    }
}

#[test]
fn the_numbers_of_the_pipe_are_those_of_the_server() {
    let ctx = Context::new().unwrap();
    let usual = opened(&ctx, &alice(), Level::L7, &trusting().mode(PipeMode::Byte));
    let own = trusting().device_state(0x1234).allocation_size(1 << 40);
    let own = opened(&ctx, &alice(), Level::L7, &own);
    let message = opened(&ctx, &alice(), Level::L7, &trusting());
    for ((client, server), state, size) in [
        (usual, 0x00ff, 4096),
        (own, 0x1234, 1 << 40),
        (message, 0x05ff, 4096),
    ] {
        for pipe in [client.pipe, server.pipe] {
            assert_eq!((pipe.device_state(), pipe.allocation_size()), (state, size));
        }
    }
}

#[test]
fn a_user_who_may_not_enter_is_told_and_the_connection_is_closed() {
    let ctx = Context::new().unwrap();
    let options = trusting().admit(|caller| match caller.is_anonymous() {
        true => Err(NtStatus::ACCESS_DENIED),
        false => Ok(()),
    });
    let (near, far) = memory::stream_pair(&ctx);
    let server = accept(&ctx, far, &options);
    let client = connect_over(&ctx, near, &Identity::anonymous(), Level::L8);
    let refused = failure(&ctx, client);
    assert!(matches!(
        refused,
        HandshakeError::Refused {
            status: NtStatus::ACCESS_DENIED,
            file_type: FileType::REFUSED,
        }
    ));
    expect_errno(refused, Errno::ACCESS);
    expect_errno(failure(&ctx, server), Errno::ACCESS);
    opened(&ctx, &alice(), Level::L8, &options);
}

/// Sends `packet` to a server, and returns what it answers before it closes and what it says itself.
#[track_caller]
fn answer_to(ctx: &Context, packet: &[u8], options: &AcceptOptions) -> (Vec<u8>, HandshakeError) {
    let (near, far) = memory::stream_pair(ctx);
    let server = accept(ctx, far, options);
    done(ctx, near.writev(packet.to_vec()));
    let mut answer = Vec::new();
    loop {
        let chunk = done(ctx, near.read(1000));
        if chunk.is_empty() {
            break;
        }
        answer.extend_from_slice(&chunk);
    }
    drop(near);
    (answer, failure(ctx, server))
}

#[test]
fn a_request_that_makes_no_sense_is_refused_as_smbd_understands_it() {
    let ctx = Context::new().unwrap();
    let mut no_session = alice().request(Level::L7);
    no_session.session_info = None;
    let mut no_token = alice().request(Level::L8);
    let session = no_token.session_info.as_mut().unwrap();
    session.session_info.as_mut().unwrap().security_token = None;
    let mut no_address = alice().request(Level::L5);
    no_address.remote_client.address = None;
    let mut a_name = alice().request(Level::L4);
    a_name.local_server.address = Some("localhost".to_owned());
    for (request, reason, status) in [
        (
            no_session,
            NotACaller::NoSession,
            NtStatus::INVALID_PARAMETER,
        ),
        (no_token, NotACaller::NoSession, NtStatus::INVALID_PARAMETER),
        (no_address, NotACaller::Address, NtStatus::INVALID_ADDRESS),
        (a_name, NotACaller::Address, NtStatus::INVALID_ADDRESS),
    ] {
        let packet = request.encode().unwrap();
        let (answer, error) = answer_to(&ctx, packet.expose(), &trusting());
        let reply = Reply::decode(&answer).unwrap();
        assert_eq!(reply, Reply::refuse(request.level, status));
        assert!(matches!(error, HandshakeError::Nobody(found) if found == reason));
        expect_errno(error, Errno::PROTONOSUPPORT);
    }
}

#[test]
fn what_cannot_be_read_is_not_answered() {
    let ctx = Context::new().unwrap();
    let good = alice().request(Level::L7).encode().unwrap();
    let good = good.expose();
    let changed = |at: usize, byte: u8| {
        let mut packet = good.to_vec();
        packet[at] = byte;
        packet
    };
    let mut unknown = changed(8, 6);
    unknown[12] = 6;
    for (packet, errno) in [
        (changed(4, b'X'), Errno::PROTO),
        (unknown.clone(), Errno::PROTO),
        (changed(12, 8), Errno::BADMSG),
        (b"\0\0\0\0".to_vec(), Errno::BADMSG),
        (b"\xff\xff\xff\xffNPAM".to_vec(), Errno::MSGSIZE),
    ] {
        let (answer, error) = answer_to(&ctx, &packet, &trusting());
        assert!(answer.is_empty());
        expect_errno(error, errno);
    }
    let (_, error) = answer_to(&ctx, &unknown, &trusting());
    let HandshakeError::Packet(packet) = &error else {
        panic!("{error}");
    };
    assert_eq!(*packet.kind(), CodecErrorKind::UnknownLevel(6));
    assert!(error.to_string().contains("level 6 is none of 4, 5, 7, 8"));
    let small = trusting().max_request_len(good.len() - 1);
    let (answer, error) = answer_to(&ctx, good, &small);
    assert!(answer.is_empty());
    expect_errno(error, Errno::MSGSIZE);
}

#[test]
fn a_probe_is_answered_and_closed() {
    let ctx = Context::new().unwrap();
    let packet = alice().flags(NpaFlags::PROBE).request(Level::L8).encode();
    let (answer, error) = answer_to(&ctx, packet.unwrap().expose(), &trusting());
    assert!(Reply::decode(&answer).unwrap().is_accepted());
    assert!(matches!(error, HandshakeError::Probe));
    expect_errno(error, Errno::CONNABORTED);
}

#[test]
fn what_follows_the_request_is_the_first_of_the_pipe_however_it_is_cut() {
    on_every_backend(|ctx| {
        let packet = alice().request(Level::L8).encode().unwrap();
        let bytes = [packet.expose(), b"\x05\0first\x06\0second"].concat();
        for cut in [
            1,
            3,
            4,
            5,
            8,
            16,
            500,
            packet.len() - 1,
            packet.len(),
            packet.len() + 1,
        ] {
            let ends = SOCKETPAIR.ends(ctx);
            let server = accept(ctx, ends.far, &trusting());
            done(ctx, ends.near.writev(bytes[..cut].to_vec()));
            settle(ctx);
            done(ctx, ends.near.writev(bytes[cut..].to_vec()));
            let pipe = done(ctx, server).pipe;
            assert_eq!(&*done(ctx, pipe.read_message()), b"first");
            assert_eq!(&*done(ctx, pipe.read_message()), b"second");
            let reply = done(ctx, ends.near.readv(vec![0; Reply::LEN]));
            assert!(Reply::decode(&reply).unwrap().is_accepted());
        }
    });
}

#[test]
fn a_peer_that_closes_early_ends_the_handshake() {
    let ctx = Context::new().unwrap();
    let packet = alice().request(Level::L8).encode().unwrap();
    for cut in [0, 2, 4, 100, packet.len() - 1] {
        let (near, far) = memory::stream_pair(&ctx);
        let server = accept(&ctx, far, &trusting());
        if cut > 0 {
            done(&ctx, near.writev(packet.expose()[..cut].to_vec()));
        }
        drop(near);
        let error = failure(&ctx, server);
        assert!(matches!(error, HandshakeError::Closed));
        expect_errno(error, Errno::PIPE);
    }
}

#[test]
fn a_silent_peer_is_closed_by_the_deadline() {
    let clock = ManualClock::new();
    let ctx = Context::builder().manual_clock(&clock).build().unwrap();
    let (near, far) = memory::stream_pair(&ctx);
    let server = accept(&ctx, far, &trusting().timeout(Duration::from_secs(3)));
    done(&ctx, near.writev(&b"\0\x0f\xff\xf0NPAM"[..]));
    settle(&ctx);
    assert!(!server.is_finished());
    clock.advance(Duration::from_secs(3));
    expect_errno(failure(&ctx, server), Errno::TIMEDOUT);
    assert!(done(&ctx, near.read(1)).is_empty(), "it is closed");
}

#[test]
fn nobody_is_believed_over_a_transport_that_does_not_say_who_the_peer_is() {
    let ctx = Context::new().unwrap();
    let (near, far) = memory::stream_pair(&ctx);
    let server = accept(&ctx, far, &AcceptOptions::default());
    let error = failure(&ctx, server);
    assert!(matches!(error, HandshakeError::UnknownPeer));
    expect_errno(error, Errno::OPNOTSUPP);
    gives_back(&ctx, near.writev(&b"closed"[..]), Errno::PIPE);
    let ends = UNIX.ends(&ctx);
    let server = accept(&ctx, ends.far, &AcceptOptions::default());
    let client = connect_over(&ctx, ends.near, &alice(), Level::L8);
    done(&ctx, client);
    done(&ctx, server);
}

/// Answers whatever is asked with `answer`, and closes.
fn server_that_says(ctx: &Context, far: Stream, answer: Vec<u8>) -> Request<io::Result<()>> {
    ctx.spawn(async move {
        drop(far.read(LONGEST).await?);
        if !answer.is_empty() {
            far.writev(answer).await?;
        }
        Ok(())
    })
}

#[test]
fn a_client_tells_refusals_from_broken_answers() {
    let ctx = Context::new().unwrap();
    let good = Reply::accept(Level::L7, FileType::MESSAGE_MODE);
    let encode = |reply: Reply| reply.encode().to_vec();
    let other_type = Reply {
        file_type: FileType(5),
        ..good
    };
    let bad_status = Reply {
        status: NtStatus::ACCESS_DENIED,
        ..good
    };
    let mut too_long = encode(good);
    too_long[3] += 1;
    too_long.push(0);
    for (answer, errno) in [
        (
            encode(Reply {
                level: Level::L8,
                ..good
            }),
            Errno::IO,
        ),
        (encode(other_type), Errno::ACCESS),
        (encode(bad_status), Errno::ACCESS),
        (
            encode(Reply::refuse(Level::L7, NtStatus::OK)),
            Errno::ACCESS,
        ),
        (vec![], Errno::PIPE),
        (encode(good)[..35].to_vec(), Errno::PIPE),
        (too_long, Errno::MSGSIZE),
        (
            b"HTTP/1.1 400 Bad Request\r\n\r\nnothing of use".to_vec(),
            Errno::MSGSIZE,
        ),
    ] {
        let (near, far) = memory::stream_pair(&ctx);
        let server = server_that_says(&ctx, far, answer);
        let client = connect_over(&ctx, near, &alice(), Level::L7);
        expect_errno(failure(&ctx, client), errno);
        drop(server);
    }
}

#[test]
fn a_handshake_dropped_at_any_point_closes_and_leaves_nothing() {
    let ctx = Context::new().unwrap();
    for turns in 0..40 {
        let (near, far) = memory::stream_pair(&ctx);
        let server = accept(&ctx, far, &trusting());
        let client = connect_over(&ctx, near, &alice(), Level::L8);
        for _ in 0..turns {
            ctx.run_once().unwrap();
        }
        if turns % 2 == 0 {
            drop(server);
            drop(end_of(&ctx, client));
        } else {
            drop(client);
            drop(end_of(&ctx, server));
        }
        expect_nothing_left(&ctx);
    }
}

#[test]
fn a_message_of_any_size_is_one_message_at_the_other_end() {
    let ctx = Context::new().unwrap();
    let (client, server) = opened(&ctx, &alice(), Level::L8, &trusting());
    for len in [1, 2, 255, 256, 4096, LONGEST - 1, LONGEST] {
        let payload = pattern(len, len);
        let (front, back) = payload.split_at(len / 2);
        let written = client.pipe.write_message([front.to_vec(), back.to_vec()]);
        assert!(*done(&ctx, server.pipe.read_message()) == payload[..]);
        done(&ctx, written);
    }
    gives_back(
        &ctx,
        client.pipe.write_message(Vec::<u8>::new()),
        Errno::INVAL,
    );
    let too_long = client.pipe.write_message(pattern(0, LONGEST + 1));
    gives_back(&ctx, too_long, Errno::MSGSIZE);
    drop(client);
    assert!(done(&ctx, server.pipe.read_message()).is_empty());
}

#[test]
fn byte_mode_has_no_messages() {
    let ctx = Context::new().unwrap();
    let (near, _far) = memory::stream_pair(&ctx);
    let pipe = Pipe::new(&ctx, near, PipeMode::Byte).unwrap();
    let read = end_of(&ctx, pipe.read_message()).unwrap_err();
    assert_eq!(read.raw_os_error(), Some(Errno::OPNOTSUPP.raw_os_error()));
    let (buffer, transferred) = gives_back(&ctx, pipe.write_message(vec![1, 2]), Errno::OPNOTSUPP);
    assert_eq!((buffer, transferred), (vec![1, 2], 0));
}

#[test]
fn a_session_key_is_never_printed() {
    let ctx = Context::new().unwrap();
    let key = b"\x4b\x65\x59\x21-marker-key";
    let identity = alice().session_key(Secret::from(&key[..]));
    let seen: Rc<RefCell<String>> = Rc::default();
    let log = seen.clone();
    let options = trusting().admit(move |caller| {
        log.borrow_mut().push_str(&format!("{caller} {caller:?}"));
        Ok(())
    });
    let (near, far) = memory::stream_pair(&ctx);
    let server = accept(&ctx, far, &options);
    let client = connect_over(&ctx, near, &identity, Level::L8);
    seen.borrow_mut().push_str(&format!(
        "{server:?} {client:?} {identity:?} {:?} {options:?} {} {}",
        identity.request(Level::L8),
        ctx.dump(),
        ctx.dump().to_json()
    ));
    let (client, server) = (done(&ctx, client), done(&ctx, server));
    seen.borrow_mut()
        .push_str(&format!("{client:?} {server:?} {:?}", Levels::Any));
    assert_eq!(server.caller.session_key.expose(), key);
    let seen = seen.borrow();
    for marker in ["marker-key", "4b655921", "4b, 65", "75, 101", "[75"] {
        assert!(!seen.contains(marker), "{marker} in {seen}");
    }
}
