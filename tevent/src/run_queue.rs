//! The run queue: one line for immediates, completions and work from other threads.

use std::fmt;
use std::rc::Rc;

use crate::context::Context;
use crate::list::{List, Place};
use crate::remote::RemoteCall;

/// Something the loop runs once for each time it was queued or came due.
pub(crate) trait Run {
    /// Runs, with no table of the context borrowed.
    fn run(self: Rc<Self>, ctx: &Context);
}

/// One entry of the run queue.
pub(crate) enum Job {
    /// A node that lives elsewhere; queueing it allocates nothing.
    Node(Rc<dyn Run>),
    /// Work sent from another thread.
    Call(RemoteCall),
}

impl Job {
    pub(crate) fn run(self, ctx: &Context) {
        match self {
            Self::Node(node) => node.run(ctx),
            Self::Call(call) => call(ctx),
        }
    }
}

impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Node(_) => "Node",
            Self::Call(_) => "Call",
        })
    }
}

/// The line, first in first out.
pub(crate) type RunQueue = List<Job>;

/// The place of a queued node.
pub(crate) type Ticket = Place;
