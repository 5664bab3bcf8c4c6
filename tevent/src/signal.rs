//! [`Signal`], a handler that runs in the loop when the process was sent a signal.

use std::cell::RefCell;
use std::fmt;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use signal_hook_registry::SigId;

use crate::context::{Context, WeakContext};
use crate::error;
use crate::sys;
use crate::token::Token;
use crate::trace::{Mark, TraceKind};

/// Runs a handler in the loop after the process was sent a signal.
///
/// The handler is told how many deliveries there were since it last ran; the kernel itself merges
/// deliveries of one standard signal that is already pending. Every context with an event for a
/// signal sees every delivery, as do handlers that other libraries installed through the same
/// registry or before. A pending signal runs ahead of everything else in the loop.
///
/// An event for a signal keeps [`Context::run`] going. The signal's default action does not come back
/// when the last event for it is dropped: from the first event on, a process is not ended by it.
///
/// # Examples
/// ```
/// use tevent::{Context, Signal};
///
/// # fn main() -> std::io::Result<()> {
/// let ctx = Context::new()?;
/// let stop = Signal::new(&ctx, Signal::TERM, |_| { /* begin to shut down */ })?;
/// # drop(stop);
/// # Ok(())
/// # }
/// ```
///
/// # Source
/// `tevent_add_signal()`; `sigaction(2)`. Differs: deliveries are counted for each event, so that no
/// context takes them from another.
#[doc(alias = "tevent_add_signal")]
#[must_use = "dropping it stops handling the signal"]
pub struct Signal {
    node: Rc<SignalNode>,
    token: Token,
    id: SigId,
}

/// What the loop knows of a signal event.
pub(crate) struct SignalNode {
    ctx: WeakContext,
    signum: i32,
    deliveries: Arc<AtomicU32>,
    mark: Mark,
    handler: RefCell<Box<dyn FnMut(u32)>>,
}

impl Signal {
    /// The number of the hang-up signal.
    pub const HUP: i32 = sys::SIGHUP;
    /// The number of the interrupt signal, what Ctrl-C sends.
    pub const INT: i32 = sys::SIGINT;
    /// The number of the termination signal, what a service manager sends first.
    pub const TERM: i32 = sys::SIGTERM;
    /// The number of the first signal that is free for a program's own use.
    pub const USR1: i32 = sys::SIGUSR1;

    /// Handles the signal with the number `signum`.
    ///
    /// # Errors
    /// `EINVAL` for a number that is no signal, and for one that cannot be handled (`SIGKILL`,
    /// `SIGSTOP`) or must not be deferred (`SIGSEGV`, `SIGILL`, `SIGFPE`).
    #[track_caller]
    pub fn new(ctx: &Context, signum: i32, handler: impl FnMut(u32) + 'static) -> io::Result<Self> {
        if !sys::can_handle(signum) {
            return Err(error::unusable_signal());
        }
        let deliveries = Arc::new(AtomicU32::new(0));
        let id = sys::on_signal(signum, {
            let (deliveries, wake) = (deliveries.clone(), ctx.wake());
            move || {
                deliveries.fetch_add(1, Ordering::Release);
                wake.wake();
            }
        })?;
        let node = Rc::new(SignalNode {
            ctx: ctx.downgrade(),
            signum,
            deliveries,
            mark: Mark::new(TraceKind::Signal),
            handler: RefCell::new(Box::new(handler)),
        });
        let token = ctx.signals().insert(node.clone());
        node.mark.attach(ctx);
        Ok(Self { node, token, id })
    }

    /// The tag that trace hooks see: what was set last, zero at first.
    #[doc(alias = "tevent_signal_get_tag")]
    #[must_use]
    pub fn tag(&self) -> u64 {
        self.node.mark.tag()
    }

    /// Gives it the tag `tag`, which it keeps.
    #[doc(alias = "tevent_signal_set_tag")]
    pub fn set_tag(&self, tag: u64) {
        self.node.mark.set_tag(tag);
    }
}

impl Drop for Signal {
    fn drop(&mut self) {
        signal_hook_registry::unregister(self.id);
        if let Some(ctx) = self.node.ctx.upgrade() {
            ctx.signals().remove(self.token);
            self.node.mark.detach(&ctx);
        }
    }
}

impl fmt::Debug for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signal")
            .field("signum", &self.node.signum)
            .finish_non_exhaustive()
    }
}

impl SignalNode {
    pub(crate) fn signum(&self) -> i32 {
        self.signum
    }

    pub(crate) fn is_pending(&self) -> bool {
        self.deliveries.load(Ordering::Acquire) > 0
    }

    /// Runs the handler with the deliveries since its last run, if there are any.
    pub(crate) fn run(&self, ctx: &Context) -> bool {
        if !self.is_pending() {
            return false;
        }
        let count = self.deliveries.swap(0, Ordering::AcqRel);
        ctx.handle(&self.mark, || (self.handler.borrow_mut())(count));
        true
    }

    pub(crate) fn mark(&self) -> &Mark {
        &self.mark
    }
}
