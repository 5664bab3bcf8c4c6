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
use tsocket_npa::codec::Level;
use tsocket_npa::{
    AcceptOptions, Identity, Levels, NpDirectory, PeerPolicy, PipeMode, PipeName, accept,
    connect_over,
};

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

/// Pipes in message mode over memory, after a handshake.
pub const MESSAGE_OVER_MEMORY: Kind = Kind {
    has_half_close: false,
    is_message_mode: true,
    ..Kind::new("message mode over memory", |ctx| {
        open_over_memory(ctx, PipeMode::Message)
    })
};

/// Pipes in byte mode over memory, after a handshake.
pub const BYTE_OVER_MEMORY: Kind = Kind {
    has_half_close: false,
    ..Kind::new("byte mode over memory", |ctx| {
        open_over_memory(ctx, PipeMode::Byte)
    })
};

/// Pipes in message mode over unix streams, opened in a directory of pipes.
pub const MESSAGE_OVER_UNIX: Kind = Kind {
    has_half_close: false,
    is_message_mode: true,
    ..Kind::new("message mode over unix", |ctx| {
        open_over_unix(ctx, PipeMode::Message)
    })
};

/// Pipes in byte mode over unix streams, opened in a directory of pipes.
pub const BYTE_OVER_UNIX: Kind = Kind {
    has_half_close: false,
    ..Kind::new("byte mode over unix", |ctx| {
        open_over_unix(ctx, PipeMode::Byte)
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

/// Whether this machine has IPv6; says so if it has not.
#[must_use]
pub fn has_ipv6() -> bool {
    let is_here = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok();
    if !is_here {
        // Whoever runs a test with --nocapture wants to know.
        writeln!(io::stdout(), "skipped: this machine has no IPv6").ok();
    }
    is_here
}

fn open_over_memory(ctx: &Context, mode: PipeMode) -> io::Result<(Stream, Stream)> {
    let (near, far) = memory::stream_pair(ctx);
    let options = AcceptOptions::default().mode(mode);
    let accepted = accept(ctx, far, &options.peers(PeerPolicy::Trusted));
    let opened = connect_over(ctx, near, &Identity::anonymous(), Level::L8);
    let near = ctx.run_until(opened)??.pipe.into_stream();
    Ok((near, ctx.run_until(accepted)??.pipe.into_stream()))
}

fn open_over_unix(ctx: &Context, mode: PipeMode) -> io::Result<(Stream, Stream)> {
    let temporary = tempfile::tempdir()?;
    let directory = NpDirectory::create_or_verify(temporary.path().join("np"))?;
    let name = PipeName::new("pipe")?;
    let socket = tsocket_npa::listen(ctx, &directory, &name)?;
    let listener = tsocket_npa::Listener::new(ctx, socket, AcceptOptions::default().mode(mode));
    let accepted = listener.accept();
    let identity = Identity::anonymous();
    let opened = tsocket_npa::connect(ctx, directory.path(), &name, &identity, Levels::Any);
    let near = ctx.run_until(opened)??.pipe.into_stream();
    Ok((near, ctx.run_until(accepted)??.pipe.into_stream()))
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
