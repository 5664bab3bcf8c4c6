//! One connection: requests in, files out, one after the other.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustix::io::Errno;
use tevent::{WeakContext, wakeup};
use tsocket::Stream;

use crate::answer::Answer;
use crate::files::Root;
use crate::request::{self, Request};
use crate::response;

/// How much one read brings at most, in bytes.
const READ_LEN: usize = 16 * 1024;

/// How long a job waits before it is offered again to a pool whose line is full.
const PAUSE: Duration = Duration::from_millis(10);

/// Serves `stream` until its peer has asked for everything, and returns how many requests there were.
pub(crate) async fn serve(ctx: WeakContext, root: Arc<Root>, stream: Stream) -> io::Result<u64> {
    let mut input = Vec::new();
    let mut served = 0;
    loop {
        match request::parse(&input) {
            Ok(None) => {
                let chunk = stream.read(READ_LEN).await?;
                if chunk.is_empty() {
                    break;
                }
                input.extend_from_slice(&chunk);
            }
            Ok(Some(request)) => {
                input.drain(..request.len);
                served += 1;
                let keeps_alive = request.keeps_alive;
                answer(&ctx, &root, &stream, request).await?;
                if !keeps_alive {
                    break;
                }
            }
            Err(status) => {
                // Nobody knows where the next request would begin.
                stream.writev(response::plain(status, false, false)).await?;
                break;
            }
        }
    }
    stream.disconnect().await?;
    Ok(served)
}

async fn answer(
    ctx: &WeakContext,
    root: &Arc<Root>,
    stream: &Stream,
    request: Request,
) -> io::Result<()> {
    let (request, root) = (Arc::new(request), root.clone());
    let answer = on_pool(ctx, move || Answer::to(&request, &root)).await?;
    let mut rest = answer.rest;
    stream.writev((answer.head, answer.block)).await?;
    while !rest.is_empty() {
        let (block, left) = on_pool(ctx, move || rest.clone().take_block()).await??;
        rest = left;
        stream.writev(block).await?;
    }
    Ok(())
}

/// Runs `job` on the pool, after a while if that has its hands full.
async fn on_pool<T: Send + 'static>(
    ctx: &WeakContext,
    job: impl Fn() -> T + Clone + Send + 'static,
) -> io::Result<T> {
    loop {
        let started = {
            let ctx = ctx.upgrade().ok_or(io::ErrorKind::NotConnected)?;
            ctx.offload(job.clone())
        };
        match started.await {
            Err(error) if error.raw_os_error() == Some(Errno::NOBUFS.raw_os_error()) => {}
            done => return done,
        }
        let pause = {
            let ctx = ctx.upgrade().ok_or(io::ErrorKind::NotConnected)?;
            wakeup(&ctx, ctx.now() + PAUSE)
        };
        pause.await?;
    }
}
