//! The run queue: one line for immediates, completions and work from other threads.

use std::cell::Cell;
use std::rc::Rc;

use crate::context::Context;
use crate::list::{List, Place};
use crate::remote::Call;
use crate::trace::{Mark, TraceKind};

/// Something the loop runs once for each time it was queued or came due; queueing allocates nothing.
pub(crate) trait Run {
    /// Runs, with no table of the context borrowed.
    fn run(self: Rc<Self>, ctx: &Context);

    /// Was taken out of the line, or of the timers, and will not be run for it.
    fn forget(&self) {}

    /// The mark of one that is traced.
    fn mark(&self) -> Option<&Mark> {
        None
    }
}

/// Work that was sent from another thread.
pub(crate) struct Sent(Cell<Option<Call>>);

impl Sent {
    pub(crate) fn new(call: Call) -> Rc<Self> {
        Rc::new(Self(Cell::new(Some(call))))
    }
}

impl Run for Sent {
    fn run(self: Rc<Self>, ctx: &Context) {
        if let Some(Call { work, location }) = self.0.take() {
            ctx.measure(TraceKind::Remote, location, || work(ctx));
        }
    }
}

/// The line, first in first out.
pub(crate) type RunQueue = List<Rc<dyn Run>>;

/// The place of a queued node.
pub(crate) type Ticket = Place;
