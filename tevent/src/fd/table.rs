//! The records of watched descriptors: which events share one, and what the kernel was asked.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use super::FdNode;
use crate::error;
use crate::interest::{Interest, Readiness};
use crate::poller::{Poller, Told};
use crate::stats::Counters;
use crate::token::{Table, Token};
use crate::wake::Wake;

type Register = fn(&Poller, RawFd, Token, Interest) -> io::Result<()>;

/// One watched descriptor and the events that share it.
struct Record {
    raw: RawFd,
    // What the kernel was last asked; nothing if it does not know the descriptor.
    registered: Option<Interest>,
    // Whether the kernel has said that the descriptor is never waited for, as a regular file is not.
    is_always_ready: bool,
    // The next in turn is first.
    members: Vec<Rc<FdNode>>,
}

/// Every descriptor of a context, and the poller that watches them.
pub(crate) struct FdTable {
    poller: Poller,
    records: Table<Record>,
    // The record of each descriptor number, so that events on one descriptor find each other.
    by_fd: Vec<Token>,
    // The records that the kernel has no need to watch; each is told in every round that asks.
    always_ready: Vec<Token>,
    // Events that ask for anything at all; they keep `run` going.
    watching: usize,
    // What the last wait brought, and how many of it are handled.
    told: Vec<Told>,
    handled: usize,
    // The descriptor of the context's own wake-up; it belongs to no event.
    wake: Token,
}

impl FdTable {
    /// A table whose `wake` descriptor is reported by [`wait`](Self::wait).
    pub(crate) fn new(backend: &str, wake: Arc<Wake>) -> io::Result<Self> {
        let raw = wake.as_fd().as_raw_fd();
        let mut records = Table::default();
        let registered = Some(Interest::READ);
        let token = records.insert(Record {
            raw,
            registered,
            is_always_ready: false,
            members: Vec::new(),
        });
        let poller = Poller::new(backend, wake, token)?;
        let by_fd = Vec::new();
        Ok(Self {
            poller,
            records,
            by_fd,
            always_ready: Vec::new(),
            watching: 0,
            told: Vec::new(),
            handled: 0,
            wake: token,
        })
    }

    pub(crate) fn backend(&self) -> &'static str {
        self.poller.backend()
    }

    pub(crate) fn is_watching(&self) -> bool {
        self.watching > 0
    }

    /// Every event.
    pub(crate) fn nodes(&self) -> Vec<Rc<FdNode>> {
        let members = self.records.iter().map(|(_, record)| &record.members);
        members.flatten().cloned().collect()
    }

    /// Makes `node` a member of the record of its descriptor.
    pub(crate) fn join(&mut self, node: &Rc<FdNode>) {
        let index = usize::try_from(node.raw).expect("an open descriptor is not negative");
        if index >= self.by_fd.len() {
            self.by_fd.resize(index + 1, Token::NOBODY);
        }
        let token = self.by_fd[index];
        if let Some(record) = self.records.get_mut(token) {
            record.members.push(node.clone());
            node.record.set(token);
            return;
        }
        let members = vec![node.clone()];
        let token = self.records.insert(Record {
            raw: node.raw,
            registered: None,
            is_always_ready: false,
            members,
        });
        self.by_fd[index] = token;
        node.record.set(token);
    }

    /// Takes `node` out; the last member takes the descriptor out of the kernel's set.
    pub(crate) fn leave(&mut self, node: &FdNode, counters: &Counters) {
        let token = node.record.replace(Token::NOBODY);
        let Some(record) = self.records.get_mut(token) else {
            return;
        };
        record
            .members
            .retain(|member| !std::ptr::eq(&raw const **member, node));
        self.watching -= usize::from(!node.interest.get().is_empty());
        if !record.members.is_empty() {
            return;
        }
        if record.registered.is_some() {
            counters.registration();
            // A descriptor that was closed behind our back is out of the set already.
            self.poller.delete(record.raw).ok();
        }
        if record.is_always_ready {
            self.always_ready.retain(|other| *other != token);
        }
        self.records.remove(token);
        if let Some(entry) = usize::try_from(node.raw)
            .ok()
            .and_then(|i| self.by_fd.get_mut(i))
        {
            *entry = Token::NOBODY;
        }
    }

    /// Follows the change of a member's interest; the kernel hears of it only if it must watch more.
    pub(crate) fn interest_changed(
        &mut self,
        node: &FdNode,
        before: Interest,
        counters: &Counters,
    ) -> io::Result<()> {
        self.renew_in_child()?;
        let after = node.interest.get();
        let token = node.record.get();
        let Some(record) = self.records.get_mut(token) else {
            return Err(error::context_gone());
        };
        let wanted = record.wanted();
        let register = match record.registered {
            None if wanted.is_empty() || record.is_always_ready => None,
            None => Some(Poller::add as Register),
            // Errors are reported without being asked for.
            Some(registered) if registered.contains(wanted - Interest::ERROR) => None,
            Some(_) => Some(Poller::modify as Register),
        };
        if let Some(register) = register {
            counters.registration();
            match register(&self.poller, record.raw, token, wanted) {
                Ok(()) => record.registered = Some(wanted),
                Err(error) if error::is_always_ready(&error) => {
                    record.is_always_ready = true;
                    self.always_ready.push(token);
                }
                Err(error) => return Err(error),
            }
        }
        self.watching += usize::from(before.is_empty());
        self.watching -= usize::from(after.is_empty());
        Ok(())
    }

    /// Waits for the kernel once and keeps its answer; returns whether it was woken from outside.
    pub(crate) fn wait(
        &mut self,
        timeout: Option<Duration>,
        counters: &Counters,
    ) -> io::Result<bool> {
        self.renew_in_child()?;
        counters.wait();
        self.told.clear();
        self.handled = 0;
        let is_ready = !self.always_ready.is_empty() && self.is_ready_without_kernel();
        let timeout = if is_ready {
            Some(Duration::ZERO)
        } else {
            timeout
        };
        self.poller.wait(timeout, &mut self.told)?;
        let woken = self.told.iter().any(|told| told.token == self.wake);
        if is_ready {
            // Whoever asks for nothing any more when its turn comes is passed over.
            self.told
                .extend(self.always_ready.iter().map(|&token| Told {
                    token,
                    readiness: Readiness::READ | Readiness::WRITE,
                }));
        }
        Ok(woken)
    }

    /// Takes out every event there is, with a set that watches nothing yet; the events are over.
    pub(crate) fn clear(&mut self) -> io::Result<Vec<Rc<FdNode>>> {
        self.poller = self.poller.renewed()?;
        let nodes = self.nodes();
        for node in &nodes {
            node.record.set(Token::NOBODY);
            node.interest.set(Interest::NONE);
        }
        let tokens: Vec<_> = self.records.iter().map(|(token, _)| token).collect();
        for token in tokens.into_iter().filter(|token| *token != self.wake) {
            self.records.remove(token);
        }
        self.by_fd.clear();
        self.always_ready.clear();
        self.told.clear();
        self.handled = 0;
        self.watching = 0;
        Ok(nodes)
    }

    /// A descriptor for another loop to wait for.
    pub(crate) fn poll_fd(&mut self) -> io::Result<OwnedFd> {
        self.renew_in_child()?;
        self.poller.duplicate()
    }

    /// Whether an event can run without another look at the kernel.
    pub(crate) fn has_ready(&self) -> bool {
        self.handled < self.told.len() || self.is_ready_without_kernel()
    }

    fn renew_in_child(&mut self) -> io::Result<()> {
        if self.poller.is_inherited() {
            return self.renew();
        }
        Ok(())
    }

    /// Watches in a set of this process whatever is wanted; the parent's stays as it is.
    #[cold]
    fn renew(&mut self) -> io::Result<()> {
        let poller = self.poller.renewed()?;
        let tokens: Vec<_> = self.records.iter().map(|(token, _)| token).collect();
        for token in tokens.into_iter().filter(|token| *token != self.wake) {
            let Some(record) = self.records.get_mut(token) else {
                continue;
            };
            let wanted = record.wanted();
            record.registered = None;
            if wanted.is_empty() || record.is_always_ready {
                continue;
            }
            match poller.add(record.raw, token, wanted) {
                Ok(()) => record.registered = Some(wanted),
                Err(error) if error::is_always_ready(&error) => {
                    record.is_always_ready = true;
                    self.always_ready.push(token);
                }
                Err(error) => return Err(error),
            }
        }
        self.poller = poller;
        Ok(())
    }

    /// Whether an event asks for what its descriptor always has.
    fn is_ready_without_kernel(&self) -> bool {
        let mut records = self
            .always_ready
            .iter()
            .filter_map(|token| self.records.get(*token));
        records.any(|record| record.wanted().intersects(Interest::READ | Interest::WRITE))
    }

    /// The event whose turn it is on the next descriptor of the last answer, and what it is told.
    ///
    /// What nobody asked for is taken back from the kernel on the way.
    pub(crate) fn next_ready(&mut self, counters: &Counters) -> Option<(Rc<FdNode>, Readiness)> {
        while let Some(&Told { token, readiness }) = self.told.get(self.handled) {
            self.handled += 1;
            let Some(record) = self.records.get_mut(token).filter(|_| token != self.wake) else {
                continue;
            };
            if readiness.intersects(Readiness::ERROR) {
                self.watching -= record.strip_writers();
            }
            let wanted = record.wanted();
            let asked = Interest::from(readiness);
            if let Some(registered) = record.registered {
                let unwanted = registered & (asked - wanted);
                if wanted.is_empty() || !unwanted.is_empty() {
                    counters.registration();
                    record.take_back(&self.poller, token, wanted);
                }
            }
            if let Some(node) = record.take_turn(asked) {
                return Some((node, readiness));
            }
        }
        None
    }
}

impl Record {
    fn wanted(&self) -> Interest {
        self.members
            .iter()
            .fold(Interest::NONE, |wanted, node| wanted | node.interest.get())
    }

    /// Stops those who could only write into an error; returns how many there were.
    #[cold]
    fn strip_writers(&mut self) -> usize {
        let writers = self
            .members
            .iter()
            .filter(|node| node.interest.get() == Interest::WRITE);
        writers
            .map(|node| node.interest.set(Interest::NONE))
            .count()
    }

    #[cold]
    fn take_back(&mut self, poller: &Poller, token: Token, wanted: Interest) {
        // Errors are reported as long as the kernel knows the descriptor, so with nobody left to
        // hear of them it must not.
        let (taken, registered) = if wanted.is_empty() {
            (poller.delete(self.raw), None)
        } else {
            (poller.modify(self.raw, token, wanted), Some(wanted))
        };
        // A descriptor that was closed behind our back is out of the set already.
        self.registered = registered.filter(|_| taken.is_ok());
    }

    /// The first member that asks for any of `asked`; it goes to the end of the line.
    fn take_turn(&mut self, asked: Interest) -> Option<Rc<FdNode>> {
        let eligible = |node: &Rc<FdNode>| node.interest.get().intersects(asked);
        let index = self.members.iter().position(eligible)?;
        if self.members.len() > 1 {
            let node = self.members.remove(index);
            self.members.push(node);
        }
        self.members.last().cloned()
    }
}
