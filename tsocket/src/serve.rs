//! [`Server`], which owns listeners and a request for each of their connections, within limits.

mod acceptor;
mod connections;
mod limits;
mod told;

use std::cell::{Cell, RefCell};
use std::fmt::{self, Display};
use std::rc::Rc;
use std::time::{Duration, Instant};

use tevent::{Completer, Context, Request, Timer, WeakContext};

pub use limits::{Limit, Limits};
pub use told::{Counts, Outcome, ServeError, Stopped};

use self::acceptor::Acceptor;
use self::connections::{Admission, Connection, Connections, Running};
use crate::stream::Meter;
use crate::{Address, Listener, Stream};

/// How long a connection has to be quiet while its server stops to be taken as done: what was sent
/// before is in the system already, so this is long enough for any of it.
const QUIET: Duration = Duration::from_millis(100);

/// Accepts connections and owns a request for each, within [`Limits`].
///
/// Made by [`Listener::serve`], or by [`new`](Self::new) for several listeners that share the limits.
/// Dropping it closes the listeners and drops every request, which closes their connections at once;
/// [`stop`](Self::stop) is the orderly way.
///
/// A connection lives as long as its request: the handler makes the request from the stream, and
/// whatever it needs goes with it. When a limit ends a connection, the request is dropped. The error of
/// one that fails is told to [`on_error`](Self::on_error).
///
/// Accepting rests for a tenth of a second when the system has no descriptor or memory left
/// (`EMFILE`, `ENFILE`, `ENOBUFS`, `ENOMEM`), and after whatever else `accept(2)` says of one
/// connection; who comes meanwhile waits.
///
/// # Examples
/// An echo server, and how it ends:
/// ```
/// use tevent::Context;
/// use tsocket::{Address, Limits, Stream, memory};
///
/// async fn echo(stream: Stream) -> std::io::Result<()> {
///     loop {
///         let chunk = stream.read(4096).await?;
///         if chunk.is_empty() {
///             return stream.disconnect().await;
///         }
///         stream.writev(chunk).await?;
///     }
/// }
///
/// # fn main() -> std::io::Result<()> {
/// let ctx = Context::new()?;
/// let address = Address::custom(memory::Name("echo".to_owned()));
/// let listener = memory::listen(&ctx, &address)?; // or one of sockets
/// let server = listener.serve(Limits::default(), {
///     let ctx = ctx.downgrade();
///     move |stream, _peer| ctx.upgrade().expect("it runs this").spawn(echo(stream))
/// });
/// server.on_error(|error| println!("{error}"));
///
/// let client = ctx.run_until(memory::connect(&ctx, &address))??;
/// ctx.run_until(client.writev(&b"hello"[..]))??;
/// assert_eq!(ctx.run_until(client.readv(vec![0; 5]))??, b"hello");
/// assert_eq!(server.counts().active, 1);
/// drop(client);
/// assert_eq!(ctx.run_until(server.stop())??.left, 0);
/// # Ok(())
/// # }
/// ```
#[must_use = "dropping a server closes its listeners and all connections"]
pub struct Server {
    inner: Rc<Inner>,
}

type ErrorHook = Rc<dyn Fn(&ServeError<'_>)>;

// Invariant: nothing is borrowed while code of the caller runs, but for the handler that runs.
struct Inner {
    ctx: WeakContext,
    limits: Limits,
    connections_max: usize,
    acceptors: RefCell<Vec<Rc<Acceptor>>>,
    connections: RefCell<Connections>,
    counts: Cell<Counts>,
    // Looks at all connections when the first of them may have met a limit; nothing without a context.
    timer: Option<Timer>,
    phase: Cell<Phase>,
    waiting: Cell<Vec<Completer<Stopped>>>,
    on_error: RefCell<Option<ErrorHook>>,
    // Its line in the dump.
    _shown: (Request<()>, Completer<()>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Open,
    Draining { since: Instant },
    Stopped { left: usize },
}

impl Listener {
    /// Accepts from now on, and has `handler` make a request of each connection and its peer.
    ///
    /// As [`Server::new`] and [`Server::accept_from`].
    #[track_caller]
    pub fn serve<T: Outcome, E: Display + 'static>(
        self,
        limits: Limits,
        handler: impl FnMut(Stream, Address) -> Request<T, E> + 'static,
    ) -> Server {
        let server = Server::on(self.weak_context(), limits);
        server.accept_from(self, handler);
        server
    }
}

impl Server {
    /// A server of `ctx` that has no listener yet.
    ///
    /// The limit of open descriptors is asked for now, if `limits` goes by it.
    #[track_caller]
    pub fn new(ctx: &Context, limits: Limits) -> Self {
        Self::on(ctx.downgrade(), limits)
    }

    #[track_caller]
    fn on(ctx: WeakContext, limits: Limits) -> Self {
        let shown = Request::pair(&ctx, "server");
        let inner = Rc::new_cyclic(|weak| {
            let weak = weak.clone();
            let look = move || {
                let server: Option<Rc<Inner>> = weak.upgrade();
                if let Some(server) = server {
                    server.look();
                }
            };
            Inner {
                connections_max: limits.connections_max(),
                limits,
                acceptors: RefCell::default(),
                connections: RefCell::default(),
                counts: Cell::default(),
                timer: ctx.upgrade().map(|ctx| Timer::new(&ctx, look)),
                phase: Cell::new(Phase::Open),
                waiting: Cell::default(),
                on_error: RefCell::default(),
                _shown: shown,
                ctx,
            }
        });
        Self { inner }
    }

    /// Accepts from `listener` from now on, and has `handler` make a request of each connection and its
    /// peer.
    ///
    /// The server owns the request until its end, and takes the place of a completion it has; a handler
    /// that panics costs its own connection. The listener is closed with the server, or when it stops, if
    /// there is no other handle of it. A server that has stopped closes it at once.
    pub fn accept_from<T: Outcome, E: Display + 'static>(
        &self,
        listener: Listener,
        handler: impl FnMut(Stream, Address) -> Request<T, E> + 'static,
    ) {
        if self.inner.phase.get() == Phase::Open {
            let acceptor = Acceptor::new(&self.inner, listener, handler);
            self.inner.acceptors.borrow_mut().push(acceptor.clone());
            acceptor.accept();
        }
    }

    /// Has `hook` run for whatever goes wrong, in place of an earlier one; without one it is only
    /// counted.
    pub fn on_error(&self, hook: impl Fn(&ServeError<'_>) + 'static) {
        let before = self.inner.on_error.replace(Some(Rc::new(hook)));
        drop(before);
    }

    /// How many connections there are and were, and what became of them.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let active = self.inner.connections.borrow().len();
        Counts {
            active,
            ..self.inner.counts.get()
        }
    }

    /// Stops in an orderly way: closes the listeners, and lets connections end.
    ///
    /// A connection that waits for its peer, and on which nothing has moved for a tenth of a second, is
    /// [canceled](Request::cancel): a request with a way of its own to end
    /// ([`Completer::on_cancel`]) takes it, any other ends, and its stream with it. One that works or
    /// writes is left to it, until it waits too, or the [drain time](Limits::drain) is over, when
    /// whatever is left is dropped.
    ///
    /// It goes on if the request is dropped. Done when no connection is left, as [`stopped`](Self::stopped).
    #[track_caller]
    pub fn stop(&self) -> Request<Stopped> {
        let stopped = self.stopped();
        self.inner.stop();
        stopped
    }

    /// A request that is done when the server has [stopped](Self::stop).
    ///
    /// # Errors
    /// `EIO` if the server is dropped first.
    #[track_caller]
    pub fn stopped(&self) -> Request<Stopped> {
        let (request, completer) = Request::pair(&self.inner.ctx, "server stopped");
        let mut waiting = self.inner.waiting.take();
        waiting.retain(|completer| !completer.is_moot());
        waiting.push(completer);
        self.inner.waiting.set(waiting);
        self.inner.tell_stopped();
        request
    }
}

impl Inner {
    fn is_full(&self) -> bool {
        self.connections.borrow().len() >= self.connections_max
    }

    /// Whether another connection may be accepted.
    fn has_room(&self) -> bool {
        self.phase.get() == Phase::Open && !self.is_full()
    }

    fn count(&self, change: impl FnOnce(&mut Counts)) {
        let mut counts = self.counts.get();
        change(&mut counts);
        self.counts.set(counts);
    }

    /// Takes a connection in, or says which limit is in its way.
    fn admit(self: &Rc<Self>, stream: &Stream, address: &Address) -> Result<Admission, Limit> {
        let Some(ctx) = self.ctx.upgrade() else {
            return Err(Limit::Drain);
        };
        self.count(|counts| counts.accepted += 1);
        let peer = self.limits.peer(address);
        let since = ctx.now();
        let connection = Connection {
            address: address.clone(),
            peer: peer.map(|(peer, _)| peer),
            since,
            meter: Meter::attach(self.ctx.clone(), since, stream),
            request: None,
            is_asked: false,
        };
        let next = self.limits.look_again(since, &connection.meter, since);
        let per_peer = peer.map_or(usize::MAX, |(_, count)| count);
        let inserted = self.connections.borrow_mut().insert(connection, per_peer);
        let Some(number) = inserted else {
            self.count(|counts| counts.refused += 1);
            return Err(Limit::PerPeer);
        };
        if let Some(next) = next {
            self.look_at(next);
        }
        if self.is_full() {
            self.count(|counts| counts.filled += 1);
            let acceptors = self.acceptors.borrow().clone();
            acceptors.iter().for_each(|acceptor| acceptor.pause());
        }
        Ok(Admission::new(self, number))
    }

    /// Owns the request of a connection, if that was not ended meanwhile.
    fn keep(&self, number: u64, request: Rc<dyn Running>) {
        let refused = self.connections.borrow_mut().keep(number, request);
        drop(refused);
    }

    /// Nobody comes from that one any more.
    fn forget(&self, acceptor: &Rc<Acceptor>) {
        let mut acceptors = self.acceptors.borrow_mut();
        acceptors.retain(|other| !Rc::ptr_eq(other, acceptor));
    }

    /// The request of a connection has ended by itself.
    fn done(self: &Rc<Self>, number: u64, error: Option<&dyn Display>) {
        let _goes_on = GoesOn(self);
        let Some(connection) = self.release(number) else {
            return;
        };
        // What it says after it was asked to end is no news.
        let error = error.filter(|_| !connection.is_asked);
        self.count(|counts| match error {
            None => counts.done += 1,
            Some(_) => counts.failed += 1,
        });
        if let Some(error) = error {
            let peer = &connection.address;
            self.tell(&ServeError::Failed { peer, error });
        }
    }

    /// Ends a connection that has met `limit`.
    fn end(self: &Rc<Self>, number: u64, limit: Limit) {
        let Some(mut connection) = self.release(number) else {
            return;
        };
        self.count(|counts| counts.ended_by(limit));
        let request = connection.request.take();
        drop(request);
        let peer = &connection.address;
        self.tell(&ServeError::Ended { peer, limit });
    }

    fn release(&self, number: u64) -> Option<Connection> {
        self.connections.borrow_mut().remove(number)
    }

    /// A connection has ended, which makes room for others or lets the server stop.
    fn go_on(self: &Rc<Self>) {
        let acceptors = self.acceptors.borrow().clone();
        acceptors.iter().for_each(Acceptor::accept);
        self.check_drained();
    }

    fn tell(&self, error: &ServeError<'_>) {
        let hook = self.on_error.borrow().clone();
        if let Some(hook) = hook {
            hook(error);
        }
    }

    /// Has the connections looked at by `deadline`.
    fn look_at(&self, deadline: Instant) {
        if let Some(timer) = &self.timer {
            if timer.deadline().is_none_or(|armed| deadline < armed) {
                timer.arm(deadline);
            }
        }
    }

    /// Looks at all connections, ends those that have met a limit, and comes again for the next.
    fn look(self: &Rc<Self>) {
        let Some(ctx) = self.ctx.upgrade() else {
            return;
        };
        let now = ctx.now();
        let seen = self.connections.borrow().survey(&self.limits, now);
        let soon = now + self.limits.pause();
        let is_any_over = !seen.over.is_empty();
        // Before anybody is told: a panic there leaves the rest to the next look.
        if is_any_over {
            self.look_at(soon);
        } else if let Some(next) = seen.next {
            self.look_at(next.max(soon));
        }
        if is_any_over {
            let _goes_on = GoesOn(self);
            for (number, limit) in seen.over {
                self.end(number, limit);
            }
        }
        if let Phase::Draining { since } = self.phase.get() {
            self.drain(since, now);
        }
    }

    /// Sees whoever is left to the end, from a stop on.
    fn drain(self: &Rc<Self>, since: Instant, now: Instant) {
        // None of a drain time that no clock can reach.
        let deadline = since.checked_add(self.limits.drain);
        self.look_at(
            deadline
                .into_iter()
                .chain([now + QUIET])
                .min()
                .unwrap_or(now),
        );
        self.ask_quiet(since, now);
        if deadline.is_some_and(|deadline| deadline <= now) {
            self.cut_off();
        }
    }

    fn stop(self: &Rc<Self>) {
        let Some(ctx) = self.ctx.upgrade() else {
            return;
        };
        if self.phase.get() != Phase::Open {
            return;
        }
        let since = ctx.now();
        self.phase.set(Phase::Draining { since });
        let acceptors = self.acceptors.take();
        drop(acceptors);
        self.look_at(since + QUIET.min(self.limits.drain));
        self.check_drained();
    }

    /// Asks the requests of connections to end on which nothing has moved for a while, since the stop.
    fn ask_quiet(&self, since: Instant, now: Instant) {
        let quiet = self.connections.borrow_mut().quiet(since, now, QUIET);
        for request in quiet {
            request.cancel();
        }
    }

    /// Ends whoever is left when the drain time is over.
    fn cut_off(self: &Rc<Self>) {
        let left = self.connections.borrow().numbers();
        for number in left {
            self.end(number, Limit::Drain);
        }
        // All of them, should this have taken more than one attempt.
        let count = usize::try_from(self.counts.get().drain);
        self.finish(count.expect("they were all in memory"));
    }

    fn check_drained(&self) {
        let is_empty = self.connections.borrow().len() == 0;
        if is_empty && matches!(self.phase.get(), Phase::Draining { .. }) {
            self.finish(0);
        }
    }

    fn finish(&self, left: usize) {
        self.phase.set(Phase::Stopped { left });
        if let Some(timer) = &self.timer {
            timer.disarm();
        }
        self.tell_stopped();
    }

    fn tell_stopped(&self) {
        if let Phase::Stopped { left } = self.phase.get() {
            for completer in self.waiting.take() {
                completer.done(Stopped { left });
            }
        }
    }
}

/// Goes on when a connection has ended, also if whoever was told of it has panicked.
struct GoesOn<'a>(&'a Rc<Inner>);

impl Drop for GoesOn<'_> {
    fn drop(&mut self) {
        self.0.go_on();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let inner = &self.inner;
        inner.phase.set(Phase::Stopped { left: 0 });
        let acceptors = inner.acceptors.take();
        let connections = inner.connections.borrow_mut().take_all();
        let waiting = inner.waiting.take();
        drop((acceptors, connections, waiting));
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("phase", &self.inner.phase.get())
            .field("counts", &self.counts())
            .finish_non_exhaustive()
    }
}
