//! Running a context until one request or future is done.

use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{self, Poll, Wake, Waker};
use std::thread::{self, ThreadId};

use crate::context::Context;
use crate::error;
use crate::immediate::Immediate;
use crate::remote::Remote;
use crate::request::Request;

impl Context {
    /// Runs handlers until `request` is done, and returns its result.
    ///
    /// A completion that the request was given does not run.
    ///
    /// # Errors
    /// `ELOOP` if the context is running already; `EDEADLK` if nothing is left on it that could finish
    /// the request; `EAGAIN` if nothing is ready in polling mode; whatever the kernel answers to a
    /// wait. The request is dropped then.
    #[doc(alias = "tevent_req_poll")]
    #[doc(alias = "tevent_loop_until")]
    pub fn run_until<T, E>(&self, request: Request<T, E>) -> io::Result<Result<T, E>> {
        let node = request.node();
        self.run_for(&mut || node.has_result())?;
        node.take_result().ok_or_else(error::nothing_left)
    }

    /// Runs handlers until `future` is done, and returns what it returned.
    ///
    /// Unlike one that is [spawned](Self::spawn), the future may borrow.
    ///
    /// # Examples
    /// ```
    /// use std::time::Duration;
    /// use tevent::{Context, wakeup};
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let ctx = Context::new()?;
    /// let naps = ctx.block_on(async {
    ///     for _ in 0..3 {
    ///         wakeup(&ctx, ctx.now() + Duration::from_millis(1)).await?;
    ///     }
    ///     Ok::<_, std::io::Error>(3)
    /// })??;
    /// assert_eq!(naps, 3);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `ELOOP` if the context is running already; `EDEADLK` if nothing is left on it that could wake
    /// the future (another thread that may wake it counts only once it has); `EAGAIN` if nothing is
    /// ready in polling mode; whatever the kernel answers to a wait.
    pub fn block_on<T>(&self, future: impl Future<Output = T>) -> io::Result<T> {
        let mut future = pin!(future);
        let root = Arc::new(Root {
            is_woken: AtomicBool::new(true),
            home: thread::current().id(),
            remote: self.remote(),
        });
        let waker = Waker::from(root.clone());
        // A future that wakes itself has given way: it goes to the end of the line.
        let again = Immediate::new(self, || {});
        let mut value = None;
        self.run_for(&mut || {
            if !root.is_woken.swap(false, Ordering::AcqRel) {
                return false;
            }
            let polled = future.as_mut().poll(&mut task::Context::from_waker(&waker));
            if let Poll::Ready(ready) = polled {
                value = Some(ready);
            } else if root.is_woken.load(Ordering::Acquire) {
                again.schedule();
            }
            value.is_some()
        })?;
        value.ok_or_else(error::nothing_left)
    }
}

/// Wakes the future of a `block_on`.
struct Root {
    is_woken: AtomicBool,
    home: ThreadId,
    remote: Remote,
}

impl Wake for Root {
    fn wake(self: Arc<Self>) {
        self.is_woken.store(true, Ordering::Release);
        // On its own thread the loop is awake, and looks after each handler. From elsewhere it is given
        // one to run: a mere wake-up that comes as a round begins would be taken without a look.
        if thread::current().id() != self.home {
            // A context that is gone blocks on nothing.
            self.remote.send(|_| ()).ok();
        }
    }
}
