//! [`ContextBuilder`], the choices a context is made with.

use std::cell::{Cell, RefCell};
use std::env;
use std::io;
use std::rc::Rc;
use std::sync::Arc;

use super::{Context, Inner, Round};
use crate::clock::{Clock, ManualClock};
use crate::dump::Residents;
use crate::fd::FdTable;
use crate::poller;
use crate::remote::Inbox;
use crate::stats::Counters;
use crate::sys;
use crate::timer::heap::Heap;
use crate::token::Table;
use crate::trace::Tracing;
use crate::wake::Wake;

/// The choices for a [`Context`]; made by [`Context::builder`].
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// let ctx = tevent::Context::builder().backend("polling").build()?;
/// assert_eq!(ctx.backend(), "polling");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "a builder makes nothing until `build`"]
pub struct ContextBuilder {
    backend: Option<String>,
    clock: Option<ManualClock>,
}

impl ContextBuilder {
    /// The back end called `name`, one of [`Context::backend_list`], whatever `TEVENT_BACKEND` says.
    #[doc(alias = "tevent_set_default_backend")]
    pub fn backend(mut self, name: &str) -> Self {
        self.backend = Some(name.to_owned());
        self
    }

    /// A clock that stands still until it is moved; on the back end `sim` as well, which then does not
    /// move it either.
    pub fn manual_clock(mut self, clock: &ManualClock) -> Self {
        self.clock = Some(clock.clone());
        self
    }

    /// Makes the context.
    ///
    /// # Errors
    /// As for [`Context::new`].
    pub fn build(self) -> io::Result<Context> {
        let named = self.backend.or_else(|| env::var("TEVENT_BACKEND").ok());
        let backend = named.as_deref().unwrap_or(poller::BACKENDS[0]);
        let clock = match self.clock {
            Some(clock) => Clock::manual(clock),
            None if backend == poller::SIM => Clock::simulated(),
            None => Clock::monotonic(),
        };
        let wake = Arc::new(Wake::new()?);
        let fds = FdTable::new(backend, wake.clone())?;
        let inner = Inner {
            now: Cell::new(clock.now()),
            clock,
            wait_limit: Cell::new(None),
            round: Round::default(),
            run_queue: RefCell::default(),
            timers: RefCell::new(Heap::default()),
            fds: RefCell::new(fds),
            signals: RefCell::new(Table::default()),
            wake,
            inbox: RefCell::new(Inbox::new()),
            expected: RefCell::default(),
            forks: Cell::new(sys::forks()),
            counters: Rc::new(Counters::default()),
            residents: Residents::new(),
            locals: RefCell::default(),
            tracing: Tracing::default(),
        };
        Ok(Context {
            inner: Rc::new(inner),
        })
    }
}
