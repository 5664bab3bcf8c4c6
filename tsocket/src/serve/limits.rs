//! [`Limits`], what a server lets its peers have.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use rustix::process::{Resource, getrlimit};

use crate::Address;
use crate::stream::Meter;

/// What a [`Server`](crate::Server) lets its peers have; the default suits most servers.
///
/// | Limit | Default | Beyond it | Why |
/// |---|---|---|---|
/// | [`connections`](Self::connections) | what the limit of open descriptors leaves, less [`RESERVED_DESCRIPTORS`](Self::RESERVED_DESCRIPTORS) | nobody is accepted until one ends; who comes waits in the system's backlog | a server without a descriptor left can neither open a file nor say why |
/// | [`per_peer`](Self::per_peer) | [128](Self::PER_PEER) from one IPv4 address or IPv6 /64 | accepted and closed at once: the system does not say who waits | one host cannot have all connections, and an office behind one address has enough |
/// | [`handshake`](Self::handshake) | [30 s](Self::HANDSHAKE) from accepting to the first bytes of the peer | ended at once | who connects has something to say; three lost packets cost TCP about ten seconds |
/// | [`idle`](Self::idle) | [5 min](Self::IDLE) in which no byte moves in either direction | ended at once | a peer that has vanished is given up, and most that think are not |
/// | [`write_stall`](Self::write_stall) | [1 min](Self::WRITE_STALL) in which the peer takes nothing of a write | ended at once | who does not read holds memory here; TCP has tried about eight times by then |
/// | [`drain`](Self::drain) | [8 s](Self::DRAIN) from the [stop](crate::Server::stop) | whoever is left is ended | those who stop servers tend to kill them after ten seconds |
///
/// What moves and stalls is the transport: a layer above it, such as TLS, is in nobody's way; a handler
/// that takes the descriptor out ([`into_parts`](crate::Stream::into_parts)) sees to the times itself. The
/// times are looked at seldom and for all connections at once, so that they cost little: what ends by
/// one is late by at most a thirty-second of the shortest of them, and by no more than a second.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use tsocket::Limits;
/// let limits = Limits::default().connections(500).idle(Duration::from_secs(30));
/// let patient = Limits::default().idle(None).handshake(None);
/// # drop((limits, patient));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Limits {
    connections: Option<usize>,
    per_peer: Option<usize>,
    counts_loopback: bool,
    handshake: Option<Duration>,
    idle: Option<Duration>,
    write_stall: Option<Duration>,
    pub(super) drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: None,
            per_peer: Some(Self::PER_PEER),
            counts_loopback: false,
            handshake: Some(Self::HANDSHAKE),
            idle: Some(Self::IDLE),
            write_stall: Some(Self::WRITE_STALL),
            drain: Self::DRAIN,
        }
    }
}

impl Limits {
    /// How many descriptors are kept for anything but connections: the loop's, the listeners', files,
    /// the terminal's.
    pub const RESERVED_DESCRIPTORS: usize = 32;
    /// The default of [`per_peer`](Self::per_peer).
    pub const PER_PEER: usize = 128;
    /// The default of [`handshake`](Self::handshake).
    pub const HANDSHAKE: Duration = Duration::from_secs(30);
    /// The default of [`idle`](Self::idle).
    pub const IDLE: Duration = Duration::from_secs(300);
    /// The default of [`write_stall`](Self::write_stall).
    pub const WRITE_STALL: Duration = Duration::from_secs(60);
    /// The default of [`drain`](Self::drain).
    pub const DRAIN: Duration = Duration::from_secs(8);

    /// How many connections there are at a time, at least one; for a server whose connections need
    /// several descriptors each, or none.
    pub fn connections(mut self, count: usize) -> Self {
        self.connections = Some(count.max(1));
        self
    }

    /// How many connections one peer has at a time, or any number: an IPv4 address, or the first half
    /// of an IPv6 address, which is what a host is given.
    ///
    /// Peers on this machine, of unix sockets and of kinds of one's own count in the total alone.
    pub fn per_peer(mut self, count: impl Into<Option<usize>>) -> Self {
        self.per_peer = count.into();
        self
    }

    /// Whether each loopback address is a peer like others: off by default, because relays and
    /// terminators of TLS on this machine stand for many.
    pub fn count_loopback(mut self, on: bool) -> Self {
        self.counts_loopback = on;
        self
    }

    /// How long a peer may take until its first bytes have been received, or for ever: right for a
    /// protocol in which the server speaks and the peer need not.
    pub fn handshake(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.handshake = timeout.into();
        self
    }

    /// How long a connection may stay on which no byte moves in either direction, or for ever.
    pub fn idle(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.idle = timeout.into();
        self
    }

    /// How long a peer may take nothing of a write that waits for it, or for ever.
    pub fn write_stall(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.write_stall = timeout.into();
        self
    }

    /// How long a [stop](crate::Server::stop) waits for the connections that are left.
    pub fn drain(mut self, timeout: Duration) -> Self {
        self.drain = timeout;
        self
    }

    /// The number of connections that `self` comes to here and now.
    pub(super) fn connections_max(&self) -> usize {
        self.connections.unwrap_or_else(|| {
            let descriptors = getrlimit(Resource::Nofile).current;
            let descriptors = descriptors.and_then(|limit| usize::try_from(limit).ok());
            let left = descriptors
                .unwrap_or(usize::MAX)
                .saturating_sub(Self::RESERVED_DESCRIPTORS);
            left.max(1)
        })
    }

    /// Whom a connection from `address` counts for, and how many he may have; nobody if it counts in
    /// the total alone.
    pub(super) fn peer(&self, address: &Address) -> Option<(Peer, usize)> {
        let ip = address.ip().ok()?.to_canonical();
        if ip.is_loopback() && !self.counts_loopback {
            return None;
        }
        Some((Peer::of(ip), self.per_peer?))
    }

    /// The limit that a connection accepted at `since` has met by `now`.
    pub(super) fn met(&self, since: Instant, meter: &Meter, now: Instant) -> Option<Limit> {
        if meter.is_blind() {
            return None;
        }
        let times = [
            (self.handshake_end(since, meter), Limit::Handshake),
            (after(meter.stalled(), self.write_stall), Limit::WriteStall),
            (after(Some(meter.moved()), self.idle), Limit::Idle),
        ];
        let met = |(deadline, limit): (Option<Instant>, _)| (deadline? <= now).then_some(limit);
        times.into_iter().find_map(met)
    }

    /// When the first limit may be met by a connection that has met none by `now`.
    pub(super) fn look_again(
        &self,
        since: Instant,
        meter: &Meter,
        now: Instant,
    ) -> Option<Instant> {
        if meter.is_blind() {
            return None;
        }
        let stalled = meter.stalled().unwrap_or(now);
        let deadlines = [
            self.handshake_end(since, meter),
            after(Some(stalled), self.write_stall),
            after(Some(meter.moved()), self.idle),
        ];
        deadlines.into_iter().flatten().min()
    }

    fn handshake_end(&self, since: Instant, meter: &Meter) -> Option<Instant> {
        after(
            Some(since).filter(|_| !meter.has_received()),
            self.handshake,
        )
    }

    /// How long lies at least between two looks at all connections.
    pub(super) fn pause(&self) -> Duration {
        let times = [self.handshake, self.idle, self.write_stall];
        let shortest = times.into_iter().flatten().min().unwrap_or(PAUSE_MAX);
        (shortest / 32).clamp(PAUSE_MIN, PAUSE_MAX)
    }
}

/// Bounds of the time between two looks at all connections: ten thousand of them cost some hundred
/// microseconds, and nobody minds to be closed a second late.
const PAUSE_MIN: Duration = Duration::from_millis(1);
const PAUSE_MAX: Duration = Duration::from_secs(1);

fn after(since: Option<Instant>, timeout: Option<Duration>) -> Option<Instant> {
    since?.checked_add(timeout?)
}

/// Whom connections are counted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Peer {
    V4(Ipv4Addr),
    // The /64.
    V6([u16; 4]),
}

impl Peer {
    fn of(ip: IpAddr) -> Self {
        match ip {
            IpAddr::V4(ip) => Self::V4(ip),
            IpAddr::V6(ip) => {
                let [a, b, c, d, ..] = ip.segments();
                Self::V6([a, b, c, d])
            }
        }
    }
}

/// One of the [`Limits`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Limit {
    /// [`Limits::per_peer`].
    PerPeer,
    /// [`Limits::handshake`].
    Handshake,
    /// [`Limits::idle`].
    Idle,
    /// [`Limits::write_stall`].
    WriteStall,
    /// [`Limits::drain`].
    Drain,
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PerPeer => "the peer has too many connections",
            Self::Handshake => "the peer said nothing at first",
            Self::Idle => "nothing moved for too long",
            Self::WriteStall => "the peer read nothing for too long",
            Self::Drain => "the server stopped",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Family;

    fn peer(text: &str, limits: &Limits) -> Option<Peer> {
        let address = Address::from_strings(Family::Ip, Some(text), 1).unwrap();
        limits.peer(&address).map(|(peer, _)| peer)
    }

    #[test]
    fn a_host_is_an_ipv4_address_or_half_an_ipv6_address() {
        let limits = Limits::default();
        assert_ne!(peer("192.0.2.1", &limits), peer("192.0.2.2", &limits));
        assert_eq!(peer("2001:db8::1", &limits), peer("2001:db8::2", &limits));
        assert_ne!(
            peer("2001:db8::1", &limits),
            peer("2001:db8:0:1::1", &limits)
        );
        assert_eq!(
            peer("192.0.2.1", &limits),
            peer("::ffff:192.0.2.1", &limits)
        );
    }

    #[test]
    fn loopback_counts_when_asked_and_unix_never() {
        let (usual, counting) = (Limits::default(), Limits::default().count_loopback(true));
        for text in ["127.0.0.1", "127.8.9.1", "::1", "::ffff:127.0.0.1"] {
            assert_eq!(peer(text, &usual), None, "{text}");
            assert!(peer(text, &counting).is_some(), "{text}");
        }
        assert_eq!(counting.peer(&Address::unix_unnamed()), None);
    }

    #[test]
    fn the_total_is_what_the_descriptors_leave() {
        let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        let max = Limits::default().connections_max();
        assert_eq!(
            max,
            usize::try_from(limit).unwrap() - Limits::RESERVED_DESCRIPTORS
        );
        assert_eq!(Limits::default().connections(0).connections_max(), 1);
    }
}
