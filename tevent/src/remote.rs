//! [`Remote`], the way into a context from other threads.

mod inbox;

use std::error::Error;
use std::fmt;
use std::panic::Location;
use std::sync::Arc;

pub(crate) use inbox::{Call, Inbox};

use crate::context::Context;
use crate::wake::Wake;
use inbox::Door;

/// Work for a context, as it travels.
pub type RemoteCall = Box<dyn FnOnce(&Context) + Send>;

/// Sends work to a context from any thread.
///
/// Work sent by one thread runs in the order in which it was sent, in the loop, in line with
/// everything else that is ready there. A wait is ended once for any number of pieces of work.
///
/// A remote does not keep its context alive, and an idle one does not keep [`Context::run`] going;
/// work that was sent before does.
///
/// # Examples
/// ```
/// use std::cell::Cell;
/// use tevent::Context;
///
/// # fn main() -> std::io::Result<()> {
/// thread_local!(static ANSWER: Cell<u32> = const { Cell::new(0) });
/// let ctx = Context::new()?;
/// let remote = ctx.remote();
/// std::thread::spawn(move || remote.send(|_| ANSWER.set(42))).join().unwrap().unwrap();
/// ctx.run()?;
/// assert_eq!(ANSWER.get(), 42);
/// # Ok(())
/// # }
/// ```
///
/// # Source
/// `tevent_thread_proxy_schedule()`, `tevent_threaded_schedule_immediate()`. Differs: first in, first
/// out; and work for a context that is gone comes back.
#[doc(alias = "tevent_thread_proxy_create")]
#[doc(alias = "tevent_threaded_context_create")]
#[derive(Clone)]
pub struct Remote {
    door: Arc<Door>,
    wake: Arc<Wake>,
}

impl Remote {
    /// Runs `work` in the loop, with the context.
    ///
    /// Work that is still in line when the context is dropped is dropped with it.
    ///
    /// # Errors
    /// The work comes back if the context is gone, or was [made anew](Context::re_initialise) since.
    #[doc(alias = "tevent_thread_proxy_schedule")]
    #[doc(alias = "tevent_threaded_schedule_immediate")]
    #[track_caller]
    pub fn send(&self, work: impl FnOnce(&Context) + Send + 'static) -> Result<(), Undelivered> {
        let call = Call::new(Box::new(work), Location::caller());
        let refused = self.door.in_this_process().send(call);
        refused.map_err(|call| Undelivered { call: call.work })?;
        self.wake.wake();
        Ok(())
    }
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Remote")
            .field("queued", &self.door.in_this_process().sender.len())
            .finish_non_exhaustive()
    }
}

/// Work whose context is gone.
pub struct Undelivered {
    /// The work, as it was sent; it can be sent elsewhere.
    pub call: RemoteCall,
}

impl fmt::Debug for Undelivered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Undelivered").finish_non_exhaustive()
    }
}

impl fmt::Display for Undelivered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the context that the work was sent to is gone")
    }
}

impl Error for Undelivered {}
