//! [`Driver`], a session with what was not consumed, driven by hand.

use std::fmt;
use std::io;
use std::mem;

use super::{Closed, Io, Limits, Session};
use crate::errors;

/// A session and what a transport has to keep for it, without a transport: whoever has bytes hands
/// them in, and takes out what is to be sent.
///
/// [`run()`](super::run()) and [`tunnel()`](super::tunnel()) use one, so a session cannot tell by hand from in earnest.
///
/// # Examples
/// See [`session`](super).
pub struct Driver<S> {
    session: S,
    io: Io,
    // What was not consumed, from `start` on.
    kept: Vec<u8>,
    start: usize,
    kept_max: usize,
    is_over: bool,
}

impl<S: Session> Driver<S> {
    /// Makes a session that is given its [`Io`].
    #[doc(alias = "session_create")]
    pub fn new(limits: Limits, make: impl FnOnce(&Io) -> S) -> Self {
        let io = Io::new(limits.unsent);
        Self {
            session: make(&io),
            io,
            kept: Vec::new(),
            start: 0,
            kept_max: limits.unconsumed,
            is_over: false,
        }
    }

    /// The handle that the session sends through.
    pub fn io(&self) -> &Io {
        &self.io
    }

    /// The session.
    pub fn session(&mut self) -> &mut S {
        &mut self.session
    }

    /// Takes the session out; what was not consumed is lost.
    pub fn into_session(self) -> S {
        self.session
    }

    /// How many bytes may arrive now, so that no more than [`Limits::unconsumed`] are kept.
    pub fn room(&self) -> usize {
        self.kept_max.saturating_sub(self.unconsumed())
    }

    /// How many bytes have arrived and were not consumed.
    pub fn unconsumed(&self) -> usize {
        self.kept.len() - self.start
    }

    /// Whether the session is not called any more: it has closed or failed, or was told of the end.
    pub fn is_over(&self) -> bool {
        self.is_over || self.io.is_closed()
    }

    /// Offers the session what was kept and `arrived` behind it, and keeps what it does not consume.
    ///
    /// If nothing was kept, `arrived` itself is offered: only what is not consumed is copied.
    ///
    /// # Errors
    /// The session's; `EINVAL` if it says to have consumed more than there was. Both end the session.
    /// `ENOTCONN` if it [is over](Self::is_over), `ENOBUFS` if there is no [room](Self::room) for so much:
    /// then it was not called.
    pub fn receive(&mut self, arrived: &mut [u8]) -> io::Result<()> {
        if self.is_over() {
            return Err(errors::closed());
        }
        if arrived.len() > self.room() {
            return Err(errors::no_room());
        }
        if arrived.is_empty() {
            return Ok(());
        }
        if self.unconsumed() > 0 {
            self.keep(arrived);
            return self.offer_kept();
        }
        let consumed = self.offer(arrived)?;
        if !self.is_over() {
            self.keep(&arrived[consumed..]);
        }
        Ok(())
    }

    /// Offers once more what was kept, if [`Io::resume`] has asked for it; returns whether it did.
    ///
    /// # Errors
    /// As for [`receive`](Self::receive).
    pub fn resume(&mut self) -> io::Result<bool> {
        if !self.wants_resume() {
            return Ok(false);
        }
        self.offer_kept()?;
        Ok(true)
    }

    /// Whether [`resume`](Self::resume) would offer something.
    pub fn wants_resume(&self) -> bool {
        self.io.is_resumed() && self.unconsumed() > 0 && !self.is_over()
    }

    /// Tells the session that the other side has gone, with the error if it was not the end of the
    /// stream; does nothing if the session is over.
    pub fn close(&mut self, error: Option<&io::Error>) {
        if self.is_over() {
            return;
        }
        self.io.shut();
        self.end_input(error);
    }

    /// Takes what the session has sent.
    pub fn take_sent(&mut self) -> Vec<u8> {
        self.io.take_all()
    }

    /// Tells the session that nothing more will come, and leaves it the way back.
    pub(super) fn end_input(&mut self, error: Option<&io::Error>) {
        self.is_over = true;
        let mut kept = mem::take(&mut self.kept);
        let unconsumed = &mut kept[mem::take(&mut self.start)..];
        let closed = Closed { unconsumed, error };
        self.io.quietly(|| self.session.closed(closed));
    }

    fn offer_kept(&mut self) -> io::Result<()> {
        let mut kept = mem::take(&mut self.kept);
        let start = mem::take(&mut self.start);
        let consumed = self.offer(&mut kept[start..])?;
        let start = start + consumed;
        if start < kept.len() && !self.is_over() {
            self.kept = kept;
            self.start = start;
        }
        Ok(())
    }

    fn offer(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.io.take_resumed();
        // It stays so if the session panics: what it was offered is lost.
        self.is_over = true;
        let received = self.io.quietly(|| self.session.receive(bytes, &self.io));
        self.is_over = false;
        let consumed = match received {
            Ok(consumed) if consumed > bytes.len() => Err(errors::took_too_much()),
            consumed => consumed,
        };
        match consumed {
            // Nothing has changed, so nothing would.
            Ok(0) => {
                self.io.take_resumed();
            }
            Ok(_) => {}
            Err(_) => {
                self.is_over = true;
                self.io.shut();
            }
        }
        consumed
    }

    fn keep(&mut self, bytes: &[u8]) {
        // Moved to the front only when that is no more than what has been consumed meanwhile.
        if self.start > self.unconsumed() {
            self.kept.drain(..mem::take(&mut self.start));
        }
        self.kept.extend_from_slice(bytes);
    }
}

impl<S> fmt::Debug for Driver<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver")
            .field("unconsumed", &(self.kept.len() - self.start))
            .field("io", &self.io)
            .finish_non_exhaustive()
    }
}
