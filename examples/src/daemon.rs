//! [`Daemon`], what runs in each thread of a daemon: a loop, a server, and the signals that end it.

use std::cell::{Cell, RefCell};
use std::fmt::{self, Display};
use std::io;
use std::rc::{Rc, Weak};
use std::time::Instant;

use tevent::{Context, Group, Request, Signal};
use tsocket::{Address, Limits, Listener, Outcome, ServeError, Server, Stream};
use tsocket_bsd::ListenSocket;

use crate::process::complain;

/// What runs in each thread of a daemon: a loop, a server, and the signals that end it.
///
/// SIGTERM and SIGINT stop it: connections end as [`Server::stop`] has it, other work as it is told
/// through [`on_stop`](Self::on_stop). SIGUSR1 prints what is outstanding.
pub struct Daemon {
    name: &'static str,
    ctx: Context,
    server: Server,
    // What goes on besides connections.
    work: Group,
    is_verbose: bool,
    // Since when it stops.
    stopping: Cell<Option<Instant>>,
    stop_hooks: RefCell<Vec<Hook>>,
    signals: Cell<Vec<Signal>>,
}

type Hook = Box<dyn FnOnce()>;

impl Daemon {
    /// A daemon on a new loop, which handles its signals from now on.
    ///
    /// # Errors
    /// A line that says what the system refused.
    pub fn new(name: &'static str, is_verbose: bool, limits: Limits) -> Result<Rc<Self>, String> {
        let ctx = Context::new().map_err(|error| format!("cannot start a loop: {error}"))?;
        let server = Server::new(&ctx, limits);
        server.on_error(move |error| {
            // Of an accept that fails somebody has to know; all else is the peers' doing.
            if is_verbose || matches!(error, ServeError::Accept { .. }) {
                complain(format_args!("{name}: {error}"));
            }
        });
        let daemon = Rc::new(Self {
            name,
            work: Group::new(&ctx),
            ctx,
            server,
            is_verbose,
            stopping: Cell::new(None),
            stop_hooks: RefCell::default(),
            signals: Cell::default(),
        });
        let signals = daemon.handle_signals();
        let signals = signals.map_err(|error| format!("cannot handle signals: {error}"))?;
        daemon.signals.set(signals);
        Ok(daemon)
    }

    /// The loop it runs on.
    #[must_use]
    pub fn context(&self) -> &Context {
        &self.ctx
    }

    /// Has `handler` make a request of each connection to `socket` and its peer.
    ///
    /// # Errors
    /// Whatever the system says of the socket.
    pub fn serve<T: Outcome, E: Display + 'static>(
        &self,
        socket: ListenSocket,
        handler: impl FnMut(Stream, Address) -> Request<T, E> + 'static,
    ) -> io::Result<()> {
        self.serve_from(socket.into_listener(&self.ctx)?, handler);
        Ok(())
    }

    /// Has `handler` make a request of each connection that `listener` accepts, and its peer.
    pub fn serve_from<T: Outcome, E: Display + 'static>(
        &self,
        listener: Listener,
        handler: impl FnMut(Stream, Address) -> Request<T, E> + 'static,
    ) {
        self.server.accept_from(listener, handler);
    }

    /// Owns `request`, which is no connection, and waits for its end before the daemon ends.
    pub fn add<T: 'static, E: Display + 'static>(&self, request: Request<T, E>) {
        self.work.add(request);
    }

    /// Has `hook` run when the daemon begins to stop.
    pub fn on_stop(&self, hook: impl FnOnce() + 'static) {
        self.stop_hooks.borrow_mut().push(Box::new(hook));
    }

    /// Whether it has begun to stop.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.stopping.get().is_some()
    }

    /// Says a line about a connection that has ended, if anybody wants to know.
    pub fn tell(&self, line: impl Display) {
        if self.is_verbose {
            complain(format_args!("{}: {line}", self.name));
        }
    }

    /// Runs until it was stopped.
    ///
    /// # Errors
    /// A line that says how the loop failed.
    pub fn run(&self) -> Result<(), String> {
        let failed = |error: io::Error| format!("the loop failed: {error}");
        let stopped = self.ctx.run_until(self.server.stopped());
        stopped.and_then(|stopped| stopped).map_err(failed)?;
        let rest = self.work.finished();
        if let Some(since) = self.stopping.get() {
            rest.set_deadline(since + Limits::DRAIN);
        }
        // Finished, or out of time: either way it is over.
        self.ctx.run_until(rest).map(drop).map_err(failed)
    }

    fn stop(&self) {
        if self.is_stopping() {
            return;
        }
        self.stopping.set(Some(self.ctx.now()));
        // It goes on without its request, and `run` waits for it.
        drop(self.server.stop());
        let hooks = self.stop_hooks.take();
        hooks.into_iter().for_each(|hook| hook());
    }

    fn handle_signals(self: &Rc<Self>) -> io::Result<Vec<Signal>> {
        let on = |signum, act: fn(&Self)| {
            let daemon: Weak<Self> = Rc::downgrade(self);
            Signal::new(&self.ctx, signum, move |_| {
                if let Some(daemon) = daemon.upgrade() {
                    act(&daemon);
                }
            })
        };
        Ok(vec![
            on(Signal::TERM, Self::stop)?,
            on(Signal::INT, Self::stop)?,
            on(Signal::USR1, |daemon| {
                complain(format_args!("{}\nend of dump", daemon.ctx.dump()));
            })?,
        ])
    }
}

impl fmt::Debug for Daemon {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Daemon")
            .field("name", &self.name)
            .field("server", &self.server)
            .finish_non_exhaustive()
    }
}
