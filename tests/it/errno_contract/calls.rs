//! Calls that are refused for what they ask, and those whose queue is gone.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixStream};

use tevent::{Context, Queue};
use tevent_tests::contract::{MESSAGE_OVER_MEMORY, done};
use tsocket::{Address, Datagram, Family, MAX_BUFFER_COUNT, Stream, memory, pdu};
use tsocket_bsd::{DatagramOptions, FDS_MAX, FdPassing, datagram, datagram_from_fd};
use tsocket_npa::MessageHeader;

use super::pdus::Once;
use super::table::Table;
use super::{Begun, Call, Complaints, calls, context};

type Provoked = (Context, Box<dyn FnMut() -> Begun>);

/// What `begin` begins on one end of a pair.
fn of_stream(begin: fn(&Stream) -> Begun) -> Provoked {
    let ctx = context();
    let (near, far) = memory::stream_pair(&ctx);
    let begin = move || {
        assert!(far.pending_bytes().is_ok(), "the peer is there");
        begin(&near)
    };
    (ctx, Box::new(begin))
}

/// What `begin` begins on one end of a pair of pipes.
fn of_pipe(begin: fn(&Stream) -> Begun) -> Provoked {
    let ends = MESSAGE_OVER_MEMORY.ends(&context());
    let (near, far) = (ends.near, ends.far);
    let begin = move || {
        assert!(far.pending_bytes().is_ok(), "the peer is there");
        begin(&near)
    };
    (ends.ctx, Box::new(begin))
}

const STREAMS: &[Call] = &[
    ("read", "of at most 0 bytes", || {
        of_stream(|near| near.read(0).into())
    }),
    ("readv", "buffers without bytes", || {
        of_stream(|near| near.readv(vec![Vec::<u8>::new(); 2]).into())
    }),
    ("readv", "more buffers than `MAX_BUFFER_COUNT`", || {
        of_stream(|near| near.readv(vec![vec![0]; MAX_BUFFER_COUNT + 1]).into())
    }),
    ("writev", "no buffers", || {
        of_stream(|near| near.writev(Vec::<Vec<u8>>::new()).into())
    }),
    ("writev", "buffers without bytes", || {
        of_stream(|near| near.writev(vec![Vec::<u8>::new(); 2]).into())
    }),
    ("writev", "more buffers than `MAX_BUFFER_COUNT`", || {
        of_stream(|near| near.writev(vec![vec![0]; MAX_BUFFER_COUNT + 1]).into())
    }),
    ("writev", "more than the largest message", || {
        of_pipe(|near| {
            near.writev(vec![0; MessageHeader::MAX_PAYLOAD_LEN + 1])
                .into()
        })
    }),
    ("shutdown", "a stream without half-close", || {
        of_pipe(|near| near.shutdown().into())
    }),
    ("peer_credentials", "a stream that knows of none", || {
        of_stream(|near| near.peer_credentials().into())
    }),
    ("peer_credentials", "it was closed", || {
        of_stream(|near| {
            near.abort();
            near.peer_credentials().into()
        })
    }),
    ("into_parts", "a stream without a descriptor", || {
        of_stream(|near| {
            let ctx = context();
            let parts = memory::stream_pair(&ctx).0.into_parts();
            assert!(near.pending_bytes().is_ok(), "another one is not concerned");
            parts.map_err(io::Error::from).into()
        })
    }),
    (
        "FdPassing::writev",
        "more descriptors than `FDS_MAX`",
        || {
            let (ctx, near, _far) = passing();
            let begin = move || near.writev(vec![1], nulls(FDS_MAX + 1)).into();
            (ctx, Box::new(begin))
        },
    ),
    (
        "FdPassing::stream",
        "a read that brings more descriptors than may wait",
        || {
            let (ctx, near, far) = passing();
            for count in [FDS_MAX, 1] {
                done(&ctx, near.writev(vec![1], nulls(count)));
            }
            done(&ctx, far.stream().readv(vec![0]));
            let begin = move || {
                assert!(near.stream().pending_bytes().is_ok(), "the peer is there");
                far.stream().readv(vec![0]).into()
            };
            (ctx, Box::new(begin))
        },
    ),
];

/// Two ends between which descriptors travel.
fn passing() -> (Context, FdPassing, FdPassing) {
    let ctx = context();
    let (near, far) = UnixStream::pair().expect("descriptors are left");
    let end = |socket: UnixStream| FdPassing::new(&ctx, socket.into()).expect("that is one");
    let (near, far) = (end(near), end(far));
    (ctx, near, far)
}

fn nulls(count: usize) -> Vec<OwnedFd> {
    let null = || File::open("/dev/null").expect("every system has it");
    (0..count).map(|_| null().into()).collect()
}

pub(super) fn streams(table: &Table) -> Complaints {
    calls(table, STREAMS)
}

/// What `begin` begins in a queue that is dropped before its turn.
fn of_queue(begin: fn(&Context, &Queue) -> Begun) -> Provoked {
    let ctx = context();
    let weak = ctx.downgrade();
    let begin = move || {
        let ctx = weak.upgrade().expect("it is there");
        let queue = Queue::new(&ctx);
        let blocker = done(&ctx, queue.wait());
        let begun = begin(&ctx, &queue);
        drop(queue);
        drop(blocker);
        begun
    };
    (ctx, Box::new(begin))
}

const QUEUES: &[Call] = &[
    ("writev_queued", "the queue is dropped", || {
        of_queue(|ctx, queue| pair(ctx).writev_queued(queue, vec![1]).into())
    }),
    ("read_pdu_queued", "the queue is dropped", || {
        of_queue(|ctx, queue| pair(ctx).read_pdu_queued(queue, pdu::u8(1)).into())
    }),
    ("read_pdu_into_queued", "the queue is dropped", || {
        of_queue(|ctx, queue| {
            let pdu = Once::of(vec![vec![0]]);
            pair(ctx).read_pdu_into_queued(queue, pdu).into()
        })
    }),
    ("send_to_queued", "the queue is dropped", || {
        of_queue(|ctx, queue| udp(ctx, None).send_to_queued(queue, vec![1], None).into())
    }),
    ("recv_from_queued", "the queue is dropped", || {
        of_queue(|ctx, queue| udp(ctx, None).recv_from_queued(queue).into())
    }),
    (
        "writev_queued",
        "more bytes than the queue may hold",
        || {
            of_queue(|ctx, queue| {
                queue.set_byte_limit(Some(1));
                pair(ctx).writev_queued(queue, vec![0; 2]).into()
            })
        },
    ),
    (
        "send_to_queued",
        "more bytes than the queue may hold",
        || {
            of_queue(|ctx, queue| {
                queue.set_byte_limit(Some(1));
                udp(ctx, None)
                    .send_to_queued(queue, vec![0; 2], None)
                    .into()
            })
        },
    ),
];

/// One end of a pair, which an operation in a queue keeps.
fn pair(ctx: &Context) -> Stream {
    memory::stream_pair(ctx).0
}

fn udp(ctx: &Context, remote: Option<&Address>) -> Datagram {
    let local = Address::from_strings(Family::Ipv4, Some("127.0.0.1"), 0);
    let mut options = DatagramOptions::default();
    if let Some(remote) = remote {
        options = options.remote(remote.clone());
    }
    datagram(ctx, &local.expect("that is an address"), &options).expect("the address is free")
}

pub(super) fn queues(table: &Table) -> Complaints {
    calls(table, QUEUES)
}

/// What `begin` begins on an endpoint that `make` makes.
fn of_datagram(make: fn(&Context) -> Datagram, begin: fn(&Datagram) -> Begun) -> Provoked {
    let ctx = context();
    let socket = make(&ctx);
    (ctx, Box::new(move || begin(&socket)))
}

fn send(socket: &Datagram, bytes: Vec<u8>, to: Option<&Address>) -> Begun {
    socket.send_to(bytes, to).into()
}

const DATAGRAMS: &[Call] = &[
    ("send_to", "buffers without bytes", || {
        of_datagram(
            |ctx| udp(ctx, None),
            |socket| send(socket, vec![], socket.local_address().ok().as_ref()),
        )
    }),
    ("send_to", "more bytes than a datagram has", || {
        of_datagram(
            |ctx| udp(ctx, None),
            |socket| {
                send(
                    socket,
                    vec![0; 70_000],
                    socket.local_address().ok().as_ref(),
                )
            },
        )
    }),
    ("send_to", "UDP without an address or a peer", || {
        of_datagram(|ctx| udp(ctx, None), |socket| send(socket, vec![1], None))
    }),
    ("send_to", "unix without an address or a peer", || {
        of_datagram(
            |ctx| {
                let unnamed = Address::unix_unnamed();
                datagram(ctx, &unnamed, &DatagramOptions::default()).expect("it needs no address")
            },
            |socket| send(socket, vec![1], None),
        )
    }),
    ("recv_from", "a peer that refused what was sent", || {
        of_datagram(
            |ctx| {
                let gone = udp(ctx, None).local_address().expect("it has one");
                let socket = udp(ctx, Some(&gone));
                done(ctx, socket.send_to(vec![1], None));
                socket
            },
            |socket| socket.recv_from().into(),
        )
    }),
    (
        "recv_from",
        "a datagram of more than 64 KiB, which is lost",
        || {
            of_datagram(
                |ctx| {
                    let (near, far) = UnixDatagram::pair().expect("descriptors are left");
                    far.send(&vec![0; 65_537]).expect("a unix socket has room");
                    datagram_from_fd(ctx, near.into()).expect("that is one")
                },
                |socket| socket.recv_from().into(),
            )
        },
    ),
    ("send_to", "an address, in memory", || {
        let ctx = context();
        let (near, far) = memory::datagram_pair(&ctx);
        let begin = move || {
            let address = far.local_address().ok();
            send(&near, vec![1], address.as_ref())
        };
        (ctx, Box::new(begin))
    }),
    ("send_to", "a peer that is gone, in memory", || {
        of_datagram(
            |ctx| memory::datagram_pair(ctx).0,
            |socket| send(socket, vec![1], None),
        )
    }),
];

pub(super) fn datagrams(table: &Table) -> Complaints {
    calls(table, DATAGRAMS)
}
