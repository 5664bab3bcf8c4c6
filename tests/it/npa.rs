//! Pipes: what message mode puts on the transport, and what it makes of what comes from there.

use std::io::{self, Read as _};
use std::os::unix::net::UnixStream;

use rustix::io::Errno;
use tevent::Context;
use tevent_tests::contract::{self, Subject, done, end_of, fails, gives_back, pattern};
use tevent_tests::{Random, scaled, settle};
use tsocket::{Stream, memory, pdu};
use tsocket_bsd::stream_from_fd;
use tsocket_npa::{MessageHeader, Pipe, PipeMode, byte_mode, message_mode};

const LONGEST: usize = MessageHeader::MAX_PAYLOAD_LEN;

/// A pipe in message mode, and the bare other end of its transport.
fn pipe(ctx: &Context) -> (Stream, Stream) {
    let (near, raw) = memory::stream_pair(ctx);
    let pipe = message_mode(ctx, near).expect("a new stream can be layered");
    (pipe, raw)
}

/// The bytes of a message, by hand.
fn frame(payload: &[u8]) -> Vec<u8> {
    let len = payload.len();
    let header = [len % 256, len / 256].map(|byte| u8::try_from(byte).expect("a short message"));
    [&header[..], payload].concat()
}

#[test]
fn each_write_is_one_frame() {
    let ctx = Context::new().unwrap();
    let (pipe, raw) = pipe(&ctx);
    let mut random = Random::seeded();
    for len in [1, 2, 255, 256, 257, LONGEST - 1, LONGEST] {
        let payload = pattern(len, len);
        let split = random.below(len + 1);
        let (front, back) = payload.split_at(split);
        let written = pipe.writev(vec![front.to_vec(), vec![], back.to_vec()]);
        let expected = frame(&payload);
        assert!(done(&ctx, raw.readv(vec![0; expected.len()])) == expected);
        done(&ctx, written);
    }
    let crumbs: Vec<Vec<u8>> = pattern(0, 100).chunks(3).map(<[u8]>::to_vec).collect();
    done(&ctx, pipe.writev(crumbs));
    assert_eq!(&*done(&ctx, raw.read(1000)), frame(&pattern(0, 100)));
    assert_eq!(raw.pending_bytes().unwrap(), 0);
}

#[test]
fn a_message_that_is_too_long_is_refused_and_disturbs_nothing() {
    let ctx = Context::new().unwrap();
    let (pipe, raw) = pipe(&ctx);
    let (buffer, transferred) =
        gives_back(&ctx, pipe.writev(pattern(0, LONGEST + 1)), Errno::MSGSIZE);
    assert!(buffer == pattern(0, LONGEST + 1) && transferred == 0);
    assert_eq!(raw.pending_bytes().unwrap(), 0);
    done(&ctx, pipe.writev(&b"fits"[..]));
    assert_eq!(&*done(&ctx, raw.read(100)), b"\x04\0fits");
}

#[test]
fn a_read_is_never_bytes_of_two_messages() {
    let ctx = Context::new().unwrap();
    let (pipe, raw) = pipe(&ctx);
    let frames = [frame(b"first"), frame(b"2nd"), frame(&pattern(0, LONGEST))].concat();
    let written = raw.writev(frames);
    assert_eq!(pipe.pending_bytes().unwrap(), 0);
    assert_eq!(&*done(&ctx, pipe.read(LONGEST)), b"first");
    assert_eq!(pipe.pending_bytes().unwrap(), 0, "between two messages");
    assert_eq!(&*done(&ctx, pipe.read(1)), b"2");
    assert_eq!(pipe.pending_bytes().unwrap(), 2);
    assert_eq!(&*done(&ctx, pipe.read(LONGEST)), b"nd");
    assert!(*done(&ctx, pipe.read(LONGEST)) == pattern(0, LONGEST)[..]);
    done(&ctx, written);
}

#[test]
fn a_read_waits_for_its_whole_share_of_a_message() {
    let ctx = Context::new().unwrap();
    let (pipe, raw) = pipe(&ctx);
    let whole = pipe.read(LONGEST);
    for byte in &frame(b"0123456789")[..8] {
        done(&ctx, raw.writev(vec![*byte]));
        settle(&ctx);
        assert!(!whole.is_finished());
    }
    whole.cancel();
    fails(&ctx, whole, Errno::CANCELED);
    // Six have arrived. Who asks for no more than that gets it.
    assert_eq!(&*done(&ctx, pipe.read(2)), b"01");
    let seven = pipe.readv(vec![vec![0; 1], vec![0; 6]]);
    settle(&ctx);
    assert!(!seven.is_finished());
    assert_eq!(pipe.pending_bytes().unwrap(), 8);
    done(&ctx, raw.writev(&b"6789"[..]));
    assert_eq!(done(&ctx, seven).concat(), b"2345678");
    assert_eq!(&*done(&ctx, pipe.read(LONGEST)), b"9");
}

#[test]
fn readv_fills_its_buffers_across_the_borders_of_messages() {
    let ctx = Context::new().unwrap();
    let (pipe, raw) = pipe(&ctx);
    let frames = [frame(b"ab"), frame(b"c"), frame(b"defgh")].concat();
    done(&ctx, raw.writev(frames));
    let read = done(&ctx, pipe.readv(vec![vec![0; 1], vec![0; 5]]));
    assert_eq!(read, [&b"a"[..], b"bcdef"]);
    assert_eq!(pipe.pending_bytes().unwrap(), 2);
}

#[test]
fn a_message_without_bytes_is_an_error_and_stays_one() {
    let ctx = Context::new().unwrap();
    let (pipe, raw) = pipe(&ctx);
    done(&ctx, raw.writev(&b"\x02\0ok\0\0\x02\0no"[..]));
    assert_eq!(&*done(&ctx, pipe.read(100)), b"ok");
    fails(&ctx, pipe.read(100), Errno::IO);
    fails(&ctx, pipe.read(100), Errno::IO);
    gives_back(&ctx, pipe.readv(vec![0; 2]), Errno::IO);
    gives_back(&ctx, pipe.writev(vec![0; 2]), Errno::IO);
}

#[test]
fn the_end_is_an_error_inside_a_frame_only() {
    let ctx = Context::new().unwrap();
    for cut in 0..=12 {
        let (pipe, raw) = pipe(&ctx);
        let frames = [frame(b"done"), frame(b"late")].concat();
        if cut > 0 {
            done(&ctx, raw.writev(frames[..cut].to_vec()));
        }
        raw.abort();
        for start in [0, 6] {
            if cut >= start + 6 {
                assert_eq!(done(&ctx, pipe.read(100)).len(), 4);
            }
        }
        if cut % 6 == 0 {
            assert!(done(&ctx, pipe.read(100)).is_empty(), "cut at {cut}");
            continue;
        }
        fails(&ctx, pipe.read(100), Errno::PIPE);
        let arrived = (cut % 6).saturating_sub(2);
        if arrived > 0 {
            let rest = done(&ctx, pipe.read(arrived));
            let start = cut - arrived;
            assert_eq!(&*rest, &frames[start..cut], "it had arrived");
        }
        fails(&ctx, pipe.read(1), Errno::PIPE);
    }
}

#[test]
fn a_write_given_up_behind_its_header_ends_the_write_side() {
    for room in 0..4 {
        let ctx = Context::new().unwrap();
        let (pipe, raw) = pipe(&ctx);
        let filling = memory::CAPACITY - MessageHeader::LEN - room;
        done(&ctx, pipe.writev(pattern(0, filling)));
        let write = pipe.writev(&b"given up"[..]);
        settle(&ctx);
        write.cancel();
        let (_, transferred) = gives_back(&ctx, write, Errno::CANCELED);
        assert_eq!(transferred, room.saturating_sub(MessageHeader::LEN));
        let next = pipe.writev(&b"next"[..]);
        done(&ctx, raw.readv(vec![0; MessageHeader::LEN + filling]));
        if room == 0 {
            done(&ctx, next);
            assert_eq!(&*done(&ctx, raw.read(100)), frame(b"next"));
        } else {
            gives_back(&ctx, next, Errno::PIPE);
        }
    }
}

#[test]
fn a_write_goes_on_wherever_the_transport_cut_it() {
    for room in 0..6 {
        let ctx = Context::new().unwrap();
        let (pipe, raw) = pipe(&ctx);
        let filling = memory::CAPACITY - MessageHeader::LEN - room;
        done(&ctx, pipe.writev(pattern(0, filling)));
        let cut = pipe.writev([&b"cu"[..], b"t", b"!"]);
        settle(&ctx);
        assert_eq!(cut.is_finished(), room == 6);
        done(&ctx, raw.readv(vec![0; MessageHeader::LEN + filling]));
        assert_eq!(done(&ctx, raw.readv(vec![0; 6])), frame(b"cut!"));
        done(&ctx, cut);
        done(&ctx, pipe.writev(&b"next"[..]));
        assert_eq!(&*done(&ctx, raw.read(100)), frame(b"next"));
    }
}

#[test]
fn byte_mode_adds_nothing() {
    let ctx = Context::new().unwrap();
    let (near, raw) = memory::stream_pair(&ctx);
    let pipe = byte_mode(&ctx, near).unwrap();
    done(&ctx, pipe.writev(&b"there"[..]));
    assert_eq!(&*done(&ctx, raw.read(100)), b"there");
    done(&ctx, raw.writev(&b"back"[..]));
    assert_eq!(pipe.pending_bytes().unwrap(), 4);
    assert_eq!(&*done(&ctx, pipe.read(100)), b"back");
    fails(&ctx, pipe.shutdown(), Errno::OPNOTSUPP);
}

#[test]
fn a_pipe_can_be_layered_over_a_pipe() {
    let ctx = Context::new().unwrap();
    let (near, raw) = memory::stream_pair(&ctx);
    let inner = message_mode(&ctx, byte_mode(&ctx, near).unwrap()).unwrap();
    let pipe = message_mode(&ctx, inner).unwrap();
    done(&ctx, pipe.writev(&b"deep"[..]));
    assert_eq!(&*done(&ctx, raw.read(100)), frame(&frame(b"deep")));
    let most = LONGEST - MessageHeader::LEN;
    gives_back(&ctx, pipe.writev(pattern(0, most + 1)), Errno::MSGSIZE);
    let written = pipe.writev(pattern(0, most));
    let expected = frame(&frame(&pattern(0, most)));
    assert!(done(&ctx, raw.readv(vec![0; expected.len()])) == expected);
    done(&ctx, written);
}

#[test]
fn what_was_read_ahead_goes_with_the_transport() {
    let ctx = Context::new().unwrap();
    let ends = contract::SOCKETPAIR.ends(&ctx);
    let hello = [&b"\0\0\0\x05hello"[..], &frame(b"already here")].concat();
    done(&ctx, ends.near.writev(hello));
    let far = ends.far;
    assert_eq!(done(&ctx, far.read_pdu(pdu::u32_be(100))).len(), 9);
    let pipe = message_mode(&ctx, far).unwrap();
    let receives = ctx.stats().receives;
    assert_eq!(&*done(&ctx, pipe.read(100)), b"already here");
    assert_eq!(ctx.stats().receives, receives, "it had been received");
}

#[test]
fn a_descriptor_becomes_a_pipe() {
    let ctx = Context::new().unwrap();
    let (near, mut far) = UnixStream::pair().unwrap();
    let near = stream_from_fd(&ctx, near.into()).unwrap();
    let pipe = Pipe::new(&ctx, near, PipeMode::Message).unwrap();
    assert_eq!(pipe.mode(), PipeMode::Message);
    assert_eq!(
        (pipe.device_state(), pipe.allocation_size()),
        (0x05ff, 4096)
    );
    done(&ctx, pipe.write_message(&b"from a descriptor"[..]));
    let mut bytes = frame(b"from a descriptor");
    bytes.fill(0);
    far.read_exact(&mut bytes).unwrap();
    assert_eq!(bytes, frame(b"from a descriptor"));
    let again = pipe.clone();
    let refused = Pipe::new(&ctx, again.into_stream(), PipeMode::Byte).unwrap_err();
    assert_eq!(
        refused.error.raw_os_error(),
        Some(Errno::BUSY.raw_os_error())
    );
}

#[test]
fn the_addresses_are_those_of_the_transport() {
    let ctx = Context::new().unwrap();
    let ends = contract::TCP4.ends(&ctx);
    let own = ends.near.local_address().unwrap();
    let peer = ends.near.peer_address().unwrap();
    let pipe = message_mode(&ctx, ends.near).unwrap();
    assert_eq!(pipe.local_address().unwrap(), own);
    assert_eq!(pipe.peer_address().unwrap(), peer);
    let pipe = byte_mode(&ctx, ends.far).unwrap();
    assert_eq!(pipe.local_address().unwrap(), peer);
    assert_eq!(pipe.peer_address().unwrap(), own);
}

#[test]
fn a_stream_whose_write_side_has_ended_is_no_transport() {
    let ctx = Context::new().unwrap();
    let (near, raw) = memory::stream_pair(&ctx);
    let partial = near.writev(pattern(0, memory::CAPACITY + 1));
    drop(partial);
    let refused = message_mode(&ctx, near).unwrap_err();
    let error = io::Error::from(refused);
    assert_eq!(error.raw_os_error(), Some(Errno::PIPE.raw_os_error()));
    assert!(end_of(&ctx, raw.read(1)).is_ok());
}

/// Has `bytes` arrive in pieces as long as `piece` says, then the end; returns what reads of at most `most`
/// bytes gave, and the error behind which nothing came.
fn reads_of(
    bytes: &[u8],
    most: usize,
    mut piece: impl FnMut() -> usize,
) -> (Vec<Vec<u8>>, Option<i32>) {
    let ctx = Context::new().expect("the system has a loop");
    let (pipe, raw) = pipe(&ctx);
    let (mut rest, mut raw) = (bytes, Some(raw));
    let mut given = Vec::new();
    loop {
        let read = pipe.read(most);
        while !read.is_finished() {
            let len = piece().min(rest.len());
            if len == 0 {
                drop(raw.take());
                break;
            }
            let sender = raw.as_ref().expect("it has not ended");
            done(&ctx, sender.writev(rest[..len].to_vec()));
            rest = &rest[len..];
            settle(&ctx);
        }
        match end_of(&ctx, read) {
            Ok(chunk) if chunk.is_empty() => return (given, None),
            Ok(chunk) => given.push(chunk.to_vec()),
            Err(error) => return (given, error.raw_os_error()),
        }
    }
}

#[test]
fn messages_are_the_same_in_whatever_pieces_they_arrive() {
    let mut random = Random::seeded();
    for _ in 0..scaled(60, 3000) {
        let mut bytes = Vec::new();
        for _ in 0..random.below(6) {
            let len = [0, 1, 2, 3, 60, 300][random.below(6)];
            bytes.extend(frame(&pattern(len, len)));
        }
        bytes.truncate(bytes.len() - random.below(bytes.len().min(8) + 1));
        let most = [1, 2, 50, LONGEST][random.below(4)];
        let at_once = reads_of(&bytes, most, || usize::MAX);
        assert_eq!(at_once, reads_of(&bytes, most, || 1), "{bytes:?}");
        let in_pieces = reads_of(&bytes, most, || 1 + random.below(70));
        assert_eq!(at_once, in_pieces, "{bytes:?}");
    }
}
