//! [`FdEvent`], a handler that runs when a descriptor is ready.

mod table;

use std::cell::{Cell, RefCell};
use std::error::Error;
use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::rc::Rc;

pub(crate) use table::FdTable;

use crate::context::{Context, WeakContext};
use crate::error;
use crate::interest::{Interest, Readiness};
use crate::token::Token;
use crate::trace::{Mark, TraceKind};

/// Owns a descriptor and runs a handler when it is ready.
///
/// Level-triggered: a handler that leaves something unread is called again. It is told a part of what
/// the event asks for at that moment, and never nothing. Of an error or a hang-up,
/// [`Interest::ERROR`] and [`Interest::READ`] are told, so that a reader meets it when it reads; an
/// event that only asks for [`Interest::WRITE`] is not told, and stops asking, because it could do
/// nothing about it. Ask for `WRITE | ERROR` to write to something that may fail.
///
/// This is what an event on a stream socket is told (R, W and E for the three flags) while there is
/// room to write, after its peer has shut down its sending side, and after its peer has closed:
///
/// | Asks for | Idle | Half closed | Closed |
/// |---|---|---|---|
/// | W | W | W | nothing, and asks for nothing from then on |
/// | R | nothing | R | R |
/// | E | nothing | nothing | E |
/// | W, E | W | W | W, E |
/// | R, W | W | R, W | R, W |
/// | R, W, E | W | R, W | R, W, E |
///
/// The end of what a peer sends is no error: only those who read learn of it.
///
/// Any number of events can share a descriptor (through an `Rc<OwnedFd>`, for instance); they take
/// turns, so that each eligible one has run before one runs again.
///
/// A descriptor that cannot be waited for, a regular file above all, is always ready to be read and
/// written: an event on it runs once in every round in which it asks for that.
///
/// The handler may change, drop or make any event, its own included. Dropping the event stops
/// watching, then drops the descriptor.
///
/// # Examples
/// ```
/// use std::io::Write;
/// use std::os::unix::net::UnixStream;
/// use tevent::{Context, FdEvent, Interest};
///
/// # fn main() -> std::io::Result<()> {
/// let ctx = Context::new()?;
/// let (near, mut far) = UnixStream::pair()?;
/// far.write_all(b"!")?;
/// let told = std::rc::Rc::new(std::cell::Cell::new(None));
/// let handler = { let told = told.clone(); move |readiness| told.set(Some(readiness)) };
/// let _event = FdEvent::new(&ctx, near, Interest::READ, handler)?;
/// ctx.run_once()?;
/// assert_eq!(told.get(), Some(tevent::Readiness::READ));
/// # Ok(())
/// # }
/// ```
///
/// # Source
/// `tevent_add_fd()`; `epoll(7)`. Differs: the event owns its descriptor, so it cannot be closed too
/// early; an error is not remembered once it is over; and a half-closed stream (`EPOLLRDHUP`) is not
/// an error.
#[doc(alias = "tevent_add_fd")]
#[doc(alias = "tevent_fd_set_auto_close")]
#[doc(alias = "tevent_fd_set_close_fn")]
#[must_use = "dropping an event stops watching and drops its descriptor"]
pub struct FdEvent<F: AsFd + 'static = OwnedFd> {
    // Declared first, so dropped first: watching ends before the descriptor goes.
    watch: Watch,
    fd: F,
}

/// The membership of an event in the loop; dropping it stops watching.
struct Watch {
    node: Rc<FdNode>,
}

/// What the loop knows of an event.
pub(crate) struct FdNode {
    ctx: WeakContext,
    raw: RawFd,
    interest: Cell<Interest>,
    // The record of the descriptor that this event has joined.
    record: Cell<Token>,
    mark: Mark,
    handler: RefCell<Box<dyn FnMut(Readiness)>>,
}

impl<F: AsFd + 'static> FdEvent<F> {
    /// Watches `fd` for `interest`; with [`Interest::NONE`] nothing is watched for now.
    ///
    /// # Errors
    /// The descriptor comes back with the system's refusal: `ENOSPC` or `ENOMEM` when the kernel has
    /// no room, `ELOOP` for a set of watched descriptors that is nested too deep (`epoll_ctl(2)`),
    /// `EOPNOTSUPP` on the back end `sim`.
    #[track_caller]
    pub fn new(
        ctx: &Context,
        fd: F,
        interest: Interest,
        handler: impl FnMut(Readiness) + 'static,
    ) -> Result<Self, FdError<F>> {
        let node = Rc::new(FdNode {
            ctx: ctx.downgrade(),
            raw: fd.as_fd().as_raw_fd(),
            interest: Cell::new(Interest::NONE),
            record: Cell::new(Token::NOBODY),
            mark: Mark::new(TraceKind::Fd),
            handler: RefCell::new(Box::new(handler)),
        });
        let watch = Watch { node };
        ctx.fds().join(&watch.node);
        watch.node.mark.attach(ctx);
        match watch.set_interest(interest) {
            Ok(()) => Ok(Self { watch, fd }),
            Err(error) => Err(FdError { error, fd }),
        }
    }

    /// What is asked for.
    #[doc(alias = "tevent_fd_get_flags")]
    #[must_use]
    pub fn interest(&self) -> Interest {
        self.watch.node.interest.get()
    }

    /// Asks for `interest` from now on.
    ///
    /// Asking for less costs nothing: the kernel is told once it reports what nobody wants.
    ///
    /// # Errors
    /// The system's refusal, as for [`new`](Self::new); `ESHUTDOWN` if the context is gone. What was
    /// asked for before then stays.
    #[doc(alias = "tevent_fd_set_flags")]
    #[doc(alias = "TEVENT_FD_READABLE")]
    #[doc(alias = "TEVENT_FD_NOT_READABLE")]
    #[doc(alias = "TEVENT_FD_WRITEABLE")]
    #[doc(alias = "TEVENT_FD_NOT_WRITEABLE")]
    #[doc(alias = "TEVENT_FD_WANTERROR")]
    #[doc(alias = "TEVENT_FD_NOT_WANTERROR")]
    pub fn set_interest(&self, interest: Interest) -> io::Result<()> {
        self.watch.set_interest(interest)
    }

    /// The tag that trace hooks see: what was set last, zero at first.
    #[doc(alias = "tevent_fd_get_tag")]
    #[must_use]
    pub fn tag(&self) -> u64 {
        self.watch.node.mark.tag()
    }

    /// Gives it the tag `tag`, which it keeps.
    #[doc(alias = "tevent_fd_set_tag")]
    pub fn set_tag(&self, tag: u64) {
        self.watch.node.mark.set_tag(tag);
    }

    /// The descriptor.
    #[must_use]
    pub fn get_ref(&self) -> &F {
        &self.fd
    }

    /// Stops watching and gives the descriptor back.
    #[must_use]
    pub fn into_inner(self) -> F {
        self.fd
    }
}

impl Watch {
    fn set_interest(&self, interest: Interest) -> io::Result<()> {
        let before = self.node.interest.get();
        if before == interest {
            return Ok(());
        }
        let ctx = self.node.ctx.upgrade().ok_or_else(error::context_gone)?;
        self.node.interest.set(interest);
        if (interest - before).is_empty() && !interest.is_empty() {
            return Ok(());
        }
        let changed = ctx
            .fds()
            .interest_changed(&self.node, before, ctx.counters_ref());
        if changed.is_err() {
            self.node.interest.set(before);
        }
        changed
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if let Some(ctx) = self.node.ctx.upgrade() {
            ctx.fds().leave(&self.node, ctx.counters_ref());
            self.node.mark.detach(&ctx);
        }
        self.node.interest.set(Interest::NONE);
    }
}

impl<F: AsFd + 'static> fmt::Debug for FdEvent<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FdEvent")
            .field("fd", &self.watch.node.raw)
            .field("interest", &self.interest())
            .finish_non_exhaustive()
    }
}

impl FdNode {
    /// Runs the handler with what it asked for of `told`; nothing if it has stopped asking.
    pub(crate) fn run(&self, ctx: &Context, told: Readiness) -> bool {
        let told = told & self.interest.get().into();
        if told.is_empty() {
            return false;
        }
        ctx.handle(&self.mark, || (self.handler.borrow_mut())(told));
        true
    }

    pub(crate) fn mark(&self) -> &Mark {
        &self.mark
    }
}

/// A descriptor that could not be watched, with the reason.
pub struct FdError<F> {
    /// Why.
    pub error: io::Error,
    /// The descriptor, as it was given.
    pub fd: F,
}

impl<F> fmt::Debug for FdError<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FdError")
            .field("error", &self.error)
            .finish_non_exhaustive()
    }
}

impl<F> fmt::Display for FdError<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the descriptor cannot be watched: {}", self.error)
    }
}

impl<F> Error for FdError<F> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.error)
    }
}

impl<F> From<FdError<F>> for io::Error {
    fn from(refused: FdError<F>) -> Self {
        refused.error
    }
}
