//! Copies that cannot go on.

use tevent::Context;
use tevent_tests::contract::done;
use tsocket::{Stream, copy, memory, relay};

use super::table::Table;
use super::{Begun, Call, Complaints, calls, context};

/// Two streams to copy between, and their peers.
struct Streams {
    from: Stream,
    to: Stream,
    _peers: (Stream, Stream),
}

/// What `begin` begins with two streams of which `set` was made true.
fn of<H: 'static>(
    set: fn(&Context, &Streams) -> H,
    begin: fn(&Context, &Streams) -> Begun,
) -> (Context, Box<dyn FnMut() -> Begun>) {
    let ctx = context();
    let ((from, source), (to, sink)) = (memory::stream_pair(&ctx), memory::stream_pair(&ctx));
    done(&ctx, source.writev(&b"to be copied"[..]));
    let streams = Streams {
        from,
        to,
        _peers: (source, sink),
    };
    let held = set(&ctx, &streams);
    let weak = ctx.downgrade();
    let begin = move || {
        let _held = &held;
        begin(&weak.upgrade().expect("it is there"), &streams)
    };
    (ctx, Box::new(begin))
}

fn begin_copy(ctx: &Context, streams: &Streams) -> Begun {
    copy(ctx, &streams.from, &streams.to).into()
}

fn begin_relay(ctx: &Context, streams: &Streams) -> Begun {
    relay(ctx, &streams.from, &streams.to).into()
}

/// Nothing is done beforehand.
fn free(_: &Context, _: &Streams) {}

const CALLS: &[Call] = &[
    ("copy", "somebody else reads from the first", || {
        of(
            |ctx, streams| {
                done(ctx, streams.from.read(100));
                streams.from.read(1)
            },
            begin_copy,
        )
    }),
    ("copy", "somebody else writes to the second", || {
        of(
            |_, streams| streams.to.writev(vec![0; 64 << 20]),
            begin_copy,
        )
    }),
    ("copy", "the first was closed", || {
        of(|_, streams| streams.from.abort(), begin_copy)
    }),
    ("copy", "the second was shut down", || {
        of(
            |ctx, streams| done(ctx, streams.to.shutdown()),
            |ctx, streams| {
                streams.from.unread(vec![1]).expect("nobody reads");
                begin_copy(ctx, streams)
            },
        )
    }),
    ("copy", "the second was closed", || {
        of(
            |_, streams| streams.to.abort(),
            |ctx, streams| {
                streams.from.unread(vec![1]).expect("nobody reads");
                begin_copy(ctx, streams)
            },
        )
    }),
    ("copy", "its deadline has passed", || {
        of(free, |ctx, streams| ended(begin_copy(ctx, streams), true))
    }),
    ("copy", "it was canceled", || {
        of(free, |ctx, streams| ended(begin_copy(ctx, streams), false))
    }),
    ("relay", "somebody else reads from the second", || {
        of(|_, streams| streams.to.read(1), begin_relay)
    }),
    ("relay", "one of them was closed", || {
        of(|_, streams| streams.from.abort(), begin_relay)
    }),
    ("relay", "its deadline has passed", || {
        of(free, |ctx, streams| ended(begin_relay(ctx, streams), true))
    }),
    ("relay", "it was canceled", || {
        of(free, |ctx, streams| ended(begin_relay(ctx, streams), false))
    }),
];

/// Ends what was begun from outside.
fn ended(begun: Begun, times_out: bool) -> Begun {
    if let Begun::Going(going) = &begun {
        if times_out {
            going.time_out();
        } else {
            going.cancel();
        }
    }
    begun
}

pub(super) fn check(table: &Table) -> Complaints {
    calls(table, CALLS)
}
