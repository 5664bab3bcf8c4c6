//! [`Interval`], ticks at a steady pace.

use std::cell::Cell;
use std::fmt;
use std::io;
use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::context::{Context, WeakContext};
use crate::error;
use crate::request::{Completer, End, Request, Work};
use crate::run_queue::Run;
use crate::token::Token;

/// Ticks at a steady pace: the first one `period` from now, then one each `period`.
///
/// A tick is a request, [`Interval::tick`]; whoever is late loses ticks, but never the pace.
///
/// # Errors
/// `EINVAL` for a period of zero.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use tevent::{Context, interval};
///
/// # fn main() -> std::io::Result<()> {
/// let ctx = Context::new()?;
/// let heartbeat = interval(&ctx, Duration::from_millis(1))?;
/// let beats = ctx.spawn(async move {
///     for _ in 0..3 {
///         let missed = heartbeat.tick().await?;
///         println!("beat, {missed} left out");
///     }
///     std::io::Result::Ok(())
/// });
/// ctx.run_until(beats)???;
/// # Ok(())
/// # }
/// ```
pub fn interval(ctx: &Context, period: Duration) -> io::Result<Interval> {
    if period.is_zero() {
        return Err(error::no_period());
    }
    let pace = Pace {
        ctx: ctx.downgrade(),
        period,
        next: Cell::new(ctx.after(period)),
        is_awaited: Cell::new(false),
    };
    Ok(Interval {
        pace: Rc::new(pace),
    })
}

/// Ticks at a steady pace, made by [`interval()`].
///
/// Ticks lie on a fixed grid, whole periods from where the interval began. A tick that passes while
/// nobody waits for it is due at once when somebody does; of several that have passed only one is
/// given and the others are counted, so that a stall is followed by no burst and moves no later tick.
///
/// It keeps [`Context::run`] going only while a tick is waited for, and does not keep its context
/// alive.
pub struct Interval {
    pace: Rc<Pace>,
}

struct Pace {
    ctx: WeakContext,
    period: Duration,
    // The earliest tick that nobody was told of.
    next: Cell<Instant>,
    is_awaited: Cell<bool>,
}

impl Interval {
    /// A request that is done at the next tick, with the number of ticks that were missed before it.
    ///
    /// The tick comes also if the interval is dropped meanwhile. Dropping the request before
    /// its tick misses nothing: the next one gets the same tick.
    ///
    /// # Errors
    /// `EBUSY` while another request waits for the tick.
    #[track_caller]
    pub fn tick(&self) -> Request<u64> {
        let pace = &self.pace;
        if pace.is_awaited.replace(true) {
            return Request::finished(&pace.ctx, "tick", Err(error::tick_awaited()));
        }
        let (request, completer) = Request::pair(&pace.ctx, "tick");
        let awaited = Rc::new(Awaited {
            pace: pace.clone(),
            timer: Cell::new(Token::NOBODY),
            completer: Cell::new(None),
        });
        completer.set_work(awaited.clone(), 0);
        awaited.completer.set(Some(completer));
        if let Some(ctx) = pace.ctx.upgrade() {
            let timer = ctx.arm(pace.next.get(), awaited.clone());
            awaited.timer.set(timer);
        }
        request
    }

    /// The time from one tick to the next.
    #[must_use]
    pub fn period(&self) -> Duration {
        self.pace.period
    }
}

impl fmt::Debug for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Interval")
            .field("period", &self.pace.period)
            .finish_non_exhaustive()
    }
}

impl Pace {
    /// The tick that is due has come: sets the next one, and returns how many were missed before it.
    fn advance(&self, ctx: &Context) -> u64 {
        let now = ctx.now();
        let late = now.saturating_duration_since(self.next.get()).as_nanos();
        let period = self.period.as_nanos();
        // Less than a period, and periods that end within reach are shorter than five centuries.
        let since_tick = Duration::from_nanos(u64::try_from(late % period).unwrap_or(u64::MAX));
        let next = now.checked_add(self.period.saturating_sub(since_tick));
        self.next
            .set(next.unwrap_or_else(|| ctx.after(self.period)));
        u64::try_from(late / period).unwrap_or(u64::MAX)
    }
}

/// The work of a request for a tick.
struct Awaited {
    pace: Rc<Pace>,
    timer: Cell<Token>,
    completer: Cell<Option<Completer<u64>>>,
}

impl Run for Awaited {
    fn run(self: Rc<Self>, ctx: &Context) {
        if let Some(completer) = self.completer.take() {
            self.pace.is_awaited.set(false);
            completer.done(self.pace.advance(ctx));
        }
    }
}

impl Work for Awaited {
    fn stopped(self: Rc<Self>, _: usize, _: End) {
        drop(self.completer.take());
        self.pace.is_awaited.set(false);
        if let Some(ctx) = self.pace.ctx.upgrade() {
            ctx.disarm(self.timer.get());
        }
    }
}
