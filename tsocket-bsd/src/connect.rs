//! [`connect`], the client's side of TCP and unix streams.

mod host;

use std::cell::Cell;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::rc::Rc;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{self, AddressFamily, SocketAddrAny, SocketType, sockopt};
use tevent::{Completer, Context, End, FdEvent, Interest, Request, Timer, WeakContext, Work};
use tsocket::{Address, Stream};

pub use host::{HostError, connect_host};

use crate::options::{SocketOptions, SocketUse};
use crate::unix_path::BoundPath;
use crate::{address, socket, stream, unix_path};

/// How long a connection to a unix listener without room waits before it is tried again, at first and
/// at most: it doubles each time, so that a server that hesitates is soon noticed and one that is stuck
/// costs twenty calls a second.
const RETRY_DELAYS: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(50));

/// What a connection is made with; the default suits most clients.
///
/// # Examples
/// ```
/// use tsocket::{Address, Family};
/// use tsocket_bsd::{ConnectOptions, SocketOptions};
/// let source = Address::from_strings(Family::Ipv4, Some("127.0.0.2"), 0)?;
/// let socket = SocketOptions::default().tcp_nodelay(false);
/// let options = ConnectOptions::default().local_address(source).socket(socket);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[must_use]
pub struct ConnectOptions {
    local_address: Option<Address>,
    socket: SocketOptions,
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

    /// What the system is asked to do with the socket.
    pub fn socket(mut self, options: SocketOptions) -> Self {
        self.socket = options;
        self
    }
}

/// Connects to `remote` with TCP or a unix stream.
///
/// Waits as long as the system does, which for TCP can be minutes: set a deadline. An IPv6 address
/// that stands for an IPv4 one (`::ffff:1.2.3.4`) is not reached; name the IPv4 address.
///
/// # Completion
/// With the stream, or with the first error. There is one attempt, with one exception: while the
/// backlog of a unix listener is full it is tried again and again, until the deadline if there is one.
///
/// # Cancellation
/// Dropping the request, cancelling it or its deadline closes the descriptor at once.
///
/// # Errors
/// - `ECONNREFUSED` if nobody listens there, `ENOENT` if a socket file is missing, `EACCES` if it is
///   not open to this user.
/// - `ETIMEDOUT`, `EHOSTUNREACH`, `ENETUNREACH` if the host does not answer or cannot be reached.
/// - `EADDRINUSE`, `EADDRNOTAVAIL` for the local address.
/// - `EINVAL` if the local address is of another family than the remote, for the unnamed unix
///   address, for kinds other than inet and unix, and for options that
///   [`SocketOptions::check`] refuses.
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
/// `connect(2)`. Differs: the local address is an option, and asked of the stream afterwards; a full
/// backlog is no error.
#[doc(alias = "tstream_inet_tcp_connect_send")]
#[doc(alias = "tstream_inet_tcp_connect_recv")]
#[doc(alias = "tstream_unix_connect_send")]
#[doc(alias = "tstream_unix_connect_recv")]
#[track_caller]
pub fn connect(ctx: &Context, remote: &Address, options: &ConnectOptions) -> Request<Stream> {
    let (request, completer) = Request::pair(ctx, "connect");
    match Socket::open(remote, options) {
        Ok((socket, Progress::Connected)) => completer.finish(socket.into_stream(ctx)),
        Ok((socket, Progress::Started)) => Connecting::wait(ctx, socket, completer),
        Ok((socket, Progress::Full)) => Connecting::retry(ctx, socket, completer),
        Err(err) => completer.error(err),
    }
    request
}

/// A socket that connects or has connected, with the file that it is bound to.
pub(crate) struct Socket {
    // Before the descriptor: see `BoundPath`.
    path: Option<BoundPath>,
    pub(crate) fd: OwnedFd,
    remote: SocketAddrAny,
}

/// How far the system came at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Progress {
    Connected,
    Started,
    /// The listener has no room, and the kernel would not tell when it has.
    Full,
}

impl Socket {
    pub(crate) fn open(remote: &Address, options: &ConnectOptions) -> io::Result<(Self, Progress)> {
        let family = address::family(remote)?;
        let remote_name = address::to_system(remote)?;
        let local = match &options.local_address {
            Some(local) if address::has_to_be_bound(local, remote)? => Some(local),
            _ => None,
        };
        let fd = socket::new(family, SocketType::STREAM)?;
        let settings = &options.socket;
        settings.apply(fd.as_fd(), SocketUse::Connect, remote)?;
        let path = match local {
            Some(local) => bind(&fd, local)?,
            None => None,
        };
        let socket = Self {
            path,
            fd,
            remote: remote_name,
        };
        let progress = socket.connect()?;
        Ok((socket, progress))
    }

    fn connect(&self) -> io::Result<Progress> {
        match net::connect(&self.fd, &self.remote) {
            Ok(()) => Ok(Progress::Connected),
            Err(Errno::INPROGRESS) => Ok(Progress::Started),
            Err(Errno::AGAIN) if self.remote.address_family() == AddressFamily::UNIX => {
                Ok(Progress::Full)
            }
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
    stage: Cell<Option<Stage>>,
    completer: Cell<Option<Completer<Stream>>>,
}

/// What a connection waits for.
enum Stage {
    /// The kernel decides.
    Deciding {
        // Before the descriptor: see `BoundPath`.
        path: Option<BoundPath>,
        event: FdEvent,
        remote: SocketAddrAny,
    },
    /// There may be room later.
    Full {
        socket: Socket,
        timer: Timer,
        delay: Duration,
    },
}

impl Connecting {
    fn new(ctx: &Context) -> Rc<Self> {
        Rc::new(Self {
            ctx: ctx.downgrade(),
            stage: Cell::new(None),
            completer: Cell::new(None),
        })
    }

    /// Finishes `completer` when the kernel has decided.
    fn wait(ctx: &Context, socket: Socket, completer: Completer<Stream>) {
        let connecting = Self::new(ctx);
        let handler = connecting.later(Self::decided);
        let interest = Interest::WRITE | Interest::ERROR;
        match FdEvent::new(ctx, socket.fd, interest, move |_| handler()) {
            Ok(event) => {
                let stage = Stage::Deciding {
                    path: socket.path,
                    event,
                    remote: socket.remote,
                };
                connecting.begin(stage, completer);
            }
            Err(refused) => completer.error(refused.into()),
        }
    }

    /// Finishes `completer` when the listener has had room.
    fn retry(ctx: &Context, socket: Socket, completer: Completer<Stream>) {
        let connecting = Self::new(ctx);
        let timer = Timer::new(ctx, connecting.later(Self::tried_again));
        let (delay, _) = RETRY_DELAYS;
        timer.arm_after(delay);
        let stage = Stage::Full {
            socket,
            timer,
            delay,
        };
        connecting.begin(stage, completer);
    }

    fn later(self: &Rc<Self>, act: fn(&Self)) -> impl Fn() + 'static {
        let connecting = Rc::downgrade(self);
        move || {
            if let Some(connecting) = connecting.upgrade() {
                act(&connecting);
            }
        }
    }

    fn begin(self: Rc<Self>, stage: Stage, completer: Completer<Stream>) {
        self.stage.set(Some(stage));
        // The request keeps it alive for as long as somebody waits.
        completer.set_work(Rc::clone(&self) as Rc<dyn Work>, 0);
        self.completer.set(Some(completer));
    }

    fn decided(&self) {
        if let Some(Stage::Deciding {
            path,
            event,
            remote,
        }) = self.stage.take()
        {
            let fd = event.into_inner();
            let failure = sockopt::socket_error(&fd);
            self.finish(match failure {
                Ok(Ok(())) => Ok(Socket { path, fd, remote }),
                Ok(Err(errno)) | Err(errno) => Err(errno.into()),
            });
        }
    }

    fn tried_again(&self) {
        let Some(Stage::Full {
            socket,
            timer,
            delay,
        }) = self.stage.take()
        else {
            return;
        };
        match socket.connect() {
            Ok(Progress::Connected) => self.finish(Ok(socket)),
            Ok(Progress::Started | Progress::Full) => {
                let (_, delay_max) = RETRY_DELAYS;
                let delay = (delay * 2).min(delay_max);
                timer.arm_after(delay);
                self.stage.set(Some(Stage::Full {
                    socket,
                    timer,
                    delay,
                }));
            }
            Err(err) => self.finish(Err(err)),
        }
    }

    fn finish(&self, connected: io::Result<Socket>) {
        if let Some(completer) = self.completer.take() {
            completer.finish(connected.and_then(|socket| {
                let ctx = self.ctx.upgrade().ok_or(Errno::SHUTDOWN)?;
                socket.into_stream(&ctx)
            }));
        }
    }
}

impl Work for Connecting {
    fn stopped(self: Rc<Self>, _slot: usize, _why: End) {
        // Closes at once; the request says itself why it ended.
        drop(self.stage.take());
    }
}
