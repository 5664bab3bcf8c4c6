//! [`SocketOptions`], what the system is asked to do with a socket.

#[cfg(test)]
mod tests;

use std::fmt;
use std::io;
use std::os::fd::BorrowedFd;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::sockopt;
use tsocket::{Address, Family};

const TIMES: &str = "times are from 1 to 32767 seconds, the count from 1 to 127";
const TIMEOUT: &str = if cfg!(any(target_os = "linux", target_os = "android")) {
    "the time is from 1 to 2147483647 milliseconds"
} else {
    "only Linux has it"
};
const LENGTH: &str = "the length is from 1 to 2147483647 bytes";

/// Options of sockets, for connecting, listening and datagrams alike.
///
/// The default suits most programs: small writes go at once, IPv6 sockets take IPv6 alone, and the
/// rest is as the system has it. What makes no sense for a kind of socket is refused with `EINVAL`
/// when the socket is made; [`check`](Self::check) says beforehand what and why.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use tsocket_bsd::{ConnectOptions, KeepAlive, SocketOptions};
/// let keep_alive = KeepAlive {
///     idle: Duration::from_secs(60),
///     interval: Duration::from_secs(10),
///     count: 6,
/// };
/// let socket = SocketOptions::default().keep_alive(keep_alive).send_buffer(1 << 20);
/// let options = ConnectOptions::default().socket(socket);
/// ```
///
/// # Source
/// `socket(7)`, `tcp(7)`, `ipv6(7)`. tsocket leaves these to its users.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[must_use]
pub struct SocketOptions {
    tcp_nodelay: Option<bool>,
    keep_alive: Option<KeepAlive>,
    tcp_user_timeout: Option<Duration>,
    send_buffer: Option<usize>,
    receive_buffer: Option<usize>,
    takes_v4: bool,
    reuse_port: bool,
    broadcast: bool,
}

/// When TCP asks a silent peer whether it is still there.
///
/// A peer that stays silent is given up after `idle` and `count` times `interval`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeepAlive {
    /// How long the peer may be silent before it is asked; whole seconds, others are rounded up.
    pub idle: Duration,
    /// How long an answer is waited for; whole seconds, others are rounded up.
    pub interval: Duration,
    /// How often it is asked.
    pub count: u32,
}

/// What a socket is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SocketUse {
    /// Connecting to an address, of which the family counts.
    Connect,
    /// Listening on an address.
    Listen,
    /// Datagrams from an address.
    Datagram,
}

/// An option that makes no sense for a socket; as an [`io::Error`] it is `EINVAL`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WrongOption {
    option: &'static str,
    reason: &'static str,
}

impl fmt::Display for WrongOption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "socket option {}: {}", self.option, self.reason)
    }
}

impl std::error::Error for WrongOption {}

impl From<WrongOption> for io::Error {
    fn from(_: WrongOption) -> Self {
        Errno::INVAL.into()
    }
}

impl SocketOptions {
    /// Whether TCP sends small writes at once, without waiting for more: on by default, because whole
    /// messages are what is written. On unix streams, which never wait, it changes nothing.
    #[doc(alias = "TCP_NODELAY")]
    pub fn tcp_nodelay(mut self, on: bool) -> Self {
        self.tcp_nodelay = Some(on);
        self
    }

    /// Has TCP find out that a peer is gone although nothing is sent: off by default.
    #[doc(alias = "SO_KEEPALIVE")]
    #[doc(alias = "TCP_KEEPIDLE")]
    #[doc(alias = "TCP_KEEPINTVL")]
    #[doc(alias = "TCP_KEEPCNT")]
    pub fn keep_alive(mut self, times: KeepAlive) -> Self {
        self.keep_alive = Some(times);
        self
    }

    /// How long TCP waits for what was sent to be acknowledged before it gives the peer up
    /// (`ETIMEDOUT`); milliseconds, others are rounded up. Linux alone has it.
    #[doc(alias = "TCP_USER_TIMEOUT")]
    pub fn tcp_user_timeout(mut self, timeout: Duration) -> Self {
        self.tcp_user_timeout = Some(timeout);
        self
    }

    /// How many bytes the system keeps for what is being sent; Linux doubles it for its own needs,
    /// raises what is too small, and cuts it at `net.core.wmem_max`.
    #[doc(alias = "SO_SNDBUF")]
    pub fn send_buffer(mut self, len: usize) -> Self {
        self.send_buffer = Some(len);
        self
    }

    /// How many bytes the system keeps for what has arrived; as for
    /// [`send_buffer`](Self::send_buffer), with `net.core.rmem_max`.
    #[doc(alias = "SO_RCVBUF")]
    pub fn receive_buffer(mut self, len: usize) -> Self {
        self.receive_buffer = Some(len);
        self
    }

    /// Whether an IPv6 socket leaves IPv4 alone: on by default. When it is off, IPv4 peers have
    /// addresses such as `::ffff:1.2.3.4`.
    #[doc(alias = "IPV6_V6ONLY")]
    pub fn v6_only(mut self, on: bool) -> Self {
        self.takes_v4 = !on;
        self
    }

    /// Whether several sockets of the same user may have one port, so that each thread has its own:
    /// off by default. On Linux the kernel deals connections and datagrams out among them.
    #[doc(alias = "SO_REUSEPORT")]
    pub fn reuse_port(mut self, on: bool) -> Self {
        self.reuse_port = on;
        self
    }

    /// Whether datagrams may be sent to the broadcast addresses of IPv4: off by default.
    #[doc(alias = "SO_BROADCAST")]
    #[doc(alias = "tdgram_inet_udp_broadcast_socket")]
    pub fn broadcast(mut self, on: bool) -> Self {
        self.broadcast = on;
        self
    }

    /// Whether these options make sense for a socket for `purpose` with `address`.
    ///
    /// # Errors
    /// The first option that does not: keep-alive, the user timeout and `tcp_nodelay` are for TCP
    /// (`tcp_nodelay` does no harm to a unix stream), `v6_only` is off for IPv6 alone, `broadcast` for datagrams
    /// of IPv4, `reuse_port` for inet; times and lengths are more than zero and have room in the
    /// system's types.
    ///
    /// # Examples
    /// ```
    /// use tsocket::Address;
    /// use tsocket_bsd::{SocketOptions, SocketUse};
    /// let options = SocketOptions::default().reuse_port(true);
    /// let wrong = options.check(SocketUse::Listen, &Address::unix("/run/echo")?).unwrap_err();
    /// assert_eq!(wrong.to_string(), "socket option reuse_port: unix sockets have no port");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn check(&self, purpose: SocketUse, address: &Address) -> Result<(), WrongOption> {
        let is_datagram = purpose == SocketUse::Datagram;
        let is_tcp = !is_datagram && !address.is_unix();
        let times_are_wrong = |times: KeepAlive| !times.is_possible();
        let timeout_is_wrong = |timeout| millis(timeout).is_none();
        let len_is_wrong = |len| len == 0 || i32::try_from(len).is_err();
        let broadcasts = is_datagram && address.is_inet(Family::Ipv4);
        #[rustfmt::skip]
        let rows = [
            (self.tcp_nodelay.is_some() && is_datagram, "tcp_nodelay", "datagrams are not TCP"),
            (self.keep_alive.is_some() && !is_tcp, "keep_alive", "only TCP has it"),
            (self.keep_alive.is_some_and(times_are_wrong), "keep_alive", TIMES),
            (self.tcp_user_timeout.is_some() && !is_tcp, "tcp_user_timeout", "only TCP has it"),
            (self.tcp_user_timeout.is_some_and(timeout_is_wrong), "tcp_user_timeout", TIMEOUT),
            (self.send_buffer.is_some_and(len_is_wrong), "send_buffer", LENGTH),
            (self.receive_buffer.is_some_and(len_is_wrong), "receive_buffer", LENGTH),
            (self.takes_v4 && !address.is_inet(Family::Ipv6), "v6_only", "only IPv6 has it"),
            (self.reuse_port && address.is_unix(), "reuse_port", "unix sockets have no port"),
            (self.broadcast && !broadcasts, "broadcast", "only datagrams of IPv4 have it"),
        ];
        match rows.into_iter().find(|(is_wrong, ..)| *is_wrong) {
            Some((_, option, reason)) => Err(WrongOption { option, reason }),
            None => Ok(()),
        }
    }

    /// Sets the options of a new socket of the family of `address`, before it is bound.
    pub(crate) fn apply(
        &self,
        fd: BorrowedFd<'_>,
        purpose: SocketUse,
        address: &Address,
    ) -> io::Result<()> {
        self.check(purpose, address)?;
        if address.is_inet(Family::Ipv6) {
            sockopt::set_ipv6_v6only(fd, !self.takes_v4)?;
        }
        if purpose != SocketUse::Datagram && !address.is_unix() {
            sockopt::set_tcp_nodelay(fd, self.tcp_nodelay.unwrap_or(true))?;
        }
        if let Some(times) = self.keep_alive {
            sockopt::set_tcp_keepidle(fd, whole_seconds(times.idle))?;
            sockopt::set_tcp_keepintvl(fd, whole_seconds(times.interval))?;
            sockopt::set_tcp_keepcnt(fd, times.count)?;
            sockopt::set_socket_keepalive(fd, true)?;
        }
        if let Some(timeout) = self.tcp_user_timeout.and_then(millis) {
            set_user_timeout(fd, timeout)?;
        }
        if let Some(len) = self.send_buffer {
            sockopt::set_socket_send_buffer_size(fd, len)?;
        }
        if let Some(len) = self.receive_buffer {
            sockopt::set_socket_recv_buffer_size(fd, len)?;
        }
        if self.reuse_port {
            sockopt::set_socket_reuseport(fd, true)?;
        }
        if self.broadcast {
            sockopt::set_socket_broadcast(fd, true)?;
        }
        Ok(())
    }
}

impl KeepAlive {
    /// Whether Linux has room for it, which has the narrowest types.
    fn is_possible(&self) -> bool {
        let seconds = 1..=32767;
        let is_possible = |time| seconds.contains(&whole_seconds(time).as_secs());
        is_possible(self.idle) && is_possible(self.interval) && (1..=127).contains(&self.count)
    }
}

fn whole_seconds(time: Duration) -> Duration {
    let up = u64::from(time.subsec_nanos() > 0);
    Duration::from_secs(time.as_secs().saturating_add(up))
}

/// More than zero milliseconds that fit into an `int`; none where no time is possible.
fn millis(time: Duration) -> Option<u32> {
    if cfg!(not(any(target_os = "linux", target_os = "android"))) {
        return None;
    }
    let millis = i32::try_from(time.as_nanos().div_ceil(1_000_000)).ok()?;
    u32::try_from(millis).ok().filter(|millis| *millis > 0)
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn set_user_timeout(fd: BorrowedFd<'_>, millis: u32) -> io::Result<()> {
    Ok(sockopt::set_tcp_user_timeout(fd, millis)?)
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn set_user_timeout(_fd: BorrowedFd<'_>, _millis: u32) -> io::Result<()> {
    Err(Errno::INVAL.into())
}
