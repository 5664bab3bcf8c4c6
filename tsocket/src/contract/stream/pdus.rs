//! PDUs: as many bytes as each one says, whatever pieces they come in.

use std::io;

use super::{Ends, MAX_WRITE};
use crate::contract::{Subject, done, fails, pattern, settle};
use crate::pdu::{self, NextVector, VectorProgress};
use crate::{Buffers, PartsMut, ReadBuffers};
use rustix::io::Errno;

fn pdu_of(body: &[u8]) -> Vec<u8> {
    let len = u32::try_from(body.len()).unwrap();
    [&len.to_be_bytes()[..], body].concat()
}

pub(super) fn one_that_comes_in_one_piece(ends: &Ends) {
    let Ends { ctx, near, far, .. } = ends;
    let whole = pdu_of(b"hello");
    let read = far.read_pdu(pdu::u32_be(100));
    settle(ctx);
    done(ctx, near.writev(whole.clone()));
    assert_eq!(&*done(ctx, read), whole);
    done(ctx, near.writev(pdu_of(b"")));
    assert_eq!(&*done(ctx, far.read_pdu(pdu::u32_be(100))), pdu_of(b""));
}

pub(super) fn one_that_comes_byte_by_byte(ends: &Ends) {
    let Ends { ctx, near, far, .. } = ends;
    let whole = pdu_of(b"hello");
    let read = far.read_pdu(pdu::u32_be(100));
    for byte in &whole {
        assert!(!read.is_finished());
        done(ctx, near.writev(vec![*byte]));
        settle(ctx);
    }
    assert_eq!(&*done(ctx, read), whole);
}

pub(super) fn several_that_come_at_once(ends: &Ends) {
    let Ends { ctx, near, far, .. } = ends;
    let bodies: Vec<Vec<u8>> = (0..50).map(|len| pattern(len, 7 * len)).collect();
    let all: Vec<u8> = bodies.iter().flat_map(|body| pdu_of(body)).collect();
    done(ctx, near.writev(all));
    done(ctx, near.writev(&b"rest"[..]));
    for body in &bodies {
        let read = done(ctx, far.read_pdu(pdu::u32_be(1000)));
        assert_eq!(&*read, pdu_of(body));
    }
    assert_eq!(done(ctx, far.readv(vec![0; 4])), b"rest");
}

pub(super) fn one_that_is_larger_than_any_buffer(ends: &Ends) {
    let Ends { ctx, near, far, .. } = ends;
    let whole = pdu_of(&pattern(0, 1_000_000));
    let pieces: Vec<Vec<u8>> = whole.chunks(MAX_WRITE).map(<[u8]>::to_vec).collect();
    let read = far.read_pdu(pdu::u32_be(1_000_000));
    let written = ctx.spawn({
        let near = near.clone();
        async move {
            for piece in pieces {
                near.writev(piece).await?;
            }
            Ok::<_, io::Error>(())
        }
    });
    assert!(*done(ctx, read) == whole[..]);
    done(ctx, written).unwrap();
}

pub(super) fn one_above_the_limit_is_refused(ends: &Ends) {
    let Ends { ctx, near, far, .. } = ends;
    done(ctx, near.writev(pdu_of(b"123456")));
    fails(ctx, far.read_pdu(pdu::u32_be(5)), Errno::MSGSIZE);
    let endless = |arrived: &[u8]| Ok(if arrived.is_empty() { 1 } else { usize::MAX });
    fails(ctx, far.read_pdu(endless), Errno::MSGSIZE);
}

pub(super) fn a_peer_that_closes_inside_one(ends: &Ends) {
    let Ends { ctx, kind, .. } = ends;
    for len in [2, 4, 7] {
        let ends = kind.ends(ctx);
        let read = ends.far.read_pdu(pdu::u32_be(100));
        done(ctx, ends.near.writev(pdu_of(b"hello")[..len].to_vec()));
        settle(ctx);
        assert!(!read.is_finished());
        ends.near.abort();
        fails(ctx, read, Errno::PIPE);
    }
}

pub(super) fn the_end_between_two_is_an_empty_chunk(ends: &Ends) {
    let Ends { ctx, near, far, .. } = ends;
    done(ctx, near.writev(pdu_of(b"the only one")));
    near.abort();
    let read = done(ctx, far.read_pdu(pdu::u32_be(100)));
    assert_eq!(&*read, pdu_of(b"the only one"));
    assert!(done(ctx, far.read_pdu(pdu::u32_be(100))).is_empty());
    assert!(done(ctx, far.read_pdu(pdu::u32_be(100))).is_empty());
}

/// A length of two bytes, then a body in two buffers.
#[derive(Default)]
struct Halves {
    len: [u8; 2],
    halves: (Vec<u8>, Vec<u8>),
    step: usize,
}

impl Buffers for Halves {
    fn empty() -> Self {
        Self::default()
    }
}

impl ReadBuffers for Halves {
    fn parts_mut<'a>(&'a mut self, parts: &mut PartsMut<'a>) {
        match self.step {
            1 => parts.push(&mut self.len),
            2 => self.halves.parts_mut(parts),
            _ => {}
        }
    }
}

impl NextVector for Halves {
    fn next_vector(&mut self, progress: &VectorProgress<'_>) -> io::Result<()> {
        self.step += 1;
        if self.step == 2 {
            assert_eq!(progress.transferred(), 2);
            let len = usize::from(u16::from_be_bytes(self.len));
            self.halves = (vec![0; len / 2], vec![0; len - len / 2]);
        }
        Ok(())
    }
}

pub(super) fn one_that_chooses_its_buffers(ends: &Ends) {
    let Ends { ctx, near, far, .. } = ends;
    let len = 30_001_u16;
    let body = pattern(0, usize::from(len));
    for cut in [1, 2, 15_000] {
        let whole = [&len.to_be_bytes()[..], &body].concat();
        let read = far.read_pdu_into(Halves::default());
        done(ctx, near.writev(whole[..cut].to_vec()));
        settle(ctx);
        assert!(!read.is_finished());
        done(ctx, near.writev((whole[cut..].to_vec(), b"rest".to_vec())));
        let (first, second) = done(ctx, read).halves;
        assert!([first, second].concat() == body);
        assert_eq!(done(ctx, far.readv(vec![0; 4])), b"rest");
    }
}

pub(super) fn ones_that_end_with_a_delimiter(ends: &Ends) {
    let Ends { ctx, near, far, .. } = ends;
    let line = || far.read_pdu(pdu::delimited(b"\r\n", 20));
    done(ctx, near.writev(&b"one\r\ntwo\r"[..]));
    assert_eq!(&*done(ctx, line()), b"one\r\n");
    let second = line();
    settle(ctx);
    assert!(!second.is_finished());
    done(ctx, near.writev(&b"\nthe third is too long"[..]));
    assert_eq!(&*done(ctx, second), b"two\r\n");
    fails(ctx, line(), Errno::MSGSIZE);
}
