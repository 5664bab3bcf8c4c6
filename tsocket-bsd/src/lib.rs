//! BSD sockets on the tevent reactor: TCP, UDP and unix sockets as `tsocket` endpoints.
//!
//! These functions make endpoints of the kinds in [`tsocket`]; everything else is done with those:
//!
//! | Function | Gives | For |
//! |---|---|---|
//! | [`connect()`] | [`Stream`](tsocket::Stream) | TCP and unix streams, as the client |
//! | [`connect_host()`] | [`Stream`](tsocket::Stream) | TCP to a name, which is looked up |
//! | [`listen()`] | [`Listener`](tsocket::Listener) | TCP and unix streams, as the server |
//! | [`ListenSocket`] | [`Listener`](tsocket::Listener)s | threads, and sockets that listen already |
//! | [`inherited()`] | descriptors | sockets of a service manager |
//! | [`datagram()`] | [`Datagram`](tsocket::Datagram) | UDP and unix datagrams |
//! | [`datagram_from_fd()`] | [`Datagram`](tsocket::Datagram) | a datagram socket that is there already |
//! | [`socketpair()`] | two [`Stream`](tsocket::Stream)s | both ends of a unix stream |
//! | [`FdPassing`] | a [`Stream`](tsocket::Stream) | a unix stream whose bytes descriptors travel with |
//! | [`stream_from_fd()`] | [`Stream`](tsocket::Stream) | a socket that is connected already |
//!
//! Every descriptor is non-blocking and closed on exec from birth, no write raises `SIGPIPE`, and
//! socket files are private from birth. Errors carry the errno of the system call that failed
//! ([`raw_os_error`](std::io::Error::raw_os_error)); what was tried is for the caller to say.
//!
//! # Examples
//! ```
//! use tevent::Context;
//! use tsocket::{Address, Family};
//! use tsocket_bsd::{ConnectOptions, ListenOptions, connect, listen};
//!
//! let ctx = Context::new()?;
//! let any_port = Address::from_hostport(Family::Ip, Some("127.0.0.1:0"), 0)?;
//! let listener = listen(&ctx, &any_port, &ListenOptions::default())?;
//!
//! let accepted = listener.accept();
//! let connected = connect(&ctx, &listener.local_address()?, &ConnectOptions::default());
//! let client = ctx.run_until(connected)??;
//! let (server, peer) = ctx.run_until(accepted)??;
//! assert_eq!(peer, client.local_address()?);
//!
//! ctx.run_until(client.writev(b"hello".to_vec()))?.map_err(std::io::Error::from)?;
//! assert_eq!(&*ctx.run_until(server.read(100))??, b"hello");
//! # Ok::<(), std::io::Error>(())
//! ```

mod address;
mod connect;
mod datagram;
mod existing;
mod inherited;
mod listen;
mod options;
mod pair;
mod passing;
mod socket;
mod stream;
mod sys;
mod unix_path;
mod watched;

pub use connect::{ConnectOptions, HostError, connect, connect_host};
pub use datagram::{DatagramOptions, datagram, datagram_from_fd};
pub use existing::stream_from_fd;
pub use inherited::{Inherited, inherited};
pub use listen::{ListenOptions, ListenSocket, listen};
pub use options::{KeepAlive, SocketOptions, SocketUse, WrongOption};
pub use pair::socketpair;
pub use passing::{FDS_MAX, FdPassing};
