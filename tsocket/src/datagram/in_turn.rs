//! Operations of a datagram endpoint that wait for their turn.

use tevent::{Queue, Request};

use super::{Datagram, SendOne};
use crate::buffers::WriteBuffers;
use crate::{Address, Chunk, Failed, queued};

impl Datagram {
    /// As [`send_to`](Self::send_to), when it is its turn in `queue`, which it holds until it is done.
    ///
    /// What is sent is charged to the queue until that is over, so that a queue with a
    /// [limit](Queue::set_byte_limit) bounds what waits for room.
    ///
    /// # Cancellation
    /// One that still waits for its turn leaves the queue; in either case nothing is sent.
    ///
    /// # Errors
    /// With the buffers, `ENOBUFS` if the queue would hold more bytes than it may, and `ECANCELED` if the
    /// queue is dropped first; else as for [`send_to`](Self::send_to).
    #[doc(alias = "tdgram_sendto_queue_send")]
    #[doc(alias = "tdgram_sendto_queue_recv")]
    #[track_caller]
    pub fn send_to_queued<B: WriteBuffers>(
        &self,
        queue: &Queue,
        buffers: B,
        to: Option<&Address>,
    ) -> Request<B, Failed<B>> {
        let (request, completer) = Request::pair(&self.core.ctx, "send to queued");
        let charge = match queued::charge(queue, &buffers) {
            Ok(charge) => charge,
            Err(error) => {
                completer.error(Failed {
                    error,
                    buffers,
                    transferred: 0,
                });
                return request;
            }
        };
        let (datagram, to) = (self.clone(), to.cloned());
        queued::wait_for_turn(queue, completer, move |turn, completer| match turn {
            Ok(turn) => {
                queued::hold(&completer, (turn, datagram.clone(), charge));
                datagram.send_with(SendOne {
                    buffers,
                    to,
                    completer,
                });
            }
            Err(error) => completer.error(Failed {
                error,
                buffers,
                transferred: 0,
            }),
        });
        request
    }

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
