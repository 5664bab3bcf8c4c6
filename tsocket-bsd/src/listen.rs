//! [`listen`], the server's side of TCP and unix streams.

use std::cell::Cell;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::sync::Arc;

use rustix::io::Errno;
use rustix::net::{self, AddressFamily, SocketType, sockopt};
use tevent::{Context, FdError};
use tsocket::{Address, Listener, ListenerOps, Stream};

use crate::options::{SocketOptions, SocketUse};
use crate::unix_path::BoundPath;
use crate::watched::Watched;
use crate::{address, existing, socket, stream, unix_path};

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
    ListenSocket::open(address, options)?.into_listener(ctx)
}

/// A listening socket that belongs to no context yet, so that it can be sent to another thread.
///
/// This is how threads share the work: each has a context, and a listener on it. TCP sockets of several
/// threads can be bound to one address with `SO_REUSEPORT`, and the kernel spreads the connections;
/// a unix socket is bound once and [cloned](Self::try_clone), and whoever is free accepts. Its file is
/// removed with the last of the clones.
///
/// # Examples
/// ```
/// use std::thread;
/// use tevent::Context;
/// use tsocket::Address;
/// use tsocket_bsd::{ConnectOptions, ListenOptions, ListenSocket, connect};
///
/// # fn main() -> std::io::Result<()> {
/// # let directory = tempfile::tempdir()?;
/// let address = Address::unix(directory.path().join("socket"))?;
/// let socket = ListenSocket::open(&address, &ListenOptions::default())?;
/// let clone = socket.try_clone()?;
/// let other = thread::spawn(move || -> std::io::Result<()> {
///     let ctx = Context::new()?;
///     let listener = clone.into_listener(&ctx)?;
///     ctx.run_until(listener.accept())??;
///     Ok(())
/// });
/// let ctx = Context::new()?;
/// ctx.run_until(connect(&ctx, &address, &ConnectOptions::default()))??;
/// other.join().expect("it does not panic")?;
/// # drop(socket);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct ListenSocket {
    // Before the descriptor: see `BoundPath`.
    path: Option<Arc<BoundPath>>,
    fd: OwnedFd,
}

impl ListenSocket {
    /// A socket that listens on `address`, as [`listen`] has it.
    ///
    /// # Errors
    /// Those of [`listen`].
    pub fn open(address: &Address, options: &ListenOptions) -> io::Result<Self> {
        let (fd, path) = open(address, options)?;
        let path = path.map(Arc::new);
        Ok(Self { path, fd })
    }

    /// A socket that somebody else has made, of which is checked that it listens for TCP or unix
    /// streams.
    ///
    /// It becomes non-blocking, and closed on exec; nothing else is changed. A socket file is left
    /// to whoever made it.
    ///
    /// # Errors
    /// The descriptor comes back: with `ENOTSOCK` if it is no socket, `EPROTOTYPE` if it is no stream
    /// socket, `EAFNOSUPPORT` if it is neither IPv4, IPv6 nor unix, `EINVAL` if it does not listen (macOS says so
    /// only when something is accepted).
    ///
    /// # Examples
    /// ```
    /// use tsocket_bsd::ListenSocket;
    /// let standard = std::net::TcpListener::bind("127.0.0.1:0")?;
    /// let listener = ListenSocket::from_fd(standard.into())?.into_listener(&tevent::Context::new()?)?;
    /// # drop(listener);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn from_fd(fd: OwnedFd) -> Result<Self, FdError<OwnedFd>> {
        match existing::check_listens(&fd).and_then(|()| existing::prepare(&fd)) {
            Ok(()) => Ok(Self { path: None, fd }),
            Err(errno) => Err(FdError {
                error: errno.into(),
                fd,
            }),
        }
    }

    /// Another descriptor of the same socket: who connects goes to whichever accepts first.
    ///
    /// # Errors
    /// `EMFILE` when no descriptor is left.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(Self {
            path: self.path.clone(),
            fd: self.fd.try_clone()?,
        })
    }

    /// The address that is listened on, its port resolved.
    ///
    /// # Errors
    /// Whatever the system says of the descriptor.
    pub fn local_address(&self) -> io::Result<Address> {
        address::from_system(Some(net::getsockname(&self.fd)?))
    }

    /// Accepts on `ctx` from now on.
    ///
    /// # Errors
    /// `ENOMEM`, `ENOSPC` when the kernel has no room to watch it, `EOPNOTSUPP` on a context without
    /// descriptors.
    pub fn into_listener(self, ctx: &Context) -> io::Result<Listener> {
        new(ctx, self.fd, self.path)
    }
}

impl AsFd for ListenSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
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
    _path: Option<Arc<BoundPath>>,
    watched: Watched,
    /// Whether a connection was told and not yet asked for.
    told: Rc<Cell<bool>>,
}

fn new(ctx: &Context, fd: OwnedFd, path: Option<Arc<BoundPath>>) -> io::Result<Listener> {
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
