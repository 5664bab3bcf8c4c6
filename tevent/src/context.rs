//! [`Context`], one event loop: what it holds, and how it is reached.

mod afresh;
mod builder;
mod foreign;
mod round;

use std::any::{Any, TypeId};
use std::cell::{Cell, RefCell, RefMut};
use std::fmt;
use std::io;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::{Duration, Instant};

pub(crate) use afresh::{Elsewhere, Expected};
pub use builder::ContextBuilder;

use crate::clock::Clock;
use crate::dump::{Dump, Residents};
use crate::fd::FdTable;
use crate::poller;
use crate::remote::{Inbox, Remote};
use crate::run_queue::{Run, RunQueue, Ticket};
use crate::signal::SignalNode;
use crate::stats::{Counters, Stats};
use crate::timer::heap::Heap;
use crate::token::{Table, Token};
use crate::trace::Tracing;
use crate::wake::Wake;

use round::Round;

/// One event loop, for one thread.
///
/// A context is a handle; clones are the same loop. Everything made on a context holds it weakly: when
/// the last handle is gone, so is the loop, and what was made on it becomes inert.
///
/// # Rounds
/// [`run`](Self::run) repeats rounds. A round handles, in this order:
///
/// 1. pending signals;
/// 2. the run queue, first in first out, until it is empty: immediates, completions, and work from
///    other threads, at most [`RUN_BUDGET`](Self::RUN_BUDGET) more than it held when the round began;
/// 3. the timers that are due by the round's clock;
/// 4. the kernel's answer, waited for only if nothing is ready: first signals, then each descriptor,
///    followed by the completions it caused.
///
/// So a signal comes before an immediate, an immediate before a timer, a timer before a descriptor,
/// and yet nothing starves. Handlers may make, change and drop anything, themselves included; no
/// handler ever runs inside another. A panic in a handler passes through and leaves the context
/// usable.
///
/// # Fork
/// After `fork(2)` (any call that runs the handlers of `pthread_atfork(3)`) the child's contexts are its
/// own: before its next wait or registration each gets a fresh kernel set and a fresh wake-up, and
/// watches again what is asked for. Whatever the child drops, the parent goes on watching. All else is
/// copied with the memory: armed timers, what is queued, work that was sent and has not run happen in
/// both, and a [`Remote`] of the child reaches the child's context. Only if another thread was sending at
/// that very moment is what was sent and not looked at missing in the child. Jobs that are
/// [offloaded](Self::offload) end in the child with `ESRCH`. A child that wants none of it
/// [makes the context anew](Self::re_initialise), drops it with its events, or calls `execve(2)`: no
/// descriptor of a context survives that.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use tevent::{Context, Timer};
///
/// # fn main() -> std::io::Result<()> {
/// let ctx = Context::new()?;
/// let timer = Timer::new(&ctx, || { /* time is up */ });
/// timer.arm_after(Duration::from_millis(1));
/// ctx.run()?; // returns when there is nothing left to wait for
/// # Ok(())
/// # }
/// ```
///
/// # Source
/// `tevent_context_init()`. Differs: the order above is fair (C runs one handler, then starts over).
#[derive(Clone)]
#[doc(alias = "tevent_context")]
pub struct Context {
    inner: Rc<Inner>,
}

/// A [`Context`] that may be gone.
#[derive(Clone)]
pub struct WeakContext {
    inner: Weak<Inner>,
}

// Invariant: no field is borrowed while a handler, completion or trigger runs.
struct Inner {
    clock: Clock,
    // The time as of this round, or of its wait.
    now: Cell<Instant>,
    // The longest that one wait may take.
    wait_limit: Cell<Option<Duration>>,
    round: Round,
    run_queue: RefCell<RunQueue>,
    timers: RefCell<Heap<Rc<dyn Run>>>,
    fds: RefCell<FdTable>,
    signals: RefCell<Table<Rc<SignalNode>>>,
    wake: Arc<Wake>,
    inbox: RefCell<Inbox>,
    // What is under way elsewhere and will be sent here.
    expected: RefCell<Table<Weak<dyn Elsewhere>>>,
    // The process whose threads may send.
    forks: Cell<u32>,
    counters: Rc<Counters>,
    residents: Residents,
    locals: RefCell<Vec<(TypeId, Rc<dyn Any>)>>,
    tracing: Tracing,
}

impl Context {
    /// How many entries of the run queue a round handles beyond those that were there when it began.
    ///
    /// A chain of immediates thus pays one look at the kernel for each thousand, and everybody else
    /// waits some ten microseconds for it.
    pub const RUN_BUDGET: usize = 1024;

    /// A context on the back end that the environment variable `TEVENT_BACKEND` names, or on the
    /// platform's default.
    ///
    /// # Errors
    /// `EINVAL` naming an unknown back end; `EMFILE` and `ENOMEM` if the system has no descriptors or
    /// memory left for it.
    #[doc(alias = "tevent_context_init")]
    pub fn new() -> io::Result<Self> {
        Self::builder().build()
    }

    /// A context on the back end called `name`, one of [`backend_list`](Self::backend_list).
    ///
    /// # Errors
    /// As for [`new`](Self::new).
    #[doc(alias = "tevent_context_init_byname")]
    pub fn with_backend(name: &str) -> io::Result<Self> {
        Self::builder().backend(name).build()
    }

    /// A context with choices of one's own.
    pub fn builder() -> ContextBuilder {
        ContextBuilder::default()
    }

    /// The names of the back ends of this platform, the default first.
    ///
    /// - `epoll`, on Linux, waits with `epoll_wait(2)` and nothing beside.
    /// - `polling`, on every platform, waits as the crate of that name does.
    /// - `sim` has no kernel: watching a descriptor is refused with `EOPNOTSUPP`, and time stands
    ///   still while handlers run. A loop that has nothing to do but wait for its next timer does not
    ///   wait: its clock jumps there, or by the [wait limit](Self::set_wait_limit) if that is less.
    ///   Signals and work from other threads arrive as ever. It is never the default.
    ///
    /// # Examples
    /// ```
    /// use std::time::Duration;
    /// use tevent::{Context, wakeup};
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let ctx = Context::with_backend("sim")?;
    /// let start = ctx.now();
    /// ctx.run_until(wakeup(&ctx, start + Duration::from_secs(3600)))??;
    /// assert_eq!(ctx.now() - start, Duration::from_secs(3600));
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "tevent_backend_list")]
    #[must_use]
    pub fn backend_list() -> &'static [&'static str] {
        poller::BACKENDS
    }

    /// The name of the back end in use.
    #[must_use]
    pub fn backend(&self) -> &'static str {
        self.fds().backend()
    }

    /// A handle that does not keep the context alive.
    #[must_use]
    pub fn downgrade(&self) -> WeakContext {
        WeakContext {
            inner: Rc::downgrade(&self.inner),
        }
    }

    /// The time by the context's clock: monotonic, the manual one it was built with, or the one that
    /// [`sim`](Self::backend_list) moves.
    #[doc(alias = "tevent_timeval_current")]
    #[must_use]
    pub fn now(&self) -> Instant {
        self.inner.clock.now()
    }

    /// Lets no wait for the kernel take longer than `limit`, or as long as it takes; returns the limit
    /// there was. A new context has none.
    ///
    /// A wait that the limit ends is one that brought nothing: [`run_once`](Self::run_once) returns,
    /// [`run`](Self::run) goes on. Timers are not late for it.
    ///
    /// With a limit of zero the context is in *polling mode* and never waits: `run_once` runs a handler
    /// if one is ready, and `run`, [`run_until`](Self::run_until) and [`block_on`](Self::block_on)
    /// fail with `EAGAIN` as soon as nothing is ready that could go on. The kernel is asked once more
    /// before they do.
    ///
    /// # Examples
    /// ```
    /// use std::io::ErrorKind;
    /// use std::time::Duration;
    /// use tevent::{Context, Timer};
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let ctx = Context::new()?;
    /// assert_eq!(ctx.set_wait_limit(Some(Duration::ZERO)), None);
    /// let timer = Timer::new(&ctx, || {});
    /// timer.arm_after(Duration::from_secs(3600));
    /// assert_eq!(ctx.run_once()?, false);
    /// assert_eq!(ctx.run().unwrap_err().kind(), ErrorKind::WouldBlock);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Source
    /// `tevent_context_set_wait_timeout()`. Differs: there is no limit at first (C: 30 seconds); it
    /// bounds every wait, not only those without a timer; and a pass of a polling context that finds
    /// nothing is no error, because it returns whether a handler ran.
    #[doc(alias = "tevent_context_set_wait_timeout")]
    pub fn set_wait_limit(&self, limit: Option<Duration>) -> Option<Duration> {
        self.inner.wait_limit.replace(limit)
    }

    /// A way into this context from other threads.
    #[must_use]
    pub fn remote(&self) -> Remote {
        self.inner.inbox.borrow().remote(self.wake())
    }

    /// What the context has done so far.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.inner.counters.snapshot()
    }

    /// The counters behind [`stats`](Self::stats), for implementations that make system calls.
    #[must_use]
    pub fn counters(&self) -> Rc<Counters> {
        self.inner.counters.clone()
    }

    /// Everything that is outstanding, as a tree.
    #[doc(alias = "tevent_req_print")]
    #[doc(alias = "tevent_req_default_print")]
    #[must_use]
    pub fn dump(&self) -> Dump {
        self.inner.residents.dump(self.now())
    }

    /// The one `T` of this context, made on first use: for what all sockets of a context share.
    ///
    /// It is dropped with the context.
    ///
    /// # Examples
    /// ```
    /// #[derive(Default)]
    /// struct Tally(std::cell::Cell<u32>);
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let ctx = tevent::Context::new()?;
    /// ctx.local::<Tally>().0.set(7);
    /// assert_eq!(ctx.local::<Tally>().0.get(), 7);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn local<T: Default + 'static>(&self) -> Rc<T> {
        let known = self.inner.locals.borrow().iter().find_map(|(id, local)| {
            if *id == TypeId::of::<T>() {
                local.clone().downcast().ok()
            } else {
                None
            }
        });
        known.unwrap_or_else(|| {
            let local = Rc::new(T::default());
            self.inner
                .locals
                .borrow_mut()
                .push((TypeId::of::<T>(), local.clone()));
            local
        })
    }

    /// The time as of this round of the loop: it costs no look at the clock, and is good enough for
    /// ages.
    ///
    /// It is read once for the timers of a round, if there are any, and once after each wait.
    #[must_use]
    pub fn round_now(&self) -> Instant {
        self.inner.now.get()
    }

    /// The time when `timeout` is over, counted from now.
    pub(crate) fn after(&self, timeout: Duration) -> Instant {
        self.inner.clock.after(timeout)
    }

    pub(crate) fn enqueue(&self, node: Rc<dyn Run>) -> Ticket {
        self.inner.run_queue.borrow_mut().push_back(node)
    }

    pub(crate) fn dequeue(&self, ticket: Ticket) {
        // The node is dropped after the borrow: its drop may be anybody's.
        let node = self.inner.run_queue.borrow_mut().remove(ticket);
        drop(node);
    }

    pub(crate) fn arm(&self, deadline: Instant, node: Rc<dyn Run>) -> Token {
        let deadline = self.inner.clock.tick(deadline);
        self.inner.timers.borrow_mut().insert(deadline, node)
    }

    pub(crate) fn disarm(&self, token: Token) {
        let node = self.inner.timers.borrow_mut().remove(token);
        drop(node);
    }

    pub(crate) fn fds(&self) -> RefMut<'_, FdTable> {
        self.inner.fds.borrow_mut()
    }

    pub(crate) fn signals(&self) -> RefMut<'_, Table<Rc<SignalNode>>> {
        self.inner.signals.borrow_mut()
    }

    pub(crate) fn wake(&self) -> Arc<Wake> {
        self.inner.wake.clone()
    }

    pub(crate) fn residents(&self) -> &Residents {
        &self.inner.residents
    }

    pub(crate) fn counters_ref(&self) -> &Counters {
        &self.inner.counters
    }

    pub(crate) fn tracing(&self) -> &Tracing {
        &self.inner.tracing
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("backend", &self.backend())
            .field("queued", &self.inner.run_queue.borrow().len())
            .field("timers", &self.inner.timers.borrow().len())
            .finish_non_exhaustive()
    }
}

impl WeakContext {
    /// The context, if it is still there.
    #[must_use]
    pub fn upgrade(&self) -> Option<Context> {
        self.inner.upgrade().map(|inner| Context { inner })
    }

    /// Whether the context is no longer there.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// let ctx = tevent::Context::new()?;
    /// let weak = ctx.downgrade();
    /// assert!(!weak.is_gone());
    /// drop(ctx);
    /// assert!(weak.is_gone());
    /// # Ok(())
    /// # }
    /// ```
    #[inline]
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.inner.strong_count() == 0
    }
}

impl From<&Context> for WeakContext {
    fn from(ctx: &Context) -> Self {
        ctx.downgrade()
    }
}

impl From<&Self> for WeakContext {
    fn from(ctx: &Self) -> Self {
        ctx.clone()
    }
}

impl fmt::Debug for WeakContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_gone() {
            "WeakContext(gone)"
        } else {
            "WeakContext"
        })
    }
}
