//! The clock of a context: the only file that reads the time.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// A point in time as nanoseconds since the clock was made; five centuries fit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Tick(u64);

impl Tick {
    /// How long it is from `earlier` to this point, or nothing if it is not later.
    pub(crate) fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// A clock that stands still until it is moved, for tests that let hours pass in microseconds.
///
/// Give it to [`ContextBuilder::manual_clock`](crate::ContextBuilder::manual_clock) and keep a clone.
/// A context with such a clock waits for descriptors without regard to its timers: time passes only
/// when [`advance`](Self::advance) is called. Timers that are not due by then are nothing that could
/// happen, so they do not keep [`Context::run`](crate::Context::run) going.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use tevent::{Context, ManualClock, Timer};
///
/// # fn main() -> std::io::Result<()> {
/// let clock = ManualClock::new();
/// let ctx = Context::builder().manual_clock(&clock).build()?;
/// let fired = std::rc::Rc::new(std::cell::Cell::new(false));
/// let timer = Timer::new(&ctx, { let fired = fired.clone(); move || fired.set(true) });
/// timer.arm_after(Duration::from_secs(3600));
/// clock.advance(Duration::from_secs(3600));
/// ctx.run()?;
/// assert!(fired.get());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct ManualClock {
    now: Rc<Cell<Instant>>,
}

impl Default for ManualClock {
    fn default() -> Self {
        Self::new()
    }
}

impl ManualClock {
    /// A clock that stands at the present.
    #[must_use]
    #[expect(
        clippy::disallowed_methods,
        reason = "this file is where the time is read"
    )]
    pub fn new() -> Self {
        Self {
            now: Rc::new(Cell::new(Instant::now())),
        }
    }

    /// Where the clock stands.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.now.get()
    }

    /// Moves the clock forward; what becomes due runs when the context is next run.
    pub fn advance(&self, by: Duration) {
        self.now.set(self.now.get() + by);
    }
}

/// How far off a deadline is whose timeout is more than an [`Instant`] can hold: nobody sees it pass.
const CENTURY: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// The monotonic clock, or one in its place that is moved by hand or by the loop.
#[derive(Debug)]
pub(crate) struct Clock {
    base: Instant,
    moved: Option<ManualClock>,
    is_moved_by_loop: bool,
}

impl Clock {
    pub(crate) fn monotonic() -> Self {
        Self {
            base: ManualClock::new().now(),
            moved: None,
            is_moved_by_loop: false,
        }
    }

    /// A clock that stands still until the loop has nothing to do but wait.
    pub(crate) fn simulated() -> Self {
        Self {
            is_moved_by_loop: true,
            ..Self::manual(ManualClock::new())
        }
    }

    pub(crate) fn manual(clock: ManualClock) -> Self {
        Self {
            base: clock.now(),
            moved: Some(clock),
            is_moved_by_loop: false,
        }
    }

    /// Whether time passes only by somebody's hand.
    pub(crate) fn is_manual(&self) -> bool {
        self.moved.is_some() && !self.is_moved_by_loop
    }

    /// Follows the loop, which has waited for `time`, if it is the loop that moves this clock.
    pub(crate) fn has_waited(&self, time: Duration) {
        if let Some(clock) = self.moved.as_ref().filter(|_| self.is_moved_by_loop) {
            clock.advance(time);
        }
    }

    /// Whether waiting moves this clock, instead of time.
    pub(crate) fn is_simulated(&self) -> bool {
        self.is_moved_by_loop
    }

    /// Whether it will be `tick` without anybody's doing.
    pub(crate) fn will_reach(&self, tick: Tick) -> bool {
        !self.is_manual() || tick <= self.read()
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "this file is where the time is read"
    )]
    pub(crate) fn now(&self) -> Instant {
        match &self.moved {
            Some(clock) => clock.now(),
            None => Instant::now(),
        }
    }

    /// The time when `timeout` is over, counted from now.
    pub(crate) fn after(&self, timeout: Duration) -> Instant {
        let now = self.now();
        now.checked_add(timeout).unwrap_or_else(|| now + CENTURY)
    }

    pub(crate) fn read(&self) -> Tick {
        self.tick(self.now())
    }

    /// The tick of an instant; whatever lies before the clock was made is its first tick.
    pub(crate) fn tick(&self, instant: Instant) -> Tick {
        let since = instant.saturating_duration_since(self.base).as_nanos();
        Tick(u64::try_from(since).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_follow_the_clock() {
        let manual = ManualClock::new();
        let clock = Clock::manual(manual.clone());
        let start = clock.tick(clock.now());
        manual.advance(Duration::from_micros(7));
        assert_eq!(
            clock.tick(clock.now()).since(start),
            Duration::from_micros(7)
        );
        assert_eq!(start.since(clock.tick(clock.now())), Duration::ZERO);
    }

    #[test]
    fn an_instant_before_the_clock_is_its_first_tick() {
        let clock = Clock::monotonic();
        let earlier = clock
            .base
            .checked_sub(Duration::from_millis(1))
            .expect("not at boot");
        assert_eq!(clock.tick(earlier), Tick::default());
    }
}
