//! [`connect`], the client's side of TCP and unix streams.

use std::cell::{Cell, RefCell};
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::rc::Rc;

use rustix::io::Errno;
use rustix::net::{self, AddressFamily, SocketType, sockopt};
use tevent::{Completer, Context, End, FdEvent, Interest, Request, WeakContext, Work};
use tsocket::{Address, Stream};

use crate::unix_path::BoundPath;
use crate::{address, socket, stream, unix_path};

/// What a connection is made with; the default suits most clients.
///
/// # Examples
/// ```
/// use tsocket::{Address, Family};
/// use tsocket_bsd::ConnectOptions;
/// let source = Address::from_strings(Family::Ipv4, Some("127.0.0.2"), 0)?;
/// let options = ConnectOptions::default().local_address(source).tcp_nodelay(false);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct ConnectOptions {
    local_address: Option<Address>,
    tcp_nodelay: bool,
}

impl Default for ConnectOptions {
    fn default() -> Self {
        Self {
            local_address: None,
            tcp_nodelay: true,
        }
    }
}

impl ConnectOptions {
    /// The address that the peer sees; without it, or with any address and port 0, the system
    /// chooses.
    ///
    /// The file of a unix address is private, and removed with the stream.
    pub fn local_address(mut self, local: Address) -> Self {
        self.local_address = Some(local);
        self
    }

    /// Whether a TCP stream sends small writes at once, without waiting for more: on by default,
    /// because whole messages are what is written.
    #[doc(alias = "TCP_NODELAY")]
    pub fn tcp_nodelay(mut self, on: bool) -> Self {
        self.tcp_nodelay = on;
        self
    }
}

/// Connects to `remote` with TCP or a unix stream.
///
/// Waits as long as the system does, which for TCP can be minutes: set a deadline. An IPv6 address
/// that stands for an IPv4 one (`::ffff:1.2.3.4`) is not reached; name the IPv4 address.
///
/// # Completion
/// With the stream, or with the first error. There is one attempt; nothing is retried.
///
/// # Cancellation
/// Dropping the request, cancelling it or its deadline closes the descriptor at once.
///
/// # Errors
/// - `ECONNREFUSED` if nobody listens there, `ENOENT` if a socket file is missing, `EACCES` if it is
///   not open to this user.
/// - `ETIMEDOUT`, `EHOSTUNREACH`, `ENETUNREACH` if the host does not answer or cannot be reached.
/// - `EAGAIN` if the backlog of a unix listener is full: the kernel would not tell when it has room,
///   so trying again is left to the caller.
/// - `EADDRINUSE`, `EADDRNOTAVAIL` for the local address.
/// - `EINVAL` if the local address is of another family than the remote, for the unnamed unix
///   address, and for kinds other than inet and unix.
/// - `EMFILE`, `ENFILE` when no descriptor is left; `EAFNOSUPPORT` on a machine without IPv6.
///
/// # Examples
/// ```
/// use tsocket::{Address, Family};
/// use tsocket_bsd::{ConnectOptions, ListenOptions, connect, listen};
/// let ctx = tevent::Context::new()?;
/// let any_port = Address::from_hostport(Family::Ip, Some("127.0.0.1"), 0)?;
/// let listener = listen(&ctx, &any_port, &ListenOptions::default())?;
/// let server = listener.local_address()?;
/// let stream = ctx.run_until(connect(&ctx, &server, &ConnectOptions::default()))??;
/// assert_eq!(stream.peer_address()?, server);
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Source
/// `tstream_inet_tcp_connect_send()` and `tstream_unix_connect_send()` in `lib/tsocket/tsocket.h`;
/// `connect(2)`. Differs: the local address is an option, and asked of the stream afterwards.
#[doc(alias = "tstream_inet_tcp_connect_send")]
#[doc(alias = "tstream_inet_tcp_connect_recv")]
#[doc(alias = "tstream_unix_connect_send")]
#[doc(alias = "tstream_unix_connect_recv")]
#[track_caller]
pub fn connect(ctx: &Context, remote: &Address, options: &ConnectOptions) -> Request<Stream> {
    let (request, completer) = Request::pair(ctx, "connect");
    match Socket::open(remote, options) {
        Ok((socket, Progress::Connected)) => completer.finish(socket.into_stream(ctx)),
        Ok((socket, Progress::Started)) => wait(ctx, socket, completer),
        Err(err) => completer.error(err),
    }
    request
}

/// A socket that connects or has connected, with the file that it is bound to.
pub(crate) struct Socket {
    // Before the descriptor: see `BoundPath`.
    path: Option<BoundPath>,
    pub(crate) fd: OwnedFd,
}

/// How far the system came at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Progress {
    Connected,
    Started,
}

impl Socket {
    pub(crate) fn open(remote: &Address, options: &ConnectOptions) -> io::Result<(Self, Progress)> {
        let family = address::family(remote)?;
        let remote_name = address::to_system(remote)?;
        let fd = socket::new(family, SocketType::STREAM)?;
        if family == AddressFamily::INET6 {
            sockopt::set_ipv6_v6only(&fd, true)?;
        }
        if family != AddressFamily::UNIX {
            sockopt::set_tcp_nodelay(&fd, options.tcp_nodelay)?;
        }
        let path = match &options.local_address {
            Some(local) if address::has_to_be_bound(local, remote)? => bind(&fd, local)?,
            _ => None,
        };
        let socket = Self { path, fd };
        match net::connect(&socket.fd, &remote_name) {
            Ok(()) => Ok((socket, Progress::Connected)),
            Err(Errno::INPROGRESS) => Ok((socket, Progress::Started)),
            Err(errno) => Err(errno.into()),
        }
    }

    fn into_stream(self, ctx: &Context) -> io::Result<Stream> {
        Ok(stream::new(ctx, self.fd, self.path)?)
    }
}

fn bind(fd: &OwnedFd, local: &Address) -> io::Result<Option<BoundPath>> {
    if local.is_unix() {
        // Nobody connects to it, so there is nothing to bring to life.
        return unix_path::bind(fd.as_fd(), local, SocketType::STREAM, || Ok(()));
    }
    if local.port()? != 0 {
        // The port of a connection that has just ended can be had again.
        sockopt::set_socket_reuseaddr(fd, true)?;
    }
    net::bind(fd, &address::to_system(local)?)?;
    Ok(None)
}

/// A connection that is being made.
struct Connecting {
    ctx: WeakContext,
    // Taken when the outcome is known, or nobody wants it any more.
    event: RefCell<Option<FdEvent>>,
    path: Cell<Option<BoundPath>>,
    completer: Cell<Option<Completer<Stream>>>,
}

/// Finishes `completer` when the kernel has decided.
fn wait(ctx: &Context, socket: Socket, completer: Completer<Stream>) {
    let connecting = Rc::new(Connecting {
        ctx: ctx.downgrade(),
        event: RefCell::new(None),
        path: Cell::new(socket.path),
        completer: Cell::new(None),
    });
    let handler = {
        let connecting = Rc::downgrade(&connecting);
        move |_| {
            if let Some(connecting) = connecting.upgrade() {
                connecting.decided();
            }
        }
    };
    match FdEvent::new(ctx, socket.fd, Interest::WRITE | Interest::ERROR, handler) {
        Ok(event) => {
            connecting.event.replace(Some(event));
            // The request keeps it alive for as long as somebody waits.
            completer.set_work(Rc::clone(&connecting) as Rc<dyn Work>, 0);
            connecting.completer.set(Some(completer));
        }
        Err(refused) => completer.error(refused.into()),
    }
}

impl Connecting {
    fn decided(&self) {
        let (event, completer) = (self.event.take(), self.completer.take());
        if let (Some(event), Some(completer)) = (event, completer) {
            completer.finish(self.outcome(event));
        }
    }

    fn outcome(&self, event: FdEvent) -> io::Result<Stream> {
        let socket = Socket {
            path: self.path.take(),
            fd: event.into_inner(),
        };
        sockopt::socket_error(&socket.fd)??;
        let ctx = self.ctx.upgrade().ok_or(Errno::SHUTDOWN)?;
        socket.into_stream(&ctx)
    }
}

impl Work for Connecting {
    fn stopped(self: Rc<Self>, _slot: usize, _why: End) {
        // Closes at once; the request says itself why it ended.
        drop(self.path.take());
        drop(self.event.take());
    }
}
