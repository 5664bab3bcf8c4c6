//! [`Inbox`], where work from other threads waits for the loop, behind a [`Door`] that stands a fork.

use std::mem;
use std::panic::Location;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use crossbeam_channel::{Receiver, Sender};

use super::{Remote, RemoteCall};
use crate::sys;
use crate::wake::Wake;

/// Work on its way, with where it was sent.
pub(crate) struct Call {
    pub(crate) work: RemoteCall,
    pub(crate) location: &'static Location<'static>,
}

impl Call {
    pub(super) fn new(work: RemoteCall, location: &'static Location<'static>) -> Self {
        Self { work, location }
    }
}

/// What the senders of a context share.
// Invariant: a channel into which a thread was sending when the process was forked is not touched in
// the child, not even to be dropped: it would be waited for that thread, which is not there.
pub(super) struct Door {
    pub(super) sender: Sender<Call>,
    // How many are inside `send`. Sequentially consistent, as `forks` is: what a child finds here was
    // written before whatever it finds in the channel.
    sending: AtomicUsize,
    // The process that sends through this one.
    forks: AtomicU32,
    // What a child sends through if the channel was left half done.
    instead: OnceLock<Successor>,
}

struct Successor {
    door: Arc<Door>,
    receiver: Mutex<Option<Receiver<Call>>>,
}

impl Door {
    fn new() -> (Arc<Self>, Receiver<Call>) {
        let (sender, receiver) = crossbeam_channel::unbounded();
        let door = Self {
            sender,
            sending: AtomicUsize::new(0),
            forks: AtomicU32::new(sys::forks()),
            instead: OnceLock::new(),
        };
        (Arc::new(door), receiver)
    }

    /// This one, or in a child one that can be used.
    pub(super) fn in_this_process(self: &Arc<Self>) -> &Arc<Self> {
        let mut door = self;
        while !door.is_of_this_process() {
            door = &door.instead.get_or_init(Successor::new).door;
        }
        door
    }

    fn is_of_this_process(&self) -> bool {
        let forks = sys::forks();
        if self.forks.load(Ordering::SeqCst) == forks {
            return true;
        }
        if self.sending.load(Ordering::SeqCst) == 0 {
            self.forks.store(forks, Ordering::SeqCst);
        }
        // Another thread of the child may have come first, and be sending already.
        self.forks.load(Ordering::SeqCst) == forks
    }

    pub(super) fn send(&self, call: Call) -> Result<(), Call> {
        self.sending.fetch_add(1, Ordering::SeqCst);
        let sent = self.sender.send(call);
        self.sending.fetch_sub(1, Ordering::SeqCst);
        sent.map_err(|refused| refused.0)
    }
}

impl Successor {
    fn new() -> Self {
        let (door, receiver) = Door::new();
        let receiver = Mutex::new(Some(receiver));
        Self { door, receiver }
    }
}

/// The loop's end; while it is there, work is taken.
pub(crate) struct Inbox {
    door: Arc<Door>,
    receiver: Receiver<Call>,
}

impl Inbox {
    pub(crate) fn new() -> Self {
        let (door, receiver) = Door::new();
        Self { door, receiver }
    }

    pub(crate) fn remote(&self, wake: Arc<Wake>) -> Remote {
        let door = self.door.in_this_process().clone();
        Remote { door, wake }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.receiver.is_empty()
    }

    /// In a child, leaves a channel that was left half done for another one.
    pub(crate) fn renew_in_child(&mut self) {
        while !self.door.is_of_this_process() {
            let next = self.door.instead.get_or_init(Successor::new);
            let receiver = next.receiver.lock().map_or_else(
                |poisoned| PoisonError::into_inner(poisoned).take(),
                |mut receiver| receiver.take(),
            );
            let door = next.door.clone();
            if let Some(receiver) = receiver {
                forget(mem::replace(&mut self.receiver, receiver));
            }
            self.door = door;
        }
    }

    /// What has arrived until now; those who go on sending do not keep us here.
    pub(crate) fn arrived(&self) -> impl Iterator<Item = Call> {
        self.receiver.try_iter().take(self.receiver.len())
    }
}

impl Drop for Inbox {
    fn drop(&mut self) {
        self.renew_in_child();
    }
}

#[expect(
    clippy::mem_forget,
    reason = "to drop it could wait for a thread that is not in this process"
)]
fn forget(receiver: Receiver<Call>) {
    mem::forget(receiver);
}
