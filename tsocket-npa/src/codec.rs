//! The packets of the handshake, as values and as bytes.
//!
//! Whoever connects to a pipe sends one [`Request`], which says who the user is, and gets one [`Reply`].
//! Both travel as a packet: a length, the magic [`MAGIC`], and a structure whose layout the [`Level`]
//! names. Nothing here knows a socket or a context: bytes come in, values go out, and back.
//!
//! - [`Request::decode`] takes every [`Level`] there is to its last byte, or says what is wrong and at
//!   which byte ([`CodecError`]). What it allocates is bounded by what it was given: at most 64 KiB and
//!   16 times the length of the packet.
//! - [`Request::encode`] of what was decoded gives the same bytes, as long as the writer was not peculiar
//!   about padding, pointer values and the sizes of strings.
//! - [`Caller`] is what a server wants to know, whatever the level was.
//! - [`Incoming`] collects a packet as it arrives, never a byte more than the packet has.
//! - [`Secret`] holds what nobody must see: it is wiped when dropped, and not printed.

mod caller;
mod error;
mod guid;
mod level;
mod level4;
mod level5;
mod level7;
mod level8;
mod names;
mod ndr;
mod nt_time;
mod packet;
mod reply;
mod request;
mod secret;
mod session;
mod sid;
mod token;
mod user;

pub use caller::{Caller, NotACaller, NpaFlags};
pub use error::{CodecError, CodecErrorKind};
pub use guid::Guid;
pub use level::Level;
pub use names::{EvaluateClaims, FileType, NtStatus, TicketType, Transport};
pub use nt_time::NtTime;
pub use packet::{Incoming, MAGIC, MAX_PACKET_LEN, packet_len};
pub use reply::Reply;
pub use request::{Endpoint, Request};
pub use secret::Secret;
pub use session::{SessionInfo, SessionInfoTransport};
pub use sid::{ParseSidError, Sid};
pub use token::{SecurityToken, UnixToken};
pub use user::{UnixInfo, UserFlags, UserInfo};
