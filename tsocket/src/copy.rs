//! [`copy`], what arrives from one stream written to another, and [`relay`], both ways at once.

use std::cell::Cell;
use std::error::Error;
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{self, Poll};

use tevent::{Context, Ended, Progress, Request, Step, Steps};

use crate::{Chunk, Failed, Stream, errors};

/// The most that is read before it is written, in bytes and for each direction: what one read brings.
pub const COPY_BYTES: usize = 64 * 1024;

/// How many bytes a [`relay`] has carried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Relayed {
    /// From the first stream to the second.
    pub there: u64,
    /// From the second stream to the first.
    pub back: u64,
}

/// Why a [`copy`] or a [`relay`] has ended early, with how many bytes were written by then.
///
/// `?` turns it into the [`io::Error`] alone.
#[derive(Debug)]
pub struct CopyFailed<C> {
    /// Why.
    pub error: io::Error,
    /// How many bytes were written: a number, or [`Relayed`]. None if the request was ended from
    /// outside: [`Request::on_notify`] tells how far it had come.
    pub copied: C,
}

/// Copies what arrives from `from` to `to` until its end, which it passes on: `to` is shut down.
///
/// One buffer of the context's pool, at most [`COPY_BYTES`], is read and then written as it is. Nothing
/// is read while something is left to write, so a slow receiver slows the sender down. The other
/// direction of both streams is free. The request holds a handle of both, and tells its progress in
/// bytes. `ctx` is the context of both.
///
/// # Completion
/// With the number of bytes, when all are written and `to` is shut down. If `to` has no half-close, it
/// is left open: only whoever closes it can pass the end on.
///
/// # Cancellation
/// What was read and not written is lost. If a part of that was written, nothing can be written to `to`
/// any more, as for [`writev`](Stream::writev).
///
/// # Errors
/// The first error of a read, a write or the shutdown, as [`Stream`] lists them; `EBUSY` if somebody else
/// is reading or writing there. Neither stream is closed.
///
/// # Examples
/// ```
/// use tsocket::{copy, memory};
///
/// # fn main() -> std::io::Result<()> {
/// let ctx = tevent::Context::new()?;
/// let ((client, from), (to, server)) = (memory::stream_pair(&ctx), memory::stream_pair(&ctx));
/// let copied = copy(&ctx, &from, &to);
/// ctx.run_until(client.writev(&b"hello"[..]))?.map_err(std::io::Error::from)?;
/// drop(client);
/// assert_eq!(ctx.run_until(copied)?.map_err(std::io::Error::from)?, 5);
/// assert_eq!(&*ctx.run_until(server.read(100))??, b"hello");
/// # Ok(())
/// # }
/// ```
#[track_caller]
pub fn copy(ctx: &Context, from: &Stream, to: &Stream) -> Request<u64, CopyFailed<u64>> {
    carry(ctx, from, to, Rc::default())
}

/// Copies between `a` and `b` in both directions, as [`copy`] does in one, until both have ended.
///
/// For a daemon that stands between a client and a server: what one of them ends is ended for the
/// other, which can still answer.
///
/// # Completion
/// With the numbers of bytes, when both directions have ended. If the end of one cannot be passed on,
/// because the other stream has no half-close, the relay is over with that: closing is then the only
/// way to pass it on. The streams are closed with their last handle, so by this if the caller has
/// dropped its own.
///
/// # Cancellation
/// As for [`copy`], in both directions.
///
/// # Errors
/// The first error of either direction, as [`copy`] lists them. The other direction is given up at once:
/// what it had read and not written is lost.
///
/// # Examples
/// ```
/// use tsocket::{memory, relay};
///
/// # fn main() -> std::io::Result<()> {
/// let ctx = tevent::Context::new()?;
/// let ((client, a), (b, server)) = (memory::stream_pair(&ctx), memory::stream_pair(&ctx));
/// let relayed = relay(&ctx, &a, &b);
/// let conversation = ctx.block_on(async {
///     client.writev(&b"question"[..]).await?;
///     client.shutdown().await?;
///     while !server.read(100).await?.is_empty() {}
///     server.writev(&b"the answer"[..]).await?;
///     server.shutdown().await?;
///     Ok::<_, std::io::Error>(client.read(100).await?)
/// })??;
/// assert_eq!(&*conversation, b"the answer");
/// let relayed = ctx.run_until(relayed)?.map_err(std::io::Error::from)?;
/// assert_eq!((relayed.there, relayed.back), (8, 10));
/// # Ok(())
/// # }
/// ```
#[track_caller]
pub fn relay(ctx: &Context, a: &Stream, b: &Stream) -> Request<Relayed, CopyFailed<Relayed>> {
    let counts = Counts::default();
    let state = (a.clone(), b.clone(), counts.clone());
    Steps::start(ctx, "relay", state, |step| {
        let (a, b, counts) = step.state().clone();
        // Begun here: a future that held the context would keep alive who owns it.
        let there = carry(ctx, &a, &b, counts.there);
        let back = carry(ctx, &b, &a, counts.back);
        let both = ctx.spawn(both_ways((there, b), (back, a)));
        step.then(both, |step, ended| {
            let copied = step.state().2.relayed();
            match ended {
                Ok(Ok(())) => step.done(copied),
                Ok(Err(error)) | Err(error) => Err(CopyFailed { error, copied }),
            }
        })
    })
}

/// How many bytes went each way so far.
#[derive(Clone, Default)]
struct Counts {
    there: Rc<Cell<u64>>,
    back: Rc<Cell<u64>>,
}

impl Counts {
    fn relayed(&self) -> Relayed {
        Relayed {
            there: self.there.get(),
            back: self.back.get(),
        }
    }
}

/// Ends with the first error, else when both have ended or one end cannot be passed on.
async fn both_ways(
    (there, b): (Carrying, Stream),
    (back, a): (Carrying, Stream),
) -> io::Result<()> {
    let (mut there, mut back) = (Some(there), Some(back));
    poll_fn(|cx| {
        let is_over = has_ended(&mut there, &b, cx)? | has_ended(&mut back, &a, cx)?;
        let is_over = is_over || (there.is_none() && back.is_none());
        if is_over {
            Poll::Ready(Ok(()))
        } else {
            Poll::Pending
        }
    })
    .await
}

type Carrying = Request<u64, CopyFailed<u64>>;

/// Takes note if `carrying` has ended, and returns whether the end did not reach `to`.
fn has_ended(
    carrying: &mut Option<Carrying>,
    to: &Stream,
    cx: &mut task::Context<'_>,
) -> io::Result<bool> {
    let Some(request) = carrying else {
        return Ok(false);
    };
    match Pin::new(request).poll(cx) {
        Poll::Pending => Ok(false),
        Poll::Ready(ended) => {
            *carrying = None;
            ended?;
            Ok(!to.has_shut_down())
        }
    }
}

/// One direction.
struct Carry {
    from: Stream,
    to: Stream,
    count: Rc<Cell<u64>>,
}

type CarryStep<'a> = Step<'a, Carry, u64, CopyFailed<u64>>;

#[track_caller]
fn carry(ctx: &Context, from: &Stream, to: &Stream, count: Rc<Cell<u64>>) -> Carrying {
    let state = Carry {
        from: from.clone(),
        to: to.clone(),
        count,
    };
    Steps::start(ctx, "copy", state, read_next)
}

fn read_next(step: &mut CarryStep<'_>) -> Result<(), CopyFailed<u64>> {
    let Carry { from, to, .. } = step.state();
    // One that is closed meanwhile is met by the write.
    let read = from.read(COPY_BYTES.min(to.max_write_len().max(1)));
    step.then(read, has_read)
}

fn has_read(step: &mut CarryStep<'_>, read: io::Result<Chunk>) -> Result<(), CopyFailed<u64>> {
    let chunk = read.map_err(|error| step.state().failed(error))?;
    if chunk.is_empty() {
        let shutdown = step.state().to.shutdown();
        return step.then(shutdown, has_shut_down);
    }
    let write = step.state().to.writev(chunk);
    step.then(write, has_written)
}

fn has_written(
    step: &mut CarryStep<'_>,
    written: Result<Chunk, Failed<Chunk>>,
) -> Result<(), CopyFailed<u64>> {
    let state = step.state();
    let (len, error) = match written {
        Ok(chunk) => (chunk.len(), None),
        Err(failed) => (failed.transferred, Some(failed.error)),
    };
    let len = u64::try_from(len).expect("a chunk fits into memory");
    let count = state.count.get() + len;
    state.count.set(count);
    if let Some(error) = error {
        return Err(state.failed(error));
    }
    step.notify(Progress::new(count));
    read_next(step)
}

fn has_shut_down(step: &mut CarryStep<'_>, ended: io::Result<()>) -> Result<(), CopyFailed<u64>> {
    match ended {
        Err(error) if !errors::is_not_supported(&error) => Err(step.state().failed(error)),
        _ => {
            let count = step.state().count.get();
            step.done(count)
        }
    }
}

impl Carry {
    fn failed(&self, error: io::Error) -> CopyFailed<u64> {
        CopyFailed {
            error,
            copied: self.count.get(),
        }
    }
}

impl<C: fmt::Debug> fmt::Display for CopyFailed<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} after {:?} bytes", self.error, self.copied)
    }
}

impl<C: fmt::Debug> Error for CopyFailed<C> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.error)
    }
}

impl<C> From<CopyFailed<C>> for io::Error {
    fn from(failed: CopyFailed<C>) -> Self {
        failed.error
    }
}

impl<C: Default> From<Ended> for CopyFailed<C> {
    fn from(ended: Ended) -> Self {
        Self {
            error: ended.into(),
            copied: C::default(),
        }
    }
}
