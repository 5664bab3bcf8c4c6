//! Abstract endpoints on the tevent reactor: streams, datagrams, listeners and their addresses.
//!
//! # Tour
//!
//! 1. A [`Stream`] is a connection of bytes. Its operations are requests that own their buffers
//!    ([`Buffers`]) and give them back, with an error too ([`Failed`]); what is read without a buffer of one's own comes
//!    as a [`Chunk`] of the context's pool.
//! 2. Whole PDUs are read with a rule that sees what has arrived: [`pdu`] has those that most protocols
//!    need. Operations that have to wait in line take a [`Queue`](tevent::Queue): those whose names end in
//!    `_queued`.
//! 3. A [`Datagram`] sends and receives messages, a [`Listener`] accepts streams, and an [`Address`] says
//!    where they are.
//! 4. Each of them stands in front of an implementation: [`StreamOps`], [`DatagramOps`],
//!    [`ListenerOps`]. The crate `tsocket-bsd` has those of the kernel's sockets; [`memory`] is the
//!    smallest one to read. A stream [over another one](Stream::layered) owns that one's [`Transport`].
//!
//! Code of the caller may do anything to any of them, with one exception: a
//! [trace hook](tevent::Context::set_trace) is told from inside the calls that make and change events, and
//! such a call may be an attempt of one of these. It panics if the hook uses that very one.
//!
//! [`errno`] says which error comes when, and [`porting`] what became of each name of C tsocket.
//!
//! # Features
//!
//! None is on by default.
//!
//! | Feature | Has |
//! |---|---|
//! | `bytes` | `Bytes` and `BytesMut` as buffers, and `Bytes` of a [`Chunk`] |
//! | `contract-tests` | the module `contract`: suites for implementors |
//! | `futures-io` | the module `async_io`: a stream as `AsyncRead` and `AsyncWrite` |
#![forbid(unsafe_code)]

#[doc = include_str!("../ERRORS.md")]
pub mod errno {}

#[doc = include_str!("../PORTING.md")]
pub mod porting {}

mod address;
#[cfg(feature = "futures-io")]
pub mod async_io;
mod buffers;
mod chaos;
mod chunk;
#[cfg(feature = "contract-tests")]
pub mod contract;
mod copy;
mod credentials;
mod datagram;
mod errors;
mod failed;
mod listener;
pub mod memory;
pub mod pdu;
mod queued;
mod read_ahead;
mod ready;
mod serve;
pub mod session;
mod slot;
mod stream;
#[cfg(feature = "rustls")]
pub mod tls;

pub use address::{Address, AddressKind, Family};
pub use buffers::{Buffers, MAX_BUFFER_COUNT, Parts, PartsMut, ReadBuffers, WriteBuffers};
pub use chaos::{Chaos, chaos};
pub use chunk::Chunk;
pub use copy::{COPY_BYTES, CopyFailed, Relayed, copy, relay};
pub use credentials::Credentials;
pub use datagram::{Datagram, DatagramOps, Received};
pub use failed::Failed;
pub use listener::{Listener, ListenerOps};
pub use ready::Ready;
pub use serve::{Counts, Limit, Limits, Outcome, ServeError, Server, Stopped};
pub use stream::{DISCONNECT_BYTES, DISCONNECT_TIME, Refused, Stream, StreamOps, Transport};
