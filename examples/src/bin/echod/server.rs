//! Accepting connections up to a limit, and stopping without losing anything.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::HashMap;
use std::fmt;
use std::io;
use std::rc::{Rc, Weak};
use std::time::{Duration, Instant};

use tevent::{Completer, Context, Group, Request, Timer};
use tevent_examples::{Kind, complain};
use tsocket::{Address, Datagram, Listener, Stream};

use crate::connection::Connection;
use crate::datagrams::Answerer;
use crate::options::{Mode, Options};

/// How long draining may take before whoever is left is cut off.
pub(crate) const DRAIN_TIME: Duration = Duration::from_secs(8);

/// How long a connection has to be quiet while draining to be taken as done: what was sent before the
/// signal is in the kernel already, so this is long enough for any of it.
pub(crate) const DRAIN_QUIET: Duration = Duration::from_millis(100);

/// How long accepting rests when the system is out of descriptors or memory, rather than spinning.
const ACCEPT_REST: Duration = Duration::from_millis(100);

pub(crate) struct Server {
    ctx: Context,
    pub(crate) mode: Mode,
    pub(crate) idle_timeout: Option<Duration>,
    max_connections: usize,
    is_verbose: bool,
    is_draining: Cell<bool>,
    acceptors: RefCell<Vec<Rc<Acceptor>>>,
    datagrams: RefCell<Vec<Rc<Answerer>>>,
    connections: RefCell<HashMap<u64, Weak<Connection>>>,
    next_connection: Cell<u64>,
    // Every connection and every datagram socket, as a request each.
    work: Group,
    draining: Cell<Option<Request<()>>>,
    stopped: Cell<Option<Completer<()>>>,
}

/// One listener, and the accept that is outstanding on it.
struct Acceptor {
    kind: Kind,
    listener: Listener,
    accept: Cell<Option<Request<(Stream, Address)>>>,
    rest: OnceCell<Timer>,
}

impl Server {
    pub(crate) fn new(ctx: &Context, options: &Options) -> Rc<Self> {
        Rc::new(Self {
            ctx: ctx.clone(),
            mode: options.mode,
            idle_timeout: options.idle_timeout,
            max_connections: options.max_connections,
            is_verbose: options.is_verbose,
            is_draining: Cell::new(false),
            acceptors: RefCell::default(),
            datagrams: RefCell::default(),
            connections: RefCell::default(),
            next_connection: Cell::new(0),
            work: Group::new(ctx),
            draining: Cell::new(None),
            stopped: Cell::new(None),
        })
    }

    /// Accepts connections from `listener` from now on.
    pub(crate) fn accept_from(self: &Rc<Self>, kind: Kind, listener: Listener) {
        let acceptor = Rc::new(Acceptor {
            kind,
            listener,
            accept: Cell::new(None),
            rest: OnceCell::new(),
        });
        self.acceptors.borrow_mut().push(acceptor.clone());
        self.accept(&acceptor);
    }

    /// Answers what comes to `datagram` from now on.
    pub(crate) fn answer(&self, datagram: Datagram) {
        let (request, completer) = Request::pair(&self.ctx, "datagrams");
        self.datagrams
            .borrow_mut()
            .push(Answerer::start(datagram, completer));
        self.work.add(request);
    }

    fn accept(self: &Rc<Self>, acceptor: &Rc<Acceptor>) {
        if self.is_full() || self.is_draining.get() {
            return;
        }
        let (server, weak) = (Rc::downgrade(self), Rc::downgrade(acceptor));
        let accept = acceptor.listener.accept().on_done(move |accepted| {
            if let (Some(server), Some(acceptor)) = (server.upgrade(), weak.upgrade()) {
                server.accepted(&acceptor, accepted);
            }
        });
        acceptor.accept.set(Some(accept));
    }

    fn accepted(self: &Rc<Self>, acceptor: &Rc<Acceptor>, accepted: io::Result<(Stream, Address)>) {
        match accepted {
            Ok((stream, peer)) => {
                self.serve(acceptor.kind, stream, &peer);
                self.accept(acceptor);
            }
            Err(error) => {
                complain(format_args!("echod: accepting rests for a moment: {error}"));
                self.rest(acceptor);
            }
        }
    }

    /// Accepts again after a while.
    fn rest(self: &Rc<Self>, acceptor: &Rc<Acceptor>) {
        let (server, weak) = (Rc::downgrade(self), Rc::downgrade(acceptor));
        let timer = acceptor.rest.get_or_init(|| {
            Timer::new(&self.ctx, move || {
                if let (Some(server), Some(acceptor)) = (server.upgrade(), weak.upgrade()) {
                    server.accept(&acceptor);
                }
            })
        });
        timer.arm_after(ACCEPT_REST);
    }

    fn serve(self: &Rc<Self>, kind: Kind, stream: Stream, peer: &Address) {
        let number = self.next_connection.replace(self.next_connection.get() + 1);
        // A unix peer has no name of its own.
        let peer = kind
            .display(peer)
            .unwrap_or_else(|_| format!("{}:#{number}", kind.prefix()));
        let (request, completer) = Request::pair(&self.ctx, "connection");
        let connection = Connection::start(self, number, peer, stream, completer);
        self.connections
            .borrow_mut()
            .insert(number, Rc::downgrade(&connection));
        self.work.add(request);
        if self.is_full() {
            for acceptor in &*self.acceptors.borrow() {
                drop(acceptor.accept.take());
            }
        }
    }

    fn is_full(&self) -> bool {
        self.connections.borrow().len() >= self.max_connections
    }

    /// Takes a connection that has ended off the books, which makes room for another.
    pub(crate) fn ended(self: &Rc<Self>, number: u64, summary: &dyn fmt::Display) {
        if self.is_verbose {
            complain(summary);
        }
        let was_full = self.is_full();
        self.connections.borrow_mut().remove(&number);
        if was_full {
            let acceptors = self.acceptors.borrow().clone();
            acceptors.iter().for_each(|acceptor| self.accept(acceptor));
        }
    }

    /// An idle timer.
    pub(crate) fn timer(&self, handler: impl FnMut() + 'static) -> Timer {
        Timer::new(&self.ctx, handler)
    }

    pub(crate) fn now(&self) -> Instant {
        self.ctx.now()
    }

    /// How long a connection may be quiet; nothing: for ever.
    pub(crate) fn patience(&self) -> Option<Duration> {
        if self.is_draining() {
            Some(DRAIN_QUIET)
        } else {
            self.idle_timeout
        }
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.is_draining.get()
    }

    /// A request that is done when the server was drained, or its drain time is over.
    pub(crate) fn stopped(&self) -> Request<()> {
        let (request, completer) = Request::pair(&self.ctx, "stopped");
        self.stopped.set(Some(completer));
        request
    }

    /// Accepts nothing more, and lets everything end that is quiet.
    pub(crate) fn drain(self: &Rc<Self>) {
        if self.is_draining.replace(true) {
            return;
        }
        let acceptors = self.acceptors.take();
        drop(acceptors);
        let datagrams = self.datagrams.take();
        datagrams.iter().for_each(|answerer| answerer.drain());
        let connections: Vec<_> = self
            .connections
            .borrow()
            .values()
            .filter_map(Weak::upgrade)
            .collect();
        connections.iter().for_each(|connection| connection.drain());
        let server = Rc::downgrade(self);
        let draining = self.work.finished().on_done(move |_| {
            // Drained, or out of time: either way it is over.
            if let Some(completer) = server.upgrade().and_then(|server| server.stopped.take()) {
                completer.done(());
            }
        });
        draining.set_timeout(DRAIN_TIME);
        self.draining.set(Some(draining));
    }
}
