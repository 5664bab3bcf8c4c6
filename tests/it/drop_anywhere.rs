//! Every operation of a stream, given up at every step of its way: the stream goes on or says why not,
//! and nothing is left.

use std::any::Any;
use std::rc::Rc;

use rustix::io::Errno;
use tevent::{Context, Queue, wakeup};
use tevent_tests::contract::{self, Ends, Kind, Subject, end_of, expect_nothing_left};
use tevent_tests::{descriptors, kernel_backends, within_limit};
use tsocket::{Buffers, Parts, PartsMut, ReadBuffers, Stream, WriteBuffers, memory, pdu, relay};

/// How many rounds of the loop an operation is given before it is given up: more than any of them takes.
const STEPS: usize = 16;

const PDU_LEN: usize = 10_000;
const PDUS: usize = 6;

/// Bytes that know who else holds them.
struct Counted {
    bytes: Vec<u8>,
    _alive: Rc<()>,
}

impl Buffers for Counted {
    fn empty() -> Self {
        Self {
            bytes: Vec::new(),
            _alive: Rc::default(),
        }
    }
}

impl ReadBuffers for Counted {
    fn parts_mut<'a>(&'a mut self, parts: &mut PartsMut<'a>) {
        parts.push(&mut self.bytes);
    }
}

impl WriteBuffers for Counted {
    fn parts<'a>(&'a self, parts: &mut Parts<'a>) {
        parts.push(&self.bytes);
    }
}

/// What is outstanding, and whatever has to live as long.
type Outstanding = Box<dyn Any>;

struct Operation {
    name: &'static str,
    /// Whether giving it up may end the write side.
    may_end_writing: bool,
    /// Whether giving it up may close the stream.
    may_close: bool,
    start: fn(&Context, &Stream, &Rc<()>) -> Outstanding,
}

fn counted(alive: &Rc<()>, len: usize) -> Counted {
    Counted {
        bytes: vec![7; len],
        _alive: alive.clone(),
    }
}

const OPERATIONS: [Operation; 11] = [
    Operation {
        name: "read",
        may_end_writing: false,
        may_close: false,
        start: |_, stream, _| Box::new(stream.read(100)),
    },
    Operation {
        name: "readv",
        may_end_writing: false,
        may_close: false,
        start: |_, stream, alive| Box::new(stream.readv(counted(alive, 3 * PDU_LEN))),
    },
    Operation {
        name: "read pdu",
        may_end_writing: false,
        may_close: false,
        start: |_, stream, alive| {
            let alive = alive.clone();
            let mut next = pdu::u32_be(PDU_LEN);
            Box::new(stream.read_pdu(move |arrived| {
                assert!(Rc::strong_count(&alive) > 1);
                next(arrived)
            }))
        },
    },
    Operation {
        name: "read pdu queued",
        may_end_writing: false,
        may_close: false,
        start: |ctx, stream, _| {
            let queue = Queue::new(ctx);
            let reads = [(); 3].map(|()| stream.read_pdu_queued(&queue, pdu::u32_be(PDU_LEN)));
            Box::new((reads, queue))
        },
    },
    Operation {
        name: "writev",
        may_end_writing: true,
        may_close: false,
        start: |_, stream, alive| Box::new(stream.writev(counted(alive, 300_000))),
    },
    Operation {
        name: "writev queued",
        may_end_writing: true,
        may_close: false,
        start: |ctx, stream, alive| {
            let queue = Queue::new(ctx);
            let writes = [(); 3].map(|()| stream.writev_queued(&queue, counted(alive, 80_000)));
            Box::new((queue, writes))
        },
    },
    Operation {
        name: "shutdown behind a write",
        may_end_writing: true,
        may_close: false,
        start: |_, stream, alive| {
            let write = stream.writev(counted(alive, 300_000));
            Box::new((stream.shutdown(), write))
        },
    },
    Operation {
        name: "disconnect",
        may_end_writing: true,
        may_close: true,
        start: |_, stream, _| Box::new(stream.disconnect()),
    },
    Operation {
        name: "monitor beside a read",
        may_end_writing: false,
        may_close: false,
        start: |_, stream, alive| {
            let gone = stream.monitor();
            Box::new((stream.readv(counted(alive, 30_000)), gone))
        },
    },
    Operation {
        name: "reads and writes with fail-first",
        may_end_writing: true,
        may_close: false,
        start: |_, stream, alive| {
            stream.set_fail_first(true);
            let read = stream.readv(counted(alive, 30_000));
            Box::new((stream.writev(counted(alive, 300_000)), read))
        },
    },
    Operation {
        name: "relay",
        may_end_writing: true,
        may_close: false,
        start: |ctx, stream, _| {
            let (near, far) = memory::stream_pair(ctx);
            let back = far.writev(vec![7; 200_000]);
            Box::new((relay(ctx, stream, &near), far, back))
        },
    },
];

/// A round of the loop that does not wait.
fn round(ctx: &Context) {
    let woken = end_of(ctx, wakeup(ctx, ctx.now()));
    woken.expect("a wake-up does not fail");
}

/// The peer: sends its PDUs in uneven pieces, and reads a little in every round.
fn play(ctx: &Context, far: &Stream) -> Outstanding {
    let mut sent = Vec::new();
    for _ in 0..PDUS {
        let len = u32::try_from(PDU_LEN - 4).expect("a small number");
        sent.extend_from_slice(&len.to_be_bytes());
        sent.extend_from_slice(&[7; PDU_LEN - 4]);
    }
    let (writer, reader) = (far.clone(), far.clone());
    let clock = ctx.clone();
    let feeding = ctx.spawn(async move {
        for piece in sent.chunks(7_001) {
            writer.writev(piece.to_vec()).await.ok();
            wakeup(&clock, clock.now()).await.ok();
        }
    });
    let clock = ctx.clone();
    let draining = ctx.spawn(async move {
        while reader
            .read(40_000)
            .await
            .is_ok_and(|chunk| !chunk.is_empty())
        {
            wakeup(&clock, clock.now()).await.ok();
        }
    });
    Box::new((feeding, draining))
}

/// Expects that `near` goes on, or says why not.
#[track_caller]
fn expect_usable(ctx: &Context, near: &Stream, operation: &Operation) {
    let written = end_of(ctx, near.writev(&b"!"[..]));
    if let Err(failed) = written {
        let errno = Errno::from_io_error(&failed.error);
        let is_closed = operation.may_close && errno == Some(Errno::NOTCONN);
        let is_ended = operation.may_end_writing && errno == Some(Errno::PIPE);
        assert!(is_closed || is_ended, "{failed}");
    }
    // The peer may have sent everything by now, and closes nothing.
    let read = near.read(100);
    for _ in 0..5 {
        round(ctx);
    }
    if read.is_finished() {
        match end_of(ctx, read) {
            Ok(chunk) => assert!(!chunk.is_empty(), "an end that nobody made"),
            Err(error) => {
                let errno = Errno::from_io_error(&error);
                assert!(
                    operation.may_close && errno == Some(Errno::NOTCONN),
                    "{error}"
                );
            }
        }
    }
}

/// What goes first.
#[derive(Clone, Copy, Debug)]
enum First {
    Request,
    Handles,
    Peer,
    Context,
}

fn give_up(ctx: Context, kind: Kind, operation: &Operation, steps: usize, first: First) {
    let alive = Rc::new(());
    let Ends { near, far, .. } = kind.ends(&ctx);
    let peer = play(&ctx, &far);
    let outstanding = (operation.start)(&ctx, &near, &alive);
    for _ in 0..steps {
        round(&ctx);
    }
    match first {
        First::Request => {
            drop(outstanding);
            expect_usable(&ctx, &near, operation);
        }
        First::Handles => {
            drop(near.clone());
            drop(near);
            round(&ctx);
            drop(outstanding);
            drop((peer, far));
            expect_left_nothing(&ctx, &alive);
            return;
        }
        First::Peer => {
            drop((peer, far));
            round(&ctx);
            round(&ctx);
            drop((outstanding, near));
            expect_left_nothing(&ctx, &alive);
            return;
        }
        First::Context => {
            drop(ctx);
            drop((outstanding, near, far, peer));
            assert_eq!(Rc::strong_count(&alive), 1, "buffers were left behind");
            return;
        }
    }
    drop((near, far, peer));
    expect_left_nothing(&ctx, &alive);
}

#[track_caller]
fn expect_left_nothing(ctx: &Context, alive: &Rc<()>) {
    expect_nothing_left(ctx);
    assert_eq!(Rc::strong_count(alive), 1, "buffers were left behind");
}

#[expect(clippy::print_stdout, reason = "shown if it fails: where that was")]
fn give_everything_up(backend: &str) {
    for kind in [
        contract::MEMORY,
        contract::SOCKETPAIR,
        contract::MESSAGE_OVER_UNIX,
    ] {
        for operation in &OPERATIONS {
            for first in [First::Request, First::Handles, First::Peer, First::Context] {
                for steps in 0..STEPS {
                    println!(
                        "{}, {}, {steps} steps, {first:?}",
                        kind.name, operation.name
                    );
                    let before = descriptors();
                    let ctx = Context::with_backend(backend).expect("it is listed");
                    give_up(ctx, kind, operation, steps, first);
                    assert_eq!(descriptors(), before, "descriptors were left behind");
                }
            }
        }
    }
}

#[test]
fn whatever_is_given_up_wherever_leaves_nothing_behind() {
    tevent_tests::alone(
        "drop_anywhere::whatever_is_given_up_wherever_leaves_nothing_behind",
        || {
            for backend in kernel_backends() {
                within_limit(|| give_everything_up(backend));
            }
        },
    );
}
