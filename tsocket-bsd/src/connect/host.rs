//! [`connect_host`], which looks a name up and tries its addresses.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::error::Error;
use std::fmt;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::rc::Rc;
use std::time::Duration;

use rustix::io::Errno;
use tevent::{Completer, Context, End, Request, WeakContext, Work};
use tsocket::{Address, Stream};

use super::{ConnectOptions, connect};

/// How long an address that does not answer is waited for while there are others to try: longer than
/// a working network needs, even if it loses the first two attempts of the system.
const PATIENCE: Duration = Duration::from_secs(10);

/// How many addresses of one name are tried; who runs a name server decides how many there are.
const ADDRESSES_MAX: usize = 16;

type Addresses = io::Result<Vec<SocketAddr>>;

/// Connects with TCP to `host`, a name or a numeric address with a port (`example.org:80`,
/// `127.0.0.1:80`, `[::1]:80`).
///
/// A name is looked up as the system does it ([`Context::offload`]: nobody else waits meanwhile), and
/// its addresses are tried one after the other, in the order in which the system gives them, the first
/// 16 of them. One that does not answer is left after ten seconds, if there are others. A numeric
/// address is connected to at once.
///
/// A deadline of the request is for everything together.
///
/// # Completion
/// With the first stream that connects, or when there is no address left to try.
///
/// # Cancellation
/// Dropping the request, cancelling it or its deadline closes the descriptor at once. A lookup that
/// has begun runs to its end on its thread, for nobody.
///
/// # Errors
/// The error is a [`HostError`], which tells the host and each address that was tried, and has the
/// kind of the last cause. The causes are
/// - `EINVAL` if `host` is not of these forms;
/// - what the system says of a name that it cannot look up, which has a text and no errno;
/// - those of [`connect()`] for the addresses, `ETIMEDOUT` for one that was left;
/// - `ETIMEDOUT` and `ECANCELED` if the request ends from outside;
/// - those of [`Context::offload`].
///
/// # Examples
/// ```no_run
/// use std::time::Duration;
/// use tsocket_bsd::{ConnectOptions, connect_host};
/// let ctx = tevent::Context::new()?;
/// let request = connect_host(&ctx, "example.org:80", &ConnectOptions::default());
/// request.set_timeout(Duration::from_secs(30));
/// let stream = ctx.run_until(request)??;
/// # Ok::<(), std::io::Error>(())
/// ```
#[track_caller]
pub fn connect_host(ctx: &Context, host: &str, options: &ConnectOptions) -> Request<Stream> {
    let (request, completer) = Request::pair(ctx, "connect host");
    let connecting = ConnectingHost::new(ctx, host, options, completer);
    match host.parse::<SocketAddr>() {
        Ok(address) => connecting.looked_up(Ok(vec![address])),
        Err(_) => connecting.look_up(ctx),
    }
    request
}

/// Why no address of a host could be connected to.
///
/// # Examples
/// ```
/// use tsocket_bsd::{ConnectOptions, HostError, connect_host};
/// let ctx = tevent::Context::new()?;
/// let request = connect_host(&ctx, "127.0.0.1:1", &ConnectOptions::default());
/// let error = ctx.run_until(request)?.unwrap_err();
/// assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
/// let error: HostError = error.downcast()?;
/// assert_eq!(error.host(), "127.0.0.1:1");
/// assert_eq!(error.attempts().len(), 1);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct HostError {
    host: String,
    attempts: Vec<(Address, io::Error)>,
    // What ended it, if that was not the last attempt.
    cause: Option<io::Error>,
}

impl HostError {
    /// The host, as it was given.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Each address that was tried, and what came of it, in this order; none if the lookup failed.
    #[must_use]
    pub fn attempts(&self) -> &[(Address, io::Error)] {
        &self.attempts
    }

    /// The last cause.
    #[must_use]
    #[expect(
        clippy::missing_panics_doc,
        reason = "it is made with an attempt or with a cause"
    )]
    pub fn cause(&self) -> &io::Error {
        let last = self.attempts.last().map(|(_, error)| error);
        let cause = self.cause.as_ref().or(last);
        cause.expect("without an attempt there is a cause")
    }
}

impl fmt::Display for HostError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "connecting to {}", self.host.escape_debug())?;
        for (address, error) in &self.attempts {
            write!(f, "; {address}: {error}")?;
        }
        match &self.cause {
            Some(cause) => write!(f, "; {cause}"),
            None => Ok(()),
        }
    }
}

impl Error for HostError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(self.cause())
    }
}

impl From<HostError> for io::Error {
    fn from(error: HostError) -> Self {
        Self::new(error.cause().kind(), error)
    }
}

/// A lookup or an attempt, and what comes after it.
struct ConnectingHost {
    ctx: WeakContext,
    host: String,
    options: ConnectOptions,
    untried: RefCell<VecDeque<Address>>,
    failed: RefCell<Vec<(Address, io::Error)>>,
    lookup: Cell<Option<Request<Addresses>>>,
    attempt: Cell<Option<(Address, Request<Stream>)>>,
    completer: Cell<Option<Completer<Stream>>>,
}

impl ConnectingHost {
    fn new(
        ctx: &Context,
        host: &str,
        options: &ConnectOptions,
        completer: Completer<Stream>,
    ) -> Rc<Self> {
        let connecting = Rc::new(Self {
            ctx: ctx.downgrade(),
            host: host.to_owned(),
            options: options.clone(),
            untried: RefCell::new(VecDeque::new()),
            failed: RefCell::new(Vec::new()),
            lookup: Cell::new(None),
            attempt: Cell::new(None),
            completer: Cell::new(None),
        });
        completer.set_work(connecting.clone(), 0);
        connecting.completer.set(Some(completer));
        connecting
    }

    fn look_up(self: &Rc<Self>, ctx: &Context) {
        let Some((name, port)) = split(&self.host) else {
            return self.fail(Some(Errno::INVAL.into()));
        };
        let name = name.to_owned();
        let job = move || -> Addresses { Ok((name.as_str(), port).to_socket_addrs()?.collect()) };
        let weak = Rc::downgrade(self);
        let lookup = ctx.offload(job).on_done(move |result| {
            if let Some(connecting) = weak.upgrade() {
                connecting.looked_up(result.and_then(|addresses| addresses));
            }
        });
        self.lookup.set(Some(lookup));
    }

    fn looked_up(self: &Rc<Self>, result: Addresses) {
        drop(self.lookup.take());
        match result {
            Ok(addresses) if addresses.is_empty() => {
                self.fail(Some(Errno::ADDRNOTAVAIL.into()));
            }
            Ok(addresses) => {
                let addresses = addresses.into_iter().take(ADDRESSES_MAX);
                self.untried.replace(addresses.map(Address::from).collect());
                self.try_next();
            }
            Err(error) => self.fail(Some(error)),
        }
    }

    fn try_next(self: &Rc<Self>) {
        let Some(ctx) = self.ctx.upgrade() else {
            return;
        };
        let next = self.untried.borrow_mut().pop_front();
        let Some(address) = next else {
            return self.fail(None);
        };
        let weak = Rc::downgrade(self);
        let attempt = connect(&ctx, &address, &self.options).on_done(move |result| {
            if let Some(connecting) = weak.upgrade() {
                connecting.tried(result);
            }
        });
        if !self.untried.borrow().is_empty() {
            attempt.set_timeout(PATIENCE);
        }
        self.attempt.set(Some((address, attempt)));
    }

    fn tried(self: &Rc<Self>, result: io::Result<Stream>) {
        let Some((address, _)) = self.attempt.take() else {
            return;
        };
        match result {
            Ok(stream) => {
                if let Some(completer) = self.completer.take() {
                    completer.done(stream);
                }
            }
            Err(error) => {
                self.failed.borrow_mut().push((address, error));
                self.try_next();
            }
        }
    }

    fn fail(&self, cause: Option<io::Error>) {
        if let Some(completer) = self.completer.take() {
            let error = HostError {
                host: self.host.clone(),
                attempts: self.failed.take(),
                cause,
            };
            completer.error(error.into());
        }
    }
}

impl Work for ConnectingHost {
    fn stopped(self: Rc<Self>, _slot: usize, why: End) {
        // Closes at once.
        drop(self.lookup.take());
        let interrupted = self.attempt.take().map(|(address, _)| address);
        if why == End::Dropped {
            drop(self.completer.take());
            return;
        }
        let cause: io::Error = why.into();
        match interrupted {
            Some(address) => {
                self.failed.borrow_mut().push((address, cause));
                self.fail(None);
            }
            None => self.fail(Some(cause)),
        }
    }
}

/// A name and a port, neither of them empty.
fn split(host: &str) -> Option<(&str, u16)> {
    let (name, port) = host.rsplit_once(':')?;
    let is_name = !name.is_empty() && !name.contains([':', '[', ']', '\0']);
    let is_number = port.bytes().all(|byte| byte.is_ascii_digit());
    let port = port.parse().ok().filter(|_| is_name && is_number)?;
    Some((name, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::net::TcpListener;

    fn listening() -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = listener.local_addr().unwrap();
        (listener, at)
    }

    /// What comes of a name that has these addresses.
    fn connecting(ctx: &Context, addresses: Vec<SocketAddr>) -> Request<Stream> {
        let (request, completer) = Request::pair(ctx, "connect host");
        let options = ConnectOptions::default();
        ConnectingHost::new(ctx, "several:1", &options, completer).looked_up(Ok(addresses));
        request.set_timeout(Duration::from_secs(60));
        request
    }

    #[test]
    fn addresses_are_tried_until_one_connects() {
        let ctx = Context::new().unwrap();
        let (gone, refused_v4) = listening();
        drop(gone);
        let refused_v6 = SocketAddr::new("::1".parse().unwrap(), refused_v4.port());
        let (_listener, good) = listening();
        let request = connecting(&ctx, vec![refused_v6, refused_v4, good]);
        let stream = ctx.run_until(request).unwrap().unwrap();
        assert_eq!(stream.peer_address().unwrap(), good.into());

        let request = connecting(&ctx, vec![refused_v6, refused_v4]);
        let error = ctx.run_until(request).unwrap().unwrap_err();
        let error: HostError = error.downcast().unwrap();
        let tried: Vec<_> = error.attempts().iter().map(|(at, _)| at.clone()).collect();
        assert_eq!(tried, [refused_v6, refused_v4].map(Address::from));
    }

    #[test]
    fn an_address_that_does_not_answer_is_left_for_the_next() {
        let clock = tevent::ManualClock::new();
        let ctx = Context::builder().manual_clock(&clock).build().unwrap();
        let (silent, at) = listening();
        // It answers as many as its backlog takes.
        rustix::net::listen(&silent, 0).unwrap();
        let silent_at = Address::from(at);
        let _answered: Vec<_> = (0..4)
            .map(|_| connect(&ctx, &silent_at, &ConnectOptions::default()))
            .collect();
        let (_listener, good) = listening();
        let request = connecting(&ctx, vec![at, good]);
        clock.advance(PATIENCE);
        let stream = ctx.run_until(request).unwrap().unwrap();
        assert_eq!(stream.peer_address().unwrap(), good.into());
    }

    #[test]
    fn a_name_without_addresses_is_an_error() {
        let ctx = Context::new().unwrap();
        let error = ctx.run_until(connecting(&ctx, Vec::new())).unwrap();
        let error: HostError = error.unwrap_err().downcast().unwrap();
        let errno = error.cause().raw_os_error();
        assert_eq!(errno, Some(Errno::ADDRNOTAVAIL.raw_os_error()));
    }

    #[test]
    fn a_name_may_have_many_addresses_and_few_are_tried() {
        let ctx = Context::new().unwrap();
        let (gone, refused) = listening();
        drop(gone);
        let request = connecting(&ctx, vec![refused; 2 * ADDRESSES_MAX]);
        let error = ctx.run_until(request).unwrap().unwrap_err();
        let error: HostError = error.downcast().unwrap();
        assert_eq!(error.attempts().len(), ADDRESSES_MAX);
    }
}
