//! [`Connections`], what a server keeps of each of its connections.

use std::collections::{BTreeMap, HashMap};
use std::mem;
use std::rc::{Rc, Weak};
use std::time::{Duration, Instant};

use tevent::Request;

use super::limits::Peer;
use super::{Inner, Limit, Limits};
use crate::Address;
use crate::stream::Meter;

/// The request of a connection, whatever it gives.
pub(super) trait Running {
    /// Asks it to end.
    fn cancel(&self);
}

impl<T: 'static, E: 'static> Running for Request<T, E> {
    fn cancel(&self) {
        Self::cancel(self);
    }
}

pub(super) struct Connection {
    pub(super) address: Address,
    pub(super) peer: Option<Peer>,
    pub(super) since: Instant,
    pub(super) meter: Rc<Meter>,
    // Nothing while the handler runs that makes it.
    pub(super) request: Option<Rc<dyn Running>>,
    pub(super) is_asked: bool,
}

impl Connection {
    /// Whether it waits for its peer, and nothing has moved on it for `span` and since `since`.
    fn is_quiet(&self, since: Instant, now: Instant, span: Duration) -> bool {
        let last = self.meter.moved().max(since);
        self.meter.awaits_peer() && now.saturating_duration_since(last) >= span
    }
}

/// All connections of a server by their numbers, which are never used again.
// Invariant: `peers` counts those of each peer, and knows none that has none.
#[derive(Default)]
pub(super) struct Connections {
    table: BTreeMap<u64, Connection>,
    peers: HashMap<Peer, usize>,
    next: u64,
}

/// What a look at all connections has found.
pub(super) struct Survey {
    /// Those that have met a limit.
    pub(super) over: Vec<(u64, Limit)>,
    /// When the first of the others meets one, if nothing moves on it.
    pub(super) next: Option<Instant>,
}

impl Connections {
    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    /// Takes `connection` in, unless its peer has `per_peer` of them, and returns its number.
    pub(super) fn insert(&mut self, connection: Connection, per_peer: usize) -> Option<u64> {
        if let Some(peer) = connection.peer {
            let count = self.peers.get(&peer).copied().unwrap_or(0);
            if count >= per_peer {
                return None;
            }
            self.peers.insert(peer, count + 1);
        }
        let number = self.next;
        self.next += 1;
        self.table.insert(number, connection);
        Some(number)
    }

    /// Gives a connection its request, which comes back if the connection is gone.
    pub(super) fn keep(
        &mut self,
        number: u64,
        request: Rc<dyn Running>,
    ) -> Result<(), Rc<dyn Running>> {
        match self.table.get_mut(&number) {
            Some(connection) => {
                connection.request = Some(request);
                Ok(())
            }
            None => Err(request),
        }
    }

    pub(super) fn remove(&mut self, number: u64) -> Option<Connection> {
        let connection = self.table.remove(&number)?;
        if let Some(peer) = connection.peer {
            let left = self
                .peers
                .get(&peer)
                .copied()
                .unwrap_or(0)
                .saturating_sub(1);
            if left == 0 {
                self.peers.remove(&peer);
            } else {
                self.peers.insert(peer, left);
            }
        }
        Some(connection)
    }

    pub(super) fn take_all(&mut self) -> BTreeMap<u64, Connection> {
        self.peers.clear();
        mem::take(&mut self.table)
    }

    pub(super) fn numbers(&self) -> Vec<u64> {
        self.table.keys().copied().collect()
    }

    /// Looks at all connections.
    pub(super) fn survey(&self, limits: &Limits, now: Instant) -> Survey {
        let mut survey = Survey {
            over: Vec::new(),
            next: None,
        };
        for (number, connection) in &self.table {
            let (since, meter) = (connection.since, &*connection.meter);
            match limits.met(since, meter, now) {
                Some(limit) => survey.over.push((*number, limit)),
                None => {
                    let again = limits.look_again(since, meter, now);
                    survey.next = survey.next.into_iter().chain(again).min();
                }
            }
        }
        survey
    }

    /// The requests of those that are quiet and were not asked to end before.
    pub(super) fn quiet(
        &mut self,
        since: Instant,
        now: Instant,
        span: Duration,
    ) -> Vec<Rc<dyn Running>> {
        let quiet = self
            .table
            .values_mut()
            .filter(|connection| !connection.is_asked && connection.is_quiet(since, now, span));
        quiet
            .filter_map(|connection| {
                connection.is_asked = true;
                connection.request.clone()
            })
            .collect()
    }
}

/// A connection that was taken in and has no request yet: gone again if the handler panics.
pub(super) struct Admission {
    server: Weak<Inner>,
    pub(super) number: u64,
}

impl Admission {
    pub(super) fn new(server: &Rc<Inner>, number: u64) -> Self {
        Self {
            server: Rc::downgrade(server),
            number,
        }
    }

    /// The connection has its request.
    pub(super) fn keep(mut self) {
        self.server = Weak::new();
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        if let Some(server) = self.server.upgrade() {
            drop(server.release(self.number));
            server.go_on();
        }
    }
}
