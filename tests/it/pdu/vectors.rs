//! PDUs that are read into buffers of their own: whichever they choose, until they choose none.

use std::io;
use std::time::Duration;

use rustix::io::Errno;
use tevent::{Context, Queue};
use tevent_tests::contract::{SOCKETPAIR, done, gives_back, tell};
use tevent_tests::settle;
use tsocket::pdu::{NextVector, VectorProgress};
use tsocket::{Buffers, MAX_BUFFER_COUNT, PartsMut, ReadBuffers, memory};

/// Two lengths of one byte, then two bodies that are filled by one vector.
#[derive(Debug, Default, PartialEq)]
struct Packet {
    lens: [u8; 2],
    bodies: [Vec<u8>; 2],
    step: usize,
    seen: Vec<(usize, usize)>,
}

impl Buffers for Packet {
    fn empty() -> Self {
        Self::default()
    }
}

impl ReadBuffers for Packet {
    fn parts_mut<'a>(&'a mut self, parts: &mut PartsMut<'a>) {
        match self.step {
            1 => parts.push(&mut self.lens),
            2 => self.bodies.parts_mut(parts),
            _ => {}
        }
    }
}

impl NextVector for Packet {
    fn next_vector(&mut self, progress: &VectorProgress<'_>) -> io::Result<()> {
        let pending = progress.pending_bytes()?;
        self.seen.push((progress.transferred(), pending));
        self.step += 1;
        if self.step == 2 {
            if self.lens[0] == b'!' {
                return Err(Errno::PROTO.into());
            }
            self.bodies = self.lens.map(|len| vec![0; usize::from(len)]);
        }
        Ok(())
    }
}

#[test]
fn several_buffers_are_filled_by_one_vector_and_none_is_the_end() {
    tell(SOCKETPAIR, |ends| {
        let (ctx, near, far) = (&ends.ctx, &ends.near, &ends.far);
        done(ctx, near.writev(&b"\x02\x03abcde and more"[..]));
        let read = done(ctx, far.read_pdu_into(Packet::default()));
        assert_eq!(read.bodies, [b"ab".to_vec(), b"cde".to_vec()]);
        assert_eq!(read.seen, [(0, 16), (2, 14), (7, 9)]);
        assert_eq!(&*done(ctx, far.read(100)), b" and more");
    });
}

#[test]
fn it_may_come_byte_by_byte() {
    let ctx = Context::new().unwrap();
    let (near, far) = memory::stream_pair(&ctx);
    let read = far.read_pdu_into(Packet::default());
    for byte in b"\x02\x01abc" {
        assert!(!read.is_finished());
        done(&ctx, near.writev(vec![*byte]));
        settle(&ctx);
    }
    assert_eq!(done(&ctx, read).bodies, [b"ab".to_vec(), b"c".to_vec()]);
}

#[test]
fn its_error_gives_the_pdu_back() {
    let ctx = Context::new().unwrap();
    let (near, far) = memory::stream_pair(&ctx);
    done(&ctx, near.writev(&b"!!next"[..]));
    let (packet, transferred) =
        gives_back(&ctx, far.read_pdu_into(Packet::default()), Errno::PROTO);
    assert_eq!((packet.lens, transferred), (*b"!!", 2));
    assert_eq!(&*done(&ctx, far.read(100)), b"next", "the stream goes on");
}

#[test]
fn one_that_is_given_up_comes_back_with_what_had_arrived() {
    let ctx = Context::new().unwrap();
    let (near, far) = memory::stream_pair(&ctx);
    done(&ctx, near.writev(&b"\x02\x03abc"[..]));
    let late = far.read_pdu_into(Packet::default());
    late.set_timeout(Duration::from_millis(1));
    let (packet, transferred) = gives_back(&ctx, late, Errno::TIMEDOUT);
    assert_eq!(packet.bodies, [b"ab".to_vec(), b"c\0\0".to_vec()]);
    assert_eq!(transferred, 5);
    near.abort();
    let (_, transferred) = gives_back(&ctx, far.read_pdu_into(Packet::default()), Errno::PIPE);
    assert_eq!(transferred, 0, "the end between two");
}

#[test]
fn the_end_inside_of_one_says_how_much_had_arrived() {
    let ctx = Context::new().unwrap();
    for (bytes, len) in [(&b"\x02"[..], 1), (b"\x02\x03", 2), (b"\x02\x03abcd", 6)] {
        let (near, far) = memory::stream_pair(&ctx);
        done(&ctx, near.writev(bytes));
        near.abort();
        let read = far.read_pdu_into(Packet::default());
        assert_eq!(gives_back(&ctx, read, Errno::PIPE).1, len);
    }
}

/// A PDU of the given buffers, in one vector.
#[derive(Debug, Default, PartialEq)]
struct Once(Vec<Vec<u8>>, bool);

impl Buffers for Once {
    fn empty() -> Self {
        Self::default()
    }
}

impl ReadBuffers for Once {
    fn parts_mut<'a>(&'a mut self, parts: &mut PartsMut<'a>) {
        if self.1 {
            self.0.parts_mut(parts);
        }
    }
}

impl NextVector for Once {
    fn next_vector(&mut self, _: &VectorProgress<'_>) -> io::Result<()> {
        self.1 = !self.1;
        Ok(())
    }
}

#[test]
fn what_one_operation_cannot_take_is_refused() {
    let ctx = Context::new().unwrap();
    let (near, far) = memory::stream_pair(&ctx);
    let read = |buffers| far.read_pdu_into(Once(buffers, false));
    assert_eq!(done(&ctx, read(vec![])), Once(vec![], true), "complete");
    gives_back(&ctx, read(vec![vec![], vec![]]), Errno::INVAL);
    let many = vec![vec![0; 1]; MAX_BUFFER_COUNT + 1];
    gives_back(&ctx, read(many), Errno::MSGSIZE);
    let outstanding = far.read(1);
    gives_back(&ctx, read(vec![vec![0; 1]]), Errno::BUSY);
    done(&ctx, near.writev(&b"xy"[..]));
    assert_eq!(&*done(&ctx, outstanding), b"x");
    assert_eq!(done(&ctx, read(vec![vec![0; 1]])).0, [b"y"]);
}

#[test]
fn queued_ones_take_their_turns() {
    let ctx = Context::new().unwrap();
    let (near, far) = memory::stream_pair(&ctx);
    let queue = Queue::new(&ctx);
    let reads: Vec<_> = (0..3)
        .map(|_| far.read_pdu_into_queued(&queue, Packet::default()))
        .collect();
    done(&ctx, near.writev(&b"\x01\x01ab\x01\x01cd\x01\x01ef"[..]));
    let bodies: Vec<_> = reads
        .into_iter()
        .map(|read| done(&ctx, read).bodies.concat())
        .collect();
    assert_eq!(bodies, [b"ab", b"cd", b"ef"]);
    let blocker = done(&ctx, queue.wait());
    let orphan = far.read_pdu_into_queued(&queue, Packet::default());
    drop(queue);
    gives_back(&ctx, orphan, Errno::CANCELED);
    drop(blocker);
}
