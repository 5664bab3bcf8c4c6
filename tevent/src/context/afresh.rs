//! What is left behind by a context that is dropped, made anew, or copied into a child process.

use std::io;
use std::mem;
use std::rc::{Rc, Weak};

use super::{Context, Inner, WeakContext};
use crate::fd::FdNode;
use crate::remote::Inbox;
use crate::run_queue::Run;
use crate::signal::SignalNode;
use crate::sys;
use crate::token::Token;
use crate::trace::Tracing;

impl Context {
    /// Makes the context anew: whatever was attached to it is detached, and it is as if just built.
    ///
    /// This is for the child of a `fork(2)` that wants nothing of what its parent had; it works without
    /// a fork as well. Afterwards
    /// - every handle of the context is one of the new context: there is a new kernel set, with the same
    ///   back end, the same clock, and the same [limit](Self::set_wait_limit), [counters](Self::stats)
    ///   and hooks for [traces](Self::set_trace) and [slow handlers](Self::on_slow_handler);
    /// - events for descriptors and for signals are over: they hold what they held, see nothing more, and
    ///   cannot be asked for anything (`ESHUTDOWN`). Dropping them disturbs nobody;
    /// - timers are disarmed and immediates canceled, with their tags; either can be used again;
    /// - requests of before are not in the [dump](Self::dump), and no completion of theirs runs, even if
    ///   somebody finishes them. [Detached](crate::Request::detach) ones are dropped, with the hook for
    ///   their errors, and so is whatever is [local](Self::local) to the context;
    /// - queues stay, with what waits in them, and begin their next turn when they are next used; the
    ///   requests in them are of before;
    /// - work that was sent and has not run is dropped, and what a [`Remote`](crate::Remote) of before
    ///   sends comes back. [`remote`](Self::remote) gives a new one;
    /// - jobs that wait for a thread are dropped, results of the others thrown away.
    ///
    /// In a handler this may be called as well: the run that called the handler goes on with the new
    /// context, and returns when nothing is left on that.
    ///
    /// # Errors
    /// `EMFILE` and `ENOMEM` if the system has no descriptors or memory left for a kernel set. All is as
    /// it was then.
    ///
    /// # Examples
    /// ```
    /// use std::time::Duration;
    /// use tevent::{Context, Timer};
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let ctx = Context::new()?;
    /// let heartbeat = Timer::new(&ctx, || panic!("only the parent's heart beats"));
    /// heartbeat.arm_after(Duration::ZERO);
    /// // … fork(2), and in the child:
    /// ctx.re_initialise()?;
    /// ctx.run()?; // nothing is left
    /// assert_eq!(heartbeat.deadline(), None);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Source
    /// `tevent_re_initialise()`. Differs: a context that runs still runs, so a nested run is `ELOOP` (C
    /// forgets that it runs); a handler of a child that wants a loop inside makes another context.
    #[doc(alias = "tevent_re_initialise")]
    pub fn re_initialise(&self) -> io::Result<()> {
        let inner = &*self.inner;
        let fds = inner.fds.borrow_mut().clear()?;
        // Everything is taken out before anybody is told: whoever is told may begin something new.
        let jobs = mem::take(&mut *inner.run_queue.borrow_mut());
        let nodes: Vec<_> = jobs.into_iter().collect();
        let timers = inner.timers.borrow_mut().take_all();
        let signals = inner.signals.borrow_mut().take_all();
        let inbox = inner.inbox.replace(Inbox::new());
        let locals = inner.locals.take();
        inner.expected.borrow_mut().take_all();
        inner.forks.set(sys::forks());
        inner.residents.forget_all();
        inner.round.forget();
        for node in nodes.iter().chain(&timers) {
            node.forget();
        }
        for node in &signals {
            node.retire();
        }
        let nodes: Vec<_> = nodes.into_iter().chain(timers).collect();
        tell_detached(&inner.tracing, &nodes, &fds, &signals);
        drop((nodes, fds, signals));
        drop((inbox, locals));
        Ok(())
    }

    /// Keeps the loop going until what this returns is dropped: `work` will come from another thread.
    pub(crate) fn expect_work(&self, work: Weak<dyn Elsewhere>) -> Expected {
        self.notice_fork();
        Expected {
            ctx: self.downgrade(),
            token: self.inner.expected.borrow_mut().insert(work),
        }
    }

    /// In a child, has what other threads were to bring told that they are not here.
    pub(super) fn notice_fork(&self) {
        let forks = sys::forks();
        if self.inner.forks.replace(forks) == forks {
            return;
        }
        // What had arrived was brought in time, and comes first.
        self.take_calls();
        let lost = self.inner.expected.borrow_mut().take_all();
        if !lost.is_empty() {
            self.enqueue(Rc::new(Lost(lost)));
        }
    }
}

/// Something that another thread of this process does.
pub(crate) trait Elsewhere {
    /// This process is a child, and the thread its parent's: nothing will come.
    fn is_lost(self: Rc<Self>);
}

/// Work that is on its way from elsewhere: without it, the loop would see nothing to wait for.
pub(crate) struct Expected {
    ctx: WeakContext,
    token: Token,
}

impl Drop for Expected {
    fn drop(&mut self) {
        if let Some(ctx) = self.ctx.upgrade() {
            let work = ctx.inner.expected.borrow_mut().remove(self.token);
            drop(work);
        }
    }
}

/// What a child has to do without.
struct Lost(Vec<Weak<dyn Elsewhere>>);

impl Run for Lost {
    fn run(self: Rc<Self>, _: &Context) {
        for work in self.0.iter().filter_map(Weak::upgrade) {
            work.is_lost();
        }
    }
}

impl Inner {
    /// Tells the trace hook that everything is detached.
    fn detach_all(&self) {
        if !self.tracing.is_on() {
            return;
        }
        // The hook may drop any of them.
        let nodes: Vec<_> = {
            let (jobs, timers) = (self.run_queue.borrow(), self.timers.borrow());
            jobs.iter().chain(timers.iter()).cloned().collect()
        };
        let fds = self.fds.borrow().nodes();
        let signals: Vec<_> = self
            .signals
            .borrow()
            .iter()
            .map(|(_, node)| node.clone())
            .collect();
        tell_detached(&self.tracing, &nodes, &fds, &signals);
    }
}

fn tell_detached(
    tracing: &Tracing,
    nodes: &[Rc<dyn Run>],
    fds: &[Rc<FdNode>],
    signals: &[Rc<SignalNode>],
) {
    let marks = nodes.iter().filter_map(|node| node.mark());
    let marks = marks.chain(fds.iter().map(|node| node.mark()));
    for mark in marks.chain(signals.iter().map(|node| node.mark())) {
        mark.detach_from(tracing);
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.detach_all();
        // What was queued may hold whoever is dropped with it; nothing may be borrowed meanwhile.
        let jobs = self.run_queue.take();
        let timers = self.timers.take();
        let locals = self.locals.take();
        drop((jobs, timers, locals));
    }
}
