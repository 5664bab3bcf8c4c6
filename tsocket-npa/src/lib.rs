//! Named pipes on the tevent reactor: what follows the handshake, as streams over any stream.
//!
//! A named pipe is a stream with a file type. In [byte mode](byte_mode) the bytes are the bytes; in
//! [message mode](message_mode) each write is one message, which travels behind its length
//! ([`MessageHeader`]). Either is made of the stream that carries it, and is a
//! [`Stream`](tsocket::Stream) like any other.
//!
//! Before that, one packet each way says who the user is: [`codec`] makes values of them, [`protocol`] says
//! what every byte is for.
//!
//! # Examples
//! ```
//! use tevent::Context;
//! use tsocket::memory;
//! use tsocket_npa::message_mode;
//!
//! # fn main() -> std::io::Result<()> {
//! let ctx = Context::new()?;
//! let (client, server) = memory::stream_pair(&ctx);
//! let client = message_mode(&ctx, client)?;
//! let server = message_mode(&ctx, server)?;
//! ctx.block_on(async {
//!     client.writev(&b"first"[..]).await?;
//!     client.writev(&b"second"[..]).await?;
//!     assert_eq!(&*server.read(100).await?, b"first");
//!     assert_eq!(&*server.read(100).await?, b"second");
//!     Ok::<_, std::io::Error>(())
//! })??;
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

mod accept;
#[doc = include_str!("../PROTOCOL.md")]
pub mod protocol {}

mod byte;
pub mod codec;
mod connect;
mod directory;
mod errors;
mod frame;
mod handshake;
mod identity;
mod listen;
mod message;
mod name;
mod pipe;
mod policy;

pub use accept::{AcceptOptions, Accepted, accept};
pub use byte::byte_mode;
pub use connect::{Levels, Opened, connect, connect_over};
pub use directory::{DirectoryError, NpDirectory};
pub use frame::{FrameError, MessageHeader};
pub use handshake::HandshakeError;
pub use identity::Identity;
pub use listen::{Listener, listen};
pub use message::message_mode;
pub use name::{NameError, PipeName};
pub use pipe::{Pipe, PipeMode};
pub use policy::PeerPolicy;
