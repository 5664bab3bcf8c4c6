//! Trace points: a hook of the context is told what the loop does, and who keeps it busy.

#[cfg(feature = "tracing")]
mod events;

use std::cell::{Cell, RefCell};
use std::fmt;
use std::panic::Location;
use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::context::Context;

/// A hook that is told the [trace points](TracePoint) of a context; see [`Context::set_trace`].
pub type TraceHook = Rc<dyn Fn(&TracePoint<'_>)>;

/// A hook that is told of [slow handlers](SlowHandler); see [`Context::on_slow_handler`].
pub type SlowHook = Rc<dyn Fn(&SlowHandler)>;

/// What has a handler, in a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TraceKind {
    /// An [`FdEvent`](crate::FdEvent).
    Fd,
    /// A [`Timer`](crate::Timer).
    Timer,
    /// A [`Signal`](crate::Signal).
    Signal,
    /// An [`Immediate`](crate::Immediate).
    Immediate,
    /// A place in a line, a [`QueueEntry`](crate::QueueEntry); its handler is the trigger.
    QueueEntry,
    /// The completion of a [`Request`](crate::Request). These have no trace points, but can be slow.
    Completion,
    /// A step of a future that was [spawned](Context::spawn). As with completions.
    Task,
    /// Work that was [sent](crate::Remote::send), from where it was sent. As with completions.
    Remote,
    /// The deadline of a request, which tells the work and the cleanup hooks. As with completions.
    Deadline,
}

impl TraceKind {
    /// The kind in one or two small words.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Fd => "fd",
            Self::Timer => "timer",
            Self::Signal => "signal",
            Self::Immediate => "immediate",
            Self::QueueEntry => "queue entry",
            Self::Completion => "completion",
            Self::Task => "task",
            Self::Remote => "remote call",
            Self::Deadline => "deadline",
        }
    }
}

impl fmt::Display for TraceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// What a trace hook is told.
///
/// | Kind | Attached by | Detached |
/// |---|---|---|
/// | fd | making it | when it is dropped, also inside its handler |
/// | timer | arming it | when its handler has returned; before that if it is disarmed, armed anew or dropped |
/// | signal | making it | when it is dropped, also inside its handler |
/// | immediate | scheduling it | when its handler has returned; before that if it is canceled, scheduled anew or dropped |
/// | queue entry | entering the queue | when it leaves the queue, or the queue is dropped |
///
/// All that is attached is also detached when its context goes. What is attached anew in its own
/// handler is detached and attached at that moment, and not detached when the handler returns. Asking
/// an fd event for something else is no trace point.
///
/// # Source
/// `enum tevent_trace_point`, `enum tevent_event_trace_point`.
#[derive(Debug)]
#[non_exhaustive]
pub enum TracePoint<'a> {
    /// The loop looks what there is to do. A round may be left after a handler, by
    /// [`Context::run_once`] for one, and then goes on without another beginning.
    RoundBegin,
    /// The kernel is going to be asked for what is ready.
    WaitBegin,
    /// The kernel has answered.
    WaitEnd,
    /// Everything that was found has been handled, or nothing is left that could happen.
    RoundEnd,
    /// From now on the handler may run; a good moment to set the tag.
    Attach(Traced<'a>),
    /// The handler is going to run, whatever the hook does.
    BeforeHandler(Traced<'a>),
    /// The handler does not run any more, unless it is attached again.
    Detach(Traced<'a>),
}

/// Who a trace point is about.
#[derive(Clone, Copy)]
pub struct Traced<'a> {
    mark: &'a Mark,
}

impl Traced<'_> {
    /// What it is.
    #[must_use]
    pub fn kind(&self) -> TraceKind {
        self.mark.kind
    }

    /// Its tag: what was set last, zero at first.
    #[must_use]
    pub fn tag(&self) -> u64 {
        self.mark.tag()
    }

    /// Gives it the tag `tag`.
    pub fn set_tag(&self, tag: u64) {
        self.mark.set_tag(tag);
    }

    /// Where it was made.
    #[must_use]
    pub fn location(&self) -> &'static Location<'static> {
        self.mark.location
    }
}

impl fmt::Debug for Traced<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Traced")
            .field("kind", &self.kind())
            .field("tag", &self.tag())
            .field("location", &format_args!("{}", self.location()))
            .finish_non_exhaustive()
    }
}

/// A handler that took its time.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SlowHandler {
    /// What it is the handler of.
    pub kind: TraceKind,
    /// Where that was made.
    pub location: &'static Location<'static>,
    /// How long it ran, by the context's clock.
    pub duration: Duration,
}

impl fmt::Display for SlowHandler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            kind,
            location,
            duration,
        } = self;
        write!(
            f,
            "the handler of the {kind} made at {location} took {duration:?}"
        )
    }
}

/// What a context holds for tracing.
#[derive(Default)]
pub(crate) struct Tracing {
    // Whether there is any hook: all that a handler has to look at if there is none.
    is_on: Cell<bool>,
    hook: RefCell<Option<TraceHook>>,
    slow: RefCell<Option<(Duration, SlowHook)>>,
    // What a hook does is not told to it.
    is_telling: Cell<bool>,
}

/// Ends the telling, also after a panic.
struct TellingGuard<'a>(&'a Cell<bool>);

impl Drop for TellingGuard<'_> {
    fn drop(&mut self) {
        self.0.set(false);
    }
}

impl Tracing {
    #[inline]
    pub(crate) fn is_on(&self) -> bool {
        self.is_on.get()
    }

    /// Tells the hook, if there is one.
    #[inline]
    pub(crate) fn tell(&self, point: &TracePoint<'_>) {
        if self.is_on() {
            self.tell_hook(point);
        }
    }

    #[cold]
    fn tell_hook(&self, point: &TracePoint<'_>) {
        let Some(hook) = self.hook.borrow().clone() else {
            return;
        };
        if !self.is_telling.replace(true) {
            let _telling = TellingGuard(&self.is_telling);
            hook(point);
        }
    }

    fn hooks_changed(&self) {
        let is_on = self.hook.borrow().is_some() || self.slow.borrow().is_some();
        self.is_on.set(is_on);
    }
}

impl Context {
    /// Has `hook` told everything that the loop does, instead of the hook there was before.
    ///
    /// Setting nothing ends the tracing. To trace beside somebody else, take the present hook with
    /// [`trace`](Self::trace) and call it from one's own. The hook is called from inside the loop and
    /// from the calls that make, change and drop its events; it may do whatever a handler may, but what
    /// it does itself is not told. The context owns the hook, so a hook holds it
    /// [weakly](Self::downgrade). Without a hook a trace point costs the look whether there is one.
    ///
    /// # Examples
    /// ```
    /// use std::cell::Cell;
    /// use std::rc::Rc;
    /// use tevent::{Context, Immediate, TracePoint};
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let ctx = Context::new()?;
    /// let handlers = Rc::new(Cell::new(0));
    /// let (count, before) = (handlers.clone(), ctx.trace());
    /// ctx.set_trace(Some(Rc::new(move |point| {
    ///     if let Some(before) = &before {
    ///         before(point);
    ///     }
    ///     if let TracePoint::BeforeHandler(_) = point {
    ///         count.set(count.get() + 1);
    ///     }
    /// })));
    /// let immediate = Immediate::new(&ctx, || {});
    /// immediate.schedule();
    /// ctx.run()?;
    /// assert_eq!(handlers.get(), 1);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Source
    /// `tevent_set_trace_callback()` and its five siblings. Differs: one hook for all kinds.
    #[doc(alias = "tevent_set_trace_callback")]
    #[doc(alias = "tevent_set_trace_fd_callback")]
    #[doc(alias = "tevent_set_trace_timer_callback")]
    #[doc(alias = "tevent_set_trace_signal_callback")]
    #[doc(alias = "tevent_set_trace_immediate_callback")]
    #[doc(alias = "tevent_set_trace_queue_callback")]
    pub fn set_trace(&self, hook: Option<TraceHook>) {
        let tracing = self.tracing();
        // The former hook may own anything: it goes when nothing is borrowed.
        let former = tracing.hook.replace(hook);
        tracing.hooks_changed();
        drop(former);
    }

    /// The hook that [`set_trace`](Self::set_trace) has set.
    #[doc(alias = "tevent_get_trace_callback")]
    #[doc(alias = "tevent_get_trace_fd_callback")]
    #[doc(alias = "tevent_get_trace_timer_callback")]
    #[doc(alias = "tevent_get_trace_signal_callback")]
    #[doc(alias = "tevent_get_trace_immediate_callback")]
    #[doc(alias = "tevent_get_trace_queue_callback")]
    #[must_use]
    pub fn trace(&self) -> Option<TraceHook> {
        self.tracing().hook.borrow().clone()
    }

    /// Has `hook` told of each handler that takes `threshold` or longer, instead of the hook there was
    /// before; nothing is told any more without one.
    ///
    /// While a handler runs everything else waits, so a slow one is felt by all. The clock is the
    /// context's, read before and after each handler, and not read without a hook. A handler that panics
    /// is not told of.
    ///
    /// # Examples
    /// ```
    /// use std::rc::Rc;
    /// use std::time::Duration;
    /// use tevent::{Context, ManualClock, Timer};
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let clock = ManualClock::new();
    /// let ctx = Context::builder().manual_clock(&clock).build()?;
    /// let timer = Timer::new(&ctx, move || clock.advance(Duration::from_secs(3)));
    /// ctx.on_slow_handler(Duration::from_secs(1), Some(Rc::new(|slow| println!("{slow}"))));
    /// timer.arm_after(Duration::ZERO);
    /// ctx.run() // the handler of the timer made at src/main.rs:8:13 took 3s
    /// # }
    /// ```
    pub fn on_slow_handler(&self, threshold: Duration, hook: Option<SlowHook>) {
        let tracing = self.tracing();
        let former = tracing.slow.replace(hook.map(|hook| (threshold, hook)));
        tracing.hooks_changed();
        drop(former);
    }

    /// Calls `handler`, the one of `mark`.
    #[inline]
    pub(crate) fn handle(&self, mark: &Mark, handler: impl FnOnce()) {
        if self.tracing().is_on() {
            self.handle_traced(mark, handler);
        } else {
            handler();
        }
    }

    #[cold]
    fn handle_traced(&self, mark: &Mark, handler: impl FnOnce()) {
        mark.before_handler(self);
        self.measure_traced(mark.kind, mark.location, handler);
    }

    /// Calls `handler`, which has no trace point.
    #[inline]
    pub(crate) fn measure(
        &self,
        kind: TraceKind,
        location: &'static Location<'static>,
        handler: impl FnOnce(),
    ) {
        if self.tracing().is_on() {
            self.measure_traced(kind, location, handler);
        } else {
            handler();
        }
    }

    #[cold]
    fn measure_traced(
        &self,
        kind: TraceKind,
        location: &'static Location<'static>,
        handler: impl FnOnce(),
    ) {
        let start: Option<Instant> = self.tracing().slow.borrow().is_some().then(|| self.now());
        handler();
        let slow = self.tracing().slow.borrow().clone();
        if let (Some(start), Some((threshold, hook))) = (start, slow) {
            let duration = self.now().saturating_duration_since(start);
            if duration >= threshold {
                let slow = SlowHandler {
                    kind,
                    location,
                    duration,
                };
                hook(&slow);
            }
        }
    }
}

/// What tracing keeps of one that has a handler.
pub(crate) struct Mark {
    kind: TraceKind,
    is_attached: Cell<bool>,
    tag: Cell<u64>,
    location: &'static Location<'static>,
}

impl Mark {
    /// The mark of one that is being made where its caller is called.
    #[track_caller]
    pub(crate) fn new(kind: TraceKind) -> Self {
        Self {
            kind,
            is_attached: Cell::new(false),
            tag: Cell::new(0),
            location: Location::caller(),
        }
    }

    /// Whether its detaching has not been told since it was attached.
    #[inline]
    pub(crate) fn is_attached(&self) -> bool {
        self.is_attached.get()
    }

    pub(crate) fn tag(&self) -> u64 {
        self.tag.get()
    }

    pub(crate) fn set_tag(&self, tag: u64) {
        self.tag.set(tag);
    }

    /// The handler may run from now on; told before it can.
    #[inline]
    pub(crate) fn attach(&self, ctx: &Context) {
        self.is_attached.set(true);
        if ctx.tracing().is_on() {
            let traced = Traced { mark: self };
            ctx.tracing().tell_hook(&TracePoint::Attach(traced));
        }
    }

    /// The handler is going to run.
    #[inline]
    pub(crate) fn before_handler(&self, ctx: &Context) {
        if ctx.tracing().is_on() {
            let traced = Traced { mark: self };
            ctx.tracing().tell_hook(&TracePoint::BeforeHandler(traced));
        }
    }

    /// The handler does not run any more; told once for each time it was attached.
    #[inline]
    pub(crate) fn detach(&self, ctx: &Context) {
        self.detach_from(ctx.tracing());
    }

    /// As [`detach`](Self::detach), for a context that is going.
    #[inline]
    pub(crate) fn detach_from(&self, tracing: &Tracing) {
        if self.is_attached.replace(false) && tracing.is_on() {
            let traced = Traced { mark: self };
            tracing.tell_hook(&TracePoint::Detach(traced));
        }
    }
}
