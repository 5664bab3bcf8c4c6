//! [`Immediate`], a handler that runs as soon as the loop comes to it.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::rc::Rc;

use crate::context::{Context, WeakContext};
use crate::run_queue::{Run, Ticket};

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
    handler: RefCell<Box<dyn FnMut()>>,
}

impl Immediate {
    /// An idle immediate of `ctx`.
    pub fn new(ctx: &Context, handler: impl FnMut() + 'static) -> Self {
        let node = ImmediateNode {
            ctx: ctx.downgrade(),
            ticket: Cell::new(Ticket::NONE),
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
            self.node.ticket.set(ctx.enqueue(self.node.clone()));
        }
    }

    /// Does not run any more until it is scheduled again.
    #[doc(alias = "tevent_reset_immediate")]
    pub fn cancel(&self) {
        let ticket = self.node.ticket.replace(Ticket::NONE);
        if ticket != Ticket::NONE {
            if let Some(ctx) = self.node.ctx.upgrade() {
                ctx.dequeue(ticket);
            }
        }
    }

    /// Whether it waits in line.
    #[must_use]
    pub fn is_scheduled(&self) -> bool {
        self.node.ticket.get() != Ticket::NONE
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
    fn run(self: Rc<Self>, _: &Context) {
        self.ticket.set(Ticket::NONE);
        (self.handler.borrow_mut())();
    }
}
