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
    mark: Mark,
    handler: RefCell<Box<dyn FnMut()>>,
}

impl Immediate {
    /// An idle immediate of `ctx`.
    #[track_caller]
    pub fn new(ctx: &Context, handler: impl FnMut() + 'static) -> Self {
        let node = ImmediateNode {
            ctx: RefCell::new(ctx.downgrade()),
            ticket: Cell::new(Ticket::NONE),
            is_put_off: Cell::new(false),
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
        self.node.leave();
        if let Some(ctx) = self.node.ctx() {
            self.node.enqueue(&ctx);
            self.attach(Some(&ctx), &ctx);
        }
    }

    /// Moves to `ctx` and runs the handler there, behind everything that is in line now.
    ///
    /// It leaves the line of the context where it was, and belongs to `ctx` from now on. One whose
    /// context is gone can be used again in this way. If `ctx` comes to it inside its own handler,
    /// which runs it, the handler runs again when it has returned.
    pub fn schedule_on(&self, ctx: &Context) {
        self.node.leave();
        let former = self.node.ctx();
        self.node.ctx.replace(ctx.downgrade());
        self.node.enqueue(ctx);
        self.attach(former.as_ref(), ctx);
    }

    /// Does not run any more until it is scheduled again.
    #[doc(alias = "tevent_reset_immediate")]
    pub fn cancel(&self) {
        self.node.leave();
        // In its own handler it is not in line, but attached.
        if self.node.mark.is_attached() {
            if let Some(ctx) = self.node.ctx() {
                self.node.mark.detach(&ctx);
            }
        }
    }

    /// Tells the hooks that it was scheduled, unless one of them takes it back.
    fn attach(&self, former: Option<&Context>, ctx: &Context) {
        if let Some(former) = former {
            self.node.mark.detach(former);
        }
        if self.is_scheduled() {
            self.node.mark.attach(ctx);
        }
    }

    /// Whether it waits in line.
    #[must_use]
    pub fn is_scheduled(&self) -> bool {
        let is_waiting = self.node.ticket.get() != Ticket::NONE || self.node.is_put_off.get();
        is_waiting && self.node.ctx().is_some()
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

impl ImmediateNode {
    fn ctx(&self) -> Option<Context> {
        self.ctx.borrow().upgrade()
    }

    fn enqueue(self: &Rc<Self>, ctx: &Context) {
        self.ticket.set(ctx.enqueue(self.clone()));
    }

    fn leave(&self) {
        self.is_put_off.set(false);
        let ticket = self.ticket.replace(Ticket::NONE);
        if ticket != Ticket::NONE {
            if let Some(ctx) = self.ctx() {
                ctx.dequeue(ticket);
            }
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
    fn run(self: Rc<Self>, ctx: &Context) {
        self.ticket.set(Ticket::NONE);
        let Ok(mut handler) = self.handler.try_borrow_mut() else {
            self.is_put_off.set(true);
            return;
        };
        ctx.handle(&self.mark, &mut **handler);
        drop(handler);
        if self.is_put_off.take() {
            if let Some(ctx) = self.ctx() {
                self.enqueue(&ctx);
            }
        } else if self.ticket.get() == Ticket::NONE {
            self.mark.detach(ctx);
        }
    }

    fn forget(&self) {
        self.ticket.set(Ticket::NONE);
    }

    fn mark(&self) -> Option<&Mark> {
        Some(&self.mark)
    }
}
