//! [`negotiate()`], a stream once both sides of its tunnel agree.

use std::cell::{Cell, RefCell};
use std::io::{self, ErrorKind};
use std::rc::Rc;

use tevent::{Completer, Context, End, Readiness, Request, WeakContext, Work};

use super::Tunnel;
use super::layer::Layer;
use crate::errors;
use crate::ready::{Front, Ready};
use crate::session::{Driver, Io, Limits};
use crate::slot::holds;
use crate::stream::{Stream, StreamOps as _};

/// A stream through the tunnel that `make` makes, once its two sides agree: as
/// [`tunnel()`](super::tunnel()), for one that [negotiates](Tunnel::is_negotiating) first.
///
/// `kind` is what the request is called where people look for it.
///
/// # Completion
/// When the tunnel negotiates no more and what it sent has gone out, with the stream and what `learn`
/// learns from the tunnel. There is no limit of time but a deadline of the request.
///
/// # Cancellation
/// Dropping the request closes `stream`.
///
/// # Errors
/// That of the tunnel; `EPIPE` if its end is a good one and comes before both agree; `EBUSY`, `ENOTCONN` or
/// the error of its write side if `stream` is in use or has ended; else the errors of `stream`.
///
/// # Panics
/// If `stream` is of another context.
#[track_caller]
pub fn negotiate<T: Tunnel, L: 'static>(
    ctx: &Context,
    stream: Stream,
    kind: &'static str,
    limits: Limits,
    make: impl FnOnce(&Io) -> T,
    learn: fn(&mut T) -> L,
) -> Request<(Stream, L)> {
    let transport = match stream.into_transport() {
        Ok(transport) => transport,
        Err(refused) => return Request::finished(ctx, kind, Err(refused.error)),
    };
    transport.assert_on(ctx);
    let (request, completer) = Request::pair(ctx, kind);
    let ready = transport.ready();
    let driver = Driver::new(limits, make);
    let negotiation = Rc::new(Negotiation {
        ctx: ctx.downgrade(),
        ready: ready.clone(),
        layer: RefCell::new(Some(Layer::new(ctx, transport, driver))),
        completer: Cell::new(None),
        learn,
    });
    let front: Rc<dyn Front> = negotiation.clone();
    ready.set_front(Rc::downgrade(&front));
    completer.set_work(negotiation.clone(), 0);
    negotiation.completer.set(Some(completer));
    negotiation.advance(Readiness::NONE);
    request
}

/// The front of a stream that nobody can use yet.
struct Negotiation<T: Tunnel, L: 'static> {
    ctx: WeakContext,
    ready: Ready,
    layer: RefCell<Option<Layer<T>>>,
    completer: Cell<Option<Completer<(Stream, L)>>>,
    learn: fn(&mut T) -> L,
}

impl<T: Tunnel, L: 'static> Negotiation<T, L> {
    // Invariant: the layer is out of its cell while it works, which may end the request.
    fn advance(&self, told: Readiness) {
        let Some(mut layer) = self.layer.take() else {
            return;
        };
        let told = layer.told(told);
        let negotiated = match layer.negotiate() {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                if holds(&self.completer) {
                    // Reads are always wanted.
                    layer.unwanted(told - Readiness::READ - Readiness::ERROR);
                    self.layer.replace(Some(layer));
                }
                return;
            }
            negotiated => negotiated,
        };
        if let Some(completer) = self.completer.take() {
            completer.finish(negotiated.and_then(|()| self.give(layer)));
        }
    }

    fn give(&self, mut layer: Layer<T>) -> io::Result<(Stream, L)> {
        let ctx = self.ctx.upgrade().ok_or_else(errors::context_gone)?;
        let learned = (self.learn)(layer.tunnel());
        // So that the transport tells of what the peer sends while nobody reads.
        self.ready.schedule(Readiness::READ);
        let stream = Stream::in_front_of(&ctx, Box::new(layer), self.ready.clone());
        Ok((stream, learned))
    }
}

impl<T: Tunnel, L: 'static> Front for Negotiation<T, L> {
    fn on_ready(self: Rc<Self>, told: Readiness) {
        self.advance(told);
    }
}

impl<T: Tunnel, L: 'static> Work for Negotiation<T, L> {
    fn stopped(self: Rc<Self>, _: usize, end: End) {
        drop(self.layer.take());
        if let (Some(completer), true) = (self.completer.take(), end != End::Dropped) {
            completer.error(end.into());
        }
    }
}
