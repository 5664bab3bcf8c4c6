//! The round: in which order the loop handles what is ready.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use super::Context;
use crate::clock::Tick;
use crate::error;
use crate::run_queue::Sent;
use crate::sys;
use crate::token::Token;
use crate::trace::TracePoint;

/// Where a round is; each phase is entered once and left when nothing of its kind is left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    #[default]
    Begin,
    /// Signals, then the run queue.
    Queue,
    Timers,
    Wait,
    /// Signals, then each descriptor after the completions of the one before.
    Descriptors,
}

/// What a round keeps from one handler to the next.
#[derive(Default)]
pub(super) struct Round {
    is_running: Cell<bool>,
    phase: Cell<Phase>,
    // Whether no handler has run since the clock was read for the timers.
    is_time_known: Cell<bool>,
    // The tick of the time that was read last, once it was asked for.
    tick: Cell<Option<Tick>>,
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

impl Round {
    /// Forgets where it is; the next phase is the first.
    pub(super) fn forget(&self) {
        self.phase.set(Phase::Begin);
        self.is_time_known.set(false);
        self.pending_signals.borrow_mut().clear();
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
    /// running one may be run from a handler. `EAGAIN` in [polling mode](Self::set_wait_limit) if
    /// nothing is ready. Whatever the kernel answers to a wait, other than `EINTR`.
    #[doc(alias = "tevent_loop_wait")]
    pub fn run(&self) -> io::Result<()> {
        self.run_for(&mut || false).map(drop)
    }

    /// Runs one handler, and waits for one to be ready if need be.
    ///
    /// The next call goes on where this one left the round. Waits at most once. Returns whether a
    /// handler ran: a wait may end for other reasons, and if nothing is left that could happen, this
    /// returns at once.
    ///
    /// # Errors
    /// As for [`run`](Self::run), without `EAGAIN`.
    #[doc(alias = "tevent_loop_once")]
    pub fn run_once(&self) -> io::Result<bool> {
        let _running = self.start_running()?;
        let one = &mut || true;
        let step = match self.advance(Wait::UntilReady, one)? {
            Step::Waited => self.advance(Wait::Never, one)?,
            step => step,
        };
        Ok(step == Step::Ran)
    }

    /// Runs handlers that are ready, for one round that asks the kernel but does not wait; returns
    /// whether any ran.
    ///
    /// For a loop within [another one](Self::poll_fd). What becomes ready meanwhile may be left for the
    /// next call.
    ///
    /// # Errors
    /// As for [`run`](Self::run), without `EAGAIN`.
    pub fn run_ready(&self) -> io::Result<bool> {
        let _running = self.start_running()?;
        let mut has_run = false;
        let count = &mut || {
            has_run = true;
            false
        };
        if self.advance(Wait::NotAtAll, count)? == Step::Waited {
            self.advance(Wait::Never, count)?;
        }
        Ok(has_run)
    }

    /// Runs handlers until `is_enough` says so, or nothing is left that could happen; returns which.
    ///
    /// It is asked first, and after each handler and each wait, as a handler: nothing is borrowed
    /// meanwhile.
    pub(crate) fn run_for(&self, is_enough: &mut dyn FnMut() -> bool) -> io::Result<bool> {
        let _running = self.start_running()?;
        let mut step = Step::Waited;
        let mut silent_rounds = 0;
        loop {
            match step {
                Step::Ran => return Ok(true),
                Step::Waited if is_enough() => return Ok(true),
                // The first of them handled what was there before, the second what the wait brought.
                Step::Waited if silent_rounds == 2 => return Err(error::nothing_ready()),
                Step::Waited => {
                    silent_rounds += usize::from(self.is_polling());
                    step = self.advance(Wait::UntilReady, &mut || {
                        silent_rounds = 0;
                        is_enough()
                    })?;
                }
                // Another thread may have brought it about since.
                Step::NothingLeft => return Ok(is_enough()),
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

    /// Goes on with the round until `is_enough` says so after a handler, one wait is over (or due, if
    /// there is to be none), or nothing is left.
    fn advance(&self, wait: Wait, is_enough: &mut dyn FnMut() -> bool) -> io::Result<Step> {
        let phase = &self.inner.round.phase;
        loop {
            match phase.get() {
                Phase::Begin => {
                    self.begin_round();
                    phase.set(Phase::Queue);
                }
                Phase::Queue => {
                    if repeat(|| self.run_signal() || self.run_queued(), is_enough) {
                        return Ok(Step::Ran);
                    }
                    self.collect_timers();
                    phase.set(Phase::Timers);
                }
                Phase::Timers => {
                    if repeat(|| self.run_timer(), is_enough) {
                        return Ok(Step::Ran);
                    }
                    phase.set(Phase::Wait);
                }
                Phase::Wait => return self.finish_round(wait),
                Phase::Descriptors => {
                    let run_next =
                        || self.run_signal() || self.run_queued() || self.run_descriptor();
                    if repeat(run_next, is_enough) {
                        return Ok(Step::Ran);
                    }
                    phase.set(Phase::Begin);
                    self.tell(&TracePoint::RoundEnd);
                }
            }
        }
    }

    /// Waits, unless nothing is left that could happen.
    fn finish_round(&self, wait: Wait) -> io::Result<Step> {
        let phase = &self.inner.round.phase;
        // Time may pass, and work arrive, before this is called again; and a failing wait is not
        // repeated before the rest had its turn.
        phase.set(Phase::Begin);
        let is_idle = self.is_idle();
        if is_idle || wait == Wait::Never {
            self.tell(&TracePoint::RoundEnd);
            return Ok(if is_idle {
                Step::NothingLeft
            } else {
                Step::Waited
            });
        }
        if let Err(error) = self.wait(wait) {
            self.tell(&TracePoint::RoundEnd);
            return Err(error);
        }
        phase.set(Phase::Descriptors);
        Ok(Step::Waited)
    }

    fn begin_round(&self) {
        self.tell(&TracePoint::RoundBegin);
        if self.inner.wake.is_pending() {
            self.take_outside_work();
        }
        let queued = self.inner.run_queue.borrow().len();
        self.inner.round.budget.set(queued + Self::RUN_BUDGET);
    }

    /// Takes what signals and other threads have left since the last look.
    #[cold]
    fn take_outside_work(&self) {
        self.inner.wake.clear();
        self.inner.counters.wakeup();
        self.collect_signals();
        self.take_calls();
        self.notice_fork();
    }

    /// Puts what other threads have sent in line.
    pub(super) fn take_calls(&self) {
        let mut inbox = self.inner.inbox.borrow_mut();
        inbox.renew_in_child();
        let mut run_queue = self.inner.run_queue.borrow_mut();
        // What is sent from now on comes with a wake-up of its own.
        for call in inbox.arrived() {
            run_queue.push_back(Sent::new(call));
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
        !self.inner.round.pending_signals.borrow().is_empty() && self.run_pending_signal()
    }

    #[cold]
    fn run_pending_signal(&self) -> bool {
        loop {
            let Some(token) = self.inner.round.pending_signals.borrow_mut().pop_front() else {
                return false;
            };
            let node = self.signals().get(token).cloned();
            if node.is_some_and(|node| node.run(self)) {
                return true;
            }
        }
    }

    fn run_queued(&self) -> bool {
        let Some(budget) = self.inner.round.budget.get().checked_sub(1) else {
            return false;
        };
        let Some(node) = self.inner.run_queue.borrow_mut().pop_front() else {
            return false;
        };
        self.inner.round.budget.set(budget);
        node.run(self);
        true
    }

    fn collect_timers(&self) {
        let mut timers = self.inner.timers.borrow_mut();
        if timers.len() > 0 {
            self.read_clock();
            self.inner.round.is_time_known.set(true);
            timers.collect_due(self.round_tick());
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
            if node.run(self, told) {
                return true;
            }
        }
    }

    /// Whether nothing is left that could happen.
    fn is_idle(&self) -> bool {
        // What is most often so comes first.
        !self.fds().is_watching()
            && self.inner.run_queue.borrow().is_empty()
            && !self.may_time_come()
            && self.inner.signals.borrow().is_empty()
            && self.inner.expected.borrow().is_empty()
            && self.inner.inbox.borrow().is_empty()
    }

    /// Whether a timer will be due without anybody's doing.
    fn may_time_come(&self) -> bool {
        let deadline = self.inner.timers.borrow().first();
        deadline.is_some_and(|deadline| self.inner.clock.will_reach(deadline))
    }

    /// Waits for the kernel, not at all if something is ready here.
    fn wait(&self, wait: Wait) -> io::Result<()> {
        self.tell(&TracePoint::WaitBegin);
        let timeout = match wait {
            Wait::UntilReady => self.wait_timeout(),
            Wait::NotAtAll | Wait::Never => Some(Duration::ZERO),
        };
        let woken = self.fds().wait(timeout, self.counters_ref());
        self.tell(&TracePoint::WaitEnd);
        let woken = woken?;
        // A writer that was slower than our last look leaves the descriptor readable, flag or no flag.
        if woken || self.inner.wake.is_pending() {
            self.take_outside_work();
        } else if let Some(waited) = timeout {
            self.inner.clock.has_waited(waited);
        }
        self.read_clock();
        self.inner.round.budget.set(Self::RUN_BUDGET);
        Ok(())
    }

    #[inline]
    fn tell(&self, point: &TracePoint<'_>) {
        self.inner.tracing.tell(point);
    }

    /// Whether something can run without another look at the kernel.
    pub(super) fn is_ready(&self) -> bool {
        !self.inner.round.pending_signals.borrow().is_empty()
            || self.inner.timers.borrow().has_due()
            || self.fds().has_ready()
            || self.inner.forks.get() != sys::forks()
    }

    pub(super) fn read_clock(&self) {
        self.inner.now.set(self.now());
        self.inner.round.tick.set(None);
    }

    fn round_tick(&self) -> Tick {
        let known = &self.inner.round.tick;
        known.get().unwrap_or_else(|| {
            let tick = self.inner.clock.tick(self.round_now());
            known.set(Some(tick));
            tick
        })
    }

    fn is_polling(&self) -> bool {
        self.inner.wait_limit.get() == Some(Duration::ZERO)
    }

    fn wait_timeout(&self) -> Option<Duration> {
        let limit = self.inner.wait_limit.get();
        match (self.time_until_ready(), limit) {
            (Some(left), Some(limit)) => Some(left.min(limit)),
            (left, limit) => left.or(limit),
        }
    }

    // Each wait asks; who asks beside it must not have this become a call.
    #[inline(always)]
    pub(super) fn time_until_ready(&self) -> Option<Duration> {
        if !self.inner.run_queue.borrow().is_empty() || self.inner.wake.is_pending() {
            return Some(Duration::ZERO);
        }
        let deadline = self.inner.timers.borrow().first()?;
        if !self.inner.round.is_time_known.get() {
            self.read_clock();
        }
        let left = deadline.since(self.round_tick());
        let is_simulated = self.inner.clock.is_simulated() && !left.is_zero();
        if is_simulated && !self.inner.expected.borrow().is_empty() {
            // Jobs on other threads take real time: no deadline may overtake them.
            return None;
        }
        // A manual clock does not move while we wait: either it is time, or waiting will not help.
        (left.is_zero() || !self.inner.clock.is_manual()).then_some(left)
    }
}

/// Runs one after the other until that was enough; returns whether it was, rather than too few.
fn repeat(run_next: impl Fn() -> bool, is_enough: &mut dyn FnMut() -> bool) -> bool {
    while run_next() {
        if is_enough() {
            return true;
        }
    }
    false
}

/// What an advance may do where the round has it wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wait {
    UntilReady,
    /// It asks the kernel what is ready.
    NotAtAll,
    /// It comes to its end there.
    Never,
}

/// What an advance of the loop came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Ran,
    Waited,
    NothingLeft,
}
