//! [`QueueEntry`], one place in a queue.

use std::cell::Cell;
use std::fmt;
use std::io;
use std::rc::Rc;

use super::Line;
use crate::context::Context;
use crate::error;
use crate::list::Place;
use crate::request::Ended;
use crate::run_queue::{Run, Ticket};
use crate::trace::Mark;

/// One place in a [`Queue`](super::Queue); dropping it leaves the queue.
#[doc(alias = "tevent_queue_entry")]
#[must_use = "dropping an entry leaves the queue"]
pub struct QueueEntry {
    pub(super) member: Rc<Member>,
}

pub(super) type Trigger = Box<dyn FnOnce(io::Result<()>)>;

pub(super) struct Member {
    pub(super) line: Rc<Line>,
    pub(super) place: Cell<Place>,
    // In the run queue, to be told that the queue is gone.
    pub(super) ticket: Cell<Ticket>,
    pub(super) trigger: Cell<Option<Trigger>>,
    pub(super) mark: Mark,
}

impl Member {
    pub(super) fn with_trigger<R>(&self, look: impl FnOnce(&Option<Trigger>) -> R) -> R {
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

    fn forget(&self) {
        self.ticket.set(Ticket::NONE);
    }
}

impl QueueEntry {
    /// The tag that trace hooks see: what was set last, zero at first.
    #[doc(alias = "tevent_queue_entry_get_tag")]
    #[must_use]
    pub fn tag(&self) -> u64 {
        self.member.mark.tag()
    }

    /// Gives it the tag `tag`, which it keeps.
    #[doc(alias = "tevent_queue_entry_set_tag")]
    pub fn set_tag(&self, tag: u64) {
        self.member.mark.set_tag(tag);
    }

    /// Gives the turn back without leaving: `trigger` runs when the queue begins turns again.
    ///
    /// The entry stays the first of its queue, so its turn is the next after
    /// [`Queue::start`](super::Queue::start).
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
            if let Some(ctx) = member.line.ctx.upgrade() {
                member.mark.detach(&ctx);
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
