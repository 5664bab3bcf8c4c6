//! A small, fast, single-threaded reactor: event sources, requests with completions, queues.
//!
//! # Tour
//!
//! 1. A [`Context`] is one event loop. [`Context::run`] handles what happens until nothing is left
//!    that could; its documentation states the order.
//! 2. Event sources run a handler each time something happens: [`FdEvent`] (a descriptor is ready),
//!    [`Timer`] (a deadline has passed), [`Signal`] (the process was signalled), [`Immediate`] (the
//!    loop has come to it), and [`Remote`] (another thread has sent work).
//! 3. A [`Request`] is one computation with one result, which its [`Completer`] provides once. The
//!    result goes to a completion, from the loop and never from inside a call. Dropping a request
//!    cancels it. [`wakeup()`] is the smallest one, and an [`interval()`] gives many.
//! 4. Requests are combined with [`Steps`] (one after the other), [`join`] and [`race`] (all or the
//!    first of several), [`Queue`] (one at a time) and [`Group`] (an owner of many); or with `async`
//!    and `await`: a request is a future, and [`Context::spawn`] makes a request of any future.
//! 5. [`Context::dump`] shows what is outstanding, a [`Profile`] what one request consisted of,
//!    [`Context::stats`] what was done, [`Context::set_trace`] what happens,
//!    [`Context::on_slow_handler`] who holds it up, and a [`ManualClock`] lets hours pass at once in a
//!    test.
//!
//! Everything stays on the thread that made it; only [`Remote`] crosses threads. Names of the C
//! library (`tevent_add_fd`, …) are search aliases; [`porting`] lists all of them.
//!
//! # Examples
//! ```
//! use std::time::Duration;
//! use tevent::{Context, Signal, wakeup};
//!
//! # fn main() -> std::io::Result<()> {
//! let ctx = Context::new()?;
//! let stop = Signal::new(&ctx, Signal::TERM, |_| println!("asked to stop"))?;
//! wakeup(&ctx, ctx.now() + Duration::from_millis(1))
//!     .on_done(move |_| drop(stop)) // the last thing that kept the loop going
//!     .detach();
//! ctx.run()
//! # }
//! ```

#[doc = include_str!("../PORTING.md")]
pub mod porting {}

#[cfg(not(unix))]
compile_error!("tevent needs a unix system: its event sources are descriptors and signals");

mod clock;
mod combine;
mod context;
mod dump;
mod error;
mod fd;
mod group;
mod immediate;
mod interest;
mod interval;
mod list;
mod poller;
mod pool;
mod profile;
mod queue;
mod remote;
mod request;
mod run;
mod run_queue;
mod signal;
mod stats;
mod steps;
mod sys;
mod task;
mod timer;
mod token;
mod trace;
mod wake;
mod wakeup;

pub use clock::ManualClock;
pub use combine::{both, join, race};
pub use context::{Context, ContextBuilder, WeakContext};
pub use dump::{Dump, DumpEntry, Progress};
pub use fd::{FdError, FdEvent};
pub use group::{Group, Stray};
pub use immediate::Immediate;
pub use interest::{Interest, Readiness};
pub use interval::{Interval, interval};
pub use profile::{Profile, ProfileEntry};
pub use queue::{Charge, Queue, QueueEntry};
pub use remote::{Remote, RemoteCall, Undelivered};
pub use request::{Completer, End, Ended, Request, Work};
pub use signal::{Delivery, Signal, SignalInfo};
pub use stats::{Counters, Stats};
pub use steps::{Step, Steps};
pub use timer::Timer;
pub use trace::{SlowHandler, SlowHook, TraceHook, TraceKind, TracePoint, Traced};
pub use wakeup::wakeup;
