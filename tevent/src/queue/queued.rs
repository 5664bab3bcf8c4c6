//! The work of a request that stands in a queue.

use std::cell::Cell;
use std::io;
use std::rc::{Rc, Weak};

use super::QueueEntry;
use crate::context::Context;
use crate::request::{Completer, End, Ended, Held, Request, Work};
use crate::token::Token;

/// The work of a request that stands in a queue.
pub(super) struct Queued<T: 'static, E: 'static> {
    resident: Token,
    pub(super) entry: Cell<Option<QueueEntry>>,
    subreq: Cell<Option<Held>>,
    pub(super) completer: Cell<Option<Completer<T, E>>>,
}

impl<T: 'static, E: From<Ended> + 'static> Queued<T, E> {
    /// The work of `request`, whose `completer` it owns from now on.
    pub(super) fn new(request: &Request<T, E>, completer: Completer<T, E>) -> Rc<Self> {
        let queued = Rc::new(Self {
            resident: request.node().resident(),
            entry: Cell::new(None),
            subreq: Cell::new(None),
            completer: Cell::new(None),
        });
        completer.set_work(queued.clone(), 0);
        queued.completer.set(Some(completer));
        queued
    }
}

impl<T: 'static, E: From<Ended> + 'static> Queued<T, E> {
    pub(super) fn triggered(
        self: Rc<Self>,
        turn: io::Result<()>,
        start: impl FnOnce() -> Request<T, E> + 'static,
    ) {
        if turn.is_err() {
            self.finish(Err(Ended::Canceled.into()));
            return;
        }
        let weak: Weak<Self> = Rc::downgrade(&self);
        let unless_started = Abandon(Some(self.clone()));
        let subreq = match self.entry_ctx() {
            Some(ctx) => {
                let _current = ctx.residents().make_current(self.resident);
                start()
            }
            None => start(),
        };
        unless_started.defuse();
        let subreq = subreq.on_done(move |result| {
            if let Some(queued) = weak.upgrade() {
                queued.finish(result);
            }
        });
        // `start` may have dropped the request that it was to serve.
        let is_wanted = self
            .completer
            .take()
            .map(|completer| self.completer.set(Some(completer)));
        if is_wanted.is_some() {
            self.subreq.set(Some(subreq.held()));
        }
    }

    /// The context, as long as the request is in the queue.
    fn entry_ctx(&self) -> Option<Context> {
        let entry = self.entry.take()?;
        let ctx = entry.member.line.ctx.upgrade();
        self.entry.set(Some(entry));
        ctx
    }

    fn finish(&self, result: Result<T, E>) {
        // The completion is put in line first, the next turn behind it.
        if let Some(completer) = self.completer.take() {
            completer.finish(result);
        }
        drop(self.subreq.take());
        drop(self.entry.take());
    }
}

/// Abandons a queued request, unless it is defused: its `start` has panicked.
struct Abandon<T: 'static, E: From<Ended> + 'static>(Option<Rc<Queued<T, E>>>);

impl<T: 'static, E: From<Ended> + 'static> Abandon<T, E> {
    fn defuse(mut self) {
        self.0 = None;
    }
}

impl<T: 'static, E: From<Ended> + 'static> Drop for Abandon<T, E> {
    fn drop(&mut self) {
        if let Some(queued) = self.0.take() {
            queued.finish(Err(Ended::Abandoned.into()));
        }
    }
}

impl<T: 'static, E: From<Ended> + 'static> Work for Queued<T, E> {
    fn stopped(self: Rc<Self>, _: usize, end: End) {
        drop(self.subreq.take());
        // As in `finish`, the next turn stands behind the completion.
        if let (Some(completer), End::Ended(ended)) = (self.completer.take(), end) {
            completer.error(ended.into());
        }
        drop(self.entry.take());
    }
}
