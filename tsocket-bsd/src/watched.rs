//! [`Watched`], a socket whose interest stays until it is unwanted.

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::rc::Rc;

use rustix::io::Errno;
use rustix::net;
use tevent::{Context, Counters, FdError, FdEvent, Interest, Readiness};
use tsocket::Address;

use crate::address;

/// A socket that the loop watches, with the counters of its context.
pub(crate) struct Watched {
    // Invariant: there until the descriptor is taken out.
    event: Option<FdEvent<OwnedFd>>,
    pub(crate) counters: Rc<Counters>,
}

impl Watched {
    /// Owns `fd`; `told` runs when something that was asked for is ready. Asks for nothing yet.
    pub(crate) fn new(
        ctx: &Context,
        fd: OwnedFd,
        told: impl FnMut(Readiness) + 'static,
    ) -> Result<Self, FdError<OwnedFd>> {
        let event = FdEvent::new(ctx, fd, Interest::NONE, told)?;
        Ok(Self {
            event: Some(event),
            counters: ctx.counters(),
        })
    }

    fn event(&self) -> &FdEvent<OwnedFd> {
        self.event
            .as_ref()
            .expect("nothing is asked of it after that")
    }

    /// Stops watching and takes the descriptor out; nothing can be asked of what is left.
    pub(crate) fn take(&mut self) -> Option<OwnedFd> {
        self.event.take().map(FdEvent::into_inner)
    }

    /// Is watched by `ctx` from now on; asks for nothing yet.
    pub(crate) fn move_to(&mut self, ctx: &Context, told: impl FnMut(Readiness) + 'static) {
        if let Some(fd) = self.take() {
            let moved = Self::new(ctx, fd, told);
            *self = moved.expect("asking for nothing takes nothing of the kernel");
        }
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.event().get_ref().as_fd()
    }

    /// Asks to be told when a read is worth it.
    pub(crate) fn ask_read(&self) -> io::Result<()> {
        let event = self.event();
        let asked = event.interest();
        if asked.contains(Interest::READ) {
            return Ok(());
        }
        event.set_interest(asked | Interest::READ)
    }

    /// Fails with `WouldBlock`, and asks to be told when a read is worth it.
    pub(crate) fn await_read<T>(&self) -> io::Result<T> {
        self.ask_read()?;
        Err(Errno::WOULDBLOCK.into())
    }

    /// Asks to be told when a write is worth it, be it only to meet an error.
    pub(crate) fn ask_write(&self) -> io::Result<()> {
        self.event()
            .set_interest(self.event().interest() | Interest::WRITE | Interest::ERROR)
    }

    /// Asks to be told of an error, and of the end of both directions.
    pub(crate) fn ask_error(&self) -> io::Result<()> {
        self.event()
            .set_interest(self.event().interest() | Interest::ERROR)
    }

    /// Stops asking to be told when a read is worth it.
    pub(crate) fn forget_read(&self) {
        self.ask_no_more(Interest::READ);
    }

    /// Stops asking to be told when a write is worth it.
    pub(crate) fn forget_write(&self) {
        self.ask_no_more(Interest::WRITE | Interest::ERROR);
    }

    fn ask_no_more(&self, interest: Interest) {
        // Taking back cannot fail but with the context: then nothing is told any more.
        self.event()
            .set_interest(self.event().interest() - interest)
            .ok();
    }

    pub(crate) fn local_address(&self) -> io::Result<Address> {
        address::from_system(Some(net::getsockname(self.fd())?))
    }

    pub(crate) fn peer_address(&self) -> io::Result<Address> {
        address::from_system(net::getpeername(self.fd())?)
    }
}
