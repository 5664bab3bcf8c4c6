//! What users bring themselves: buffers, kinds of addresses, and frames built by hand.

use std::fmt;
use std::io::{self, IoSlice, IoSliceMut};

use rustix::io::Errno;
use tevent::{Context, Readiness};
use tevent_tests::contract::{done, gives_back};
use tsocket::{
    Address, AddressKind, Buffers, DISCONNECT_BYTES, Parts, PartsMut, ReadBuffers, Stream,
    StreamOps, WriteBuffers, memory,
};
use tsocket_npa::{FrameError, MessageHeader, message_mode};

/// A header, and a body whose length both sides know.
#[derive(Debug, PartialEq)]
struct Packet {
    header: [u8; 4],
    body: Vec<u8>,
}

impl Buffers for Packet {
    fn empty() -> Self {
        Self {
            header: [0; 4],
            body: Vec::new(),
        }
    }
}

impl ReadBuffers for Packet {
    fn parts_mut<'a>(&'a mut self, parts: &mut PartsMut<'a>) {
        parts.push(&mut self.header);
        parts.push(&mut self.body);
    }
}

impl WriteBuffers for Packet {
    fn parts<'a>(&'a self, parts: &mut Parts<'a>) {
        parts.push(&self.header);
        parts.push(&self.body);
    }
}

#[test]
fn buffers_of_ones_own_are_written_and_filled() {
    let ctx = Context::new().unwrap();
    let (near, far) = memory::stream_pair(&ctx);
    let sent = Packet {
        header: *b"head",
        body: b"and a body".to_vec(),
    };
    let sent = done(&ctx, near.writev(sent));
    let room = Packet {
        body: vec![0; 10],
        ..Packet::empty()
    };
    assert_eq!(done(&ctx, far.readv(room)), sent);
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Tunnel(u32);

impl fmt::Display for Tunnel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tunnel:{}", self.0)
    }
}

impl AddressKind for Tunnel {}

#[test]
fn an_address_kind_of_ones_own_is_an_address_like_any_other() {
    let address = Address::custom(Tunnel(7));
    assert_eq!(address.to_string(), "tunnel:7");
    assert_eq!(address.as_custom::<Tunnel>(), Some(&Tunnel(7)));
    assert_eq!(address, Address::custom(Tunnel(7)));
    assert_ne!(address, Address::custom(Tunnel(8)));
    assert!(!address.is_unix() && address.port().is_err());
}

#[test]
fn frames_built_by_hand_are_what_a_pipe_writes_and_reads() {
    let ctx = Context::new().unwrap();
    let (near, far) = memory::stream_pair(&ctx);
    let pipe = message_mode(&ctx, near).unwrap();
    done(&ctx, pipe.writev(b"out".to_vec()));
    let header = MessageHeader::for_payload(3).unwrap();
    assert_eq!(
        &*done(&ctx, far.read(100)),
        [&header.encode()[..], b"out"].concat()
    );
    assert_eq!(
        MessageHeader::decode(header.encode())
            .unwrap()
            .payload_len(),
        3
    );
    let frame = [&MessageHeader::for_payload(2).unwrap().encode()[..], b"in"].concat();
    done(&ctx, far.writev(frame));
    assert_eq!(&*done(&ctx, pipe.read(100)), b"in");
    assert_eq!(
        MessageHeader::decode([0, 0]).unwrap_err(),
        FrameError::EmptyMessage
    );
    assert!(MessageHeader::for_payload(MessageHeader::MAX_PAYLOAD_LEN + 1).is_err());
}

#[test]
fn a_disconnect_drains_a_bounded_number_of_bytes() {
    let ctx = Context::new().unwrap();
    let (near, far) = memory::stream_pair(&ctx);
    let flood = far.writev(vec![0; 2 * DISCONNECT_BYTES]);
    done(&ctx, near.disconnect());
    let failed = ctx.run_until(flood).unwrap().unwrap_err();
    let slack = 2 * memory::CAPACITY;
    let drained = DISCONNECT_BYTES..=DISCONNECT_BYTES + slack;
    assert!(
        drained.contains(&failed.transferred),
        "{} bytes",
        failed.transferred
    );
}

#[test]
fn a_disconnect_goes_on_when_the_last_handle_is_gone() {
    let ctx = Context::new().unwrap();
    let (near, far) = memory::stream_pair(&ctx);
    done(&ctx, near.writev(b"last words".to_vec()));
    near.disconnect().detach();
    drop(near);
    assert_eq!(&*done(&ctx, far.read(100)), b"last words");
    assert!(
        done(&ctx, far.read(100)).is_empty(),
        "the end is an orderly one"
    );
    assert_eq!(ctx.dump().entries().len(), 1, "it waits for the other end");
    drop(far);
    ctx.run().unwrap();
    assert!(ctx.dump().entries().is_empty());
}

/// A stream whose writes answer that they took nothing.
struct Refusing;

impl StreamOps for Refusing {
    fn try_readv(&mut self, _: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        Ok(0)
    }

    fn try_writev(&mut self, _: &[IoSlice<'_>]) -> io::Result<usize> {
        Ok(0)
    }

    fn pending_bytes(&mut self) -> io::Result<usize> {
        Ok(0)
    }

    fn try_shutdown(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn local_address(&self) -> io::Result<Address> {
        Ok(Address::unix_unnamed())
    }

    fn peer_address(&self) -> io::Result<Address> {
        Ok(Address::unix_unnamed())
    }

    fn told(&mut self, readiness: Readiness) -> Readiness {
        readiness
    }

    fn unwanted(&mut self, _: Readiness) {}
}

#[test]
fn a_write_of_which_nothing_is_taken_fails_instead_of_hanging() {
    let ctx = Context::new().unwrap();
    let stream = Stream::new(&ctx, |_| Ok(Box::new(Refusing))).unwrap();
    gives_back(&ctx, stream.writev(b"anybody?".to_vec()), Errno::PIPE);
}
