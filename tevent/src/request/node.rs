//! The node behind a request: its states, and who moves it from one to the next.
//!
//! | State | Set by | Left by |
//! |---|---|---|
//! | `Pending` | creation | the completer, a deadline, a cancel (to `Finished`); a drop (to `Dropped`) |
//! | `Finished` | whoever has the result | its delivery (to `Delivered`); a drop (to `Dropped`) |
//! | `Delivered` | the loop, a poll | nobody |
//! | `Dropped` | the caller | nobody |
//!
//! A finished node stands in the run queue as soon as it has a completion, once. Only the step out of
//! `Pending` tells the work and the cleanup hooks.

use std::cell::Cell;
use std::fmt;
use std::panic::Location;
use std::rc::{Rc, Weak};
use std::task::Waker;
use std::time::Instant;

use super::notice::Notice;
use super::{End, Ended};
use crate::clock::Tick;
use crate::context::{Context, WeakContext};
use crate::dump::{Origin, Progress, Resident};
use crate::group::Keeper;
use crate::profile;
use crate::run_queue::{Job, Run, Ticket};
use crate::token::Token;

/// An implementor's side of a request that is told when nobody waits any more.
pub trait Work {
    /// The request with this `slot` was dropped or ended from outside: gives up its place at once.
    ///
    /// Called at most once for each request, inside the call that dropped or ended it. If the request
    /// was not dropped, the completer may be finished here with an error of its own, one that hands
    /// buffers back for instance; otherwise the request ends with `end` as its error.
    fn stopped(self: Rc<Self>, slot: usize, end: End);
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Pending,
    Finished,
    Delivered,
    Dropped,
}

/// Whoever waits for the result.
enum Sink<T, E> {
    Nobody,
    Completion(Box<dyn FnOnce(Result<T, E>)>),
    Waker(Waker),
}

/// What few requests have.
#[derive(Default)]
struct Extras {
    deadline: Option<Token>,
    cancel: Cancel,
    cleanup: Vec<Box<dyn FnOnce(End)>>,
    keeper: Option<Keeper>,
    progress: Option<Progress>,
    notice: Option<Notice>,
}

/// What comes of asking for a cancel.
#[derive(Default)]
enum Cancel {
    /// The request ends.
    #[default]
    End,
    /// The implementor is asked.
    Ask(Box<dyn FnOnce()>),
    /// Nothing: the implementor knows.
    Asked,
}

pub(crate) struct Node<T: 'static, E: 'static> {
    ctx: WeakContext,
    origin: Cell<Origin>,
    resident: Cell<Token>,
    state: Cell<State>,
    ticket: Cell<Ticket>,
    // While it is being ended from outside: what that is called.
    ending: Cell<Option<Ended>>,
    convert: fn(Ended) -> E,
    result: Cell<Option<Result<T, E>>>,
    sink: Cell<Sink<T, E>>,
    work: Cell<Option<(Rc<dyn Work>, usize)>>,
    extras: Cell<Option<Box<Extras>>>,
}

impl<T: 'static, E: 'static> Node<T, E> {
    pub(crate) fn new(
        ctx: WeakContext,
        kind: &'static str,
        location: &'static Location<'static>,
        convert: fn(Ended) -> E,
    ) -> Rc<Self> {
        let alive = ctx.upgrade();
        let (created, parent) = match &alive {
            Some(ctx) => (ctx.round_now(), ctx.residents().current()),
            None => (Tick::default(), Token::NOBODY),
        };
        let node = Rc::new(Self {
            ctx,
            origin: Cell::new(Origin {
                kind,
                location,
                created,
                parent,
            }),
            resident: Cell::new(Token::NOBODY),
            state: Cell::new(State::Pending),
            ticket: Cell::new(Ticket::NONE),
            ending: Cell::new(None),
            convert,
            result: Cell::new(None),
            sink: Cell::new(Sink::Nobody),
            work: Cell::new(None),
            extras: Cell::new(None),
        });
        if let Some(ctx) = alive {
            let weak: Weak<Self> = Rc::downgrade(&node);
            node.resident.set(ctx.residents().enter(weak));
            if ctx.residents().has_profiled() {
                profile::add_part(&ctx, parent, &node);
            }
        }
        node
    }

    pub(crate) fn ctx(&self) -> Option<Context> {
        self.ctx.upgrade()
    }

    /// Who this is in the dump.
    pub(crate) fn resident(&self) -> Token {
        self.resident.get()
    }

    pub(crate) fn origin(&self) -> Origin {
        self.origin.get()
    }

    /// Makes it a part of `parent`, whoever it was a part of before.
    pub(crate) fn adopt(self: &Rc<Self>, parent: Token) {
        let origin = self.origin.get();
        self.origin.set(Origin { parent, ..origin });
        if let Some(ctx) = self.ctx.upgrade() {
            if ctx.residents().has_profiled() {
                profile::add_part(&ctx, parent, self);
            }
        }
    }

    /// The error of a request that nobody finishes.
    pub(crate) fn abandoned(&self) -> E {
        (self.convert)(Ended::Abandoned)
    }

    pub(crate) fn is_finished(&self) -> bool {
        matches!(self.state.get(), State::Finished | State::Delivered)
    }

    pub(crate) fn is_delivered(&self) -> bool {
        self.state.get() == State::Delivered
    }

    pub(crate) fn is_over(&self) -> bool {
        self.state.get() != State::Pending
    }

    /// `Pending` to `Finished`; a result that comes later is dropped.
    pub(crate) fn finish(self: &Rc<Self>, result: Result<T, E>) {
        if self.is_over() {
            return;
        }
        let end = match (self.ending.get(), &result) {
            (Some(ended), _) => End::Ended(ended),
            (None, Ok(_)) => End::Done,
            (None, Err(_)) => End::Error,
        };
        self.state.set(State::Finished);
        self.result.set(Some(result));
        // The work is dropped after everything else: it may own whoever is called here.
        let _work = self.work.take();
        // The completion is put in line before hooks run, and so before the next turn of a queue.
        self.wake_sink();
        self.close(end);
    }

    /// `Pending` to `Finished` from outside; the work may still have the better error.
    pub(crate) fn end(self: &Rc<Self>, ended: Ended) {
        // The first reason counts: work that gives up its completer does not abandon its request.
        if self.is_over() || self.ending.get().is_some() {
            return;
        }
        self.ending.set(Some(ended));
        // Also if the work panics: nobody else could end this request any more.
        let _finish = Finally(|| self.finish(Err((self.convert)(ended))));
        if let Some((work, slot)) = self.work.take() {
            work.stopped(slot, End::Ended(ended));
        }
    }

    /// To `Dropped`, unless the result was delivered.
    pub(crate) fn release(&self) {
        let before = self.state.get();
        if before == State::Delivered || before == State::Dropped {
            return;
        }
        self.state.set(State::Dropped);
        self.dequeue();
        let sink = self.sink.replace(Sink::Nobody);
        let result = self.result.take();
        if before == State::Pending {
            let _close = Finally(|| self.close(End::Dropped));
            if let Some((work, slot)) = self.work.take() {
                work.stopped(slot, End::Dropped);
            }
        }
        drop((sink, result));
    }

    /// What every end has in common: off the dump, no deadline, hooks run.
    fn close(&self, end: End) {
        let ctx = self.ctx.upgrade();
        if let Some(ctx) = &ctx {
            ctx.residents().leave(self.resident.get());
        }
        let Some(mut extras) = self.extras.take() else {
            return;
        };
        if let (Some(deadline), Some(ctx)) = (extras.deadline.take(), &ctx) {
            ctx.disarm(deadline);
        }
        // The end says more than what was still to be told.
        drop(extras.notice.take());
        for hook in std::mem::take(&mut extras.cleanup) {
            hook(end);
        }
        if extras.keeper.is_some() && end != End::Dropped {
            self.extras.set(Some(extras));
        }
    }

    /// Brings the result of a finished request on its way to whoever waits for it.
    fn wake_sink(self: &Rc<Self>) {
        if self.state.get() != State::Finished {
            return;
        }
        match self.sink.replace(Sink::Nobody) {
            Sink::Nobody => {}
            Sink::Waker(waker) => waker.wake(),
            completion @ Sink::Completion(_) => {
                self.sink.set(completion);
                self.enqueue();
            }
        }
    }

    fn enqueue(self: &Rc<Self>) {
        if self.ticket.get() == Ticket::NONE {
            if let Some(ctx) = self.ctx.upgrade() {
                self.ticket.set(ctx.enqueue(Job::Node(self.clone())));
            }
        }
    }

    fn dequeue(&self) {
        let ticket = self.ticket.replace(Ticket::NONE);
        if ticket != Ticket::NONE {
            if let Some(ctx) = self.ctx.upgrade() {
                ctx.dequeue(ticket);
            }
        }
    }

    pub(crate) fn set_completion(self: &Rc<Self>, completion: Box<dyn FnOnce(Result<T, E>)>) {
        let replaced = self.sink.replace(Sink::Completion(completion));
        self.wake_sink();
        drop(replaced);
    }

    pub(crate) fn has_completion(&self) -> bool {
        let sink = self.sink.replace(Sink::Nobody);
        let has_completion = matches!(sink, Sink::Completion(_));
        self.sink.set(sink);
        has_completion
    }

    pub(crate) fn set_waker(&self, waker: &Waker) {
        let sink = match self.sink.replace(Sink::Nobody) {
            Sink::Waker(known) if known.will_wake(waker) => Sink::Waker(known),
            _ => Sink::Waker(waker.clone()),
        };
        self.sink.set(sink);
    }

    /// The result of a finished request, which counts as its delivery.
    pub(crate) fn take_result(&self) -> Option<Result<T, E>> {
        assert!(
            self.state.get() != State::Delivered,
            "a request has only one result"
        );
        let result = self.result.take()?;
        self.state.set(State::Delivered);
        self.dequeue();
        Some(result)
    }

    pub(crate) fn set_work(&self, work: Rc<dyn Work>, slot: usize) {
        if !self.is_over() {
            self.work.set(Some((work, slot)));
        }
    }

    pub(crate) fn set_deadline(self: &Rc<Self>, deadline: Option<Instant>) {
        let Some(ctx) = self.ctx.upgrade().filter(|_| !self.is_over()) else {
            return;
        };
        let armed = deadline.map(|deadline| {
            let node = Rc::new(Deadline {
                node: Rc::downgrade(self),
            });
            ctx.arm(deadline, node)
        });
        let before = self.with_extras(|extras| std::mem::replace(&mut extras.deadline, armed));
        if let Some(before) = before {
            ctx.disarm(before);
        }
    }

    pub(crate) fn set_cancel(&self, handler: Box<dyn FnOnce()>) {
        if !self.is_over() {
            self.with_extras(|extras| extras.cancel = Cancel::Ask(handler));
        }
    }

    pub(crate) fn add_cleanup(&self, hook: Box<dyn FnOnce(End)>) {
        if !self.is_over() {
            self.with_extras(|extras| extras.cleanup.push(hook));
        }
    }

    /// Tells whoever wants to know, and the dump.
    pub(crate) fn notify(&self, progress: Progress) {
        if self.is_over() {
            return;
        }
        if let Some(ctx) = self.ctx.upgrade() {
            ctx.residents().set_progress(self.resident.get(), progress);
        }
        self.with_extras(|extras| {
            extras.progress = Some(progress);
            if let Some(notice) = &extras.notice {
                notice.tell(progress);
            }
        });
    }

    /// Has `handler` told of the progress made so far, and from now on.
    pub(crate) fn set_notice(&self, handler: Box<dyn FnMut(Progress)>) {
        if self.is_over() {
            return;
        }
        let notice = Notice::new(self.ctx.clone(), handler);
        let replaced = self.with_extras(|extras| {
            if let Some(progress) = extras.progress {
                notice.tell(progress);
            }
            extras.notice.replace(notice)
        });
        drop(replaced);
    }

    /// Has `keeper` dropped when the result was delivered.
    pub(crate) fn set_keeper(&self, keeper: Keeper) {
        self.with_extras(|extras| extras.keeper = Some(keeper));
    }

    pub(crate) fn cancel(self: &Rc<Self>) {
        if self.is_over() {
            return;
        }
        let how = self.with_extras(|extras| match extras.cancel {
            Cancel::End => Cancel::End,
            _ => std::mem::replace(&mut extras.cancel, Cancel::Asked),
        });
        match how {
            Cancel::End => self.end(Ended::Canceled),
            Cancel::Ask(handler) => handler(),
            Cancel::Asked => {}
        }
    }

    fn with_extras<R>(&self, change: impl FnOnce(&mut Extras) -> R) -> R {
        let mut extras = self.extras.take().unwrap_or_default();
        let changed = change(&mut extras);
        self.extras.set(Some(extras));
        changed
    }

    pub(crate) fn describe(&self, name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let origin = self.origin.get();
        f.debug_struct(name)
            .field("kind", &origin.kind)
            .field("state", &self.state.get())
            .field("created", &format_args!("{}", origin.location))
            .finish_non_exhaustive()
    }
}

impl<T: 'static, E: 'static> Run for Node<T, E> {
    /// Delivers the result to the completion.
    fn run(self: Rc<Self>, _: &Context) {
        self.ticket.set(Ticket::NONE);
        let Sink::Completion(completion) = self.sink.replace(Sink::Nobody) else {
            return;
        };
        let Some(result) = self.result.take() else {
            return;
        };
        self.state.set(State::Delivered);
        // Last of all, and also if the completion panics, the keeper lets go of the request.
        let _keeper = self
            .extras
            .take()
            .and_then(|mut extras| extras.keeper.take());
        completion(result);
    }
}

impl<T: 'static, E: 'static> Resident for Node<T, E> {
    fn origin(&self) -> Origin {
        self.origin.get()
    }
}

/// Calls what it holds when it is dropped, so also by a panic.
struct Finally<F: FnMut()>(F);

impl<F: FnMut()> Drop for Finally<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// The timer entry of a request's deadline.
struct Deadline<T: 'static, E: 'static> {
    node: Weak<Node<T, E>>,
}

impl<T: 'static, E: 'static> Run for Deadline<T, E> {
    fn run(self: Rc<Self>, _: &Context) {
        if let Some(node) = self.node.upgrade() {
            node.end(Ended::TimedOut);
        }
    }
}

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
