//! [`Listener`], which accepts connections: the requests in front of an implementation.

mod ops;

use std::cell::{Cell, RefCell};
use std::fmt;
use std::io::{self, ErrorKind};
use std::rc::Rc;

use tevent::{Completer, Context, End, Readiness, Request, WeakContext, Work};

pub use ops::ListenerOps;

use crate::ready::{Front, Ready};
use crate::slot::holds;
use crate::stream::Stream;
use crate::{Address, errors};

/// Accepts connections as [`Stream`]s.
///
/// It belongs to the context it was made on, and its streams do too. It is a handle: clones are the
/// same listener, and when the last one is gone it is [aborted](Self::abort). While no accept is
/// outstanding, connections wait in the system's backlog.
pub struct Listener {
    core: Rc<Core>,
}

// Invariant: `ops` is there until the listener is closed, and not borrowed while code of the caller
// runs.
struct Core {
    ctx: WeakContext,
    ops: RefCell<Option<Box<dyn ListenerOps>>>,
    accept: Cell<Option<Completer<(Stream, Address)>>>,
    handles: Cell<usize>,
}

impl Listener {
    /// A listener of `ctx` in front of what `make` makes.
    ///
    /// # Errors
    /// Those of `make`.
    pub fn new(
        ctx: &Context,
        make: impl FnOnce(Ready) -> io::Result<Box<dyn ListenerOps>>,
    ) -> io::Result<Self> {
        let ready = Ready::new(ctx);
        let ops = make(ready.clone())?;
        let core = Rc::new(Core {
            ctx: ctx.downgrade(),
            ops: RefCell::new(Some(ops)),
            accept: Cell::new(None),
            handles: Cell::new(1),
        });
        let front: Rc<dyn Front> = core.clone();
        ready.set_front(Rc::downgrade(&front));
        Ok(Self { core })
    }

    /// Accepts the next connection, with the address of its peer.
    ///
    /// A connection that its peer gave up before it was accepted is skipped.
    ///
    /// # Cancellation
    /// Nothing is lost: the connection stays for the next accept.
    ///
    /// # Errors
    /// `EBUSY` if an accept is outstanding; `EMFILE`, `ENFILE`, `ENOBUFS` and `ENOMEM` if the system has
    /// no descriptors or memory left, in which case the connection stays in the backlog, and accepting
    /// again at once would fail again; `ENOTCONN` if the listener was closed, `ECONNABORTED` if that
    /// happens meanwhile; `ESHUTDOWN` if the context is gone.
    #[track_caller]
    pub fn accept(&self) -> Request<(Stream, Address)> {
        let (request, completer) = Request::pair(&self.core.ctx, "accept");
        match self.core.check() {
            Ok(()) => self.core.attempt(completer, true),
            Err(error) => completer.error(error),
        }
        request
    }

    /// The address that is listened on, its port resolved.
    ///
    /// # Errors
    /// `ENOTCONN` if the listener was closed; whatever the system says of the descriptor.
    pub fn local_address(&self) -> io::Result<Address> {
        self.core
            .ops
            .borrow()
            .as_ref()
            .ok_or_else(errors::closed)?
            .local_address()
    }

    /// The context it belongs to.
    pub(crate) fn weak_context(&self) -> WeakContext {
        self.core.ctx.clone()
    }

    /// Stops listening at once; an outstanding accept ends with `ECONNABORTED`.
    pub fn abort(&self) {
        self.core.abort();
    }
}

impl Core {
    fn check(&self) -> io::Result<()> {
        if self.ctx.upgrade().is_none() {
            return Err(errors::context_gone());
        }
        if self.ops.borrow().is_none() {
            return Err(errors::closed());
        }
        if holds(&self.accept) {
            Err(errors::busy())
        } else {
            Ok(())
        }
    }

    fn attempt(self: &Rc<Self>, completer: Completer<(Stream, Address)>, is_new: bool) {
        match self.try_accept() {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                if is_new {
                    completer.set_work(self.clone(), 0);
                }
                self.accept.set(Some(completer));
            }
            result => completer.finish(result),
        }
    }

    fn try_accept(&self) -> io::Result<(Stream, Address)> {
        let ctx = self.ctx.upgrade().ok_or_else(errors::context_gone)?;
        loop {
            let accepted = match &mut *self.ops.borrow_mut() {
                Some(ops) => ops.try_accept(&ctx),
                None => Err(errors::closed()),
            };
            match accepted {
                Err(error) if error.kind() == ErrorKind::ConnectionAborted => {}
                accepted => return accepted,
            }
        }
    }

    fn abort(&self) {
        // Closed before anybody is told.
        drop(self.ops.take());
        if let Some(completer) = self.accept.take() {
            completer.error(errors::aborted());
        }
    }
}

impl Front for Core {
    fn on_ready(self: Rc<Self>, _: Readiness) {
        if let Some(completer) = self.accept.take() {
            self.attempt(completer, false);
        } else if let Some(ops) = &mut *self.ops.borrow_mut() {
            ops.unwanted();
        }
    }
}

impl Work for Core {
    fn stopped(self: Rc<Self>, _: usize, _: End) {
        drop(self.accept.take());
    }
}

impl Clone for Listener {
    fn clone(&self) -> Self {
        self.core.handles.set(self.core.handles.get() + 1);
        Self {
            core: self.core.clone(),
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let left = self.core.handles.get() - 1;
        self.core.handles.set(left);
        if left == 0 {
            self.core.abort();
        }
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_open = self.core.ops.borrow().is_some();
        f.debug_struct("Listener")
            .field("is_open", &is_open)
            .finish_non_exhaustive()
    }
}
