//! [`Steps`], a request made of other requests, one after the other.

use std::cell::Cell;
use std::fmt;
use std::io;
use std::panic::Location;
use std::rc::{Rc, Weak};

use crate::context::{Context, WeakContext};
use crate::dump::Progress;
use crate::request::{Completer, End, Ended, Held, Node, Request, Work};
use crate::token::Token;

/// Starts requests that consist of other requests.
///
/// Such a request is a state and functions that each take one step: look at the result of the last
/// subrequest, then start the next or finish. An error that a step returns ends the request, so `?`
/// does what one expects. The request owns its state and its current subrequest, so dropping it drops
/// them, and there is no cycle to fall into.
///
/// # Examples
/// Two naps, counted:
/// ```
/// use std::io;
/// use std::time::Duration;
/// use tevent::{Context, Request, Step, Steps, wakeup};
///
/// struct Naps {
///     ctx: Context,
///     taken: u32,
/// }
///
/// fn nap_twice(ctx: &Context) -> Request<u32> {
///     Steps::start(ctx, "nap twice", Naps { ctx: ctx.clone(), taken: 0 }, nap)
/// }
///
/// fn nap(step: &mut Step<'_, Naps, u32>) -> io::Result<()> {
///     let ctx = &step.state().ctx;
///     step.then(wakeup(ctx, ctx.now() + Duration::from_millis(1)), napped)
/// }
///
/// fn napped(step: &mut Step<'_, Naps, u32>, woken: io::Result<()>) -> io::Result<()> {
///     woken?;
///     step.state_mut().taken += 1;
///     let taken = step.state().taken;
///     if taken < 2 { nap(step) } else { step.done(taken) }
/// }
///
/// # fn main() -> io::Result<()> {
/// let ctx = Context::new()?;
/// assert_eq!(ctx.run_until(nap_twice(&ctx))??, 2);
/// # Ok(())
/// # }
/// ```
#[doc(alias = "tevent_req_data")]
#[derive(Debug)]
#[non_exhaustive]
pub struct Steps;

impl Steps {
    /// Starts a request called `kind` with `state`, and takes its first step at once.
    ///
    /// Whatever the first step does, the completion of the request comes from the loop.
    #[track_caller]
    pub fn start<S: 'static, T: 'static, E: From<Ended> + 'static>(
        ctx: &Context,
        kind: &'static str,
        state: S,
        first: impl FnOnce(&mut Step<'_, S, T, E>) -> Result<(), E>,
    ) -> Request<T, E> {
        let node = Node::new(ctx.downgrade(), kind, Location::caller(), E::from);
        let (request, completer) = Request::from_node(node);
        let resident = request.node().resident();
        let machine = Rc::new(Machine {
            ctx: ctx.downgrade(),
            resident,
            state: Cell::new(Some(state)),
            subreq: Cell::new(None),
            completer: Cell::new(None),
            is_stopped: Cell::new(false),
        });
        completer.set_work(machine.clone(), 0);
        machine.completer.set(Some(completer));
        machine.take_step(first);
        request
    }
}

// Invariant: state and completer are both there between steps, and both out while a step runs or
// after the end.
struct Machine<S: 'static, T: 'static, E: 'static> {
    ctx: WeakContext,
    resident: Token,
    state: Cell<Option<S>>,
    subreq: Cell<Option<Held>>,
    completer: Cell<Option<Completer<T, E>>>,
    is_stopped: Cell<bool>,
}

impl<S: 'static, T: 'static, E: 'static> Machine<S, T, E> {
    fn take_step(self: &Rc<Self>, step: impl FnOnce(&mut Step<'_, S, T, E>) -> Result<(), E>) {
        // Both are out while the step runs: it has the state to itself, and if it panics they are
        // dropped, which abandons the request.
        let (Some(state), Some(completer)) = (self.state.take(), self.completer.take()) else {
            return;
        };
        let Some(ctx) = self.ctx.upgrade() else {
            return;
        };
        let mut current = Step {
            machine: self,
            completer: &completer,
            state,
            next: Next::Nothing,
        };
        let result = {
            let _current = ctx.residents().make_current(self.resident);
            step(&mut current)
        };
        let Step { state, next, .. } = current;
        let over = match (result, next) {
            (Ok(()), Next::Subrequest) if self.is_stopped.get() => None,
            (Ok(()), Next::Subrequest) => {
                self.state.set(Some(state));
                self.completer.set(Some(completer));
                return;
            }
            (Ok(()), Next::Done(value)) => Some(Ok(value)),
            (Err(error), _) => Some(Err(error)),
            // Dropping the completer says so: nothing could ever finish this request.
            (Ok(()), Next::Nothing) => None,
        };
        let subreq = self.subreq.take();
        drop((subreq, state));
        if let Some(result) = over {
            completer.finish(result);
        }
    }
}

impl<S: 'static, T: 'static, E: 'static> Work for Machine<S, T, E> {
    fn stopped(self: Rc<Self>, _: usize, _: End) {
        self.is_stopped.set(true);
        let (subreq, state, completer) =
            (self.subreq.take(), self.state.take(), self.completer.take());
        drop((subreq, state, completer));
    }
}

/// One step of a request: its state, and the choice of how to go on.
///
/// A step starts the next subrequest with [`then`](Self::then), finishes with [`done`](Self::done),
/// or fails by returning an error. One that does none of these ends its request with
/// [`Ended::Abandoned`], because nothing could ever finish it.
pub struct Step<'a, S: 'static, T: 'static, E: 'static = io::Error> {
    machine: &'a Rc<Machine<S, T, E>>,
    completer: &'a Completer<T, E>,
    state: S,
    next: Next<T>,
}

enum Next<T> {
    Nothing,
    Subrequest,
    Done(T),
}

impl<S: 'static, T: 'static, E: 'static> Step<'_, S, T, E> {
    /// The state of the request.
    #[must_use]
    pub fn state(&self) -> &S {
        &self.state
    }

    /// The state of the request, to be changed.
    pub fn state_mut(&mut self) -> &mut S {
        &mut self.state
    }

    /// Tells how far the request has come, as [`Completer::notify`] does.
    pub fn notify(&self, progress: Progress) {
        self.completer.notify(progress);
    }

    /// Goes on with `next` when `subreq` is done; in place of an earlier choice of this step.
    ///
    /// The request owns `subreq` until then.
    ///
    /// # Errors
    /// None: it returns what a step returns.
    pub fn then<U: 'static, F: 'static>(
        &mut self,
        subreq: Request<U, F>,
        next: impl FnOnce(&mut Step<'_, S, T, E>, Result<U, F>) -> Result<(), E> + 'static,
    ) -> Result<(), E> {
        let machine: Weak<Machine<S, T, E>> = Rc::downgrade(self.machine);
        let subreq = subreq.on_done(move |result| {
            if let Some(machine) = machine.upgrade() {
                machine.take_step(|step| next(step, result));
            }
        });
        let before = self.machine.subreq.replace(Some(subreq.held()));
        drop(before);
        self.next = Next::Subrequest;
        Ok(())
    }

    /// Ends the request with `value`; in place of an earlier choice of this step.
    ///
    /// # Errors
    /// None: it returns what a step returns.
    pub fn done(&mut self, value: T) -> Result<(), E> {
        self.next = Next::Done(value);
        Ok(())
    }
}

impl<S: 'static, T: 'static, E: 'static> fmt::Debug for Step<'_, S, T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Step").finish_non_exhaustive()
    }
}
