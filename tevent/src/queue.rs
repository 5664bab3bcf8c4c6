//! [`Queue`], a line in which one member at a time has its turn.

mod bytes;
mod entry;
mod queued;

use std::cell::{Cell, RefCell};
use std::fmt;
use std::io;
use std::rc::Rc;

use crate::context::{Context, WeakContext};
use crate::list::{List, Place};
use crate::request::{Completer, Ended, Request};
use crate::run_queue::{Run, Ticket};
use crate::trace::{Mark, TraceKind};

use bytes::Bytes;
pub use bytes::Charge;
pub use entry::QueueEntry;
use entry::{Member, Trigger};
use queued::Queued;

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

// Invariant: in the run queue exactly while `ticket` says so.
struct Line {
    ctx: WeakContext,
    members: RefCell<List<Rc<Member>>>,
    // Whether the first member has its turn.
    is_first_triggered: Cell<bool>,
    is_running: Cell<bool>,
    ticket: Cell<Ticket>,
    bytes: Rc<Bytes>,
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
            bytes: Rc::default(),
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
    #[track_caller]
    pub fn try_turn(&self) -> Option<QueueEntry> {
        if !self.is_empty() || !self.is_running() {
            return None;
        }
        self.line.is_first_triggered.set(true);
        Some(self.line.push(None))
    }

    #[track_caller]
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
    #[track_caller]
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
        let members: Vec<_> = members.into_iter().collect();
        for member in &members {
            member.place.set(Place::NONE);
            let is_waiting = member.with_trigger(|trigger| trigger.is_some());
            if is_waiting {
                member.ticket.set(ctx.enqueue(member.clone()));
            }
        }
        // A trace hook may drop any of them.
        for member in members {
            member.mark.detach(&ctx);
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
    /// A member without a trigger has its turn already.
    #[track_caller]
    fn push(self: &Rc<Self>, trigger: Option<Trigger>) -> QueueEntry {
        let has_turn = trigger.is_none();
        let member = Rc::new(Member {
            line: self.clone(),
            place: Cell::new(Place::NONE),
            ticket: Cell::new(Ticket::NONE),
            trigger: Cell::new(trigger),
            mark: Mark::new(TraceKind::QueueEntry),
        });
        member
            .place
            .set(self.members.borrow_mut().push_back(member.clone()));
        if let Some(ctx) = self.ctx.upgrade() {
            member.mark.attach(&ctx);
            if has_turn {
                member.mark.before_handler(&ctx);
            }
        }
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

    fn begin_turn(&self, ctx: &Context) {
        if !self.wants_turn() {
            return;
        }
        let first = self
            .members
            .borrow()
            .front()
            .map(|(_, member)| member.clone());
        let Some(member) = first else { return };
        if let Some(trigger) = member.trigger.take() {
            self.is_first_triggered.set(true);
            ctx.handle(&member.mark, || trigger(Ok(())));
        }
    }
}

impl Run for Line {
    fn run(self: Rc<Self>, ctx: &Context) {
        self.ticket.set(Ticket::NONE);
        self.begin_turn(ctx);
    }

    fn forget(&self) {
        self.ticket.set(Ticket::NONE);
    }
}
