//! Abstract endpoints on the tevent reactor: streams, datagrams, listeners and their addresses.
#![forbid(unsafe_code)]

mod address;
mod buffers;
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
mod slot;
mod stream;

pub use address::{Address, AddressKind, Family};
pub use buffers::{Buffers, MAX_BUFFER_COUNT, Parts, PartsMut, ReadBuffers, WriteBuffers};
pub use chunk::Chunk;
pub use copy::{COPY_BYTES, CopyFailed, Relayed, copy, relay};
pub use credentials::Credentials;
pub use datagram::{Datagram, DatagramOps, Received};
pub use failed::Failed;
pub use listener::{Listener, ListenerOps};
pub use ready::Ready;
pub use serve::{Counts, Limit, Limits, Outcome, ServeError, Server, Stopped};
pub use stream::{DISCONNECT_BYTES, DISCONNECT_TIME, Refused, Stream, StreamOps, Transport};
