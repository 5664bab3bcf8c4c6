//! A context inside a loop that is not its own: what that waits for, and until when.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Instant;

use super::Context;

impl Context {
    /// A descriptor that is readable when the kernel has something for this context: for a loop that
    /// waits elsewhere, as that of a user interface does.
    ///
    /// Such a loop waits for this to be readable, until [`next_deadline`](Self::next_deadline), and then
    /// calls [`run_ready`](Self::run_ready). It asks for the deadline before each wait, and rounds a
    /// timeout up: half a millisecond as zero would have it spin. Signals and work from other threads
    /// make the descriptor readable as well. Nothing is read from it.
    ///
    /// It is a duplicate that belongs to the caller, and tells of the context until that is
    /// [made anew](Self::re_initialise): ask again then, and in the child of a `fork(2)`.
    ///
    /// # Errors
    /// `EOPNOTSUPP` on the back end `sim`, which has no kernel, and on systems where
    /// `polling` has neither `epoll(7)` nor `kqueue(2)`; `EMFILE` if there is no descriptor left.
    ///
    /// # Examples
    /// ```
    /// use std::time::Duration;
    /// use rustix::event::{PollFd, PollFlags, Timespec, poll};
    /// use tevent::{Context, wakeup};
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let ctx = Context::new()?;
    /// let fd = ctx.poll_fd()?;
    /// let nap = wakeup(&ctx, ctx.now() + Duration::from_millis(2));
    /// while !nap.is_finished() {
    ///     let timeout = ctx.next_deadline().map(|at| {
    ///         let left = at.saturating_duration_since(ctx.now());
    ///         Timespec::try_from(left).expect("no deadline is further off")
    ///     });
    ///     // … beside whatever else that loop waits for
    ///     poll(&mut [PollFd::new(&fd, PollFlags::IN)], timeout.as_ref())?;
    ///     ctx.run_ready()?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn poll_fd(&self) -> io::Result<OwnedFd> {
        self.fds().poll_fd()
    }

    /// Until when [`run_ready`](Self::run_ready) would find nothing to run, unless the descriptor of
    /// [`poll_fd`](Self::poll_fd) becomes readable before.
    ///
    /// That is now if something is in line, otherwise the earliest deadline of all timers, or nothing
    /// if there is none. With a manual clock it is now or nothing: waiting does not move it.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        self.read_clock();
        if self.is_ready() {
            return Some(self.round_now());
        }
        let left = self.time_until_ready()?;
        self.round_now().checked_add(left)
    }
}
