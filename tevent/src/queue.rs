//! [`Queue`], a line in which one member at a time has its turn.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::io;
use std::rc::{Rc, Weak};

use crate::context::{Context, WeakContext};
use crate::error;
use crate::list::{List, Place};
use crate::request::{Completer, End, Ended, Held, Request, Work};
use crate::run_queue::{Run, Ticket};
use crate::token::Token;

/// A line in which the first has its turn until it leaves, and then the next.
///
/// Most use [`add`](Self::add), whose members are requests: a member leaves when its request has
/// finished or is dropped, whichever is first. The completion of the one that leaves runs before the
/// turn of the next begins. Turns begin from the loop, except as [`add_eager`](Self::add_eager) says.
///
/// Dropping a queue ends what still waits in it with [`Ended::Canceled`]; who has the turn goes on.
///
/// # Examples
/// Two naps that do not overlap:
/// ```
/// use std::rc::Rc;
/// use std::time::Duration;
/// use tevent::{Context, Queue, wakeup};
///
/// # fn main() -> std::io::Result<()> {
/// let ctx = Context::new()?;
/// let queue = Queue::new(&ctx);
/// let nap = {
///     let ctx = ctx.clone();
///     move || wakeup(&ctx, ctx.now() + Duration::from_millis(2))
/// };
/// let start = ctx.now();
/// let first = queue.add(nap.clone());
/// let second = queue.add(nap);
/// ctx.run_until(second)??;
/// assert!(first.is_finished() && ctx.now() - start >= Duration::from_millis(4));
/// # Ok(())
/// # }
/// ```
///
/// # Source
/// `tevent_queue_create()`. Differs: in C a place is given up only when its request is freed, and
/// what waits in a freed queue waits for ever.
#[doc(alias = "tevent_queue_create")]
pub struct Queue {
    line: Rc<Line>,
}

/// One place in a [`Queue`]; dropping it leaves the queue.
#[doc(alias = "tevent_queue_entry")]
#[must_use = "dropping an entry leaves the queue"]
pub struct QueueEntry {
    member: Rc<Member>,
}

type Trigger = Box<dyn FnOnce(io::Result<()>)>;

// Invariant: in the run queue exactly while `ticket` says so.
struct Line {
    ctx: WeakContext,
    members: RefCell<List<Rc<Member>>>,
    // Whether the first member has its turn.
    is_first_triggered: Cell<bool>,
    is_running: Cell<bool>,
    ticket: Cell<Ticket>,
}

struct Member {
    line: Rc<Line>,
    place: Cell<Place>,
    // In the run queue, to be told that the queue is gone.
    ticket: Cell<Ticket>,
    trigger: Cell<Option<Trigger>>,
}

impl Queue {
    /// An empty queue that is running.
    pub fn new(ctx: &Context) -> Self {
        let line = Line {
            ctx: ctx.downgrade(),
            members: RefCell::new(List::default()),
            is_first_triggered: Cell::new(false),
            is_running: Cell::new(true),
            ticket: Cell::new(Ticket::NONE),
        };
        Self {
            line: Rc::new(line),
        }
    }

    /// Has `start` make a request when it is its turn, and passes on what comes of it.
    ///
    /// # Cancellation
    /// Dropping the request leaves the queue; if it had its turn, what `start` made is dropped too.
    #[doc(alias = "tevent_queue_add")]
    #[track_caller]
    pub fn add<T: 'static, E: From<Ended> + 'static>(
        &self,
        start: impl FnOnce() -> Request<T, E> + 'static,
    ) -> Request<T, E> {
        let (request, completer) = Request::pair(&self.line.ctx, "queued");
        self.enter(&request, completer, start);
        request
    }

    /// As [`add`](Self::add), but calls `start` at once if the queue is empty and running.
    #[doc(alias = "tevent_queue_add_optimize_empty")]
    #[track_caller]
    pub fn add_eager<T: 'static, E: From<Ended> + 'static>(
        &self,
        start: impl FnOnce() -> Request<T, E> + 'static,
    ) -> Request<T, E> {
        let (request, completer) = Request::pair(&self.line.ctx, "queued");
        let Some(entry) = self.try_turn() else {
            self.enter(&request, completer, start);
            return request;
        };
        let queued = Queued::new(&request, completer);
        queued.entry.set(Some(entry));
        queued.triggered(Ok(()), start);
        request
    }

    /// Enters the queue and has the turn at once, if the queue is empty and running.
    pub fn try_turn(&self) -> Option<QueueEntry> {
        if !self.is_empty() || !self.is_running() {
            return None;
        }
        self.line.is_first_triggered.set(true);
        Some(self.line.push(None))
    }

    fn enter<T: 'static, E: From<Ended> + 'static>(
        &self,
        request: &Request<T, E>,
        completer: Completer<T, E>,
        start: impl FnOnce() -> Request<T, E> + 'static,
    ) {
        let queued = Queued::new(request, completer);
        let weak = Rc::downgrade(&queued);
        queued.entry.set(Some(self.add_entry(move |turn| {
            if let Some(queued) = weak.upgrade() {
                queued.triggered(turn, start);
            }
        })));
    }

    /// Enters the queue without a request: `trigger` runs once, from the loop, when it is its turn.
    ///
    /// The turn lasts until the entry is dropped. `trigger` gets `ECANCELED` if the queue was dropped
    /// first.
    #[doc(alias = "tevent_queue_add_entry")]
    pub fn add_entry(&self, trigger: impl FnOnce(io::Result<()>) + 'static) -> QueueEntry {
        let entry = self.line.push(Some(Box::new(trigger)));
        self.line.schedule();
        entry
    }

    /// A request that is done when it is its turn, with the entry that holds the turn until dropped.
    #[doc(alias = "tevent_queue_wait_send")]
    #[doc(alias = "tevent_queue_wait_recv")]
    #[track_caller]
    pub fn wait(&self) -> Request<QueueEntry> {
        let (request, completer) = Request::pair(&self.line.ctx, "queue wait");
        let waiting = Queued::new(&request, completer);
        let weak = Rc::downgrade(&waiting);
        waiting.entry.set(Some(self.add_entry(move |turn| {
            let Some(waiting) = weak.upgrade() else {
                return;
            };
            let (completer, entry) = (waiting.completer.take(), waiting.entry.take());
            if let (Some(completer), Some(entry)) = (completer, entry) {
                completer.finish(turn.map(|()| entry));
            }
        })));
        request
    }

    /// Begins no more turns until [`start`](Self::start); a turn that has begun goes on.
    #[doc(alias = "tevent_queue_stop")]
    pub fn stop(&self) {
        self.line.is_running.set(false);
    }

    /// Begins turns again.
    #[doc(alias = "tevent_queue_start")]
    pub fn start(&self) {
        self.line.is_running.set(true);
        self.line.schedule();
    }

    /// Whether turns begin.
    #[doc(alias = "tevent_queue_running")]
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.line.is_running.get()
    }

    /// How many are in the queue, the one that has its turn included.
    #[doc(alias = "tevent_queue_length")]
    #[must_use]
    pub fn len(&self) -> usize {
        self.line.members.borrow().len()
    }

    /// Whether nobody is in the queue.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        let Some(ctx) = self.line.ctx.upgrade() else {
            return;
        };
        self.line.is_running.set(false);
        let members = self.line.members.take();
        for member in members {
            member.place.set(Place::NONE);
            let is_waiting = member.with_trigger(|trigger| trigger.is_some());
            if is_waiting {
                member.ticket.set(ctx.enqueue(member.clone()));
            }
        }
    }
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue")
            .field("len", &self.len())
            .field("is_running", &self.is_running())
            .finish_non_exhaustive()
    }
}

impl Line {
    fn push(self: &Rc<Self>, trigger: Option<Trigger>) -> QueueEntry {
        let member = Rc::new(Member {
            line: self.clone(),
            place: Cell::new(Place::NONE),
            ticket: Cell::new(Ticket::NONE),
            trigger: Cell::new(trigger),
        });
        member
            .place
            .set(self.members.borrow_mut().push_back(member.clone()));
        QueueEntry { member }
    }

    fn wants_turn(&self) -> bool {
        let is_waiting = !self.is_first_triggered.get() && !self.members.borrow().is_empty();
        self.is_running.get() && is_waiting
    }

    /// Has the next turn begin from the loop, if there is one to begin.
    fn schedule(self: &Rc<Self>) {
        if self.wants_turn() && self.ticket.get() == Ticket::NONE {
            if let Some(ctx) = self.ctx.upgrade() {
                self.ticket.set(ctx.enqueue(self.clone()));
            }
        }
    }

    fn unschedule(&self) {
        let ticket = self.ticket.replace(Ticket::NONE);
        if ticket != Ticket::NONE {
            if let Some(ctx) = self.ctx.upgrade() {
                ctx.dequeue(ticket);
            }
        }
    }

    fn begin_turn(&self) {
        if !self.wants_turn() {
            return;
        }
        let first = self
            .members
            .borrow()
            .front()
            .map(|(_, member)| member.clone());
        if let Some(trigger) = first.and_then(|member| member.trigger.take()) {
            self.is_first_triggered.set(true);
            trigger(Ok(()));
        }
    }
}

impl Run for Line {
    fn run(self: Rc<Self>, _: &Context) {
        self.ticket.set(Ticket::NONE);
        self.begin_turn();
    }
}

impl Member {
    fn with_trigger<R>(&self, look: impl FnOnce(&Option<Trigger>) -> R) -> R {
        let trigger = self.trigger.take();
        let seen = look(&trigger);
        self.trigger.set(trigger);
        seen
    }
}

impl Run for Member {
    /// The queue is gone.
    fn run(self: Rc<Self>, _: &Context) {
        self.ticket.set(Ticket::NONE);
        if let Some(trigger) = self.trigger.take() {
            trigger(Err(Ended::Canceled.into()));
        }
    }
}

impl QueueEntry {
    /// Gives the turn back without leaving: `trigger` runs when the queue begins turns again.
    ///
    /// The entry stays the first of its queue, so its turn is the next after [`Queue::start`].
    ///
    /// # Errors
    /// `EINVAL`, and `trigger` is dropped, if the queue runs or is gone or it is another entry's turn.
    ///
    /// # Examples
    /// ```
    /// use tevent::{Context, Queue};
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let ctx = Context::new()?;
    /// let queue = Queue::new(&ctx);
    /// let turn = ctx.run_until(queue.wait())??;
    /// queue.stop(); // until what the turn is needed for is back
    /// turn.untrigger(|turn| assert!(turn.is_ok()))?;
    /// queue.start();
    /// ctx.run()
    /// # }
    /// ```
    ///
    /// # Source
    /// `tevent_queue_entry_untrigger()`. Differs: takes the next trigger, because the last one is used
    /// up; and C ends the process instead of returning an error.
    #[doc(alias = "tevent_queue_entry_untrigger")]
    pub fn untrigger(&self, trigger: impl FnOnce(io::Result<()>) + 'static) -> io::Result<()> {
        let line = &self.member.line;
        // An entry of a queue that is gone has no place, and the queue no first.
        let first = line.members.borrow().front().map(|(first, _)| first);
        let has_turn = first == Some(self.member.place.get()) && line.is_first_triggered.get();
        if line.is_running.get() || !has_turn {
            return Err(error::no_turn_to_give_back());
        }
        line.is_first_triggered.set(false);
        drop(self.member.trigger.replace(Some(Box::new(trigger))));
        Ok(())
    }
}

impl Drop for QueueEntry {
    fn drop(&mut self) {
        let member = &self.member;
        let place = member.place.replace(Place::NONE);
        let ticket = member.ticket.replace(Ticket::NONE);
        if place != Place::NONE {
            let first = member.line.members.borrow().front().map(|(first, _)| first);
            let left = member.line.members.borrow_mut().remove(place);
            drop(left);
            if first == Some(place) {
                member.line.is_first_triggered.set(false);
                // A turn that was on its way to this one comes behind its completion.
                member.line.unschedule();
            }
            member.line.schedule();
        } else if ticket != Ticket::NONE {
            if let Some(ctx) = member.line.ctx.upgrade() {
                ctx.dequeue(ticket);
            }
        }
        // The trigger may own anything; nothing is borrowed here.
        drop(member.trigger.take());
    }
}

impl fmt::Debug for QueueEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_waiting = self.member.with_trigger(Option::is_some);
        f.debug_struct("QueueEntry")
            .field("is_waiting", &is_waiting)
            .finish_non_exhaustive()
    }
}

/// The work of a request that stands in a queue.
struct Queued<T: 'static, E: 'static> {
    resident: Token,
    entry: Cell<Option<QueueEntry>>,
    subreq: Cell<Option<Held>>,
    completer: Cell<Option<Completer<T, E>>>,
}

impl<T: 'static, E: From<Ended> + 'static> Queued<T, E> {
    /// The work of `request`, whose `completer` it owns from now on.
    fn new(request: &Request<T, E>, completer: Completer<T, E>) -> Rc<Self> {
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
    fn triggered(
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
