//! [`Notice`], a request's progress on its way to whoever wants to know.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use crate::context::{Context, WeakContext};
use crate::dump::Progress;
use crate::run_queue::{Run, Ticket};

/// The handler for the progress of one request; dropped, it is told nothing more.
pub(super) struct Notice {
    node: Rc<NoticeNode>,
}

struct NoticeNode {
    ctx: WeakContext,
    ticket: Cell<Ticket>,
    // What the handler has not been told.
    latest: Cell<Option<Progress>>,
    handler: RefCell<Box<dyn FnMut(Progress)>>,
}

impl Notice {
    pub(super) fn new(ctx: WeakContext, handler: Box<dyn FnMut(Progress)>) -> Self {
        let node = NoticeNode {
            ctx,
            ticket: Cell::new(Ticket::NONE),
            latest: Cell::new(None),
            handler: RefCell::new(handler),
        };
        Self {
            node: Rc::new(node),
        }
    }

    /// Has the handler told of `progress` from the loop, in place of what it was not told yet.
    pub(super) fn tell(&self, progress: Progress) {
        self.node.latest.set(Some(progress));
        if self.node.ticket.get() == Ticket::NONE {
            if let Some(ctx) = self.node.ctx.upgrade() {
                let ticket = ctx.enqueue(self.node.clone());
                self.node.ticket.set(ticket);
            }
        }
    }
}

impl Drop for Notice {
    fn drop(&mut self) {
        let ticket = self.node.ticket.replace(Ticket::NONE);
        if ticket != Ticket::NONE {
            if let Some(ctx) = self.node.ctx.upgrade() {
                ctx.dequeue(ticket);
            }
        }
    }
}

impl Run for NoticeNode {
    fn run(self: Rc<Self>, _: &Context) {
        self.ticket.set(Ticket::NONE);
        if let Some(progress) = self.latest.take() {
            (self.handler.borrow_mut())(progress);
        }
    }

    fn forget(&self) {
        self.ticket.set(Ticket::NONE);
    }
}
