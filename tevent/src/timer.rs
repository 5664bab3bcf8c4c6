//! [`Timer`], a handler that runs when a deadline has passed.

pub(crate) mod heap;

use std::cell::{Cell, RefCell};
use std::fmt;
use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::context::{Context, WeakContext};
use crate::run_queue::Run;
use crate::token::Token;
use crate::trace::{Mark, TraceKind};

/// Runs a handler when a deadline has passed.
///
/// A timer is made idle and armed as often as one likes, also from its own handler; arming it again
/// moves it. It fires once for each arming, never early, and up to a millisecond late, which is the
/// resolution of the kernel's wait. Timers with equal deadlines fire in the order in which they were
/// armed. The clock is monotonic: setting the system's time moves no timer.
///
/// Dropping a timer disarms it. It does not keep its context alive.
///
/// # Examples
/// A heartbeat re-arms itself:
/// ```
/// use std::cell::{Cell, OnceCell};
/// use std::rc::Rc;
/// use std::time::Duration;
/// use tevent::{Context, Timer};
///
/// # fn main() -> std::io::Result<()> {
/// let ctx = Context::new()?;
/// let beats = Rc::new(Cell::new(0));
/// let timer: Rc<OnceCell<Timer>> = Rc::default();
/// let handler = {
///     let (beats, timer) = (beats.clone(), Rc::downgrade(&timer));
///     move || {
///         beats.set(beats.get() + 1);
///         let timer = timer.upgrade();
///         if let Some(timer) = timer.as_deref().and_then(OnceCell::get) {
///             if beats.get() < 3 {
///                 timer.arm_after(Duration::from_millis(1));
///             }
///         }
///     }
/// };
/// timer.get_or_init(|| Timer::new(&ctx, handler)).arm_after(Duration::ZERO);
/// ctx.run()?;
/// assert_eq!(beats.get(), 3);
/// # Ok(())
/// # }
/// ```
///
/// # Source
/// `tevent_add_timer()`. Differs: monotonic, re-armable, and dropping the handle disarms.
#[doc(alias = "tevent_add_timer")]
#[must_use = "dropping a timer disarms it"]
pub struct Timer {
    node: Rc<TimerNode>,
}

struct TimerNode {
    ctx: WeakContext,
    // The deadline that was asked for and the place in the heap; nothing while idle.
    armed: Cell<Option<(Instant, Token)>>,
    mark: Mark,
    handler: RefCell<Box<dyn FnMut()>>,
}

impl Timer {
    /// An idle timer of `ctx`.
    #[track_caller]
    pub fn new(ctx: &Context, handler: impl FnMut() + 'static) -> Self {
        let node = TimerNode {
            ctx: ctx.downgrade(),
            armed: Cell::new(None),
            mark: Mark::new(TraceKind::Timer),
            handler: RefCell::new(Box::new(handler)),
        };
        Self {
            node: Rc::new(node),
        }
    }

    /// Fires once `deadline` has passed, instead of whatever deadline there was before.
    ///
    /// A deadline in the past is due in the next round of the loop, among others by its time. Does
    /// nothing if the context is gone.
    #[doc(alias = "tevent_update_timer")]
    pub fn arm(&self, deadline: Instant) {
        self.node.leave();
        if let Some(ctx) = self.node.ctx.upgrade() {
            let token = ctx.arm(deadline, self.node.clone());
            self.node.armed.set(Some((deadline, token)));
            self.node.mark.detach(&ctx);
            // Unless a trace hook has taken it back.
            if self.node.armed.get().is_some() {
                self.node.mark.attach(&ctx);
            }
        }
    }

    /// Fires once `timeout` is over, counted from now; zero means as soon as possible, and
    /// [`Duration::MAX`] never.
    #[doc(alias = "tevent_timeval_current_ofs")]
    pub fn arm_after(&self, timeout: Duration) {
        if let Some(ctx) = self.node.ctx.upgrade() {
            self.arm(ctx.after(timeout));
        }
    }

    /// Does not fire any more until it is armed again.
    pub fn disarm(&self) {
        self.node.leave();
        // In its own handler it is not armed, but attached.
        if self.node.mark.is_attached() {
            if let Some(ctx) = self.node.ctx.upgrade() {
                self.node.mark.detach(&ctx);
            }
        }
    }

    /// When it will fire; nothing while it is idle, or if the context is gone.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.node.ctx.upgrade()?;
        self.node.armed.get().map(|(deadline, _)| deadline)
    }

    /// The tag that trace hooks see: what was set last, zero at first.
    #[doc(alias = "tevent_timer_get_tag")]
    #[must_use]
    pub fn tag(&self) -> u64 {
        self.node.mark.tag()
    }

    /// Gives it the tag `tag`, which it keeps.
    #[doc(alias = "tevent_timer_set_tag")]
    pub fn set_tag(&self, tag: u64) {
        self.node.mark.set_tag(tag);
    }
}

impl TimerNode {
    fn leave(&self) {
        if let Some((_, token)) = self.armed.take() {
            if let Some(ctx) = self.ctx.upgrade() {
                ctx.disarm(token);
            }
        }
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.disarm();
    }
}

impl fmt::Debug for Timer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timer")
            .field("deadline", &self.deadline())
            .finish_non_exhaustive()
    }
}

impl Run for TimerNode {
    fn run(self: Rc<Self>, ctx: &Context) {
        self.armed.set(None);
        ctx.handle(&self.mark, || (self.handler.borrow_mut())());
        if self.armed.get().is_none() {
            self.mark.detach(ctx);
        }
    }

    fn forget(&self) {
        self.armed.set(None);
    }

    fn mark(&self) -> Option<&Mark> {
        Some(&self.mark)
    }
}
