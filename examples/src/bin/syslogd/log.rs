//! The lines that wait to be written: one batch at a time, bounded, and none is lost.

use std::cell::{Cell, RefCell};
use std::fmt::Display;
use std::io::{self, ErrorKind, Write as _};
use std::rc::Rc;
use std::time::Duration;

use tevent::{Completer, Context, Ended, Request, WeakContext};
use tevent_examples::complain;

use crate::output::Output;

/// How many bytes may wait; then nothing more is received until a batch was written. The kernel holds
/// what comes meanwhile, or lets the sender wait (unix), or drops it (UDP).
pub(crate) const MAX_WAITING: usize = 1 << 20;

/// How long a file that refused a batch is left alone.
const RETRY_TIME: Duration = Duration::from_secs(1);

pub(crate) struct Log {
    ctx: WeakContext,
    waiting: RefCell<Vec<u8>>,
    wants_reopen: Cell<bool>,
    is_closing: Cell<bool>,
    /// Who waits for lines: the writer.
    writer: Cell<Option<Completer<()>>>,
    /// Who waits for room: the receivers.
    receivers: RefCell<Vec<Completer<()>>>,
}

impl Log {
    pub(crate) fn new(ctx: &Context) -> Rc<Self> {
        Rc::new(Self {
            ctx: ctx.downgrade(),
            waiting: RefCell::default(),
            wants_reopen: Cell::new(false),
            is_closing: Cell::new(false),
            writer: Cell::new(None),
            receivers: RefCell::default(),
        })
    }

    /// Adds a line, and returns once there is room for another.
    pub(crate) async fn add(&self, line: impl Display) -> io::Result<()> {
        // Writing to memory cannot fail.
        writeln!(self.waiting.borrow_mut(), "{line}").ok();
        self.wake_writer();
        while self.waiting.borrow().len() >= MAX_WAITING {
            let (request, completer) = Request::pair(&self.ctx, "room in the log");
            self.receivers.borrow_mut().push(completer);
            request.await?;
        }
        Ok(())
    }

    /// Has the file opened again before the next line is written.
    pub(crate) fn reopen(&self) {
        self.wants_reopen.set(true);
        self.wake_writer();
    }

    /// Lets the writer end when everything is written.
    pub(crate) fn close(&self) {
        self.is_closing.set(true);
        self.wake_writer();
    }

    fn wake_writer(&self) {
        if let Some(completer) = self.writer.take() {
            completer.done(());
        }
    }

    /// Writes what is added, until the log is closed.
    pub(crate) async fn write_to(&self, mut output: Output) -> io::Result<()> {
        loop {
            output = self.reopen_if_wanted(output).await?;
            let batch = self.waiting.take();
            if !batch.is_empty() {
                output = self.write_batch(output, batch).await?;
            } else if self.is_closing.get() {
                return Ok(());
            } else {
                let (request, completer) = Request::pair(&self.ctx, "lines for the log");
                self.writer.set(Some(completer));
                request.await?;
            }
        }
    }

    async fn reopen_if_wanted(&self, output: Output) -> io::Result<Output> {
        if !self.wants_reopen.take() {
            return Ok(output);
        }
        let (output, reopened) = self.on_pool(output, Output::reopen).await?;
        if let Err(error) = reopened {
            complain(format_args!(
                "syslogd: the old file stays, no new one: {error}"
            ));
        }
        Ok(output)
    }

    /// Writes `batch`, however often that has to be tried.
    async fn write_batch(&self, mut output: Output, mut batch: Vec<u8>) -> io::Result<Output> {
        for completer in self.receivers.take() {
            completer.done(());
        }
        loop {
            let written;
            (output, (written, batch)) = self
                .on_pool(output, |output| (output.write(&mut batch), batch))
                .await?;
            let Err(error) = written else {
                return Ok(output);
            };
            complain(format_args!("syslogd: cannot write, trying again: {error}"));
            self.pause().await?;
            // Another file may be the way out.
            output = self.reopen_if_wanted(output).await?;
        }
    }

    /// Waits for [`RETRY_TIME`], or for a wish to open the file again.
    async fn pause(&self) -> io::Result<()> {
        let deadline = {
            let ctx = self.ctx.upgrade().ok_or(Ended::Abandoned)?;
            ctx.now() + RETRY_TIME
        };
        while !self.wants_reopen.get() {
            let (request, completer) = Request::pair(&self.ctx, "another try to write");
            request.set_deadline(deadline);
            self.writer.set(Some(completer));
            match request.await {
                Err(error) if error.kind() == ErrorKind::TimedOut => break,
                woken => woken?,
            }
        }
        Ok(())
    }

    async fn on_pool<T: Send + 'static>(
        &self,
        mut output: Output,
        job: impl FnOnce(&mut Output) -> T + Send + 'static,
    ) -> io::Result<(Output, T)> {
        let started = {
            let ctx = self.ctx.upgrade().ok_or(Ended::Abandoned)?;
            ctx.offload(move || {
                let done = job(&mut output);
                (output, done)
            })
        };
        started.await
    }
}
