//! [`Signal`], a handler that runs in the loop when the process was sent a signal.

mod infos;

use std::cell::{Cell, RefCell};
use std::fmt;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use signal_hook_registry::SigId;

pub use infos::SignalInfo;

use crate::context::{Context, WeakContext};
use crate::error;
use crate::sys;
use crate::token::Token;
use crate::trace::{Mark, TraceKind};

use infos::Ring;

/// Runs a handler in the loop after the process was sent a signal.
///
/// The handler gets a [`Delivery`]: how often the signal was delivered since it last ran, and what the
/// kernel told of each time. The kernel itself merges deliveries of one standard signal that is
/// already pending. Every context with an event for a signal sees every delivery, as do handlers that
/// other libraries installed through the same registry or before. A pending signal runs ahead of
/// everything else in the loop.
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
/// context takes them from another; and each event is told the infos, whatever flags others have.
#[doc(alias = "tevent_add_signal")]
#[must_use = "dropping it stops handling the signal"]
pub struct Signal {
    node: Rc<SignalNode>,
}

/// What has come of one signal since its handler last ran.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Delivery {
    /// How often the signal was delivered, at least once.
    pub count: u32,
    /// What the kernel told, the oldest first: one for each time, but the latest are left out where
    /// there were more than [`Signal::INFO_MAX`]. The info of a delivery that happens right now may
    /// come a run earlier or later than its count.
    pub infos: Vec<SignalInfo>,
}

/// What the loop knows of a signal event.
pub(crate) struct SignalNode {
    ctx: WeakContext,
    signum: i32,
    // Nothing once it is over.
    registration: Cell<Option<(Token, SigId)>>,
    arrivals: Arc<Arrivals>,
    mark: Mark,
    handler: RefCell<Handler>,
}

enum Handler {
    Each(Box<dyn FnMut(Delivery)>),
    Once(Option<Box<dyn FnOnce(Delivery)>>),
}

/// What the action leaves for the loop.
struct Arrivals {
    count: AtomicU32,
    infos: Ring,
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

    /// How many infos are kept until the handler runs; of deliveries beyond these only the count is.
    #[doc(alias = "tevent_sa_info_queue_count")]
    pub const INFO_MAX: usize = Ring::SLOTS;

    /// Handles the signal with the number `signum`.
    ///
    /// # Errors
    /// `EINVAL` for a number that is no signal, and for one that cannot be handled (`SIGKILL`,
    /// `SIGSTOP`) or must not be deferred (`SIGSEGV`, `SIGILL`, `SIGFPE`).
    #[track_caller]
    pub fn new(
        ctx: &Context,
        signum: i32,
        handler: impl FnMut(Delivery) + 'static,
    ) -> io::Result<Self> {
        Self::with_handler(ctx, signum, Handler::Each(Box::new(handler)))
    }

    /// Handles the signal with the number `signum` once, with all that was delivered until then.
    ///
    /// The event is over when `handler` is called: it sees nothing more, and does not keep
    /// [`Context::run`] going. Other events for the same signal go on.
    ///
    /// # Errors
    /// As for [`new`](Self::new).
    ///
    /// # Examples
    /// ```
    /// use tevent::{Context, Signal};
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let ctx = Context::new()?;
    /// let stop = Signal::once(&ctx, Signal::INT, |told| {
    ///     println!("interrupted by {:?}", told.infos.first().and_then(|info| info.pid));
    /// })?;
    /// # drop(stop);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Source
    /// The flag `SA_RESETHAND`. Differs: the other events for the signal are not touched.
    #[track_caller]
    pub fn once(
        ctx: &Context,
        signum: i32,
        handler: impl FnOnce(Delivery) + 'static,
    ) -> io::Result<Self> {
        Self::with_handler(ctx, signum, Handler::Once(Some(Box::new(handler))))
    }

    #[track_caller]
    fn with_handler(ctx: &Context, signum: i32, handler: Handler) -> io::Result<Self> {
        if !sys::can_handle(signum) {
            return Err(error::unusable_signal());
        }
        let arrivals = Arc::new(Arrivals {
            count: AtomicU32::new(0),
            infos: Ring::new(),
        });
        let id = sys::on_signal(signum, {
            let (arrivals, wake) = (arrivals.clone(), ctx.wake());
            move |info| {
                arrivals.infos.push(info);
                arrivals.count.fetch_add(1, Ordering::Release);
                wake.wake();
            }
        })?;
        let node = Rc::new(SignalNode {
            ctx: ctx.downgrade(),
            signum,
            registration: Cell::new(None),
            arrivals,
            mark: Mark::new(TraceKind::Signal),
            handler: RefCell::new(handler),
        });
        let token = ctx.signals().insert(node.clone());
        node.registration.set(Some((token, id)));
        node.mark.attach(ctx);
        Ok(Self { node })
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
        self.node.retire();
        if let Some(ctx) = self.node.ctx.upgrade() {
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
        self.arrivals.count.load(Ordering::Acquire) > 0
    }

    /// Runs the handler with what was delivered since its last run, if anything was.
    pub(crate) fn run(&self, ctx: &Context) -> bool {
        if !self.is_pending() {
            return false;
        }
        let delivery = Delivery {
            count: self.arrivals.count.swap(0, Ordering::AcqRel),
            // Signals that keep coming do not keep us here.
            infos: std::iter::from_fn(|| self.arrivals.infos.pop())
                .take(Signal::INFO_MAX)
                .collect(),
        };
        let mut handler = self.handler.borrow_mut();
        let once = match &mut *handler {
            Handler::Each(each) => {
                ctx.handle(&self.mark, || each(delivery));
                return true;
            }
            Handler::Once(once) => once.take(),
        };
        drop(handler);
        self.retire();
        if let Some(once) = once {
            ctx.handle(&self.mark, || once(delivery));
        }
        self.mark.detach(ctx);
        true
    }

    pub(crate) fn mark(&self) -> &Mark {
        &self.mark
    }

    /// Sees no more signals.
    pub(crate) fn retire(&self) {
        let Some((token, id)) = self.registration.take() else {
            return;
        };
        signal_hook_registry::unregister(id);
        if let Some(ctx) = self.ctx.upgrade() {
            let node = ctx.signals().remove(token);
            drop(node);
        }
    }
}
