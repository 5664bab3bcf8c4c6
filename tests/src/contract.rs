//! What the stories about streams stand on: connected pairs of every kind, and what is expected of them.

use std::fmt::Debug;
use std::io;
use std::net::{Ipv6Addr, TcpListener};
use std::time::Duration;

use rustix::io::Errno;
use tevent::{Context, Request, wakeup};
use tsocket::{Address, Failed, Family, Stream, memory};
use tsocket_bsd::{ConnectOptions, ListenOptions, connect, listen, socketpair};
use tsocket_npa::{MessageHeader, byte_mode, message_mode};

use crate::{expect_errno, settle};

/// The largest write that every kind takes.
pub const MAX_WRITE: usize = MessageHeader::MAX_PAYLOAD_LEN;

/// A kind of stream, by what may be expected of it.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    /// What it is called where a test fails or is skipped.
    pub name: &'static str,
    /// Makes two connected ends on a context.
    pub connect: fn(&Context) -> io::Result<(Stream, Stream)>,
    /// Whether one direction can end before the other.
    pub has_half_close: bool,
    /// Whether each write is a message.
    pub is_message_mode: bool,
    /// Whether the kernel is asked; otherwise both ends are memory.
    pub is_system: bool,
}

/// Two connected ends, and the context they are on.
#[derive(Debug)]
pub struct Ends {
    /// Where both live.
    pub ctx: Context,
    /// One end.
    pub near: Stream,
    /// The other.
    pub far: Stream,
    /// What kind they are.
    pub kind: Kind,
}

impl Kind {
    const PLAIN: Self = Self {
        name: "memory",
        connect: |ctx| Ok(memory::stream_pair(ctx)),
        has_half_close: true,
        is_message_mode: false,
        is_system: false,
    };

    /// Streams in memory.
    pub const MEMORY: Self = Self::PLAIN;

    /// Both ends of a unix socket pair.
    pub const SOCKETPAIR: Self = Self {
        name: "socketpair",
        connect: socketpair,
        is_system: true,
        ..Self::PLAIN
    };

    /// A unix stream, connected to a listener.
    pub const UNIX: Self = Self {
        name: "unix",
        connect: connect_unix,
        is_system: true,
        ..Self::PLAIN
    };

    /// TCP on IPv4.
    pub const TCP4: Self = Self {
        name: "tcp on IPv4",
        connect: |ctx| connect_tcp(ctx, "127.0.0.1"),
        is_system: true,
        ..Self::PLAIN
    };

    /// TCP on IPv6, which a machine may lack.
    pub const TCP6: Self = Self {
        name: "tcp on IPv6",
        connect: |ctx| connect_tcp(ctx, "::1"),
        is_system: true,
        ..Self::PLAIN
    };

    /// Pipes in message mode over memory.
    pub const MESSAGE_OVER_MEMORY: Self = Self {
        name: "message mode over memory",
        connect: |ctx| layer(ctx, memory::stream_pair(ctx), message_mode),
        has_half_close: false,
        is_message_mode: true,
        ..Self::PLAIN
    };

    /// Pipes in byte mode over memory.
    pub const BYTE_OVER_MEMORY: Self = Self {
        name: "byte mode over memory",
        connect: |ctx| layer(ctx, memory::stream_pair(ctx), byte_mode),
        has_half_close: false,
        ..Self::PLAIN
    };

    /// Pipes in message mode over unix streams.
    pub const MESSAGE_OVER_UNIX: Self = Self {
        name: "message mode over unix",
        connect: |ctx| layer(ctx, connect_unix(ctx)?, message_mode),
        has_half_close: false,
        is_message_mode: true,
        is_system: true,
    };

    /// Pipes in byte mode over unix streams.
    pub const BYTE_OVER_UNIX: Self = Self {
        name: "byte mode over unix",
        connect: |ctx| layer(ctx, connect_unix(ctx)?, byte_mode),
        has_half_close: false,
        is_system: true,
        ..Self::PLAIN
    };

    fn is_missing_here(&self) -> bool {
        self.name == Self::TCP6.name && TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_err()
    }

    /// Two ends of this kind on `ctx`.
    ///
    /// # Panics
    /// If they cannot be made.
    #[must_use]
    pub fn ends(&self, ctx: &Context) -> Ends {
        let (near, far) = (self.connect)(ctx).expect("two ends can be connected");
        Ends {
            ctx: ctx.clone(),
            near,
            far,
            kind: *self,
        }
    }
}

type Layer = fn(&Context, Stream) -> Result<Stream, tsocket::Refused>;

fn layer(
    ctx: &Context,
    (near, far): (Stream, Stream),
    over: Layer,
) -> io::Result<(Stream, Stream)> {
    Ok((over(ctx, near)?, over(ctx, far)?))
}

fn connect_unix(ctx: &Context) -> io::Result<(Stream, Stream)> {
    let directory = tempfile::tempdir()?;
    connect_to(ctx, &Address::unix(directory.path().join("socket"))?)
}

fn connect_tcp(ctx: &Context, host: &str) -> io::Result<(Stream, Stream)> {
    connect_to(ctx, &Address::from_strings(Family::Ip, Some(host), 0)?)
}

fn connect_to(ctx: &Context, address: &Address) -> io::Result<(Stream, Stream)> {
    let listener = listen(ctx, address, &ListenOptions::default())?;
    let accepted = listener.accept();
    let connected = connect(ctx, &listener.local_address()?, &ConnectOptions::default());
    let near = ctx.run_until(connected)??;
    let (far, _) = ctx.run_until(accepted)??;
    Ok((near, far))
}

/// Tells `story` of two ends of `kind`, once on each back end, and expects that nothing is left behind.
///
/// # Panics
/// If the story does, does not end, or leaves something.
#[track_caller]
pub fn on_every_backend(kind: Kind, story: fn(&Ends)) {
    if kind.is_missing_here() {
        skipped(&kind);
        return;
    }
    crate::on_every_backend(move |ctx| {
        story(&kind.ends(ctx));
        expect_nothing_left(ctx);
    });
}

#[expect(
    clippy::print_stdout,
    reason = "whoever runs a test with --nocapture wants to know"
)]
fn skipped(kind: &Kind) {
    println!("skipped: this machine has no {}", kind.name);
}

/// Expects that no request is outstanding and nothing keeps the loop going.
///
/// # Panics
/// If something does; a loop that goes on for ever meets the time limit.
#[track_caller]
pub fn expect_nothing_left(ctx: &Context) {
    ctx.run().expect("the loop runs");
    let dump = ctx.dump();
    assert!(dump.entries().is_empty(), "left behind: {dump}");
}

/// Expects the loop to sleep for a while: a handful of waits, where one that spins makes thousands.
///
/// # Panics
/// If it does not.
#[track_caller]
pub fn expect_rest(ctx: &Context) {
    settle(ctx);
    let before = ctx.stats();
    done(ctx, wakeup(ctx, ctx.now() + Duration::from_millis(10)));
    let waits = ctx.stats().since(&before).waits;
    assert!(waits <= 20, "{waits} waits with nothing to wait for");
}

/// Runs until `request` ends and returns what it ends with.
///
/// # Errors
/// Those of the request.
///
/// # Panics
/// If the loop fails or has nothing left that could end it.
#[track_caller]
pub fn end_of<T, E>(ctx: &Context, request: Request<T, E>) -> Result<T, E> {
    ctx.run_until(request)
        .expect("the loop runs until the request has ended")
}

/// Runs until `request` is done and returns its value.
///
/// # Panics
/// If it fails.
#[track_caller]
pub fn done<T, E: Debug>(ctx: &Context, request: Request<T, E>) -> T {
    match end_of(ctx, request) {
        Ok(value) => value,
        Err(error) => panic!("the request failed: {error:?}"),
    }
}

/// Expects `request` to fail with `errno`.
///
/// # Panics
/// If it does not.
#[track_caller]
pub fn fails<T>(ctx: &Context, request: Request<T>, errno: Errno) {
    expect_errno(end_of(ctx, request), errno);
}

/// Expects `request` to fail with `errno`, and returns the buffers and the count of bytes with them.
///
/// # Panics
/// If it does not.
#[track_caller]
pub fn gives_back<B>(ctx: &Context, request: Request<B, Failed<B>>, errno: Errno) -> (B, usize) {
    let Err(failed) = end_of(ctx, request) else {
        panic!("expected {errno:?}, but it went well");
    };
    assert_eq!(
        failed.error.raw_os_error(),
        Some(errno.raw_os_error()),
        "{failed}"
    );
    (failed.buffers, failed.transferred)
}

/// The `len` bytes at `offset` of a stream of bytes in which no piece repeats soon.
#[must_use]
pub fn pattern(offset: usize, len: usize) -> Vec<u8> {
    (offset..offset + len)
        .map(|at| (at.wrapping_mul(0x9e37_79b9) >> 13).to_le_bytes()[0])
        .collect()
}
