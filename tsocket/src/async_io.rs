//! [`AsyncStream`], a stream as `AsyncRead` and `AsyncWrite`; with the feature `futures-io`.

use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll, Waker, ready};

use futures_io::{AsyncRead, AsyncWrite};
use tevent::Request;

use crate::{Chunk, Failed, Stream, errors};

/// The most bytes that are copied for one write.
///
/// What [`Stream::read`] brings at most: a copy from one stream to another then moves as much with
/// each write as with each read.
pub const MAX_WRITE_LEN: usize = 64 * 1024;

/// A stream for whoever speaks [`AsyncRead`] and [`AsyncWrite`].
///
/// It is driven by the loop of the stream's context: tasks of [`Context::spawn`](tevent::Context::spawn)
/// and [`block_on`](tevent::Context::block_on) use it best, and those of another executor on the same
/// thread as long as the loop runs.
///
/// These traits lend their buffers, so each transfer copies once, which the operations of [`Stream`]
/// do not. A task is woken when its operation has ended, and by nothing else.
///
/// # Writing
/// A write is taken over into a buffer of its own, at most [`MAX_WRITE_LEN`] bytes of it, and is done
/// then; the next one waits until the layer below has taken it all. An error of a write that was taken
/// over is the result of the next write, flush or close. Flushing waits until the layer below has taken
/// everything.
///
/// # Closing
/// Closing flushes, then [shuts down](Stream::shutdown) the write side; reading goes on, and the
/// descriptor is closed with the last handle of the stream. A stream that has no half-close is
/// [disconnected](Stream::disconnect).
///
/// # Cancellation
/// A future over this that is dropped in the middle loses no byte: what was about to be read comes with
/// the next read, and what was taken over is written. Dropping the adapter is another matter: it ends a
/// write that is on its way, which [ends the write side](Stream::writev) if a part was written; flush
/// first. Other handles of the stream meet `EBUSY` while the adapter reads or writes.
///
/// # Errors
/// Those of [`Stream::read`], [`Stream::writev`], [`Stream::shutdown`] and [`Stream::disconnect`].
///
/// # Examples
/// ```
/// use std::future::poll_fn;
/// use std::pin::Pin;
/// use futures_io::{AsyncRead, AsyncWrite};
/// use tevent::Context;
/// use tsocket::async_io::AsyncStream;
/// use tsocket::memory;
///
/// # fn main() -> std::io::Result<()> {
/// let ctx = Context::new()?;
/// let (near, far) = memory::stream_pair(&ctx);
/// let (mut near, mut far) = (AsyncStream::new(near), AsyncStream::new(far));
/// let hello = ctx.block_on(async {
///     poll_fn(|cx| Pin::new(&mut near).poll_write(cx, b"hello")).await?;
///     let mut buffer = [0; 100];
///     let len = poll_fn(|cx| Pin::new(&mut far).poll_read(cx, &mut buffer)).await?;
///     Ok::<_, std::io::Error>(buffer[..len].to_vec())
/// })??;
/// assert_eq!(hello, b"hello");
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct AsyncStream {
    stream: Stream,
    reading: Option<Request<Chunk>>,
    // What was read and did not fit.
    rest: Chunk,
    writing: Option<Request<Chunk, Failed<Chunk>>>,
    closing: Closing,
}

#[derive(Debug)]
enum Closing {
    Open,
    ShuttingDown(Request<()>),
    Disconnecting(Request<()>),
    Closed,
}

impl AsyncStream {
    /// An adapter over `stream`.
    #[must_use]
    pub fn new(stream: Stream) -> Self {
        Self {
            stream,
            reading: None,
            rest: Chunk::default(),
            writing: None,
            closing: Closing::Open,
        }
    }

    /// The stream below.
    #[must_use]
    pub fn stream(&self) -> &Stream {
        &self.stream
    }

    /// The stream, with what was read from it and not asked for yet.
    ///
    /// Ends what is on its way, as dropping the adapter does.
    #[must_use]
    pub fn into_parts(self) -> (Stream, Chunk) {
        let rest = match self.reading.and_then(result_of) {
            Some(Ok(chunk)) => chunk,
            _ => self.rest,
        };
        (self.stream, rest)
    }

    /// Takes over what of `buffers` fits, once the write before has been taken.
    fn poll_begin(
        &mut self,
        task: &mut TaskContext<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_written(task))?;
        let offered: usize = buffers.iter().map(|buffer| buffer.len()).sum();
        let mut room = self.stream.room_for(offered.min(MAX_WRITE_LEN))?;
        let mut len = 0;
        for buffer in buffers {
            let taken = buffer.len().min(room.len() - len);
            room[len..len + taken].copy_from_slice(&buffer[..taken]);
            len += taken;
        }
        if len > 0 {
            let mut request = self.stream.writev(room);
            if request.is_finished() {
                ready!(Pin::new(&mut request).poll(task))?;
            } else {
                self.writing = Some(request);
            }
        }
        Poll::Ready(Ok(len))
    }

    /// Waits until the layer below has taken the write that was taken over last.
    fn poll_written(&mut self, task: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
        if let Some(request) = &mut self.writing {
            let written = ready!(Pin::new(request).poll(task));
            self.writing = None;
            written?;
        }
        Poll::Ready(Ok(()))
    }
}

/// What a request has come to, if it has.
fn result_of<T: 'static, E: 'static>(mut request: Request<T, E>) -> Option<Result<T, E>> {
    match Pin::new(&mut request).poll(&mut TaskContext::from_waker(Waker::noop())) {
        Poll::Ready(result) => Some(result),
        Poll::Pending => None,
    }
}

impl From<Stream> for AsyncStream {
    fn from(stream: Stream) -> Self {
        Self::new(stream)
    }
}

impl AsyncRead for AsyncStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        task: &mut TaskContext<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        if buffer.is_empty() {
            return Poll::Ready(Ok(0));
        }
        if self.rest.is_empty() {
            let Self {
                stream, reading, ..
            } = &mut *self;
            let request = reading.get_or_insert_with(|| stream.read(buffer.len()));
            let read = ready!(Pin::new(request).poll(task));
            *reading = None;
            self.rest = read?;
        }
        let len = buffer.len().min(self.rest.len());
        buffer[..len].copy_from_slice(&self.rest[..len]);
        self.rest.advance(len);
        if self.rest.is_empty() {
            // Nobody keeps a buffer with nothing in it.
            self.rest = Chunk::default();
        }
        Poll::Ready(Ok(len))
    }
}

impl AsyncWrite for AsyncStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        task: &mut TaskContext<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_begin(task, &[IoSlice::new(buffer)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        task: &mut TaskContext<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_begin(task, buffers)
    }

    fn poll_flush(mut self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
        self.poll_written(task)
    }

    fn poll_close(mut self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
        loop {
            let result = match &mut self.closing {
                Closing::Open => {
                    ready!(self.poll_written(task))?;
                    self.closing = Closing::ShuttingDown(self.stream.shutdown());
                    continue;
                }
                Closing::ShuttingDown(request) => {
                    let result = ready!(Pin::new(request).poll(task));
                    if matches!(&result, Err(error) if errors::is_not_supported(error)) {
                        self.reading = None;
                        self.closing = Closing::Disconnecting(self.stream.disconnect());
                        continue;
                    }
                    result
                }
                Closing::Disconnecting(request) => ready!(Pin::new(request).poll(task)),
                Closing::Closed => return Poll::Ready(Ok(())),
            };
            self.closing = Closing::Closed;
            return Poll::Ready(result);
        }
    }
}
