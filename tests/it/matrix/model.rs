//! What should run in a cell, and in which order: the round as its documentation has it, on names.

use std::collections::VecDeque;
use std::mem;

use super::cells::{Action, Cell, Kind, Owner, Role, Timing, name};

/// What stands in the run queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Job {
    Run(Role, Kind),
    /// The completion of a request that has a cleanup hook or a cancel handler.
    Done(Role, Kind),
    /// The completion of the request that was finished.
    Finished,
    /// Who waits in a queue that is gone is told.
    QueueGone,
    /// Its completion.
    Canceled,
}

pub(super) struct Model {
    cell: Cell,
    timing: Timing,
    // In which order the kernel tells of descriptors that are ready at the same time.
    fd_order: [Role; 3],
    trace: Vec<String>,
    has_acted: bool,
    queue: VecDeque<Job>,
    inbox: Vec<Job>,
    raised: Vec<Role>,
    signals: VecDeque<Role>,
    armed: Vec<Role>,
    due: VecDeque<Role>,
    readable: Vec<Role>,
    ready: VecDeque<Role>,
    /// Dropped, or done with the only run.
    over: Vec<(Role, Kind)>,
    dropped: Vec<(Role, Kind)>,
    changed: Option<Kind>,
}

impl Model {
    pub(super) fn new(cell: Cell, timing: Timing, fd_order: [Role; 3]) -> Self {
        Self {
            cell,
            timing,
            fd_order,
            trace: Vec::new(),
            has_acted: false,
            queue: VecDeque::new(),
            inbox: Vec::new(),
            raised: Vec::new(),
            signals: VecDeque::new(),
            armed: Vec::new(),
            due: VecDeque::new(),
            readable: Vec::new(),
            ready: VecDeque::new(),
            over: Vec::new(),
            dropped: Vec::new(),
            changed: None,
        }
    }

    /// What runs from the start to the end, and what runs once all changes were taken back.
    pub(super) fn traces(mut self) -> (Vec<String>, Vec<String>) {
        self.excite(Role::Own, self.cell.running);
        if self.timing == Timing::Before {
            self.excite_others();
        }
        self.rounds();
        let trace = mem::take(&mut self.trace);
        match self.changed.take() {
            Some(Kind::Fd) if !self.over.contains(&(Role::Other, Kind::Fd)) => {
                self.readable.push(Role::Other);
            }
            Some(Kind::Trigger) => self.excite(Role::Other, Kind::Trigger),
            _ => {}
        }
        self.rounds();
        (trace, self.trace)
    }

    fn excite_others(&mut self) {
        for kind in Kind::ALL {
            self.excite(Role::Other, kind);
        }
    }

    fn excite(&mut self, role: Role, kind: Kind) {
        let job = Job::Run(role, kind);
        if self.over.contains(&(role, kind)) {
            return;
        }
        match kind {
            Kind::Fd => self.readable.push(role),
            Kind::Timer => self.armed.push(role),
            Kind::Signal => self.raised.push(role),
            Kind::Remote => self.inbox.push(job),
            _ => self.queue.push_back(job),
        }
    }

    fn unexcite(&mut self, role: Role, kind: Kind) {
        let others = |known: &Role| *known != role;
        match kind {
            Kind::Fd => self.readable.retain(others),
            Kind::Timer => {
                self.armed.retain(others);
                self.due.retain(others);
            }
            Kind::Signal => {
                self.raised.retain(others);
                self.signals.retain(others);
            }
            _ => self.queue.retain(|job| *job != Job::Run(role, kind)),
        }
    }

    fn drop_thing(&mut self, role: Role, kind: Kind) {
        self.dropped.push((role, kind));
        if kind == Kind::Remote {
            return;
        }
        self.unexcite(role, kind);
        self.queue.retain(|job| *job != Job::Done(role, kind));
        if kind == Kind::Cleanup && !self.over.contains(&(role, kind)) {
            self.trace.push(name(role, kind));
        }
        self.over.push((role, kind));
    }

    fn rounds(&mut self) {
        for _ in 0..6 {
            self.take_outside_work();
            self.run_queue();
            self.due.extend(mem::take(&mut self.armed));
            while let Some(role) = self.due.pop_front() {
                self.run(role, Kind::Timer);
            }
            self.take_outside_work();
            let readable = &self.readable;
            let ready = self.fd_order.iter().filter(|role| readable.contains(role));
            self.ready = ready.copied().collect();
            self.run_queue();
            while let Some(role) = self.ready.pop_front() {
                if self.readable.contains(&role) {
                    self.readable.retain(|known| *known != role);
                    self.run(role, Kind::Fd);
                }
                self.run_queue();
            }
        }
    }

    fn take_outside_work(&mut self) {
        self.raised.sort_by_key(|role| role.signum());
        self.signals.extend(mem::take(&mut self.raised));
        self.queue.extend(mem::take(&mut self.inbox));
    }

    fn run_queue(&mut self) {
        loop {
            if let Some(role) = self.signals.pop_front() {
                self.run(role, Kind::Signal);
                continue;
            }
            match self.queue.pop_front() {
                Some(Job::Run(role, kind)) => self.run(role, kind),
                Some(Job::Done(role, kind)) => self.note(format!("{} done", name(role, kind))),
                Some(Job::Finished) => self.note("finished".to_owned()),
                Some(Job::QueueGone) => self.queue.push_back(Job::Canceled),
                Some(Job::Canceled) => self.note("canceled".to_owned()),
                None => return,
            }
        }
    }

    fn note(&mut self, entry: String) {
        self.trace.push(entry);
    }

    fn run(&mut self, role: Role, kind: Kind) {
        let is_changed = role == Role::Other && self.changed == Some(kind);
        if is_changed && kind == Kind::Trigger {
            return;
        }
        if !kind.repeats() {
            self.over.push((role, kind));
        }
        if kind == Kind::Cleanup {
            self.queue.push_back(Job::Done(role, kind));
        }
        let replaced = is_changed && matches!(kind, Kind::Completion | Kind::Cancel);
        let suffix = if replaced { " changed" } else { "" };
        self.note(format!("{}{suffix}", name(role, kind)));
        let acts = role == Role::Own && !mem::replace(&mut self.has_acted, true);
        if acts {
            self.act();
        } else if role == Role::Own {
            self.has_acted = true;
        }
        if is_changed && kind == Kind::Cleanup {
            self.note(format!("{} changed", name(role, kind)));
        }
        let has_panicked = acts && self.cell.action == Action::Panic;
        if kind == Kind::Cancel && !has_panicked && !self.dropped.contains(&(role, kind)) {
            self.queue.push_back(Job::Done(role, kind));
        }
    }

    fn act(&mut self) {
        let Cell { running, action } = self.cell;
        if self.timing == Timing::Within {
            self.excite_others();
        }
        match action {
            Action::Add(kind) => self.excite(Role::Added, kind),
            Action::Change(kind) => self.change(kind),
            Action::ChangeSelf => self.excite(Role::Own, running),
            Action::DropSelf => {
                self.excite(Role::Own, running);
                self.drop_thing(Role::Own, running);
            }
            Action::DropOther(kind) => self.drop_thing(Role::Other, kind),
            Action::DropParent(owner) => {
                self.excite(Role::Own, running);
                if owner == Owner::Queue {
                    self.queue.push_back(Job::QueueGone);
                } else {
                    self.drop_thing(Role::Own, running);
                }
            }
            Action::FinishRequest => self.queue.push_back(Job::Finished),
            Action::ReInitialise => self.begin_anew(),
            Action::DropLastHandle | Action::Panic => {}
        }
    }

    fn begin_anew(&mut self) {
        self.queue.clear();
        self.inbox.clear();
        self.raised.clear();
        self.signals.clear();
        self.armed.clear();
        self.due.clear();
        self.readable.clear();
        self.ready.clear();
        // What its request comes to is told nobody.
        self.dropped.push((Role::Own, self.cell.running));
    }

    fn change(&mut self, kind: Kind) {
        match kind {
            Kind::Timer | Kind::Immediate => {
                self.unexcite(Role::Other, kind);
                self.excite(Role::Other, kind);
            }
            Kind::Fd => {
                // What is not asked for is not lost.
                let is_readable = self.readable.contains(&Role::Other);
                self.unexcite(Role::Other, kind);
                self.changed = is_readable.then_some(kind);
            }
            _ => self.changed = Some(kind),
        }
    }
}
