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
/// `tevent_create_immediate()`. Differs: it has one handler, and belongs to one context until it is moved.
#[doc(alias = "tevent_create_immediate")]
#[must_use = "dropping an immediate takes it out of the line"]
pub struct Immediate {
    node: Rc<ImmediateNode>,
}

struct ImmediateNode {
    ctx: RefCell<WeakContext>,
    ticket: Cell<Ticket>,
    // Its turn came inside its handler.
    is_put_off: Cell<bool>,
    handler: RefCell<Box<dyn FnMut()>>,
}

impl Immediate {
    /// An idle immediate of `ctx`.
    pub fn new(ctx: &Context, handler: impl FnMut() + 'static) -> Self {
        let node = ImmediateNode {
            ctx: RefCell::new(ctx.downgrade()),
            ticket: Cell::new(Ticket::NONE),
            is_put_off: Cell::new(false),
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
        self.node.enqueue();
    }

    /// Moves to `ctx` and runs the handler there, behind everything that is in line now.
    ///
    /// It leaves the line of the context where it was, and belongs to `ctx` from now on. One whose
    /// context is gone can be used again in this way. If `ctx` comes to it inside its own handler,
    /// which runs it, the handler runs again when it has returned.
    pub fn schedule_on(&self, ctx: &Context) {
        self.cancel();
        self.node.ctx.replace(ctx.downgrade());
        self.schedule();
    }

    /// Does not run any more until it is scheduled again.
    #[doc(alias = "tevent_reset_immediate")]
    pub fn cancel(&self) {
        self.node.is_put_off.set(false);
        let ticket = self.node.ticket.replace(Ticket::NONE);
        if ticket != Ticket::NONE {
            if let Some(ctx) = self.node.ctx() {
                ctx.dequeue(ticket);
            }
        }
    }

    /// Whether it waits in line.
    #[must_use]
    pub fn is_scheduled(&self) -> bool {
        let is_waiting = self.node.ticket.get() != Ticket::NONE || self.node.is_put_off.get();
        is_waiting && self.node.ctx().is_some()
    }
}

impl ImmediateNode {
    fn ctx(&self) -> Option<Context> {
        self.ctx.borrow().upgrade()
    }

    fn enqueue(self: &Rc<Self>) {
        if let Some(ctx) = self.ctx() {
            self.ticket.set(ctx.enqueue(self.clone()));
        }
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
        let Ok(mut handler) = self.handler.try_borrow_mut() else {
            self.is_put_off.set(true);
            return;
        };
        handler();
        drop(handler);
        if self.is_put_off.take() {
            self.enqueue();
        }
    }
}
