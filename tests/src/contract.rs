//! The kinds of streams that the contract suite is told of, and its verbs.

use std::io::{self, Write};
use std::net::{Ipv6Addr, TcpListener};

use tevent::Context;
pub use tsocket::contract::stream::{Ends, Kind, on_every_backend};
pub use tsocket::contract::{
    done, end_of, expect_nothing_left, expect_rest, fails, gives_back, pattern,
};
use tsocket::{Address, Family, Stream, memory};
use tsocket_bsd::{ConnectOptions, ListenOptions, connect, listen, socketpair};
use tsocket_npa::{byte_mode, message_mode};

/// Streams in memory.
pub const MEMORY: Kind = Kind::new("memory", |ctx| Ok(memory::stream_pair(ctx)));

/// Both ends of a unix socket pair.
pub const SOCKETPAIR: Kind = Kind::new("socketpair", socketpair);

/// A unix stream, connected to a listener.
pub const UNIX: Kind = Kind::new("unix", connect_unix);

/// TCP on IPv4.
pub const TCP4: Kind = Kind::new("tcp on IPv4", |ctx| connect_tcp(ctx, "127.0.0.1"));

/// TCP on IPv6, which a machine may lack.
pub const TCP6: Kind = Kind {
    is_here: has_ipv6,
    ..Kind::new("tcp on IPv6", |ctx| connect_tcp(ctx, "::1"))
};

/// Pipes in message mode over memory.
pub const MESSAGE_OVER_MEMORY: Kind = Kind {
    has_half_close: false,
    is_message_mode: true,
    ..Kind::new("message mode over memory", |ctx| {
        layer(ctx, memory::stream_pair(ctx), message_mode)
    })
};

/// Pipes in byte mode over memory.
pub const BYTE_OVER_MEMORY: Kind = Kind {
    has_half_close: false,
    ..Kind::new("byte mode over memory", |ctx| {
        layer(ctx, memory::stream_pair(ctx), byte_mode)
    })
};

/// Pipes in message mode over unix streams.
pub const MESSAGE_OVER_UNIX: Kind = Kind {
    has_half_close: false,
    is_message_mode: true,
    ..Kind::new("message mode over unix", |ctx| {
        layer(ctx, connect_unix(ctx)?, message_mode)
    })
};

/// Pipes in byte mode over unix streams.
pub const BYTE_OVER_UNIX: Kind = Kind {
    has_half_close: false,
    ..Kind::new("byte mode over unix", |ctx| {
        layer(ctx, connect_unix(ctx)?, byte_mode)
    })
};

/// `kind` with as many bytes in its clauses as the environment asks for.
#[must_use]
pub fn scaled_up(kind: Kind) -> Kind {
    Kind {
        byte_count: crate::scaled(kind.byte_count, 64 << 20),
        ..kind
    }
}

fn has_ipv6() -> bool {
    let is_here = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok();
    if !is_here {
        // Whoever runs a test with --nocapture wants to know.
        writeln!(io::stdout(), "skipped: this machine has no IPv6").ok();
    }
    is_here
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
