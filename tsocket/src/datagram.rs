//! [`Datagram`], an endpoint of messages: the requests in front of an implementation.

mod in_turn;
mod ops;

use std::cell::{Cell, RefCell};
use std::fmt;
use std::io::{self, ErrorKind, IoSlice};
use std::rc::Rc;

use tevent::{Completer, Context, End, Readiness, Request, WeakContext, Work};

pub use ops::{DatagramOps, Received};

use crate::buffers::{Parts, WriteBuffers};
use crate::chunk::{Chunk, Pool};
use crate::ready::{Front, Ready};
use crate::slot::holds;
use crate::{Address, Failed, errors};

/// How many empty datagrams are skipped in one go, so that a flood of them starves nobody.
const SKIP_BUDGET: usize = 64;

const RECEIVE: usize = 0;
const SEND: usize = 1;

/// An endpoint that sends and receives whole messages.
///
/// It belongs to the context it was made on. It is a handle: clones are the same endpoint, and when the
/// last one is gone it is [aborted](Self::abort). One receive and one send may be outstanding; a second
/// one fails with `EBUSY`. Errors are not sticky: each belongs to one operation.
///
/// An empty datagram is skipped and [counted](Self::skipped), and none is sent, so that a length of 0
/// is never received; [`pass_empty`](Self::pass_empty) says otherwise.
///
/// # Source
/// `struct tdgram_context`. Differs: an empty datagram does not fail the receive.
#[doc(alias = "tdgram_context")]
pub struct Datagram {
    core: Rc<Core>,
}

// Invariant: `ops` is there until the endpoint is closed, and not borrowed while code of the caller
// runs.
struct Core {
    ctx: WeakContext,
    pool: Rc<Pool>,
    ready: Ready,
    ops: RefCell<Option<Box<dyn DatagramOps>>>,
    receive: Cell<Option<Completer<(Chunk, Address)>>>,
    send: Cell<Option<Box<dyn Send>>>,
    handles: Cell<usize>,
    skipped: Cell<u64>,
    passes_empty: Cell<bool>,
}

/// A send that waits for room.
trait Send {
    /// Makes one attempt.
    fn attempt(&self, core: &Core) -> io::Result<()>;

    /// Ends the request with `result`.
    fn finish(self: Box<Self>, result: io::Result<()>);
}

struct SendOne<B: WriteBuffers> {
    buffers: B,
    to: Option<Address>,
    completer: Completer<B, Failed<B>>,
}

impl<B: WriteBuffers> SendOne<B> {
    fn end(self, result: io::Result<()>) {
        let Self {
            buffers, completer, ..
        } = self;
        completer.finish(match result {
            Ok(()) => Ok(buffers),
            Err(error) => Err(Failed {
                error,
                buffers,
                transferred: 0,
            }),
        });
    }
}

impl<B: WriteBuffers> Send for SendOne<B> {
    fn attempt(&self, core: &Core) -> io::Result<()> {
        let mut parts = Parts::skipping(0);
        self.buffers.parts(&mut parts);
        core.try_send(parts.slices(), self.to.as_ref())
    }

    fn finish(self: Box<Self>, result: io::Result<()>) {
        self.end(result);
    }
}

impl Datagram {
    /// An endpoint of `ctx` in front of what `make` makes.
    ///
    /// # Errors
    /// Those of `make`.
    #[doc(alias = "tdgram_context_create")]
    pub fn new(
        ctx: &Context,
        make: impl FnOnce(Ready) -> io::Result<Box<dyn DatagramOps>>,
    ) -> io::Result<Self> {
        let ready = Ready::new(ctx);
        let ops = make(ready.clone())?;
        let core = Rc::new(Core {
            ctx: ctx.downgrade(),
            pool: ctx.local::<Pool>(),
            ready: ready.clone(),
            ops: RefCell::new(Some(ops)),
            receive: Cell::new(None),
            send: Cell::new(None),
            handles: Cell::new(1),
            skipped: Cell::new(0),
            passes_empty: Cell::new(false),
        });
        let front: Rc<dyn Front> = core.clone();
        ready.set_front(Rc::downgrade(&front));
        Ok(Self { core })
    }

    /// Receives the next datagram, with the address of its sender.
    ///
    /// While it waits it owns no buffer.
    ///
    /// # Cancellation
    /// A datagram stays for the next receive, unless the request has finished with it.
    ///
    /// # Errors
    /// `EBUSY` if a receive is outstanding; `EMSGSIZE` for a datagram of more than 64 KiB, which is
    /// lost; `ENOTCONN` if the endpoint was closed, `ECONNABORTED` if that happens meanwhile;
    /// `ESHUTDOWN` if the context is gone; `ECONNREFUSED` and the like, once each, for what came of
    /// earlier sends.
    #[doc(alias = "tdgram_recvfrom_send")]
    #[doc(alias = "tdgram_recvfrom_recv")]
    #[track_caller]
    pub fn recv_from(&self) -> Request<(Chunk, Address)> {
        let (request, completer) = Request::pair(&self.core.ctx, "recv from");
        match self.core.check(&self.core.receive) {
            Ok(()) => self.core.attempt_receive(completer, true),
            Err(error) => completer.error(error),
        }
        request
    }

    /// Sends `buffers` as one datagram to `to`, or to the connected peer, and returns them.
    ///
    /// # Completion
    /// When the layer below has taken the datagram; whether it arrives is another matter.
    ///
    /// # Cancellation
    /// A datagram that was not taken is not sent.
    ///
    /// # Errors
    /// With the buffers: `EINVAL` if they are empty and [may not be](Self::pass_empty); `EBUSY` if a send is outstanding; `EMSGSIZE` if they
    /// are too large for a datagram; `EDESTADDRREQ` or `ENOTCONN` without an address on an endpoint that
    /// is not connected; `ENOTCONN` if the endpoint was closed, `ECONNABORTED` if that happens meanwhile;
    /// `ESHUTDOWN` if the context is gone; whatever else the system says.
    #[doc(alias = "tdgram_sendto_send")]
    #[doc(alias = "tdgram_sendto_recv")]
    #[track_caller]
    pub fn send_to<B: WriteBuffers>(
        &self,
        buffers: B,
        to: Option<&Address>,
    ) -> Request<B, Failed<B>> {
        let (request, completer) = Request::pair(&self.core.ctx, "send to");
        self.send_with(SendOne {
            buffers,
            to: to.cloned(),
            completer,
        });
        request
    }

    fn send_with<B: WriteBuffers>(&self, send: SendOne<B>) {
        let mut parts = Parts::skipping(0);
        send.buffers.parts(&mut parts);
        let (_, len) = parts.extent();
        let attempted = self.core.check(&self.core.send).and_then(|()| match len {
            Some(0) if !self.core.passes_empty.get() => Err(errors::empty()),
            None => Err(errors::too_large()),
            Some(_) => self.core.try_send(parts.slices(), send.to.as_ref()),
        });
        match attempted {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                send.completer.set_work(self.core.clone(), SEND);
                self.core.send.set(Some(Box::new(send)));
            }
            result => send.end(result),
        }
    }

    /// Whether empty datagrams are received, as empty chunks, and can be sent: off at first. Returns
    /// what it was.
    ///
    /// For protocols in which an empty datagram means something, such as "are you there" or "the end".
    ///
    /// # Examples
    /// ```
    /// # fn reaches(peer: &tsocket::Datagram) {
    /// let was = peer.pass_empty(true);
    /// assert!(!was);
    /// peer.send_to(&b""[..], None).detach();
    /// # }
    /// ```
    pub fn pass_empty(&self, on: bool) -> bool {
        self.core.passes_empty.replace(on)
    }

    /// How many empty datagrams were skipped so far.
    #[must_use]
    pub fn skipped(&self) -> u64 {
        self.core.skipped.get()
    }

    /// Closes the endpoint; nothing has to be drained, so this is done at once.
    ///
    /// # Errors
    /// `EBUSY` while a receive or send is outstanding; `ENOTCONN` if it was closed before.
    #[doc(alias = "tdgram_disconnect_send")]
    #[doc(alias = "tdgram_disconnect_recv")]
    #[track_caller]
    pub fn disconnect(&self) -> Request<()> {
        let core = &self.core;
        let checked = core
            .check(&core.receive)
            .and_then(|()| core.check(&core.send));
        if checked.is_ok() {
            core.abort();
        }
        Request::finished(&core.ctx, "disconnect", checked)
    }

    /// Closes the endpoint at once; what is outstanding ends with `ECONNABORTED` and its buffers.
    pub fn abort(&self) {
        self.core.abort();
    }

    /// The address of this end.
    ///
    /// # Errors
    /// `ENOTCONN` if the endpoint was closed; whatever the system says of the descriptor.
    pub fn local_address(&self) -> io::Result<Address> {
        self.core.with_ops(|ops| ops.local_address())
    }

    /// The address of the connected peer.
    ///
    /// # Errors
    /// `ENOTCONN` if there is none or the endpoint was closed; whatever the system says of the
    /// descriptor.
    pub fn peer_address(&self) -> io::Result<Address> {
        self.core.with_ops(|ops| ops.peer_address())
    }
}

impl Core {
    /// Refuses an operation for `slot` that cannot be begun.
    fn check<T>(&self, slot: &Cell<Option<T>>) -> io::Result<()> {
        if self.ctx.upgrade().is_none() {
            return Err(errors::context_gone());
        }
        if self.ops.borrow().is_none() {
            return Err(errors::closed());
        }
        if holds(slot) {
            Err(errors::busy())
        } else {
            Ok(())
        }
    }

    fn with_ops<R>(
        &self,
        call: impl FnOnce(&mut dyn DatagramOps) -> io::Result<R>,
    ) -> io::Result<R> {
        let mut ops = self.ops.borrow_mut();
        call(&mut **ops.as_mut().ok_or_else(errors::closed)?)
    }

    fn try_send(&self, parts: &[IoSlice<'_>], to: Option<&Address>) -> io::Result<()> {
        match parts {
            [bytes] => self.with_ops(|ops| ops.try_send_to(bytes, to)),
            many => {
                let bytes = many.iter().flat_map(|bytes| bytes.iter().copied());
                let whole: Vec<u8> = bytes.collect();
                self.with_ops(|ops| ops.try_send_to(&whole, to))
            }
        }
    }

    fn attempt_receive(self: &Rc<Self>, completer: Completer<(Chunk, Address)>, is_new: bool) {
        match self.receive() {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                if is_new {
                    completer.set_work(self.clone(), RECEIVE);
                }
                self.receive.set(Some(completer));
            }
            result => completer.finish(result),
        }
    }

    /// Receives into the scratch buffer first: how large a datagram is shows only then.
    fn receive(&self) -> io::Result<(Chunk, Address)> {
        self.pool.with_scratch(|scratch| {
            for _ in 0..SKIP_BUDGET {
                let received = self.with_ops(|ops| ops.try_recv_from(scratch))?;
                let Received {
                    len,
                    full_len,
                    from,
                } = received;
                if full_len > len {
                    return Err(errors::too_large());
                }
                if len > 0 || self.passes_empty.get() {
                    return Ok((self.pool.copy(&scratch[..len]), from));
                }
                self.skipped.set(self.skipped.get() + 1);
            }
            self.ready.schedule(Readiness::READ);
            Err(errors::would_block())
        })
    }

    fn abort(&self) {
        // Closed before anybody is told.
        drop(self.ops.take());
        if let Some(completer) = self.receive.take() {
            completer.error(errors::aborted());
        }
        if let Some(send) = self.send.take() {
            send.finish(Err(errors::aborted()));
        }
    }
}

impl Front for Core {
    fn on_ready(self: Rc<Self>, told: Readiness) {
        let Ok(told) = self.with_ops(|ops| Ok(ops.told(told))) else {
            return;
        };
        let mut unwanted = told;
        if told.intersects(Readiness::WRITE | Readiness::ERROR) {
            if let Some(send) = self.send.take() {
                unwanted -= Readiness::WRITE | Readiness::ERROR;
                match send.attempt(&self) {
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {
                        self.send.set(Some(send));
                    }
                    result => send.finish(result),
                }
            }
        }
        if told.intersects(Readiness::READ | Readiness::ERROR) {
            if let Some(completer) = self.receive.take() {
                unwanted -= Readiness::READ | Readiness::ERROR;
                self.attempt_receive(completer, false);
            }
        }
        if !unwanted.is_empty() {
            if let Some(ops) = &mut *self.ops.borrow_mut() {
                ops.unwanted(unwanted);
            }
        }
    }
}

impl Work for Core {
    fn stopped(self: Rc<Self>, slot: usize, end: End) {
        if slot == RECEIVE {
            drop(self.receive.take());
        } else if let (Some(send), true) = (self.send.take(), end != End::Dropped) {
            send.finish(Err(end.into()));
        }
    }
}

impl Clone for Datagram {
    fn clone(&self) -> Self {
        self.core.handles.set(self.core.handles.get() + 1);
        Self {
            core: self.core.clone(),
        }
    }
}

impl Drop for Datagram {
    fn drop(&mut self) {
        let left = self.core.handles.get() - 1;
        self.core.handles.set(left);
        if left == 0 {
            self.core.abort();
        }
    }
}

impl fmt::Debug for Datagram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_open = self.core.ops.borrow().is_some();
        f.debug_struct("Datagram")
            .field("is_open", &is_open)
            .finish_non_exhaustive()
    }
}
