//! [`wakeup`], a request that ends at a point in time: the smallest request there is.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Instant;

use crate::context::{Context, WeakContext};
use crate::request::{Completer, End, Request, Work};
use crate::run_queue::Run;
use crate::token::Token;

/// A request that is done once `deadline` has passed; dropping it takes its timer with it.
///
/// This is also how to write a request of one's own: make a pair, hand the completer to whatever will
/// know the end, and leave the request a [`Work`] that gives up the place if nobody waits any more.
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// let ctx = tevent::Context::new()?;
/// let start = ctx.now();
/// let nap = std::time::Duration::from_millis(2);
/// ctx.run_until(tevent::wakeup(&ctx, start + nap))??;
/// assert!(ctx.now() >= start + nap);
/// # Ok(())
/// # }
/// ```
#[doc(alias = "tevent_wakeup_send")]
#[doc(alias = "tevent_wakeup_recv")]
#[track_caller]
pub fn wakeup(ctx: &Context, deadline: Instant) -> Request<()> {
    let (request, completer) = Request::pair(ctx, "wakeup");
    let wakeup = Rc::new(Wakeup {
        ctx: ctx.downgrade(),
        timer: Cell::new(Token::NOBODY),
        completer: Cell::new(None),
    });
    completer.set_work(wakeup.clone(), 0);
    wakeup.completer.set(Some(completer));
    wakeup.timer.set(ctx.arm(deadline, wakeup.clone()));
    request
}

struct Wakeup {
    ctx: WeakContext,
    timer: Cell<Token>,
    completer: Cell<Option<Completer<()>>>,
}

impl Run for Wakeup {
    fn run(self: Rc<Self>, _: &Context) {
        if let Some(completer) = self.completer.take() {
            completer.done(());
        }
    }
}

impl Work for Wakeup {
    fn stopped(self: Rc<Self>, _: usize, _: End) {
        drop(self.completer.take());
        if let Some(ctx) = self.ctx.upgrade() {
            ctx.disarm(self.timer.get());
        }
    }
}
