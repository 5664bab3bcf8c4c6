//! The round: in which order the loop handles what is ready.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use super::Context;
use crate::error;
use crate::run_queue::Job;
use crate::token::Token;

/// Where a round is; each phase is entered once and left when nothing of its kind is left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    #[default]
    Begin,
    Signals,
    Queue,
    Timers,
    Wait,
    SignalsAfterWait,
    Descriptors,
}

/// What a round keeps from one handler to the next.
#[derive(Default)]
pub(super) struct Round {
    is_running: Cell<bool>,
    phase: Cell<Phase>,
    // Whether no handler has run since the clock was read for the timers.
    is_time_known: Cell<bool>,
    // How many more entries of the run queue this round may handle.
    budget: Cell<usize>,
    pending_signals: RefCell<VecDeque<Token>>,
}

/// Lets the context be run again, also after a panic.
struct RunningGuard<'a>(&'a Cell<bool>);

impl Drop for RunningGuard<'_> {
    fn drop(&mut self) {
        self.0.set(false);
    }
}

impl Context {
    /// Runs handlers until nothing is left that could happen.
    ///
    /// Kept going by: armed timers, the run queue, events for signals, events for descriptors that
    /// ask for anything, work that other threads have sent, and jobs that were
    /// [offloaded](Self::offload). Not kept going by an idle [`Remote`](crate::Remote), idle timers and immediates, or events that ask for nothing.
    ///
    /// # Errors
    /// `ELOOP` if the context is running already (a handler called this); contexts other than the
    /// running one may be run from a handler. Whatever the kernel answers to a wait, other than
    /// `EINTR`.
    #[doc(alias = "tevent_loop_wait")]
    pub fn run(&self) -> io::Result<()> {
        self.run_for(|| None::<()>).map(drop)
    }

    /// Runs one handler, and waits for one to be ready if need be.
    ///
    /// The next call goes on where this one left the round. Waits at most once. Returns whether a
    /// handler ran: a wait may end for other reasons, and if nothing is left that could happen, this
    /// returns at once.
    ///
    /// # Errors
    /// As for [`run`](Self::run).
    #[doc(alias = "tevent_loop_once")]
    pub fn run_once(&self) -> io::Result<bool> {
        let _running = self.start_running()?;
        let step = match self.step(true)? {
            Step::Waited => self.step(false)?,
            step => step,
        };
        Ok(step == Step::Ran)
    }

    /// Runs handlers until `probe` finds something, or nothing is left that could happen.
    ///
    /// `probe` is asked before each step, as a handler: nothing is borrowed meanwhile.
    pub(crate) fn run_for<R>(&self, mut probe: impl FnMut() -> Option<R>) -> io::Result<Option<R>> {
        let _running = self.start_running()?;
        loop {
            if let Some(found) = probe() {
                return Ok(Some(found));
            }
            if self.step(true)? == Step::NothingLeft {
                // Another thread may have brought it about since.
                return Ok(probe());
            }
        }
    }

    fn start_running(&self) -> io::Result<RunningGuard<'_>> {
        let is_running = &self.inner.round.is_running;
        if is_running.replace(true) {
            return Err(error::nested_run());
        }
        Ok(RunningGuard(is_running))
    }

    /// Goes on with the round until one handler has run or one wait is over (or due, if it may not).
    fn step(&self, may_wait: bool) -> io::Result<Step> {
        let round = &self.inner.round;
        loop {
            let next = match round.phase.get() {
                Phase::Begin => {
                    self.begin_round();
                    Phase::Signals
                }
                Phase::Signals if self.run_signal() => return Ok(Step::Ran),
                Phase::Signals => Phase::Queue,
                Phase::Queue if self.run_queued() => return Ok(Step::Ran),
                Phase::Queue => {
                    self.collect_timers();
                    Phase::Timers
                }
                Phase::Timers if self.run_timer() => return Ok(Step::Ran),
                Phase::Timers => Phase::Wait,
                Phase::Wait => {
                    if self.is_idle() {
                        round.phase.set(Phase::Begin);
                        return Ok(Step::NothingLeft);
                    }
                    if !may_wait {
                        // Time may pass, and work arrive, before this is called again.
                        round.phase.set(Phase::Begin);
                        return Ok(Step::Waited);
                    }
                    // A failing wait is not repeated before the rest had its turn.
                    round.phase.set(Phase::Begin);
                    self.wait()?;
                    round.phase.set(Phase::SignalsAfterWait);
                    return Ok(Step::Waited);
                }
                Phase::SignalsAfterWait if self.run_signal() => return Ok(Step::Ran),
                Phase::SignalsAfterWait => Phase::Descriptors,
                Phase::Descriptors if self.run_queued() => return Ok(Step::Ran),
                Phase::Descriptors if self.run_descriptor() => return Ok(Step::Ran),
                Phase::Descriptors => Phase::Begin,
            };
            round.phase.set(next);
        }
    }

    fn begin_round(&self) {
        self.take_outside_work(false);
        let queued = self.inner.run_queue.borrow().len();
        self.inner.round.budget.set(queued + Self::RUN_BUDGET);
    }

    /// Takes what signals and other threads have left since the last look.
    fn take_outside_work(&self, woken: bool) {
        if !woken && !self.inner.wake.is_pending() {
            return;
        }
        self.inner.wake.clear();
        self.inner.counters.wakeup();
        self.collect_signals();
        let mut run_queue = self.inner.run_queue.borrow_mut();
        // What is sent from now on comes with a wake-up of its own; senders that are faster than we
        // are would keep us here.
        let arrived = self.inner.inbox.len();
        for call in self.inner.inbox.try_iter().take(arrived) {
            run_queue.push_back(Job::Call(call));
        }
    }

    /// Puts the pending signals in line: by number, the newest event for each first.
    fn collect_signals(&self) {
        let signals = self.signals();
        let mut pending: Vec<_> = signals
            .iter()
            .filter(|(_, node)| node.is_pending())
            .map(|(token, node)| (node.signum(), std::cmp::Reverse(token.generation()), token))
            .collect();
        pending.sort_by_key(|(signum, newest_first, _)| (*signum, *newest_first));
        let tokens = pending.into_iter().map(|(_, _, token)| token);
        self.inner.round.pending_signals.borrow_mut().extend(tokens);
    }

    fn run_signal(&self) -> bool {
        loop {
            let Some(token) = self.inner.round.pending_signals.borrow_mut().pop_front() else {
                return false;
            };
            let node = self.signals().get(token).cloned();
            if node.is_some_and(|node| node.run()) {
                return true;
            }
        }
    }

    fn run_queued(&self) -> bool {
        let Some(budget) = self.inner.round.budget.get().checked_sub(1) else {
            return false;
        };
        let Some(job) = self.inner.run_queue.borrow_mut().pop_front() else {
            return false;
        };
        self.inner.round.budget.set(budget);
        job.run(self);
        true
    }

    fn collect_timers(&self) {
        let mut timers = self.inner.timers.borrow_mut();
        if timers.len() > 0 {
            let now = self.inner.clock.read();
            self.inner.now.set(now);
            self.inner.round.is_time_known.set(true);
            timers.collect_due(now);
        }
    }

    fn run_timer(&self) -> bool {
        let Some(node) = self.inner.timers.borrow_mut().next_due() else {
            return false;
        };
        self.inner.round.is_time_known.set(false);
        node.run(self);
        true
    }

    fn run_descriptor(&self) -> bool {
        loop {
            let Some((node, told)) = self.fds().next_ready(self.counters_ref()) else {
                return false;
            };
            if node.run(told) {
                return true;
            }
        }
    }

    /// Whether nothing is left that could happen.
    fn is_idle(&self) -> bool {
        let deadline = self.inner.timers.borrow().first();
        self.inner.run_queue.borrow().is_empty()
            && !deadline.is_some_and(|deadline| self.inner.clock.will_reach(deadline))
            && !self.fds().is_watching()
            && self.inner.signals.borrow().is_empty()
            && self.inner.expected.get() == 0
            && self.inner.inbox.is_empty()
    }

    /// Waits for the kernel, not at all if something is ready here.
    fn wait(&self) -> io::Result<()> {
        let timeout = self.wait_timeout();
        let woken = self.fds().wait(timeout, self.counters_ref())?;
        self.inner.now.set(self.inner.clock.read());
        // A writer that was slower than our last look leaves the descriptor readable, flag or no flag.
        self.take_outside_work(woken);
        self.inner.round.budget.set(Self::RUN_BUDGET);
        Ok(())
    }

    fn wait_timeout(&self) -> Option<Duration> {
        if !self.inner.run_queue.borrow().is_empty() || self.inner.wake.is_pending() {
            return Some(Duration::ZERO);
        }
        let deadline = self.inner.timers.borrow().first()?;
        if !self.inner.round.is_time_known.get() {
            self.inner.now.set(self.inner.clock.read());
        }
        let left = deadline.since(self.inner.now.get());
        // A manual clock does not move while we wait: either it is time, or waiting will not help.
        (left.is_zero() || !self.inner.clock.is_manual()).then_some(left)
    }
}

/// What one step of the loop came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Ran,
    Waited,
    NothingLeft,
}
