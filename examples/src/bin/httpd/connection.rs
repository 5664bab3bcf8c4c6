//! One connection: requests in, files out, one after the other.

use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::Duration;

use rustix::io::Errno;
use tevent::{WeakContext, wakeup};
use tsocket::Stream;

use crate::answer::Answer;
use crate::files::Root;
use crate::request::{self, Request};
use crate::response::{self, Status};

/// How much one read brings at most, in bytes.
const READ_LEN: usize = 16 * 1024;

/// How long a job waits before it is offered again to a pool whose line is full.
const PAUSE: Duration = Duration::from_millis(10);

/// One connection, and how long a request may take to arrive, from its first byte to its last.
pub(crate) struct Connection {
    pub(crate) ctx: WeakContext,
    pub(crate) root: Arc<Root>,
    pub(crate) stream: Stream,
    pub(crate) request_time: Duration,
}

impl Connection {
    /// Serves it until its peer has asked for everything, and returns how many requests there were.
    pub(crate) async fn serve(self) -> io::Result<u64> {
        let mut input = Vec::new();
        let mut served = 0;
        let refused = loop {
            let request = match self.next_request(&mut input).await? {
                Ok(Some(request)) => request,
                Ok(None) => break None,
                // Nobody knows where the next request would begin.
                Err(status) => break Some(status),
            };
            served += 1;
            let keeps_alive = request.keeps_alive;
            answer(&self.ctx, &self.root, &self.stream, request).await?;
            if !keeps_alive {
                break None;
            }
        };
        if let Some(status) = refused {
            let response = response::plain(status, false, false);
            self.stream.writev(response).await?;
        }
        self.stream.disconnect().await?;
        Ok(served)
    }

    /// The next request in `input` and from the stream, nothing at the end, or the refusal of what
    /// comes.
    async fn next_request(
        &self,
        input: &mut Vec<u8>,
    ) -> io::Result<Result<Option<Request>, Status>> {
        let mut deadline = None;
        loop {
            match request::parse(input) {
                Ok(Some(request)) => {
                    input.drain(..request.len);
                    return Ok(Ok(Some(request)));
                }
                Ok(None) => {}
                Err(status) => return Ok(Err(status)),
            }
            let read = self.stream.read(READ_LEN);
            // Who has not begun is idle, and the server sees to that.
            if !input.is_empty() {
                let ctx = self.ctx.upgrade().ok_or(ErrorKind::NotConnected)?;
                let deadline = deadline.get_or_insert_with(|| ctx.now() + self.request_time);
                read.set_deadline(*deadline);
            }
            match read.await {
                Ok(chunk) if chunk.is_empty() => return Ok(Ok(None)),
                Ok(chunk) => input.extend_from_slice(&chunk),
                Err(error) if deadline.is_some() && error.kind() == ErrorKind::TimedOut => {
                    return Ok(Err(Status::REQUEST_TIMEOUT));
                }
                Err(error) => return Err(error),
            }
        }
    }
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
            let ctx = ctx.upgrade().ok_or(ErrorKind::NotConnected)?;
            ctx.offload(job.clone())
        };
        match started.await {
            Err(error) if error.raw_os_error() == Some(Errno::NOBUFS.raw_os_error()) => {}
            done => return done,
        }
        let pause = {
            let ctx = ctx.upgrade().ok_or(ErrorKind::NotConnected)?;
            wakeup(&ctx, ctx.now() + PAUSE)
        };
        pause.await?;
    }
}
