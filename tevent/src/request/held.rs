//! [`Held`] and [`Deadline`], the holds on a request that are not the caller's.

use std::rc::{Rc, Weak};

use super::{Ended, Node};
use crate::context::Context;
use crate::run_queue::Run;
use crate::trace::TraceKind;

/// A request whose type does not matter to its owner.
pub(crate) struct Held {
    node: Rc<dyn Release>,
}

trait Release {
    fn release(&self);
}

impl<T: 'static, E: 'static> Release for Node<T, E> {
    fn release(&self) {
        Self::release(self);
    }
}

impl Held {
    pub(crate) fn new<T: 'static, E: 'static>(node: Rc<Node<T, E>>) -> Self {
        Self { node }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.node.release();
    }
}

/// The timer entry of a request's deadline.
pub(super) struct Deadline<T: 'static, E: 'static> {
    node: Weak<Node<T, E>>,
}

impl<T: 'static, E: 'static> Deadline<T, E> {
    pub(super) fn of(node: &Rc<Node<T, E>>) -> Rc<Self> {
        let node = Rc::downgrade(node);
        Rc::new(Self { node })
    }
}

impl<T: 'static, E: 'static> Run for Deadline<T, E> {
    fn run(self: Rc<Self>, ctx: &Context) {
        if let Some(node) = self.node.upgrade() {
            ctx.measure(TraceKind::Deadline, node.location(), || {
                node.end(Ended::TimedOut);
            });
        }
    }
}
