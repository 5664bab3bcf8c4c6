//! [`Listener`], which opens a pipe to all who ask for it.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use tevent::{Completer, Context, End, Request, Timer, WeakContext, Work};
use tsocket::{Address, Stream};
use tsocket_bsd::ListenOptions;

use crate::{AcceptOptions, Accepted, HandshakeError, NpDirectory, PipeName, accept, errors};

/// How many connections wait for their handshake: as many as for Samba's own services.
const BACKLOG: u32 = 256;

/// How many handshakes are in progress or waiting for the application, unless told otherwise.
const HANDSHAKES_DEFAULT: usize = 64;

/// How long accepting rests when the system is out of descriptors or memory, rather than spinning.
const REST: Duration = Duration::from_millis(100);

/// Listens on the socket of the pipe `name` in `directory`, for streams on which nothing has been said
/// yet: [`accept()`] opens a pipe over one.
///
/// A socket file that nobody listens on any more is replaced; the file is removed with the listener.
///
/// # Errors
/// - `ENAMETOOLONG` if the path has more than 107 bytes.
/// - `EADDRINUSE` if somebody listens there, or a file that is no socket of ours is in the way.
/// - Else as [`tsocket_bsd::listen`].
pub fn listen(
    ctx: &Context,
    directory: &NpDirectory,
    name: &PipeName,
) -> io::Result<tsocket::Listener> {
    let address = Address::unix(directory.socket_path(name))?;
    tsocket_bsd::listen(ctx, &address, &ListenOptions::default().backlog(BACKLOG))
}

/// Opens a pipe to all who ask for it, any number at a time.
///
/// Connections are taken and answered as they come, whether the application waits for one or not: an SMB
/// client is kept waiting, with all its other pipes, until it is answered. A slow or silent peer delays
/// nobody else. At most 64 handshakes ([`max_handshakes`](Self::max_handshakes)) are in progress or
/// finished and not yet [accepted](Self::accept); further connections wait in the system's queue of
/// 256.
///
/// Dropping it removes the socket file and closes all handshakes; an outstanding accept ends with
/// `ECONNABORTED`, and pipes that were accepted stay.
///
/// # Examples
/// ```no_run
/// use tsocket_npa::{AcceptOptions, Listener, NpDirectory, PipeName, listen};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let ctx = tevent::Context::new()?;
/// let directory = NpDirectory::create_or_verify("/run/samba/ncalrpc/np")?;
/// let socket = listen(&ctx, &directory, &PipeName::new("hello")?)?;
/// let listener = Listener::new(&ctx, socket, AcceptOptions::default());
/// ctx.block_on(async {
///     loop {
///         let accepted = listener.accept().await?;
///         let greeting = format!("hello {}", accepted.caller.account());
///         accepted.pipe.write_message(greeting.into_bytes()).await?;
///     }
///     # #[expect(unreachable_code, reason = "says what the errors are")]
///     Ok::<_, std::io::Error>(())
/// })??;
/// # Ok(())
/// # }
/// ```
pub struct Listener {
    core: Rc<Core>,
}

type Hook = Rc<dyn Fn(&HandshakeError)>;

struct Core {
    ctx: WeakContext,
    listener: tsocket::Listener,
    options: AcceptOptions,
    max_handshakes: Cell<usize>,
    // The connection that is waited for.
    connection: Cell<Option<Request<(Stream, Address)>>>,
    handshakes: RefCell<HashMap<u64, Request<Accepted, HandshakeError>>>,
    next_handshake: Cell<u64>,
    opened: RefCell<VecDeque<Accepted>>,
    accept: Cell<Option<Completer<Accepted>>>,
    on_failure: RefCell<Option<Hook>>,
    rest: Timer,
}

impl Listener {
    /// Opens pipes over what `listener`, which belongs to `ctx`, accepts.
    #[must_use]
    pub fn new(ctx: &Context, listener: tsocket::Listener, options: AcceptOptions) -> Self {
        let core = Rc::new_cyclic(|core: &std::rc::Weak<Core>| {
            let rested = core.clone();
            Core {
                ctx: ctx.downgrade(),
                listener,
                options,
                max_handshakes: Cell::new(HANDSHAKES_DEFAULT),
                connection: Cell::new(None),
                handshakes: RefCell::default(),
                next_handshake: Cell::new(0),
                opened: RefCell::default(),
                accept: Cell::new(None),
                on_failure: RefCell::new(None),
                rest: Timer::new(ctx, move || {
                    if let Some(core) = rested.upgrade() {
                        core.await_connection();
                    }
                }),
            }
        });
        core.await_connection();
        Self { core }
    }

    /// How many handshakes may be in progress, or finished and not yet accepted; at least 1, and 64 by
    /// default.
    #[must_use]
    pub fn max_handshakes(self, count: usize) -> Self {
        self.core.max_handshakes.set(count.max(1));
        self.core.await_connection();
        self
    }

    /// Has `hook` told of each handshake that failed, and of each time that accepting has to rest. The
    /// connection is closed by then.
    #[must_use]
    pub fn on_failure(self, hook: impl Fn(&HandshakeError) + 'static) -> Self {
        self.core.on_failure.replace(Some(Rc::new(hook)));
        self
    }

    /// Waits for the next pipe that is opened.
    ///
    /// # Cancellation
    /// A request that is dropped while it waits loses nothing: the next pipe is for the next accept.
    ///
    /// # Errors
    /// `EBUSY` if an accept is outstanding; `ECONNABORTED` if the listener is dropped meanwhile;
    /// `ESHUTDOWN` if the context is gone.
    #[track_caller]
    pub fn accept(&self) -> Request<Accepted> {
        let (request, completer) = Request::pair(self.core.ctx.clone(), "npa listener accept");
        let waiting = self.core.accept.take();
        if waiting.is_some() {
            self.core.accept.set(waiting);
            completer.error(errors::busy());
        } else if self.core.ctx.upgrade().is_none() {
            completer.error(errors::context_gone());
        } else {
            completer.set_work(self.core.clone(), 0);
            self.core.accept.set(Some(completer));
            self.core.deliver();
        }
        request
    }

    /// The address that is listened on.
    ///
    /// # Errors
    /// Whatever the system says of the descriptor.
    pub fn local_address(&self) -> io::Result<Address> {
        self.core.listener.local_address()
    }
}

impl Core {
    fn await_connection(self: &Rc<Self>) {
        let waiting = self.connection.take();
        let count = self.handshakes.borrow().len() + self.opened.borrow().len();
        if waiting.is_some() || count >= self.max_handshakes.get() {
            self.connection.set(waiting);
            return;
        }
        let core = Rc::downgrade(self);
        let connection = self.listener.accept().on_done(move |connection| {
            if let Some(core) = core.upgrade() {
                core.connected(connection);
            }
        });
        self.connection.set(Some(connection));
    }

    fn connected(self: &Rc<Self>, connection: io::Result<(Stream, Address)>) {
        drop(self.connection.take());
        let Some(ctx) = self.ctx.upgrade() else {
            return;
        };
        match connection {
            Ok((stream, _)) => {
                self.shake_hands(&ctx, stream);
                self.await_connection();
            }
            Err(error) => {
                // Closed by another handle of the listener, there is nothing to rest for.
                if !errors::is_closed(&error) {
                    self.rest.arm_after(REST);
                }
                self.tell(&error.into());
            }
        }
    }

    fn shake_hands(self: &Rc<Self>, ctx: &Context, stream: Stream) {
        let number = self.next_handshake.get();
        self.next_handshake.set(number + 1);
        let core = Rc::downgrade(self);
        let handshake = accept(ctx, stream, &self.options).on_done(move |accepted| {
            if let Some(core) = core.upgrade() {
                core.shaken(number, accepted);
            }
        });
        self.handshakes.borrow_mut().insert(number, handshake);
    }

    fn shaken(self: &Rc<Self>, number: u64, accepted: Result<Accepted, HandshakeError>) {
        let handshake = self.handshakes.borrow_mut().remove(&number);
        drop(handshake);
        match accepted {
            Ok(accepted) => {
                self.opened.borrow_mut().push_back(accepted);
                self.deliver();
            }
            Err(error) => self.tell(&error),
        }
        self.await_connection();
    }

    /// Gives the first pipe that is open to whoever waits for it.
    fn deliver(self: &Rc<Self>) {
        let Some(completer) = self.accept.take() else {
            return;
        };
        let first = self.opened.borrow_mut().pop_front();
        match first {
            Some(accepted) => {
                completer.done(accepted);
                self.await_connection();
            }
            None => self.accept.set(Some(completer)),
        }
    }

    /// Closes everything but the pipes that were accepted.
    fn close(&self) {
        self.listener.abort();
        self.rest.disarm();
        let (connection, accept) = (self.connection.take(), self.accept.take());
        let (handshakes, opened) = (self.handshakes.take(), self.opened.take());
        drop((connection, handshakes, opened));
        if let Some(completer) = accept {
            completer.error(errors::aborted());
        }
    }

    fn tell(&self, error: &HandshakeError) {
        let hook = self.on_failure.borrow().clone();
        if let Some(hook) = hook {
            hook(error);
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.core.close();
    }
}

impl Work for Core {
    fn stopped(self: Rc<Self>, _: usize, _: End) {
        drop(self.accept.take());
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener")
            .field("handshakes", &self.core.handshakes.borrow().len())
            .field("opened", &self.core.opened.borrow().len())
            .finish_non_exhaustive()
    }
}
