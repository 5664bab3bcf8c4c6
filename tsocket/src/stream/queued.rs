//! Writes of a stream that wait for their turn.

use tevent::{Queue, Request};

use super::Stream;
use crate::buffers::WriteBuffers;
use crate::{Failed, queued};

impl Stream {
    /// As [`writev`](Self::writev), when it is its turn in `queue`, which it holds until it is done.
    ///
    /// If the queue is empty, the write begins at once. Use one queue for all writes of a stream, and
    /// another one for reads: one for both would have reads wait for writes.
    ///
    /// What is written is charged to the queue until the write is over, so that a queue with a
    /// [limit](Queue::set_byte_limit) bounds what waits for a peer that does not read.
    ///
    /// # Cancellation
    /// One that still waits for its turn leaves the queue; one that has begun is as for
    /// [`writev`](Self::writev).
    ///
    /// # Errors
    /// With the buffers, `ENOBUFS` if the queue would hold more bytes than it may, and `ECANCELED` if the
    /// queue is dropped first; else as for [`writev`](Self::writev).
    ///
    /// # Examples
    /// ```
    /// use tevent::{Context, Queue};
    /// use tsocket::memory;
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let ctx = Context::new()?;
    /// let (near, far) = memory::stream_pair(&ctx);
    /// let queue = Queue::new(&ctx);
    /// let hello = near.writev_queued(&queue, &b"hello "[..]);
    /// let world = near.writev_queued(&queue, &b"world"[..]);
    /// assert_eq!(ctx.run_until(far.readv(vec![0; 11]))??, b"hello world");
    /// # drop((hello, world));
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "tstream_writev_queue_send")]
    #[doc(alias = "tstream_writev_queue_recv")]
    #[track_caller]
    pub fn writev_queued<B: WriteBuffers>(
        &self,
        queue: &Queue,
        buffers: B,
    ) -> Request<B, Failed<B>> {
        let (request, completer) = Request::pair(&self.core.ctx, "writev queued");
        queued::write(queue, self, buffers, completer, Self::writev_with);
        request
    }
}
