//! [`listen`], the server's side of TCP and unix streams.

use std::cell::Cell;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::rc::Rc;

use rustix::io::Errno;
use rustix::net::{self, AddressFamily, SocketType, sockopt};
use tevent::Context;
use tsocket::{Address, Listener, ListenerOps, Stream};

use crate::options::{SocketOptions, SocketUse};
use crate::unix_path::BoundPath;
use crate::watched::Watched;
use crate::{address, socket, stream, unix_path};

/// How many connections wait to be accepted, unless told otherwise.
///
/// A burst of a thousand clients then waits instead of being refused (unix) or retransmitting (TCP);
/// what waits costs the kernel some hundred bytes each. Linux cuts it at `net.core.somaxconn`.
const BACKLOG_DEFAULT: u32 = 1024;

/// What a listener is made with; the default suits most servers.
///
/// # Examples
/// ```
/// use tsocket_bsd::{ListenOptions, SocketOptions};
/// let shared = SocketOptions::default().reuse_port(true);
/// let patient = ListenOptions::default().backlog(4096).socket(shared);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct ListenOptions {
    backlog: u32,
    socket: SocketOptions,
}

impl Default for ListenOptions {
    fn default() -> Self {
        Self {
            backlog: BACKLOG_DEFAULT,
            socket: SocketOptions::default(),
        }
    }
}

impl ListenOptions {
    /// How many connections may wait to be accepted, 1024 by default; the system has a limit of its
    /// own.
    pub fn backlog(mut self, count: u32) -> Self {
        self.backlog = count;
        self
    }

    /// What the system is asked to do with the listening socket and, because they inherit it, with the
    /// accepted ones.
    pub fn socket(mut self, options: SocketOptions) -> Self {
        self.socket = options;
        self
    }
}

/// Listens on `address` for TCP or unix streams.
///
/// Port 0 is resolved by the system: ask [`local_address`](Listener::local_address). An IPv6 listener
/// takes IPv6 alone, so that both families can be listened on side by side. A port is free again as
/// soon as its listener is gone (`SO_REUSEADDR`).
///
/// A socket file is for its owner alone (mode 0600) before anybody can connect. If a file is in the
/// way, it is replaced when it is a socket of the same user on which nobody listens. The file is
/// removed with the listener, unless another has taken its place.
///
/// The kernel is asked for one connection whenever one is reported, and not watched while nobody
/// accepts. Accepted streams belong to the context that the listener belongs to.
///
/// # Errors
/// - `EADDRINUSE` if somebody listens there, or a file that is not ours to remove is in the way.
/// - `EADDRNOTAVAIL` if no interface has the address; `EACCES` for a port or a directory that is not
///   open to this user; `ENOENT` for a directory that is missing.
/// - `EINVAL` for the unnamed unix address, for kinds other than inet and unix, and for options that
///   [`SocketOptions::check`] refuses.
/// - `EMFILE`, `ENFILE` when no descriptor is left; `EAFNOSUPPORT` on a machine without IPv6.
///
/// # Examples
/// ```
/// use tsocket::{Address, Family};
/// use tsocket_bsd::{ListenOptions, listen};
/// let ctx = tevent::Context::new()?;
/// let any_port = Address::from_hostport(Family::Ip, Some("127.0.0.1"), 0)?;
/// let listener = listen(&ctx, &any_port, &ListenOptions::default())?;
/// assert_ne!(listener.local_address()?.port()?, 0);
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Source
/// `listen(2)`, `accept(2)`. tsocket leaves this to its users.
pub fn listen(ctx: &Context, address: &Address, options: &ListenOptions) -> io::Result<Listener> {
    let (fd, path) = open(address, options)?;
    new(ctx, fd, path)
}

fn open(address: &Address, options: &ListenOptions) -> io::Result<(OwnedFd, Option<BoundPath>)> {
    let family = address::family(address)?;
    let fd = socket::new(family, SocketType::STREAM)?;
    // Accepted sockets inherit what is set here, which saves calls for each.
    options
        .socket
        .apply(fd.as_fd(), SocketUse::Listen, address)?;
    let backlog = i32::try_from(options.backlog).unwrap_or(i32::MAX);
    if family == AddressFamily::UNIX {
        let live = || Ok(net::listen(&fd, backlog)?);
        let path = unix_path::bind(fd.as_fd(), address, SocketType::STREAM, live)?;
        return Ok((fd, path));
    }
    sockopt::set_socket_reuseaddr(&fd, true)?;
    net::bind(&fd, &address::to_system(address)?)?;
    net::listen(&fd, backlog)?;
    Ok((fd, None))
}

/// A listening socket.
struct BsdListener {
    // Before the descriptor: see `BoundPath`.
    _path: Option<BoundPath>,
    watched: Watched,
    /// Whether a connection was told and not yet asked for.
    told: Rc<Cell<bool>>,
}

fn new(ctx: &Context, fd: OwnedFd, path: Option<BoundPath>) -> io::Result<Listener> {
    Listener::new(ctx, |ready| {
        let told = Rc::new(Cell::new(false));
        let handler = {
            let told = Rc::clone(&told);
            move |readiness| {
                told.set(true);
                ready.notify(readiness);
            }
        };
        Ok(Box::new(BsdListener {
            _path: path,
            watched: Watched::new(ctx, fd, handler)?,
            told,
        }))
    })
}

impl ListenerOps for BsdListener {
    fn try_accept(&mut self, ctx: &Context) -> io::Result<(Stream, Address)> {
        // Level-triggered: if more wait, they are told again.
        if !self.told.take() {
            return self.watched.await_read();
        }
        let accepted = socket::uninterrupted(|| {
            self.watched.counters.accept();
            socket::accept(self.watched.fd())
        });
        match accepted {
            Ok((fd, peer)) => {
                let peer = address::from_system(peer)?;
                Ok((stream::new(ctx, fd, None)?, peer))
            }
            Err(Errno::AGAIN) => self.watched.await_read(),
            Err(errno) => Err(errno.into()),
        }
    }

    fn local_address(&self) -> io::Result<Address> {
        self.watched.local_address()
    }

    fn unwanted(&mut self) {
        self.watched.forget_read();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connect::{ConnectOptions, Socket};

    use rustix::event::{PollFd, PollFlags, poll};
    use rustix::fs::{OFlags, fcntl_getfl};
    use rustix::io::{FdFlags, fcntl_getfd};
    use tsocket::Family;

    #[track_caller]
    fn expect_born_right(fd: &OwnedFd) {
        assert!(fcntl_getfd(fd).unwrap().contains(FdFlags::CLOEXEC));
        assert!(fcntl_getfl(fd).unwrap().contains(OFlags::NONBLOCK));
    }

    fn connected(at: &Address, nodelay: bool) -> (OwnedFd, OwnedFd) {
        let socket_options = SocketOptions::default().tcp_nodelay(nodelay);
        let options = ListenOptions::default().socket(socket_options.clone());
        let (listener, _path) = open(at, &options).unwrap();
        expect_born_right(&listener);
        let at = address::from_system(Some(net::getsockname(&listener).unwrap())).unwrap();
        let options = ConnectOptions::default().socket(socket_options);
        let (client, _) = Socket::open(&at, &options).unwrap();
        let mut waiting = [PollFd::new(&listener, PollFlags::IN)];
        poll(
            &mut waiting,
            Some(&rustix::event::Timespec {
                tv_sec: 10,
                tv_nsec: 0,
            }),
        )
        .unwrap();
        let (server, _) = socket::accept(listener.as_fd()).unwrap();
        (client.fd, server)
    }

    #[test]
    fn both_ends_of_a_tcp_connection_have_the_options_that_were_asked_for() {
        let at = Address::from_strings(Family::Ipv4, Some("127.0.0.1"), 0).unwrap();
        for nodelay in [true, false] {
            let (client, server) = connected(&at, nodelay);
            assert_eq!(sockopt::tcp_nodelay(&client).unwrap(), nodelay);
            assert_eq!(sockopt::tcp_nodelay(&server).unwrap(), nodelay);
        }
    }

    #[test]
    fn descriptors_are_non_blocking_and_closed_on_exec_from_birth() {
        let directory = tempfile::tempdir().unwrap();
        let unix = Address::unix(directory.path().join("socket")).unwrap();
        let tcp = Address::from_strings(Family::Ipv4, Some("127.0.0.1"), 0).unwrap();
        for at in [tcp, unix] {
            let (client, server) = connected(&at, true);
            expect_born_right(&client);
            expect_born_right(&server);
        }
        let (near, far) = socket::pair().unwrap();
        expect_born_right(&near);
        expect_born_right(&far);
    }
}
