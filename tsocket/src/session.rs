//! Protocols that are purely reactive: bytes in, bytes out, whatever carries them.
//!
//! A [`Session`] is a protocol as a library would write it once for every transport: it is given bytes
//! and says how many it has used, and it sends and closes through its [`Io`]. It names no type of the
//! loop, starts no request and owns no descriptor. The transport does the rest: all set-up, and all
//! buffering in both directions.
//!
//! - [`run()`] carries a session over any [`Stream`](crate::Stream).
//! - A [`Driver`] carries it by hand: in tests, in a fuzzer, in another loop.
//! - [`tunnel()`] turns a session whose other side is bytes again (a security layer, TLS) into a
//!   [`Stream`](crate::Stream), for everything else to be carried over; [`negotiate()`] does so for one
//!   that has to agree with its peer first.
//!
//! # Who owes what
//! This is the interface that was proposed for C as an asynchronous socket interface, three calls and
//! two callbacks between two opaque handles:
//!
//! | There | Here |
//! |---|---|
//! | `session_create(handle, comm_send_data, comm_close)` | the function given to [`run()`], [`Driver::new`] or [`tunnel()`], which makes the session; the two callbacks are the [`Io`] that it is given |
//! | the session's handle, opaque to the transport | the [`Session`] itself |
//! | the transport's handle, opaque to the session | [`Io`]; its clones are the same handle, for outside [`receive`](Session::receive) |
//! | `session_receive(session, bytes, length)` | [`Session::receive`] |
//! | … returns how many were consumed | `Ok(consumed)`; more than was offered is the error `EINVAL` |
//! | … returns an error | `Err(error)`: the transport closes, the owner gets the error, and it is not called again |
//! | `session_close(session)`, the other side went away unasked | [`Session::closed`], once; never after [`Io::close`] or an error of the session's own |
//! | `comm_send_data(handle, bytes, length)` | [`Io::send`] |
//! | `comm_close(handle)` | [`Io::close`]: what was sent before still goes out |
//! | the transport buffers what is sent | at most [`Limits::unsent`] bytes; beyond, [`Io::send`] fails with `ENOBUFS` |
//! | the transport keeps what was not consumed | at most [`Limits::unconsumed`] bytes; beyond, it stops reading |
//! | what was kept is put in front of the next arrival | the same; nobody is called again until more came |
//! | (none: a session that is full has no way to go on) | [`Io::resume`] has what was kept offered again |
//!
//! # Examples
//! A protocol of lines, driven by hand:
//! ```
//! use std::io;
//! use tsocket::session::{Closed, Driver, Io, Limits, Session};
//!
//! /// Answers each line with its length.
//! struct Lengths;
//!
//! impl Session for Lengths {
//!     fn receive(&mut self, bytes: &mut [u8], io: &Io) -> io::Result<usize> {
//!         let mut consumed = 0;
//!         for line in bytes.split_inclusive(|byte| *byte == b'\n') {
//!             let Some(line) = line.strip_suffix(b"\n") else { break };
//!             consumed += line.len() + 1;
//!             io.send(format!("{}\n", line.len()))?;
//!         }
//!         Ok(consumed)
//!     }
//!
//!     fn closed(&mut self, _: Closed<'_>) {}
//! }
//!
//! # fn main() -> io::Result<()> {
//! let mut driver = Driver::new(Limits::default(), |_| Lengths);
//! driver.receive(&mut b"one\nthr".to_vec())?;
//! assert_eq!(driver.take_sent(), b"3\n");
//! driver.receive(&mut b"ee\n".to_vec())?;
//! assert_eq!(driver.take_sent(), b"5\n");
//! # Ok(())
//! # }
//! ```

mod driver;
mod handle;
mod run;
mod tunnel;
mod unsent;

use std::io;

pub use driver::Driver;
pub use handle::Io;
pub use run::run;
pub use tunnel::{Tunnel, negotiate, tunnel};

/// A protocol that reacts to bytes.
///
/// Inside [`receive`](Self::receive) it may send, close and drop whatever it likes, the request of its
/// own [`run()`] included: it is itself dropped once the call has returned.
pub trait Session: 'static {
    /// Is offered what has arrived, and returns how many bytes of it, from the front, it has used.
    ///
    /// The rest is kept and offered again in front of what arrives next, or when
    /// [`Io::resume`] asks for it; not before. The bytes may be changed in place, and what is
    /// kept stays changed. Never called with no bytes.
    ///
    /// # Errors
    /// An error, as well as using more than was offered, closes the transport. What was sent before
    /// goes out as far as the transport takes it at once; the owner gets the error, and the session is not called
    /// again.
    #[doc(alias = "session_receive")]
    fn receive(&mut self, bytes: &mut [u8], io: &Io) -> io::Result<usize>;

    /// Is told that the other side has gone without being asked.
    ///
    /// Called at most once, and never after [`Io::close`] or an error of the session's own. Sending
    /// fails from here on; what was sent before still goes out, if there is anybody to take it.
    #[doc(alias = "session_close")]
    fn closed(&mut self, closed: Closed<'_>);
}

/// How the other side went away.
#[derive(Debug)]
pub struct Closed<'a> {
    /// What had arrived and was not consumed: the beginning of something that broke off, or what a
    /// session had no room for yet. It will not be offered again.
    pub unconsumed: &'a mut [u8],
    /// Why, unless the stream came to its end.
    pub error: Option<&'a io::Error>,
}

/// How much a transport keeps for a session, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// What has arrived and was not consumed; 64 KiB unless said otherwise.
    ///
    /// The largest piece that a session can ask to see as a whole. When it is reached, the transport
    /// stops reading, and the peer feels that, until the session consumes something after
    /// [`Io::resume`]. A session whose peer may say how long something is has to
    /// refuse what is longer than this.
    pub unconsumed: usize,
    /// What was sent and not taken by the layer below; 256 KiB unless said otherwise.
    ///
    /// Beyond, [`Io::send`] fails. From half of it on, the transport stops reading, so that a session
    /// whose answers are not much longer than what it is asked never meets the limit.
    pub unsent: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            unconsumed: 64 << 10,
            unsent: 256 << 10,
        }
    }
}
