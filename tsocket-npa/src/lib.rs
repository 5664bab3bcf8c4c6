//! Named pipes behind Samba on the tevent reactor: both sides of the handshake, and the streams after it.
//!
//! A stock smbd forwards every named pipe that an SMB client opens to a unix socket, after one packet each
//! way that says who the user is. So a Rust program can serve `\\\\server\\pipe\\name`, and call the services
//! that Samba itself has behind such sockets. The [`guide`] does the first in five minutes.
//!
//! | For | There is |
//! |---|---|
//! | serving pipes | [`NpDirectory`], [`listen()`], [`accept()`], [`AcceptOptions`]; [`Listener`] for all at once |
//! | calling services | [`connect()`] or [`connect_over()`], with an [`Identity`] |
//! | what both give | a [`Pipe`]: a [`Stream`](tsocket::Stream) with or without messages |
//! | streams without a handshake | [`message_mode()`], [`byte_mode()`], [`Pipe::new`] |
//! | the packets themselves | [`codec`]; [`protocol`] says what every byte is for |
//!
//! Nothing in the handshake is authenticated: whoever can connect is believed. So a server checks the
//! directory, and which user a peer runs as, before it reads a byte ([`PeerPolicy`]).
//!
//! # Examples
//! ```
//! use tevent::Context;
//! use tsocket_npa::{AcceptOptions, Identity, Levels, Listener, NpDirectory, PipeName};
//! use tsocket_npa::{connect, listen};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let ctx = Context::new()?;
//! let temporary = tempfile::tempdir()?;
//! let directory = NpDirectory::create_or_verify(temporary.path().join("np"))?;
//! let name = PipeName::new("Greeter")?;
//! let listener = Listener::new(&ctx, listen(&ctx, &directory, &name)?, AcceptOptions::default());
//! ctx.block_on(async {
//!     let identity = Identity::anonymous();
//!     let client = connect(&ctx, directory.path(), &name, &identity, Levels::Any).await?.pipe;
//!     let server = listener.accept().await?;
//!     let greeting = format!("hello, {}", server.caller.account());
//!     server.pipe.write_message(greeting.into_bytes()).await?;
//!     assert_eq!(&*client.read_message().await?, b"hello, ANONYMOUS LOGON");
//!     Ok::<_, std::io::Error>(())
//! })??;
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

#[doc = include_str!("../GUIDE.md")]
pub mod guide {}

#[doc = include_str!("../PORTING.md")]
pub mod porting {}

#[doc = include_str!("../PROTOCOL.md")]
pub mod protocol {}

mod accept;
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
