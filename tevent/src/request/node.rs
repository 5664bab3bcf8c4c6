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

use std::cell::RefCell;
use std::fmt;
use std::mem;
use std::panic::Location;
use std::rc::Rc;
use std::task::Waker;
use std::time::Instant;

use super::held::Deadline;
use super::notice::Notice;
use super::sink::Sink;
use super::{End, Ended, Work, cleanup};
use crate::context::{Context, WeakContext};
use crate::dump::Progress;
use crate::group::Keeper;
use crate::profile;
use crate::run_queue::{Run, Ticket};
use crate::token::Token;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Pending,
    Finished,
    Delivered,
    Dropped,
}

/// What few requests have.
#[derive(Default)]
struct Extras {
    deadline: Option<Token>,
    cancel: Cancel,
    cleanup: Vec<cleanup::Hook>,
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
    kind: &'static str,
    location: &'static Location<'static>,
    resident: Token,
    convert: fn(Ended) -> E,
    body: RefCell<Body<T, E>>,
}

// Invariant: not borrowed while code of anybody else runs, drops included.
struct Body<T, E> {
    state: State,
    // While it is being ended from outside: what that is called.
    ending: Option<Ended>,
    ticket: Ticket,
    result: Option<Result<T, E>>,
    sink: Sink<T, E>,
    work: Option<(Rc<dyn Work>, usize)>,
    extras: Option<Box<Extras>>,
}

impl<T, E> Body<T, E> {
    fn new(state: State, result: Option<Result<T, E>>) -> Self {
        Self {
            state,
            ending: None,
            ticket: Ticket::NONE,
            result,
            sink: Sink::Nobody,
            work: None,
            extras: None,
        }
    }
}

impl<T: 'static, E: 'static> Node<T, E> {
    pub(crate) fn new(
        ctx: WeakContext,
        kind: &'static str,
        location: &'static Location<'static>,
        convert: fn(Ended) -> E,
    ) -> Rc<Self> {
        let alive = ctx.upgrade();
        let resident = alive.as_ref().map_or(Token::NOBODY, |ctx| {
            ctx.residents().enter(kind, location, ctx.round_now())
        });
        let node = Rc::new(Self {
            ctx,
            kind,
            location,
            resident,
            convert,
            body: RefCell::new(Body::new(State::Pending, None)),
        });
        if let Some(ctx) = alive.filter(|ctx| ctx.residents().has_profiled()) {
            profile::add_part(&ctx, ctx.residents().current(), &node);
        }
        node
    }

    /// One that is finished from the start, so that no dump ever shows it.
    pub(crate) fn finished(
        ctx: WeakContext,
        kind: &'static str,
        location: &'static Location<'static>,
        convert: fn(Ended) -> E,
        result: Result<T, E>,
    ) -> Rc<Self> {
        Rc::new(Self {
            ctx,
            kind,
            location,
            resident: Token::NOBODY,
            convert,
            body: RefCell::new(Body::new(State::Finished, Some(result))),
        })
    }

    pub(crate) fn ctx(&self) -> Option<Context> {
        self.ctx.upgrade()
    }

    /// Who this is in the dump.
    pub(crate) fn resident(&self) -> Token {
        self.resident
    }

    pub(crate) fn kind(&self) -> &'static str {
        self.kind
    }

    pub(crate) fn location(&self) -> &'static Location<'static> {
        self.location
    }

    /// Makes it a part of `parent`, whoever it was a part of before.
    pub(crate) fn adopt(self: &Rc<Self>, parent: Token) {
        let Some(ctx) = self.ctx.upgrade() else {
            return;
        };
        ctx.residents().adopt(parent, self.resident);
        if ctx.residents().has_profiled() {
            profile::add_part(&ctx, parent, self);
        }
    }

    /// The error of a request that nobody finishes.
    pub(crate) fn abandoned(&self) -> E {
        (self.convert)(Ended::Abandoned)
    }

    fn state(&self) -> State {
        self.body.borrow().state
    }

    pub(crate) fn is_finished(&self) -> bool {
        matches!(self.state(), State::Finished | State::Delivered)
    }

    pub(crate) fn is_delivered(&self) -> bool {
        self.state() == State::Delivered
    }

    pub(crate) fn is_over(&self) -> bool {
        self.state() != State::Pending
    }

    /// `Pending` to `Finished`; a result that comes later is dropped.
    pub(crate) fn finish(self: &Rc<Self>, result: Result<T, E>) {
        let mut body = self.body.borrow_mut();
        if body.state != State::Pending {
            return;
        }
        let end = match (body.ending, &result) {
            (Some(ended), _) => End::Ended(ended),
            (None, Ok(_)) => End::Done,
            (None, Err(_)) => End::Error,
        };
        body.state = State::Finished;
        body.result = Some(result);
        // The work is dropped after everything else: it may own whoever is called here.
        let _work = body.work.take();
        let ctx = self.ctx.upgrade();
        let extras = body.extras.take();
        // A request from before its context was made anew is not known there, and has no reader.
        let reader = ctx
            .as_ref()
            .filter(|ctx| ctx.residents().leave(self.resident));
        // The completion is put in line before hooks run, and so before the next turn of a queue.
        let waker = self.wake_sink(&mut body, reader);
        drop(body);
        if let Some(waker) = waker {
            waker.wake();
        }
        if let Some(extras) = extras {
            self.close_extras(extras, ctx.as_ref(), end);
        }
    }

    /// `Pending` to `Finished` from outside; the work may still have the better error.
    pub(crate) fn end(self: &Rc<Self>, ended: Ended) {
        let mut body = self.body.borrow_mut();
        // The first reason counts: work that gives up its completer does not abandon its request.
        if body.state != State::Pending || body.ending.is_some() {
            return;
        }
        body.ending = Some(ended);
        let work = body.work.take();
        drop(body);
        // Also if the work panics: nobody else could end this request any more.
        let _finish = Finally(|| self.finish(Err((self.convert)(ended))));
        if let Some((work, slot)) = work {
            work.stopped(slot, End::Ended(ended));
        }
    }

    /// To `Dropped`, unless the result was delivered.
    #[inline]
    pub(crate) fn release(&self) {
        if matches!(self.state(), State::Pending | State::Finished) {
            self.drop_early();
        }
    }

    fn drop_early(&self) {
        let mut body = self.body.borrow_mut();
        let before = body.state;
        body.state = State::Dropped;
        let ticket = mem::replace(&mut body.ticket, Ticket::NONE);
        let sink = mem::replace(&mut body.sink, Sink::Nobody);
        let (work, result) = (body.work.take(), body.result.take());
        let mut extras = body.extras.take();
        drop(body);
        let ctx = self.ctx.upgrade();
        if let (Some(ctx), true) = (&ctx, ticket != Ticket::NONE) {
            ctx.dequeue(ticket);
        }
        if before == State::Pending {
            if let Some(ctx) = &ctx {
                ctx.residents().leave(self.resident);
            }
            let _close = Finally(|| {
                if let Some(extras) = extras.take() {
                    self.close_extras(extras, ctx.as_ref(), End::Dropped);
                }
            });
            if let Some((work, slot)) = work {
                work.stopped(slot, End::Dropped);
            }
        }
        drop((sink, result));
    }

    /// What every end has in common: no deadline, hooks run.
    #[cold]
    fn close_extras(&self, mut extras: Box<Extras>, ctx: Option<&Context>, end: End) {
        if let (Some(deadline), Some(ctx)) = (extras.deadline.take(), ctx) {
            ctx.disarm(deadline);
        }
        // The end says more than what was still to be told.
        drop(extras.notice.take());
        let panicked = cleanup::run_all(mem::take(&mut extras.cleanup), end);
        if extras.keeper.is_some() && end != End::Dropped {
            let replaced = self.body.borrow_mut().extras.replace(extras);
            drop(replaced);
        }
        panicked.raise();
    }

    /// Puts a finished request in line if it has a completion; returns the waker to wake if it has
    /// that.
    fn wake_sink(self: &Rc<Self>, body: &mut Body<T, E>, ctx: Option<&Context>) -> Option<Waker> {
        match (&body.sink, ctx) {
            (Sink::Completion(_) | Sink::Shared(_), Some(ctx)) if body.ticket == Ticket::NONE => {
                body.ticket = ctx.enqueue(self.clone());
                None
            }
            (Sink::Waker(_), _) => match mem::replace(&mut body.sink, Sink::Nobody) {
                Sink::Waker(waker) => Some(waker),
                _ => None,
            },
            _ => None,
        }
    }

    /// Has `completion` run, which is no waker.
    pub(crate) fn set_completion(self: &Rc<Self>, completion: Sink<T, E>) {
        let mut body = self.body.borrow_mut();
        let replaced = mem::replace(&mut body.sink, completion);
        if body.state == State::Finished {
            // There is no waker to wake.
            self.wake_sink(&mut body, self.ctx.upgrade().as_ref());
        }
        drop(body);
        drop(replaced);
    }

    pub(crate) fn has_completion(&self) -> bool {
        self.body.borrow().sink.is_completion()
    }

    pub(crate) fn set_waker(&self, waker: &Waker) {
        let is_known = match &self.body.borrow().sink {
            Sink::Waker(known) => known.will_wake(waker),
            _ => false,
        };
        if !is_known {
            let sink = Sink::Waker(waker.clone());
            let replaced = mem::replace(&mut self.body.borrow_mut().sink, sink);
            drop(replaced);
        }
    }

    /// Whether [`take_result`](Self::take_result) would return something.
    pub(crate) fn has_result(&self) -> bool {
        self.state() == State::Finished
    }

    /// The result of a finished request, which counts as its delivery.
    pub(crate) fn take_result(&self) -> Option<Result<T, E>> {
        let mut body = self.body.borrow_mut();
        assert!(
            body.state != State::Delivered,
            "a request has only one result"
        );
        if body.state != State::Finished {
            return None;
        }
        let result = body.result.take();
        body.state = State::Delivered;
        let ticket = mem::replace(&mut body.ticket, Ticket::NONE);
        drop(body);
        if ticket != Ticket::NONE {
            if let Some(ctx) = self.ctx.upgrade() {
                ctx.dequeue(ticket);
            }
        }
        result
    }

    pub(crate) fn set_work(&self, work: Rc<dyn Work>, slot: usize) {
        let mut body = self.body.borrow_mut();
        let unneeded = if body.state == State::Pending {
            body.work.replace((work, slot))
        } else {
            Some((work, slot))
        };
        drop(body);
        drop(unneeded);
    }

    pub(crate) fn set_deadline(self: &Rc<Self>, deadline: Option<Instant>) {
        let Some(ctx) = self.ctx.upgrade().filter(|_| !self.is_over()) else {
            return;
        };
        let armed = deadline.map(|deadline| ctx.arm(deadline, Deadline::of(self)));
        let before = self.with_extras(|extras| mem::replace(&mut extras.deadline, armed));
        if let Some(before) = before {
            ctx.disarm(before);
        }
    }

    pub(crate) fn set_cancel(&self, handler: Box<dyn FnOnce()>) {
        if !self.is_over() {
            let cancel = Cancel::Ask(handler);
            let replaced = self.with_extras(|extras| mem::replace(&mut extras.cancel, cancel));
            drop(replaced);
        }
    }

    pub(crate) fn add_cleanup(&self, hook: cleanup::Hook) {
        if !self.is_over() {
            self.with_extras(|extras| extras.cleanup.push(hook));
        }
    }

    /// Tells whoever wants to know, and the dump.
    pub(crate) fn notify(&self, progress: Progress) {
        if self.is_over() {
            return;
        }
        let ctx = self.ctx.upgrade();
        if !ctx.is_some_and(|ctx| ctx.residents().set_progress(self.resident, progress)) {
            return;
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
        let replaced = self.with_extras(|extras| extras.keeper.replace(keeper));
        drop(replaced);
    }

    pub(crate) fn cancel(self: &Rc<Self>) {
        if self.is_over() {
            return;
        }
        let how = self.with_extras(|extras| match extras.cancel {
            Cancel::End => Cancel::End,
            _ => mem::replace(&mut extras.cancel, Cancel::Asked),
        });
        match how {
            Cancel::End => self.end(Ended::Canceled),
            Cancel::Ask(handler) => handler(),
            Cancel::Asked => {}
        }
    }

    fn with_extras<R>(&self, change: impl FnOnce(&mut Extras) -> R) -> R {
        change(self.body.borrow_mut().extras.get_or_insert_default())
    }

    pub(crate) fn describe(&self, name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct(name)
            .field("kind", &self.kind)
            .field("state", &self.state())
            .field("created", &format_args!("{}", self.location))
            .finish_non_exhaustive()
    }
}

impl<T: 'static, E: 'static> Run for Node<T, E> {
    /// Delivers the result to the completion.
    fn run(self: Rc<Self>, ctx: &Context) {
        let mut body = self.body.borrow_mut();
        body.ticket = Ticket::NONE;
        let sink = mem::replace(&mut body.sink, Sink::Nobody);
        let Some(result) = body.result.take() else {
            return;
        };
        body.state = State::Delivered;
        // Last of all, and also if the completion panics, the keeper lets go of the request.
        let _keeper = body.extras.as_mut().and_then(|extras| extras.keeper.take());
        drop(body);
        sink.complete(ctx, self.location, result);
    }

    fn forget(&self) {
        self.body.borrow_mut().ticket = Ticket::NONE;
    }
}

/// Calls what it holds when it is dropped, so also by a panic.
struct Finally<F: FnMut()>(F);

impl<F: FnMut()> Drop for Finally<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}
