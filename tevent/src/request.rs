//! [`Request`], one asynchronous computation with one result, beside its [`Completer`].

mod cleanup;
mod ended;
mod held;
mod node;
mod notice;
mod sink;

use std::fmt;
use std::future::Future;
use std::io;
use std::panic::Location;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{self, Poll};
use std::time::{Duration, Instant};

pub use ended::{End, Ended, Work};
pub(crate) use held::Held;
pub(crate) use node::Node;
pub(crate) use sink::Sink;

use crate::context::WeakContext;
use crate::dump::Progress;

/// One asynchronous computation with one result: what its caller holds.
///
/// - The result is delivered once: to the completion given to [`on_done`](Self::on_done), to whoever
///   awaits the request, or to [`Context::run_until`](crate::Context::run_until); or never, if the request is dropped first.
/// - A completion never runs inside the call that starts, finishes, cancels or drops anything. It runs
///   from the loop.
/// - Dropping a request cancels it, at once and downwards: its state, its buffers and the requests
///   that it consists of go with it.
///
/// Somebody has to own a request until it is done: a variable, another request ([`Steps`]), a
/// [`Group`], or the context itself ([`detach`](Self::detach)).
///
/// A completion that owns the request's owner is a cycle that keeps both alive for ever:
/// `conn.read = Some(stream.read(64).on_done(move |_| use_it(&conn)))` with an `Rc` in `conn`. Let the
/// completion hold a `Weak`, or write the computation as [`Steps`] or as a future, which own their
/// state and have no such cycle.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use tevent::{Context, Request, wakeup};
///
/// # fn main() -> std::io::Result<()> {
/// let ctx = Context::new()?;
/// // An implementor starts a request, keeps the completer, and finishes it later.
/// let (request, completer) = Request::<u32>::pair(&ctx, "answer");
/// let timer = wakeup(&ctx, ctx.now() + Duration::from_millis(1)).on_done(|_| completer.done(42));
/// assert_eq!(ctx.run_until(request)??, 42);
/// # Ok(())
/// # }
/// ```
///
/// # Source
/// `struct tevent_req`. Differs: typed; finishing twice does not compile; the completion always comes
/// from the loop, so that there is no `tevent_req_post()`.
///
/// [`Steps`]: crate::Steps
/// [`Group`]: crate::Group
#[doc(alias = "tevent_req")]
#[must_use = "dropping a request cancels it"]
pub struct Request<T: 'static, E: 'static = io::Error> {
    // Invariant: there until `held` or the drop takes it.
    node: Option<Rc<Node<T, E>>>,
}

/// The right and the duty to finish a [`Request`]: what its implementor holds.
///
/// Finishing takes the completer, so that it happens once. If the request has been dropped, was ended
/// from outside, or its context is gone, finishing does nothing: there is no reader. Dropping a
/// completer ends the request with [`Ended::Abandoned`].
#[must_use = "dropping a completer ends its request as abandoned"]
pub struct Completer<T: 'static, E: 'static = io::Error> {
    node: Option<Rc<Node<T, E>>>,
}

impl<T: 'static, E: From<Ended> + 'static> Request<T, E> {
    /// A new request and the completer that finishes it.
    ///
    /// `kind` is what the request is called where people look for it, as in [`Context::dump`](crate::Context::dump). A
    /// request made while a step or a future runs is shown as a part of it. `ctx` is a context or a
    /// [`WeakContext`]; if it is gone, nothing will ever run the completion.
    #[doc(alias = "tevent_req_create")]
    #[track_caller]
    pub fn pair(ctx: impl Into<WeakContext>, kind: &'static str) -> (Self, Completer<T, E>) {
        Self::from_node(Node::new(ctx.into(), kind, Location::caller(), E::from))
    }

    /// A request that is finished already; its completion still comes from the loop.
    #[doc(alias = "tevent_req_post")]
    #[track_caller]
    pub fn finished(ctx: impl Into<WeakContext>, kind: &'static str, result: Result<T, E>) -> Self {
        let node = Node::finished(ctx.into(), kind, Location::caller(), E::from, result);
        Self { node: Some(node) }
    }
}

/// Why a request has its node: only `held` and the drop take it, and the request with it.
const WHOLE: &str = "a request has its node as long as it can be called";

impl<T: 'static, E: 'static> Request<T, E> {
    /// Has `completion` run from the loop, once, with the result; in place of an earlier one.
    ///
    /// Returns the request itself: dropping it still cancels.
    #[doc(alias = "tevent_req_set_callback")]
    pub fn on_done(self, completion: impl FnOnce(Result<T, E>) + 'static) -> Self {
        let completion = Sink::Completion(Box::new(completion));
        self.node().set_completion(completion);
        self
    }

    /// As [`on_done`](Self::on_done), with a completion that serves one request after the other: it is
    /// allocated once, and not once for each of them.
    ///
    /// # Examples
    /// ```
    /// use std::cell::Cell;
    /// use std::rc::Rc;
    /// use tevent::{Context, Request};
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let ctx = Context::new()?;
    /// let sum = Rc::new(Cell::new(0));
    /// let added: Rc<dyn Fn(std::io::Result<u32>)> = Rc::new({
    ///     let sum = sum.clone();
    ///     move |result| sum.set(sum.get() + result.unwrap_or(0))
    /// });
    /// for number in [3, 4] {
    ///     let (request, completer) = Request::<u32>::pair(&ctx, "number");
    ///     let request = request.on_done_shared(&added);
    ///     completer.done(number);
    ///     ctx.run()?;
    ///     drop(request);
    /// }
    /// assert_eq!(sum.get(), 7);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Source
    /// `tevent_req_set_callback()`, whose callback is a function, and so is never allocated.
    pub fn on_done_shared(self, completion: &Rc<dyn Fn(Result<T, E>)>) -> Self {
        let completion = Sink::Shared(completion.clone());
        self.node().set_completion(completion);
        self
    }

    /// Has `handler` run from the loop when the request tells how far it has come; in place of an
    /// earlier one.
    ///
    /// It is told the latest progress only, however often the implementor told since it last ran. It
    /// never runs after the request has finished: what was still to be told by then is left out.
    ///
    /// # Examples
    /// ```
    /// use tevent::{Context, Progress, Request};
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let ctx = Context::new()?;
    /// let (copy, completer) = Request::<()>::pair(&ctx, "copy");
    /// let copy = copy.on_notify(|progress| println!("{progress} bytes copied"));
    /// completer.notify(Progress::of(512, 4096));
    /// # ctx.run()?;
    /// # drop((copy, completer));
    /// # Ok(())
    /// # }
    /// ```
    pub fn on_notify(self, handler: impl FnMut(Progress) + 'static) -> Self {
        self.node().set_notice(Box::new(handler));
        self
    }

    /// Whether it has been finished, its result delivered or not.
    #[doc(alias = "tevent_req_is_in_progress")]
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.node().is_finished()
    }

    /// Ends the request with [`Ended::TimedOut`] once `deadline` has passed; replaces an earlier one.
    #[doc(alias = "tevent_req_set_endtime")]
    pub fn set_deadline(&self, deadline: Instant) {
        self.node().set_deadline(Some(deadline));
    }

    /// Ends the request with [`Ended::TimedOut`] once `timeout` is over, counted from now.
    pub fn set_timeout(&self, timeout: Duration) {
        if let Some(ctx) = self.node().ctx() {
            self.node().set_deadline(Some(ctx.after(timeout)));
        }
    }

    /// Takes the deadline away.
    #[doc(alias = "tevent_req_reset_endtime")]
    pub fn clear_deadline(&self) {
        self.node().set_deadline(None);
    }

    /// Asks the request to end early; its completion comes from the loop as always and tells whether
    /// it did.
    ///
    /// An implementor may have a way of its own ([`Completer::on_cancel`]), which may take time or
    /// come too late; it is asked once, however often this is called. Otherwise the request ends with [`Ended::Canceled`].
    #[doc(alias = "tevent_req_cancel")]
    pub fn cancel(&self) {
        self.node().cancel();
    }

    pub(crate) fn from_node(node: Rc<Node<T, E>>) -> (Self, Completer<T, E>) {
        (
            Self {
                node: Some(node.clone()),
            },
            Completer { node: Some(node) },
        )
    }

    /// The same request without its type.
    pub(crate) fn held(mut self) -> Held {
        Held::new(self.node.take().expect(WHOLE))
    }

    pub(crate) fn node(&self) -> &Rc<Node<T, E>> {
        self.node.as_ref().expect(WHOLE)
    }
}

impl<T: 'static, E: 'static> Drop for Request<T, E> {
    #[inline]
    fn drop(&mut self) {
        if let Some(node) = self.node.take() {
            node.release();
        }
    }
}

/// A request is a future of its result; it needs no executor other than its own context.
///
/// Polled again after it was ready, it panics.
impl<T: 'static, E: 'static> Future for Request<T, E> {
    type Output = Result<T, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<Self::Output> {
        match self.node().take_result() {
            Some(result) => Poll::Ready(result),
            None => {
                self.node().set_waker(cx.waker());
                Poll::Pending
            }
        }
    }
}

impl<T: 'static, E: 'static> fmt::Debug for Request<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.node().describe("Request", f)
    }
}

impl<T: 'static, E: 'static> Completer<T, E> {
    /// Ends the request with `value`.
    #[doc(alias = "tevent_req_done")]
    #[inline]
    pub fn done(self, value: T) {
        self.finish(Ok(value));
    }

    /// Ends the request with `error`.
    #[doc(alias = "tevent_req_error")]
    #[doc(alias = "tevent_req_oom")]
    #[inline]
    pub fn error(self, error: E) {
        self.finish(Err(error));
    }

    /// Ends the request with `result`.
    #[inline]
    pub fn finish(mut self, result: Result<T, E>) {
        if let Some(node) = self.node.take() {
            node.finish(result);
        }
    }

    /// Tells how far the request has come: to [`Request::on_notify`], from the loop, and to the dump.
    ///
    /// # Source
    /// `tevent_req_notify_callback()`. Differs: it runs a handler of its own, not the completion.
    #[doc(alias = "tevent_req_notify_callback")]
    pub fn notify(&self, progress: Progress) {
        if let Some(node) = &self.node {
            node.notify(progress);
        }
    }

    /// Whether the request was dropped or ended from outside, so that nobody waits for the result.
    #[must_use]
    pub fn is_moot(&self) -> bool {
        self.node.as_ref().is_none_or(|node| node.is_over())
    }

    /// Leaves `work` with the request, to be told when the request is dropped or ended from outside.
    ///
    /// The request owns `work` until it ends; `slot` is handed back to tell several requests of one
    /// `work` apart. Costs no allocation.
    pub fn set_work(&self, work: Rc<dyn Work>, slot: usize) {
        if let Some(node) = &self.node {
            node.set_work(work, slot);
        }
    }

    /// Has [`Request::cancel`] call `handler` instead of ending the request by itself.
    #[doc(alias = "tevent_req_set_cancel_fn")]
    pub fn on_cancel(&self, handler: impl FnOnce() + 'static) {
        if let Some(node) = &self.node {
            node.set_cancel(Box::new(handler));
        }
    }

    /// Has `hook` run when the request ends in whichever way, before its completion.
    ///
    /// Several hooks run in the order in which they were added, each once, also behind one that panics.
    #[doc(alias = "tevent_req_set_cleanup_fn")]
    pub fn on_cleanup(&self, hook: impl FnOnce(End) + 'static) {
        if let Some(node) = &self.node {
            node.add_cleanup(Box::new(hook));
        }
    }
}

impl<T: 'static, E: 'static> Drop for Completer<T, E> {
    #[inline]
    fn drop(&mut self) {
        if let Some(node) = self.node.take() {
            node.end(Ended::Abandoned);
        }
    }
}

impl<T: 'static, E: 'static> fmt::Debug for Completer<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.node {
            Some(node) => node.describe("Completer", f),
            None => f.write_str("Completer"),
        }
    }
}
