//! [`Immediate`], a handler that runs as soon as the loop comes to it.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::rc::Rc;

use crate::context::{Context, WeakContext};
use crate::run_queue::{Run, Ticket};
use crate::trace::{Mark, TraceKind};

/// Runs a handler from the loop, behind everything that was scheduled before it.
///
/// An immediate is made idle and scheduled as often as one likes, also from its own handler;
/// scheduling it while it waits moves it to the end of the line. It runs once for each scheduling
/// that was not superseded. Neither making nor scheduling one can fail, and scheduling allocates
/// nothing.
///
/// Dropping an immediate takes it out of the line. It does not keep its context alive.
///
/// # Examples
/// ```
/// use std::cell::Cell;
/// use std::rc::Rc;
/// use tevent::{Context, Immediate};
///
/// # fn main() -> std::io::Result<()> {
/// let ctx = Context::new()?;
/// let ran = Rc::new(Cell::new(false));
/// let immediate = Immediate::new(&ctx, { let ran = ran.clone(); move || ran.set(true) });
/// immediate.schedule();
/// assert!(!ran.get(), "nothing runs inside the call that schedules it");
/// ctx.run()?;
/// assert!(ran.get());
/// # Ok(())
/// # }
/// ```
///
/// # Source
/// `tevent_create_immediate()`. Differs: it has one handler and belongs to one context.
#[doc(alias = "tevent_create_immediate")]
#[must_use = "dropping an immediate takes it out of the line"]
pub struct Immediate {
    node: Rc<ImmediateNode>,
}

struct ImmediateNode {
    ctx: WeakContext,
    ticket: Cell<Ticket>,
    mark: Mark,
    handler: RefCell<Box<dyn FnMut()>>,
}

impl Immediate {
    /// An idle immediate of `ctx`.
    #[track_caller]
    pub fn new(ctx: &Context, handler: impl FnMut() + 'static) -> Self {
        let node = ImmediateNode {
            ctx: ctx.downgrade(),
            ticket: Cell::new(Ticket::NONE),
            mark: Mark::new(TraceKind::Immediate),
            handler: RefCell::new(Box::new(handler)),
        };
        Self {
            node: Rc::new(node),
        }
    }

    /// Runs the handler behind everything that is in line now. Does nothing if the context is gone.
    #[doc(alias = "tevent_schedule_immediate")]
    pub fn schedule(&self) {
        self.cancel();
        if let Some(ctx) = self.node.ctx.upgrade() {
            let ticket = ctx.enqueue(self.node.clone());
            let by_trace_hook = self.node.ticket.replace(ticket);
            if by_trace_hook != Ticket::NONE {
                ctx.dequeue(by_trace_hook);
            }
            self.node.mark.attach(&ctx);
        }
    }

    /// Does not run any more until it is scheduled again.
    #[doc(alias = "tevent_reset_immediate")]
    pub fn cancel(&self) {
        let ticket = self.node.ticket.replace(Ticket::NONE);
        // In its own handler it is not in line, but attached.
        if ticket == Ticket::NONE && !self.node.mark.is_attached() {
            return;
        }
        let Some(ctx) = self.node.ctx.upgrade() else {
            return;
        };
        if ticket != Ticket::NONE {
            ctx.dequeue(ticket);
        }
        self.node.mark.detach(&ctx);
    }

    /// Whether it waits in line.
    #[must_use]
    pub fn is_scheduled(&self) -> bool {
        self.node.ticket.get() != Ticket::NONE
    }

    /// The tag that trace hooks see: what was set last, zero at first.
    #[doc(alias = "tevent_immediate_get_tag")]
    #[must_use]
    pub fn tag(&self) -> u64 {
        self.node.mark.tag()
    }

    /// Gives it the tag `tag`, which it keeps.
    #[doc(alias = "tevent_immediate_set_tag")]
    pub fn set_tag(&self, tag: u64) {
        self.node.mark.set_tag(tag);
    }
}

impl Drop for Immediate {
    fn drop(&mut self) {
        self.cancel();
    }
}

impl fmt::Debug for Immediate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Immediate")
            .field("is_scheduled", &self.is_scheduled())
            .finish_non_exhaustive()
    }
}

impl Run for ImmediateNode {
    fn run(self: Rc<Self>, ctx: &Context) {
        self.ticket.set(Ticket::NONE);
        ctx.handle(&self.mark, || (self.handler.borrow_mut())());
        if self.ticket.get() == Ticket::NONE {
            self.mark.detach(ctx);
        }
    }

    fn mark(&self) -> Option<&Mark> {
        Some(&self.mark)
    }
}
