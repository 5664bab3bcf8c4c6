//! Operations that wait for their turn in a queue.

use std::cell::Cell;
use std::io;
use std::rc::{Rc, Weak};

use tevent::{Charge, Completer, End, Queue, QueueEntry, Work};

use crate::Failed;
use crate::buffers::{Parts, WriteBuffers};

/// Begins the operation of `completer` when it is its turn: `begin` gets the turn, or why there is
/// none, and the completer back.
///
/// If the queue is empty, the turn begins at once.
pub(crate) fn wait_for_turn<T: 'static, E: 'static>(
    queue: &Queue,
    completer: Completer<T, E>,
    begin: impl FnOnce(io::Result<QueueEntry>, Completer<T, E>) + 'static,
) {
    if let Some(turn) = queue.try_turn() {
        begin(Ok(turn), completer);
        return;
    }
    let waiting = Rc::new(Waiting {
        begin: Cell::new(None),
        entry: Cell::new(None),
    });
    let weak: Weak<Waiting> = Rc::downgrade(&waiting);
    let entry = queue.add_entry(move |turn| {
        let Some(waiting) = weak.upgrade() else {
            return;
        };
        if let (Some(begin), Some(entry)) = (waiting.begin.take(), waiting.entry.take()) {
            begin(turn.map(|()| entry));
        }
    });
    waiting.entry.set(Some(entry));
    completer.set_work(waiting.clone(), 0);
    waiting
        .begin
        .set(Some(Box::new(move |turn| begin(turn, completer))));
}

/// Has `begin` write `buffers` on `endpoint` when it is its turn; their bytes are charged to the queue
/// until the request has ended.
pub(crate) fn write<H: Clone + 'static, B: WriteBuffers>(
    queue: &Queue,
    endpoint: &H,
    buffers: B,
    completer: Completer<B, Failed<B>>,
    begin: impl FnOnce(&H, B, Completer<B, Failed<B>>) + 'static,
) {
    let charge = match charge(queue, &buffers) {
        Ok(charge) => charge,
        Err(error) => return give_back(error, buffers, completer),
    };
    let endpoint = endpoint.clone();
    wait_for_turn(queue, completer, move |turn, completer| match turn {
        Ok(turn) => {
            hold(&completer, (turn, endpoint.clone(), charge));
            begin(&endpoint, buffers, completer);
        }
        Err(error) => give_back(error, buffers, completer),
    });
}

fn give_back<B: 'static>(error: io::Error, buffers: B, completer: Completer<B, Failed<B>>) {
    completer.error(Failed {
        error,
        buffers,
        transferred: 0,
    });
}

/// Charges what `buffers` hold to `queue`; what is too much for any write the write refuses.
fn charge(queue: &Queue, buffers: &impl WriteBuffers) -> io::Result<Charge> {
    let mut parts = Parts::skipping(0);
    buffers.parts(&mut parts);
    let (_, len) = parts.extent();
    queue.charge(len.unwrap_or(0))
}

/// Keeps `held` until the request of `completer` has ended.
pub(crate) fn hold<T: 'static, E: 'static>(
    completer: &Completer<T, E>,
    held: impl Sized + 'static,
) {
    completer.on_cleanup(move |_| drop(held));
}

type Begin = Box<dyn FnOnce(io::Result<QueueEntry>)>;

/// The work of a request that waits for its turn.
struct Waiting {
    begin: Cell<Option<Begin>>,
    entry: Cell<Option<QueueEntry>>,
}

impl Work for Waiting {
    fn stopped(self: Rc<Self>, _: usize, end: End) {
        let (begin, entry) = (self.begin.take(), self.entry.take());
        drop(entry);
        // A dropped request wants nothing back; any other end returns its buffers.
        if let (Some(begin), true) = (begin, end != End::Dropped) {
            begin(Err(end.into()));
        }
    }
}
