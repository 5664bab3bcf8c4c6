//! The kinds of streams that the contract suite is told of, and its verbs.

use std::io::{self, Write};
use std::net::{Ipv6Addr, TcpListener};

use rustix::io::Errno;
use tevent::Context;
pub use tsocket::contract::stream::{Ends, Kind};
pub use tsocket::contract::{
    Subject, done, end_of, expect_nothing_left, expect_rest, fails, gives_back, pattern, tell,
};
use tsocket::{Address, Chaos, Family, Stream, chaos, memory};
use tsocket_bsd::{ConnectOptions, ListenOptions, connect, listen, socketpair};
use tsocket_npa::codec::Level;
use tsocket_npa::{
    AcceptOptions, Identity, Levels, NpDirectory, PeerPolicy, PipeMode, PipeName, accept,
    connect_over,
};

use crate::security_layer::{Mechanism, security_layer};
use crate::tls;

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
        shake_hands(ctx, memory::stream_pair(ctx), PipeMode::Message)
    })
};

/// Pipes in byte mode over memory, after a handshake.
pub const BYTE_OVER_MEMORY: Kind = Kind {
    has_half_close: false,
    ..Kind::new("byte mode over memory", |ctx| {
        shake_hands(ctx, memory::stream_pair(ctx), PipeMode::Byte)
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

/// Pipes in message mode over streams that split and delay, after a handshake.
pub const MESSAGE_OVER_CHAOS: Kind = Kind {
    has_half_close: false,
    is_message_mode: true,
    ..Kind::new("message mode over chaos", |ctx| {
        shake_hands(ctx, (CHAOS_OVER_MEMORY.connect)(ctx)?, PipeMode::Message)
    })
};

/// Pipes in byte mode over streams that split and delay, after a handshake.
pub const BYTE_OVER_CHAOS: Kind = Kind {
    has_half_close: false,
    reads_short: true,
    ..Kind::new("byte mode over chaos", |ctx| {
        shake_hands(ctx, (CHAOS_OVER_MEMORY.connect)(ctx)?, PipeMode::Byte)
    })
};

/// A security layer over memory.
pub const SECURITY_LAYER_OVER_MEMORY: Kind = Kind::new("security layer over memory", |ctx| {
    layer(ctx, memory::stream_pair(ctx), |ctx, stream| {
        security_layer(ctx, stream, seal(), unseal())
    })
});

/// TLS over memory.
pub const TLS_OVER_MEMORY: Kind = Kind::new("TLS over memory", |ctx| {
    tls::over(ctx, memory::stream_pair(ctx))
});

/// TLS over unix streams.
pub const TLS_OVER_UNIX: Kind =
    Kind::new("TLS over unix", |ctx| tls::over(ctx, connect_unix(ctx)?));

/// TLS over TCP.
pub const TLS_OVER_TCP: Kind = Kind::new("TLS over tcp", |ctx| {
    tls::over(ctx, connect_tcp(ctx, "127.0.0.1")?)
});

/// Streams that split and delay whatever can be, over memory.
pub const CHAOS_OVER_MEMORY: Kind = Kind {
    reads_short: true,
    ..Kind::new("chaos over memory", |ctx| {
        layer(ctx, memory::stream_pair(ctx), |ctx, stream| {
            chaos(ctx, stream, 1, Chaos::HARMLESS)
        })
    })
};

/// TLS over streams that split and delay.
pub const TLS_OVER_CHAOS: Kind = Kind::new("TLS over chaos", |ctx| {
    tls::over(ctx, (CHAOS_OVER_MEMORY.connect)(ctx)?)
});

/// Streams that split and delay over TLS.
pub const CHAOS_OVER_TLS: Kind = Kind {
    reads_short: true,
    ..Kind::new("chaos over TLS", |ctx| {
        layer(ctx, (TLS_OVER_MEMORY.connect)(ctx)?, |ctx, stream| {
            chaos(ctx, stream, 2, Chaos::HARMLESS)
        })
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

/// Seals as no real mechanism would: a sum that is checked, and bytes that one cannot read at a glance.
#[must_use]
pub fn seal() -> Mechanism {
    Box::new(|bytes| {
        let sum = bytes.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
        Ok([sum].iter().chain(bytes).map(|byte| byte ^ 0x55).collect())
    })
}

/// Undoes what [`seal`] does, or fails with `EBADMSG`.
#[must_use]
pub fn unseal() -> Mechanism {
    Box::new(|token| {
        let mut bytes: Vec<u8> = token.iter().map(|byte| byte ^ 0x55).collect();
        let sum = bytes
            .iter()
            .skip(1)
            .fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
        if bytes.first() != Some(&sum) {
            return Err(Errno::BADMSG.into());
        }
        bytes.remove(0);
        Ok(bytes)
    })
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

type Layer = fn(&Context, Stream) -> Result<Stream, tsocket::Refused>;

fn layer(
    ctx: &Context,
    (near, far): (Stream, Stream),
    over: Layer,
) -> io::Result<(Stream, Stream)> {
    Ok((over(ctx, near)?, over(ctx, far)?))
}

fn shake_hands(
    ctx: &Context,
    (near, far): (Stream, Stream),
    mode: PipeMode,
) -> io::Result<(Stream, Stream)> {
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

/// A unix stream, connected to a listener.
///
/// # Errors
/// Those of the system.
pub fn connect_unix(ctx: &Context) -> io::Result<(Stream, Stream)> {
    let directory = tempfile::tempdir()?;
    connect_to(ctx, &Address::unix(directory.path().join("socket"))?)
}

/// A TCP stream, connected to a listener on `host`.
///
/// # Errors
/// Those of the system.
pub fn connect_tcp(ctx: &Context, host: &str) -> io::Result<(Stream, Stream)> {
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
