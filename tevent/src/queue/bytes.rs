//! [`Charge`], bytes that count against the bound of a queue.

use std::cell::Cell;
use std::fmt;
use std::io;
use std::rc::Rc;

use super::Queue;
use crate::error;

/// How many bytes are charged to a queue, and how many may be.
#[derive(Default)]
pub(super) struct Bytes {
    charged: Cell<usize>,
    limit: Cell<Option<usize>>,
}

/// Bytes charged to a [`Queue`]; they count until this is dropped.
#[must_use = "dropping a charge gives its bytes back"]
pub struct Charge {
    bytes: Rc<Bytes>,
    len: usize,
}

impl Queue {
    /// Lets no more than `limit` bytes be [charged](Self::charge), or as many as like; returns the limit
    /// there was. A new queue has none.
    ///
    /// What is charged already stays, also above the limit.
    pub fn set_byte_limit(&self, limit: Option<usize>) -> Option<usize> {
        self.line.bytes.limit.replace(limit)
    }

    /// How many bytes are charged now.
    #[must_use]
    pub fn charged_bytes(&self) -> usize {
        self.line.bytes.charged.get()
    }

    /// Charges `len` bytes to the queue: for whoever is about to enter it with something to send.
    ///
    /// A queue knows how many wait in it, not what they hold. Whoever makes entries that hold memory
    /// charges it first and drops the charge with the memory, so that a peer that does not read cannot
    /// have the queue grow without end. What wraps a queue, as queued writes of a stream do, charges for
    /// its callers.
    ///
    /// # Errors
    /// `ENOBUFS` if there would be more than the [limit](Self::set_byte_limit): one payload that is
    /// larger than that is refused always.
    ///
    /// # Examples
    /// ```
    /// use tevent::{Context, Queue};
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let ctx = Context::new()?;
    /// let queue = Queue::new(&ctx);
    /// queue.set_byte_limit(Some(1024));
    /// let payload = vec![0; 1000];
    /// let charge = queue.charge(payload.len())?;
    /// assert!(queue.charge(25).is_err());
    /// let sent = queue.add_entry(move |_turn| drop((payload, charge)));
    /// ctx.run()?;
    /// assert_eq!(queue.charged_bytes(), 0);
    /// # drop(sent);
    /// # Ok(())
    /// # }
    /// ```
    pub fn charge(&self, len: usize) -> io::Result<Charge> {
        let bytes = self.line.bytes.clone();
        let charged = bytes.charged.get().checked_add(len);
        let limit = bytes.limit.get().unwrap_or(usize::MAX);
        let charged = charged.filter(|charged| *charged <= limit);
        bytes.charged.set(charged.ok_or_else(error::queue_is_full)?);
        Ok(Charge { bytes, len })
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        let charged = self.bytes.charged.get();
        self.bytes.charged.set(charged - self.len);
    }
}

impl fmt::Debug for Charge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Charge").field("len", &self.len).finish()
    }
}
