//! [`Io`], through which a session sends and closes.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::io::{self, IoSlice};
use std::rc::Rc;

use super::unsent::Unsent;
use crate::errors;

/// Through which a session sends and closes: its view of whatever carries it.
///
/// A handle: clones are the same, for use outside [`receive`](super::Session::receive), as from a timer
/// or by whoever uses the protocol. What is sent goes out in the order of the calls, wherever they
/// come from.
#[derive(Clone)]
pub struct Io {
    shared: Rc<Shared>,
}

struct Shared {
    unsent: RefCell<Unsent>,
    unsent_max: usize,
    is_closed: Cell<bool>,
    is_resumed: Cell<bool>,
    // The carrier calls, so it need not be told.
    is_inside: Cell<bool>,
    // Whoever carries the session and wants to know that there is something to do.
    carrier: RefCell<Option<Rc<dyn Fn()>>>,
}

impl Io {
    pub(super) fn new(unsent_max: usize) -> Self {
        let shared = Shared {
            unsent: RefCell::default(),
            unsent_max,
            is_closed: Cell::new(false),
            is_resumed: Cell::new(false),
            is_inside: Cell::new(false),
            carrier: RefCell::new(None),
        };
        Self {
            shared: Rc::new(shared),
        }
    }

    /// Sends `bytes`; answers at once. A vector is not copied.
    ///
    /// # Errors
    /// `ENOTCONN` after [`close`](Self::close), and once the other side has gone or the session has failed;
    /// `ENOBUFS` if more than [`Limits::unsent`](super::Limits::unsent) would wait for the transport. Then nothing
    /// of `bytes` is sent, and the session goes on.
    #[doc(alias = "comm_send_data")]
    pub fn send(&self, bytes: impl Into<Vec<u8>>) -> io::Result<()> {
        let bytes = bytes.into();
        let shared = &self.shared;
        if shared.is_closed.get() {
            return Err(errors::closed());
        }
        let room = shared.unsent_max.saturating_sub(self.unsent());
        if bytes.len() > room {
            return Err(errors::no_room());
        }
        shared.unsent.borrow_mut().push(bytes);
        self.tell();
        Ok(())
    }

    /// Ends the connection once everything that was sent has gone out.
    ///
    /// The session is not called again, not even to be told of the end. Closing again does nothing.
    #[doc(alias = "comm_close")]
    pub fn close(&self) {
        if !self.shared.is_closed.replace(true) {
            self.tell();
        }
    }

    /// Has what was not consumed offered again, soon and not from inside this call.
    ///
    /// For a session that had no room for what it was offered and has some now. Asked for inside
    /// [`receive`](super::Session::receive), it counts only if that call consumes something: nothing would have changed
    /// otherwise, and it would go on for ever.
    pub fn resume(&self) {
        self.ask_resume();
        self.tell();
    }

    /// How many bytes were sent and have not been taken by the layer below.
    #[must_use]
    pub fn unsent(&self) -> usize {
        self.shared.unsent.borrow().len()
    }

    /// Whether sending fails because the connection was closed, by whichever side.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.shared.is_closed.get()
    }

    /// Has `carrier` told of each send, close and resume.
    pub(super) fn set_carrier(&self, carrier: Rc<dyn Fn()>) {
        self.shared.carrier.replace(Some(carrier));
    }

    /// Makes a `call` of the carrier's, who looks by itself afterwards.
    pub(super) fn quietly<R>(&self, call: impl FnOnce() -> R) -> R {
        struct Inside<'a>(&'a Cell<bool>, bool);
        impl Drop for Inside<'_> {
            fn drop(&mut self) {
                self.0.set(self.1);
            }
        }
        let is_inside = &self.shared.is_inside;
        let _inside = Inside(is_inside, is_inside.replace(true));
        call()
    }

    fn tell(&self) {
        if self.shared.is_inside.get() {
            return;
        }
        let carrier = self.shared.carrier.borrow().clone();
        if let Some(carrier) = carrier {
            carrier();
        }
    }

    /// Refuses what is sent from now on, without a word to the carrier.
    pub(super) fn shut(&self) {
        self.shared.is_closed.set(true);
    }

    pub(super) fn ask_resume(&self) {
        self.shared.is_resumed.set(true);
    }

    pub(super) fn take_resumed(&self) -> bool {
        self.shared.is_resumed.replace(false)
    }

    pub(super) fn is_resumed(&self) -> bool {
        self.shared.is_resumed.get()
    }

    /// Whether so much waits that nothing more should be received.
    pub(super) fn is_congested(&self) -> bool {
        self.unsent() > self.shared.unsent_max / 2
    }

    pub(super) fn has_waiting(&self) -> bool {
        self.shared.unsent.borrow().has_waiting()
    }

    pub(super) fn take_batch(&self, max: usize) -> Vec<Vec<u8>> {
        self.shared.unsent.borrow_mut().take_batch(max)
    }

    pub(super) fn batch_done(&self) {
        self.shared.unsent.borrow_mut().batch_done();
    }

    pub(super) fn take_all(&self) -> Vec<u8> {
        self.shared.unsent.borrow_mut().take_all()
    }

    pub(super) fn with_slices<R>(
        &self,
        max: usize,
        attempt: impl FnOnce(&[IoSlice<'_>]) -> R,
    ) -> R {
        self.shared.unsent.borrow().with_slices(max, attempt)
    }

    pub(super) fn taken(&self, len: usize) {
        self.shared.unsent.borrow_mut().taken(len);
    }
}

impl fmt::Debug for Io {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Io")
            .field("unsent", &self.unsent())
            .field("is_closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}
