//! PDUs that cannot be read.

use std::io;

use tevent_tests::contract::done;
use tsocket::pdu::{self, NextVector, VectorProgress};
use tsocket::{Buffers, MAX_BUFFER_COUNT, PartsMut, ReadBuffers, Stream, memory};

use super::table::Table;
use super::{Begun, Call, Complaints, OWN, calls, context};

/// What `begin` begins where the peer has sent `sent`, and closed if it `closes`.
fn of(
    sent: &'static [u8],
    closes: bool,
    begin: fn(&Stream) -> Begun,
) -> (tevent::Context, Box<dyn FnMut() -> Begun>) {
    let ctx = context();
    let (near, far) = memory::stream_pair(&ctx);
    done(&ctx, far.writev(sent));
    if closes {
        far.abort();
    }
    let begin = move || {
        assert!(far.pending_bytes().is_ok() || closes, "the peer is there");
        begin(&near)
    };
    (ctx, Box::new(begin))
}

/// Wants so many more bytes, whatever there is.
fn wants(more: usize) -> impl FnMut(&[u8]) -> io::Result<usize> {
    move |arrived| Ok(if arrived.is_empty() { 1 } else { more })
}

const CALLS: &[Call] = &[
    ("read_pdu", "the rule wants nothing at first", || {
        of(b"x", false, |near| near.read_pdu(|_| Ok(0)).into())
    }),
    ("read_pdu", "what the rule wants overflows", || {
        of(b"x", false, |near| near.read_pdu(wants(usize::MAX)).into())
    }),
    ("read_pdu", "the rule fails", || {
        of(b"x", false, |near| {
            near.read_pdu(|_| Err(OWN.into())).into()
        })
    }),
    ("read_pdu", "the peer closes inside of it", || {
        of(b"xy", true, |near| near.read_pdu(wants(1)).into())
    }),
    ("read_pdu", "a prefix above the limit", || {
        of(b"\x02", false, |near| near.read_pdu(pdu::u8(1)).into())
    }),
    ("read_pdu", "a header above the limit", || {
        of(b"xy", false, |near| {
            near.read_pdu(pdu::header(2, 4, |_| Ok(5))).into()
        })
    }),
    ("read_pdu", "a header that is longer than the whole", || {
        of(b"xy", false, |near| {
            near.read_pdu(pdu::header(2, 4, |_| Ok(1))).into()
        })
    }),
    ("read_pdu", "no delimiter within the limit", || {
        of(b"xy", false, |near| {
            near.read_pdu(pdu::delimited(b"\n", 2)).into()
        })
    }),
    ("read_pdu", "an empty delimiter", || {
        of(b"xy", false, |near| {
            near.read_pdu(pdu::delimited(b"", 2)).into()
        })
    }),
    ("read_pdu_into", "a vector without bytes", || {
        of(b"x", false, |near| {
            near.read_pdu_into(Once::of(vec![vec![]])).into()
        })
    }),
    ("read_pdu_into", "a vector of too many buffers", || {
        of(b"x", false, |near| {
            let many = vec![vec![0]; MAX_BUFFER_COUNT + 1];
            near.read_pdu_into(Once::of(many)).into()
        })
    }),
    ("read_pdu_into", "the PDU fails", || {
        of(b"x", false, |near| {
            near.read_pdu_into(Once::default()).into()
        })
    }),
    ("read_pdu_into", "the peer closes inside of it", || {
        of(b"x", true, |near| {
            near.read_pdu_into(Once::of(vec![vec![0; 2]])).into()
        })
    }),
];

pub(super) fn check(table: &Table) -> Complaints {
    calls(table, CALLS)
}

/// A PDU of one vector; it fails if it was given none.
#[derive(Default)]
pub(super) struct Once {
    buffers: Vec<Vec<u8>>,
    step: usize,
}

impl Once {
    pub(super) fn of(buffers: Vec<Vec<u8>>) -> Self {
        Self { buffers, step: 0 }
    }
}

impl Buffers for Once {
    fn empty() -> Self {
        Self::default()
    }
}

impl ReadBuffers for Once {
    fn parts_mut<'a>(&'a mut self, parts: &mut PartsMut<'a>) {
        if self.step == 1 {
            self.buffers.parts_mut(parts);
        }
    }
}

impl NextVector for Once {
    fn next_vector(&mut self, _: &VectorProgress<'_>) -> io::Result<()> {
        self.step += 1;
        if self.buffers.is_empty() {
            return Err(OWN.into());
        }
        Ok(())
    }
}
