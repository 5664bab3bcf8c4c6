//! Receives of a datagram endpoint that wait for their turn.

use tevent::{Queue, Request};

use super::Datagram;
use crate::{Address, Chunk, queued};

impl Datagram {
    /// As [`recv_from`](Self::recv_from), when it is its turn in `queue`, which it holds until it is done.
    ///
    /// Use another queue than for sends: one for both would have sends wait for what the other side
    /// sends.
    ///
    /// # Cancellation
    /// One that still waits for its turn leaves the queue; nothing is lost in either case.
    ///
    /// # Errors
    /// `ECANCELED` if the queue is dropped first; else as for [`recv_from`](Self::recv_from).
    ///
    /// # Source
    /// C tsocket queues sends only.
    #[track_caller]
    pub fn recv_from_queued(&self, queue: &Queue) -> Request<(Chunk, Address)> {
        let (request, completer) = Request::pair(&self.core.ctx, "recv from queued");
        let datagram = self.clone();
        queued::wait_for_turn(queue, completer, move |turn, completer| {
            let turn = turn.and_then(|turn| {
                datagram.core.check(&datagram.core.receive)?;
                Ok(turn)
            });
            match turn {
                Ok(turn) => {
                    queued::hold(&completer, (turn, datagram.clone()));
                    datagram.core.attempt_receive(completer, true);
                }
                Err(error) => completer.error(error),
            }
        });
        request
    }
}
