//! TLS streams over any stream, with [rustls]; this module exists with the feature `rustls`.
//!
//! [`connect`] and [`accept`] take a stream over, agree with the peer, and give a [`Stream`] for
//! everything else to be carried over, with a [`TlsInfo`] of what was agreed. Which cryptography does
//! the work is the choice of whoever makes the configuration: rustls is used without any provider of
//! its own.
//!
//! A TLS stream is a [`tunnel()`](crate::session::tunnel()), with what is said there. Beyond that:
//!
//! - `close_notify` goes out before the stream below ends: after a [`shutdown`](Stream::shutdown) or
//!   [`disconnect`](Stream::disconnect), and when the last handle goes with nothing on its way.
//! - **A stream below that ends without `close_notify` is an error**, `ECONNRESET`, once
//!   everything that arrived was read: somebody on the way may have cut off the rest.
//! - Keys that the peer changes, and its alerts, are answered without waiting for anybody to read or write.
//! - What the peer gets wrong is an error of kind [`InvalidData`](io::ErrorKind::InvalidData) that says what,
//!   without an errno; the first to meet it finds a [`rustls::Error`] inside. The peer is told by an alert, and only this connection ends.
//! - Memory is bounded: 64 KiB that have arrived, two records that were opened, and 64 KiB that
//!   [`writev`](Stream::writev) seals at once.
//!
//! # Examples
//! ```no_run
//! use std::io;
//! use std::sync::Arc;
//! use tevent::Context;
//! use tsocket::tls::{self, rustls};
//!
//! async fn hello(ctx: Context, plain: tsocket::Stream, config: Arc<rustls::ClientConfig>) -> io::Result<()> {
//!     let name = "example.org".try_into().map_err(io::Error::other)?;
//!     let (stream, info) = tls::connect(&ctx, plain, config, name).await?;
//!     println!("{:?} with {:?}", info.protocol_version(), info.alpn_protocol());
//!     stream.writev(&b"hello"[..]).await?;
//!     stream.disconnect().await
//! }
//! ```

mod end_point;
mod info;
mod record;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::server::Acceptor;
use rustls::{ClientConfig, ClientConnection, Connection, ServerConfig};
use tevent::{Context, Request};

pub use info::{ChannelBinding, TlsInfo};
pub use rustls;

use self::record::Tls;
use crate::session::{Io, Limits, negotiate};
use crate::stream::Stream;

/// The longest that [`connect`] and [`accept`] take, unless their request is given another deadline:
/// round trips across the world and slow cryptography, while a peer that says nothing does
/// not hold a connection for longer.
pub const HANDSHAKE_TIME: Duration = Duration::from_secs(10);

/// Connects with TLS over `stream`, which it takes over, to the server called `name`; `ctx` is the context of
/// `stream`.
///
/// `name` is what the server's certificate is checked against, and what it is told it is being asked for (SNI); application
/// protocols (ALPN) and the client's own certificate are those of `config`.
///
/// # Completion
/// When both sides agree; the first bytes of the peer may have arrived by then. With TLS 1.3 the server checks the client's certificate only
/// after that: if it refuses, the first read fails.
///
/// # Cancellation
/// Dropping the request closes the stream.
///
/// # Errors
/// Kind [`InvalidData`](io::ErrorKind::InvalidData), with a [`rustls::Error`] inside: the peer speaks no TLS or not the same,
/// its certificate is not accepted, it has sent an alert. `ETIMEDOUT` after [`HANDSHAKE_TIME`], which
/// [`Request::set_timeout`] of the request replaces; `ECONNRESET` if the stream ends first; kind
/// [`InvalidInput`](io::ErrorKind::InvalidInput) if `config` contradicts itself; `EBUSY`, `ENOTCONN` or the error of its write side if `stream` is in use or has ended; else
/// the errors of `stream`.
#[doc(alias = "tstream_tls_connect_send")]
#[doc(alias = "tstream_tls_connect_recv")]
#[track_caller]
pub fn connect(
    ctx: &Context,
    stream: Stream,
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
) -> Request<(Stream, TlsInfo)> {
    let provider = config.crypto_provider().clone();
    let asked_for = match &name {
        ServerName::DnsName(name) => Some(name.as_ref().to_owned()),
        _ => None,
    };
    match ClientConnection::new(config, name) {
        Ok(connection) => start(ctx, stream, "tls connect", |io| {
            let mut tls = Tls::connecting(Connection::Client(connection), provider, asked_for);
            // A connection that cannot send its first flight fails with the first attempt.
            tls.send(io).ok();
            tls
        }),
        Err(error) => Request::finished(
            ctx,
            "tls connect",
            Err(io::Error::new(io::ErrorKind::InvalidInput, error)),
        ),
    }
}

/// Accepts TLS from the peer of `stream`, which it takes over; `ctx` is the context of `stream`.
///
/// Certificates, application protocols, and whether clients need a certificate are those of `config`.
///
/// # Completion
/// When both sides agree.
///
/// # Cancellation
/// Dropping the request closes the stream.
///
/// # Errors
/// As for [`connect`].
#[doc(alias = "tstream_tls_accept_send")]
#[doc(alias = "tstream_tls_accept_recv")]
#[track_caller]
pub fn accept(
    ctx: &Context,
    stream: Stream,
    config: Arc<ServerConfig>,
) -> Request<(Stream, TlsInfo)> {
    start(ctx, stream, "tls accept", |_| {
        Tls::accepting(Acceptor::default(), config)
    })
}

#[track_caller]
fn start(
    ctx: &Context,
    stream: Stream,
    kind: &'static str,
    make: impl FnOnce(&Io) -> Tls,
) -> Request<(Stream, TlsInfo)> {
    let request = negotiate(ctx, stream, kind, Limits::default(), make, TlsInfo::of);
    request.set_timeout(HANDSHAKE_TIME);
    request
}
