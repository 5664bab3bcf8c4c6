//! Streams in every state, and what ends their operations.

use std::any::Any;

use tevent::Context;
use tevent_tests::contract::{Kind, MEMORY, SOCKETPAIR, TCP4, done, end_of};
use tevent_tests::settle;
use tsocket::{Refused, Stream, pdu};

use super::pdus::Once;
use super::table::Table;
use super::{Begun, Column, Complaints, Ending, Row, Scene, context};

const KINDS: &[Kind] = &[MEMORY, SOCKETPAIR, TCP4];

/// Those that have parts.
const WITH_DESCRIPTORS: &[Kind] = &[SOCKETPAIR, TCP4];

/// More than any kind takes before it waits.
const ENDLESS: usize = 64 << 20;

struct Ends {
    ctx: Option<Context>,
    // Not there once it was taken apart.
    near: Option<Stream>,
    _far: Stream,
    held: Vec<Box<dyn Any>>,
}

impl Ends {
    fn new(kind: Kind) -> Self {
        let ctx = context();
        let ends = kind.ends(&ctx);
        Self {
            ctx: Some(ctx),
            near: Some(ends.near),
            _far: ends.far,
            held: Vec::new(),
        }
    }

    /// Two ends, and what `hold` keeps so that the condition lasts.
    fn holding<H: 'static>(kind: Kind, hold: fn(&Context, &Stream, &Stream) -> H) -> Self {
        let ctx = context();
        let ends = kind.ends(&ctx);
        let held = hold(&ctx, &ends.near, &ends.far);
        settle(&ctx);
        Self {
            ctx: Some(ctx),
            near: Some(ends.near),
            _far: ends.far,
            held: vec![Box::new(held)],
        }
    }

    fn near(&self) -> &Stream {
        self.near.as_ref().expect("it was not taken apart")
    }
}

impl Ends {
    /// Has the stream leave, unless it is refused.
    fn leave<T>(&mut self, leave: impl FnOnce(Stream) -> Result<T, Refused>) -> Begun {
        let near = self.near.take();
        let left = leave(near.expect("it was not taken apart before"));
        let left = left.map_err(|refused| {
            self.near = Some(refused.stream);
            refused.error
        });
        left.into()
    }
}

impl Scene for Ends {
    fn ctx(&self) -> Option<&Context> {
        self.ctx.as_ref()
    }

    fn relieve(&mut self) {
        self.held.clear();
    }
}

fn fill(near: &Stream) -> impl Any + use<> {
    near.writev(vec![0; ENDLESS])
}

const COLUMNS: &[Column<Ends>] = &[
    ("read", |ends| ends.near().read(1).into()),
    ("readv", |ends| ends.near().readv(vec![0; 1]).into()),
    ("read_pdu", |ends| ends.near().read_pdu(pdu::u8(1)).into()),
    ("read_pdu_into", |ends| {
        ends.near().read_pdu_into(Once::of(vec![vec![0]])).into()
    }),
    ("writev", |ends| ends.near().writev(&b"x"[..]).into()),
    ("shutdown", |ends| ends.near().shutdown().into()),
    ("disconnect", |ends| ends.near().disconnect().into()),
    ("into_transport", |ends| ends.leave(Stream::into_transport)),
    ("pending_bytes", |ends| ends.near().pending_bytes().into()),
    ("local_address", |ends| ends.near().local_address().into()),
    ("peer_address", |ends| ends.near().peer_address().into()),
];

const ROWS: &[Row<Kind, Ends>] = &[
    ("a read is outstanding", |kind| {
        Ends::holding(kind, |_, near, _| near.read(1))
    }),
    ("a write is outstanding", |kind| {
        Ends::holding(kind, |_, near, _| fill(near))
    }),
    ("a shutdown is outstanding", |kind| {
        Ends::holding(kind, |_, near, _| (fill(near), near.shutdown()))
    }),
    ("a disconnect is going on", |kind| {
        Ends::holding(kind, |_, near, _| near.disconnect())
    }),
    ("there is another handle", |kind| {
        Ends::holding(kind, |_, near, _| near.clone())
    }),
    ("it was shut down", |kind| {
        Ends::holding(kind, |ctx, near, _| done(ctx, near.shutdown()))
    }),
    ("a write was given up in the middle", |kind| {
        Ends::holding(kind, |ctx, near, _| {
            let filled = fill(near);
            settle(ctx);
            drop(filled);
        })
    }),
    ("it was closed", |kind| {
        Ends::holding(kind, |_, near, _| near.abort())
    }),
    ("its context is gone", |kind| {
        let mut ends = Ends::new(kind);
        ends.ctx = None;
        ends
    }),
    ("the peer has shut down", |kind| {
        Ends::holding(kind, |ctx, near, far| {
            done(ctx, far.shutdown());
            assert!(done(ctx, near.read(1)).is_empty());
        })
    }),
    ("a write has met a peer that is gone", |kind| {
        Ends::holding(kind, |ctx, near, far| {
            far.abort();
            while end_of(ctx, near.writev(&b"anybody?"[..])).is_ok() {}
        })
    }),
    ("a monitor is outstanding", |kind| {
        Ends::holding(kind, |_, near, _| near.monitor())
    }),
    ("the peer has closed, and fail-first is on", |kind| {
        Ends::holding(kind, |ctx, near, far| {
            near.set_fail_first(true);
            far.abort();
            assert!(end_of(ctx, near.read(1)).is_err());
        })
    }),
];

pub(super) fn states(table: &Table) -> Complaints {
    super::states(table, KINDS, COLUMNS, ROWS)
}

const LEAVING: &[Column<Ends>] = &[
    ("monitor", |ends| ends.near().monitor().into()),
    ("unread", |ends| ends.near().unread(vec![1]).into()),
    ("into_parts", |ends| ends.leave(Stream::into_parts)),
    ("move_to", |ends| {
        let there = context();
        ends.leave(|near| near.move_to(&there))
    }),
];

pub(super) fn leaving(table: &Table) -> Complaints {
    super::states(table, WITH_DESCRIPTORS, LEAVING, ROWS)
}

const WAITING: &[Column<Ends>] = &[
    ("read", |ends| ends.near().read(1).into()),
    ("readv", |ends| ends.near().readv(vec![0; 1]).into()),
    ("read_pdu", |ends| ends.near().read_pdu(pdu::u8(1)).into()),
    ("read_pdu_into", |ends| {
        ends.near().read_pdu_into(Once::of(vec![vec![0]])).into()
    }),
    ("writev", |ends| ends.near().writev(vec![0; ENDLESS]).into()),
    ("shutdown", |ends| {
        let filled = fill(ends.near());
        ends.held.push(Box::new(filled));
        ends.near().shutdown().into()
    }),
    ("disconnect", |ends| ends.near().disconnect().into()),
    ("monitor", |ends| ends.near().monitor().into()),
];

const ENDINGS: &[Ending<Ends>] = &[
    ("its deadline has passed", |_, going| going.time_out()),
    ("it was canceled", |_, going| going.cancel()),
    ("the stream was aborted", |ends, _| ends.near().abort()),
    ("the last handle is gone", |ends, _| drop(ends.near.take())),
];

pub(super) fn ends(table: &Table) -> Complaints {
    super::ends(table, KINDS, Ends::new, WAITING, ENDINGS)
}
