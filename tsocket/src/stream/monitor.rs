//! Learning that the peer is gone before anything runs into it.

use std::io::{self, ErrorKind};
use std::rc::Rc;

use tevent::{Completer, Readiness, Request};

use super::Stream;
use super::core::{Core, MONITOR, Phase};
use crate::errors;
use crate::slot::holds;

impl Stream {
    /// Waits until the peer has closed its side, or the connection has failed.
    ///
    /// For whoever waits for something else, and does not want to go on for nobody. It takes nothing
    /// from reads and ends no other operation: what has arrived can still be read, and one can still
    /// write to a peer that has closed its side alone.
    ///
    /// The end of the peer is behind what it has sent. To hear of it, a stream that nobody reads from
    /// receives ahead, at most 16 KiB, which count in [`pending_bytes`](Self::pending_bytes). If more
    /// is unread, only a failure or the end of both directions is heard, until some of it has been
    /// read. A kind of stream that does not say (see
    /// [`StreamOps::try_monitor`](crate::StreamOps::try_monitor)) leaves it to reads and writes to find
    /// out.
    ///
    /// # Completion
    /// With `()` once the peer has closed its side, at once if that is known already.
    ///
    /// # Cancellation
    /// Nothing is lost.
    ///
    /// # Errors
    /// `EBUSY` while another one is outstanding; the error that the connection fails with, or has failed
    /// with; `ECONNABORTED` when a disconnect begins or the stream is closed meanwhile; else as
    /// [`Stream`] lists them.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// let ctx = tevent::Context::new()?;
    /// let (near, far) = tsocket::memory::stream_pair(&ctx);
    /// let gone = near.monitor();
    /// ctx.run_until(far.writev(&b"bye"[..]))?.map_err(std::io::Error::from)?;
    /// drop(far);
    /// ctx.run_until(gone)??;
    /// assert_eq!(&*ctx.run_until(near.read(100))??, b"bye");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Source
    /// `tstream_monitor_send()`. Differs: the end of the peer is no error, and poisons nothing; a second
    /// one is `EBUSY`, as the C header says, not `EALREADY`.
    #[doc(alias = "tstream_monitor_send")]
    #[doc(alias = "tstream_monitor_recv")]
    #[track_caller]
    pub fn monitor(&self) -> Request<()> {
        let (request, completer) = Request::pair(&self.core.ctx, "monitor");
        match self.core.check_monitor() {
            Ok(()) => self.core.begin_monitor(completer),
            Err(error) => completer.error(error),
        }
        request
    }

    /// Whether the first sign that the peer is gone ends everything; off at first.
    ///
    /// On: once the peer has closed its side, be it one direction alone, or the connection has failed,
    /// what is outstanding fails at once and so does whatever is begun later: with `ECONNRESET` where
    /// the peer has closed, else with the error of the connection. What has arrived and was not read is
    /// given up. For a server whose answers are for a client that waits for them. The end is heard as
    /// far behind unread bytes as for [`monitor`](Self::monitor), and only while something is
    /// outstanding.
    ///
    /// Off: reads first get what has arrived, and a peer that has closed its side can be written to.
    ///
    /// # Source
    /// `tstream_bsd_fail_readv_first_error()`. Differs: it is for any kind of stream; when off, the end
    /// of what a peer sends is no error for writes.
    #[doc(alias = "tstream_bsd_fail_readv_first_error")]
    pub fn set_fail_first(&self, on: bool) {
        self.core.fail_first.set(on);
        self.core.watch();
    }
}

impl Core {
    fn check_monitor(&self) -> io::Result<()> {
        self.check_open()?;
        if holds(&self.monitor) {
            return Err(errors::busy());
        }
        self.read_failure().map_or(Ok(()), Err)
    }

    fn begin_monitor(self: &Rc<Self>, completer: Completer<()>) {
        completer.set_work(self.clone(), MONITOR);
        self.monitor.set(Some(completer));
        self.watch();
    }

    /// What reads fail with from now on.
    pub(super) fn read_failure(&self) -> Option<io::Error> {
        self.read_error.borrow().as_ref().map(errors::again)
    }

    /// Whether somebody wants to hear of the end before it is read.
    fn is_watching(&self) -> bool {
        holds(&self.monitor) || self.fail_first.get() && self.is_busy()
    }

    /// Looks for the end of the peer if somebody wants to hear of it, and tells.
    ///
    /// Returns what it waits to be told for that.
    #[inline]
    pub(super) fn watch(&self) -> Readiness {
        if self.is_watching() && self.phase() == Phase::Open {
            self.look_for_end()
        } else {
            Readiness::NONE
        }
    }

    fn look_for_end(&self) -> Readiness {
        let mut awaited = Readiness::NONE;
        if !self.gone.get() && self.read_failure().is_none() {
            match self.try_monitor() {
                Ok(()) => self.gone.set(true),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    awaited = Readiness::READ | Readiness::ERROR;
                }
                Err(error) if errors::is_not_supported(&error) => {}
                Err(error) => self.note_read_error(&error),
            }
        }
        self.tell_monitor();
        if self.fail_first.get() {
            self.fail_all();
        }
        awaited
    }

    fn try_monitor(&self) -> io::Result<()> {
        let mut ahead = self.ahead.borrow_mut();
        self.with_ops(|ops| ahead.try_monitor(ops, &self.pool))
    }

    fn tell_monitor(&self) {
        let found = match self.read_failure() {
            Some(error) => Err(error),
            None if self.gone.get() => Ok(()),
            None => return,
        };
        if let Some(completer) = self.monitor.take() {
            completer.finish(found);
        }
    }

    /// Ends everything if the peer is gone.
    fn fail_all(&self) {
        if self.gone.get() {
            self.note_read_error(&errors::reset());
        }
        let Some(error) = self.read_failure() else {
            return;
        };
        let unread = self.ahead.take();
        drop(unread);
        self.end_operations(&error);
    }
}
