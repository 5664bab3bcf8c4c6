//! What all handles of a stream share: the outstanding operations, and the attempts at them.

use std::cell::{Cell, RefCell};
use std::io::{self, ErrorKind, IoSlice};
use std::mem;
use std::rc::Rc;

use tevent::{Completer, Context, End, Readiness, WeakContext, Work};

use super::StreamOps;
use super::disconnect::Disconnect;
use super::read::PendingRead;
use super::source::Source;
use super::transport::Transport;
use super::write::{Rest, Write, WriteFully};
use crate::buffers::WriteBuffers;
use crate::chunk::Pool;
use crate::read_ahead::ReadAhead;
use crate::ready::{Front, Ready};
use crate::slot::holds;
use crate::{Failed, errors};

/// Which operation of a stream a request stands for.
pub(super) const READ: usize = 0;
pub(super) const WRITE: usize = 1;
pub(super) const SHUTDOWN: usize = 2;
pub(super) const DISCONNECT: usize = 3;
pub(super) const MONITOR: usize = 4;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Open,
    Disconnecting,
    Closed,
}

// Invariant: `ops` is there until the phase is `Closed`, and neither it nor `ahead` is borrowed while
// code of the caller runs.
pub(super) struct Core {
    pub(super) ctx: WeakContext,
    pub(super) pool: Rc<Pool>,
    pub(super) ops: RefCell<Option<Box<dyn StreamOps>>>,
    pub(super) disconnect: Cell<Option<Disconnect>>,
    pub(super) handles: Cell<usize>,
    pub(super) ready: Ready,
    pub(super) ahead: RefCell<ReadAhead>,
    // Set as long as a read is outstanding, also while an attempt has it out of its slot.
    pub(super) is_reading: Cell<bool>,
    read: Cell<Option<PendingRead>>,
    write: Cell<Option<Box<dyn Write>>>,
    shutdown: Cell<Option<Completer<()>>>,
    // The first error of each side. A reader first gets what has arrived.
    pub(super) read_error: RefCell<Option<io::Error>>,
    pub(super) write_error: RefCell<Option<io::Error>>,
    // Whether the peer was seen to have closed: a read has met the end, or a write a broken pipe.
    pub(super) gone: Cell<bool>,
    pub(super) monitor: Cell<Option<Completer<()>>>,
    pub(super) fail_first: Cell<bool>,
    phase: Cell<Phase>,
}

impl Core {
    pub(super) fn new(ctx: &Context, transport: Transport) -> Rc<Self> {
        let Transport {
            ops,
            ahead,
            pool,
            ready,
        } = transport;
        let core = Rc::new(Self {
            ctx: ctx.downgrade(),
            pool,
            ops: RefCell::new(Some(ops)),
            disconnect: Cell::new(None),
            handles: Cell::new(1),
            ready: ready.clone(),
            ahead: RefCell::new(ahead),
            is_reading: Cell::new(false),
            read: Cell::new(None),
            write: Cell::new(None),
            shutdown: Cell::new(None),
            read_error: RefCell::new(None),
            write_error: RefCell::new(None),
            gone: Cell::new(false),
            monitor: Cell::new(None),
            fail_first: Cell::new(false),
            phase: Cell::new(Phase::Open),
        });
        let front: Rc<dyn Front> = core.clone();
        ready.set_front(Rc::downgrade(&front));
        core
    }

    /// Refuses whatever cannot be begun any more.
    pub(super) fn check_open(&self) -> io::Result<()> {
        match self.phase.get() {
            Phase::Open if self.ctx.is_gone() => Err(errors::context_gone()),
            Phase::Open => Ok(()),
            Phase::Disconnecting => Err(errors::aborted()),
            Phase::Closed => Err(errors::closed()),
        }
    }

    pub(super) fn phase(&self) -> Phase {
        self.phase.get()
    }

    pub(super) fn set_phase(&self, phase: Phase) {
        self.phase.set(phase);
    }

    pub(super) fn check_read(&self) -> io::Result<()> {
        self.check_open()?;
        if self.is_reading.get() {
            Err(errors::busy())
        } else {
            Ok(())
        }
    }

    /// Refuses a write of `len` bytes that cannot be begun.
    pub(super) fn check_write(&self, len: usize) -> io::Result<()> {
        self.check_open()?;
        if self.is_writing() {
            return Err(errors::busy());
        }
        self.check_write_side()?;
        if self.is_shutting_down() {
            return Err(errors::broken_pipe());
        }
        if len > self.with_ops(|ops| Ok(ops.max_write_len()))? {
            return Err(errors::too_large());
        }
        Ok(())
    }

    /// Says what the write side has failed with.
    pub(super) fn check_write_side(&self) -> io::Result<()> {
        match &*self.write_error.borrow() {
            Some(error) => Err(errors::again(error)),
            None => Ok(()),
        }
    }

    fn is_writing(&self) -> bool {
        holds(&self.write)
    }

    pub(super) fn check_shutdown(&self) -> io::Result<()> {
        self.check_open()?;
        if self.is_shutting_down() {
            Err(errors::already())
        } else {
            Ok(())
        }
    }

    fn is_shutting_down(&self) -> bool {
        holds(&self.shutdown)
    }

    pub(super) fn is_busy(&self) -> bool {
        self.is_reading.get() || self.is_writing() || self.is_shutting_down()
    }

    /// Attempts a new read, unless that is known to be in vain, and keeps it if it has to wait.
    pub(super) fn begin_read(self: &Rc<Self>, mut read: PendingRead) {
        self.is_reading.set(true);
        if let Err(error) = read.begin(&mut Source::new(self)) {
            self.is_reading.set(false);
            read.fail(error);
            return;
        }
        if self.fail_first.get() {
            self.watch();
            if let Some(error) = self.read_failure() {
                self.is_reading.set(false);
                read.fail(error);
                return;
            }
        }
        let is_in_vain = self.ahead.borrow().len() == 0
            && self.read_error.borrow().is_none()
            && self
                .ops
                .borrow_mut()
                .as_mut()
                .is_some_and(|ops| ops.awaits_read());
        if is_in_vain {
            self.park_read(read, true);
        } else {
            self.attempt_read(read, true);
        }
    }

    /// Attempts `read`, and keeps it if it has to wait.
    fn attempt_read(self: &Rc<Self>, read: PendingRead, is_new: bool) {
        let mut source = Source::new(self);
        match read {
            PendingRead::Some(read) => match self.outcome(read.attempt(&mut source)) {
                Some(result) => read.completer.finish(result),
                None => self.park_read(PendingRead::Some(read), is_new),
            },
            PendingRead::Other(mut read) => match self.outcome(read.attempt(&mut source)) {
                Some(result) => read.finish(result),
                None => self.park_read(PendingRead::Other(read), is_new),
            },
        }
        // What was read may have been in the way of the end.
        self.watch();
    }

    /// What a read has come to with an attempt; nothing if it has to wait.
    fn outcome<T>(&self, attempted: io::Result<T>) -> Option<io::Result<T>> {
        let result = match attempted {
            _ if self.phase.get() == Phase::Closed => Err(errors::aborted()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Err(self.read_failure()?),
            attempted => attempted,
        };
        self.is_reading.set(false);
        Some(result)
    }

    fn park_read(self: &Rc<Self>, read: PendingRead, is_new: bool) {
        if read.is_moot() {
            // Its request was dropped by the caller's code inside the attempt.
            self.is_reading.set(false);
            return;
        }
        if is_new {
            read.set_work(self.clone(), READ);
        }
        self.read.set(Some(read));
    }

    /// Makes one attempt to write `buffers`.
    pub(super) fn try_write(&self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut ops = self.ops.borrow_mut();
        let ops = ops.as_deref_mut().ok_or_else(errors::closed)?;
        let written = ops.try_writev(buffers);
        let written =
            written.and_then(|len| (len > 0).then_some(len).ok_or_else(errors::broken_pipe));
        written.inspect_err(|error| {
            if error.kind() != ErrorKind::WouldBlock {
                self.note_write_error(error);
                // What had arrived before may never be told now that the connection is gone.
                ops.told(Readiness::READ);
            }
        })
    }

    #[cold]
    fn note_write_error(&self, error: &io::Error) {
        self.write_error
            .borrow_mut()
            .get_or_insert_with(|| errors::again(error));
        // A peer that reads no more may have sent everything; any other end is one for both sides.
        if error.kind() == ErrorKind::BrokenPipe {
            self.gone.set(true);
        } else {
            self.read_error
                .borrow_mut()
                .get_or_insert_with(|| errors::again(error));
        }
    }

    pub(super) fn note_read_error(&self, error: &io::Error) {
        if error.kind() != ErrorKind::WouldBlock {
            self.read_error
                .borrow_mut()
                .get_or_insert_with(|| errors::again(error));
            self.write_error
                .borrow_mut()
                .get_or_insert_with(|| errors::again(error));
        }
    }

    /// Keeps a write that has to wait; one that was taken in part is first attempted until it has to.
    pub(super) fn park_write<B: WriteBuffers>(
        self: &Rc<Self>,
        rest: Rest<B>,
        completer: Completer<B, Failed<B>>,
    ) {
        completer.set_work(self.clone(), WRITE);
        let was_partial = rest.written > 0;
        let write = Box::new(WriteFully { rest, completer });
        if was_partial {
            self.resume_write(write);
        } else {
            self.write.set(Some(write));
        }
        self.watch();
    }

    fn resume_write(self: &Rc<Self>, mut write: Box<dyn Write>) {
        let result = write.attempt(&mut |buffers| self.try_write(buffers));
        match result {
            Err(error) if error.kind() == ErrorKind::WouldBlock => self.write.set(Some(write)),
            result => {
                write.finish(result);
                self.resume_shutdown();
            }
        }
    }

    pub(super) fn begin_shutdown(self: &Rc<Self>, completer: Completer<()>) {
        completer.set_work(self.clone(), SHUTDOWN);
        self.shutdown.set(Some(completer));
        self.resume_shutdown();
    }

    /// Ends the write side if that was asked for and nothing is left to write.
    fn resume_shutdown(self: &Rc<Self>) {
        if self.is_writing() {
            return;
        }
        let Some(completer) = self.shutdown.take() else {
            return;
        };
        let tried = match self.ops.try_borrow_mut().as_deref_mut() {
            Ok(Some(ops)) => ops.try_shutdown(),
            Ok(None) => Err(errors::closed()),
            Err(_) => {
                self.ready.schedule(Readiness::WRITE);
                Err(errors::would_block())
            }
        };
        match tried {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                self.shutdown.set(Some(completer));
            }
            Ok(()) => {
                self.write_error
                    .borrow_mut()
                    .get_or_insert_with(errors::broken_pipe);
                completer.done(());
            }
            Err(error) => completer.error(error),
        }
    }

    pub(super) fn pending_bytes(&self) -> io::Result<usize> {
        let ahead = self.ahead.borrow().len();
        self.with_ops(|ops| Ok(ahead + ops.pending_bytes()?))
    }

    pub(super) fn with_ops<R>(
        &self,
        call: impl FnOnce(&mut dyn StreamOps) -> io::Result<R>,
    ) -> io::Result<R> {
        let mut ops = self.ops.borrow_mut();
        call(&mut **ops.as_mut().ok_or_else(errors::closed)?)
    }

    /// Closes at once; what is outstanding ends with `ECONNABORTED` and its buffers.
    pub(super) fn abort(&self) {
        self.phase.set(Phase::Closed);
        // Closed before anybody is told, unless an attempt has it do so: then once that has returned.
        let ops = self.ops.try_borrow_mut().map(|mut ops| ops.take());
        let ahead = self
            .ahead
            .try_borrow_mut()
            .map(|mut ahead| mem::take(&mut *ahead));
        if ops.is_err() || ahead.is_err() {
            self.ready.schedule(Readiness::READ);
        }
        drop((ops, ahead));
        self.end_operations(&errors::aborted());
        self.end_monitor();
        if let Some(disconnect) = self.disconnect.take() {
            disconnect.completer.error(errors::aborted());
        }
    }

    /// Ends what is outstanding, with its buffers.
    pub(super) fn end_operations(&self, error: &io::Error) {
        if let Some(read) = self.read.take() {
            self.is_reading.set(false);
            read.fail(errors::again(error));
        }
        if let Some(write) = self.write.take() {
            write.finish(Err(errors::again(error)));
        }
        if let Some(completer) = self.shutdown.take() {
            completer.error(errors::again(error));
        }
    }

    /// Ends a monitor that is outstanding: the stream closes by itself.
    pub(super) fn end_monitor(&self) {
        if let Some(completer) = self.monitor.take() {
            completer.error(errors::aborted());
        }
    }
}

impl Front for Core {
    fn on_ready(self: Rc<Self>, told: Readiness) {
        if self.phase.get() == Phase::Closed {
            self.abort();
            return;
        }
        let Ok(told) = self.with_ops(|ops| Ok(ops.told(told))) else {
            return;
        };
        if self.phase.get() == Phase::Disconnecting {
            self.advance_disconnect(told);
            return;
        }
        if self.fail_first.get() {
            self.watch();
        }
        let mut unwanted = told;
        if told.intersects(Readiness::WRITE | Readiness::ERROR) {
            if let Some(write) = self.write.take() {
                unwanted -= Readiness::WRITE | Readiness::ERROR;
                self.resume_write(write);
            } else {
                self.resume_shutdown();
            }
        }
        if told.intersects(Readiness::READ | Readiness::ERROR) {
            if let Some(read) = self.read.take() {
                unwanted -= Readiness::READ | Readiness::ERROR;
                self.attempt_read(read, false);
            }
        }
        unwanted -= self.watch();
        if !unwanted.is_empty() {
            if let Some(ops) = &mut *self.ops.borrow_mut() {
                ops.unwanted(unwanted);
            }
        }
    }
}

impl Work for Core {
    fn stopped(self: Rc<Self>, slot: usize, end: End) {
        match slot {
            READ => {
                if let Some(read) = self.read.take() {
                    self.is_reading.set(false);
                    if end != End::Dropped {
                        read.fail(end.into());
                    }
                }
            }
            WRITE => {
                if let Some(write) = self.write.take() {
                    self.stop_write(write, end);
                }
            }
            SHUTDOWN => {
                if let Some(completer) = self.shutdown.take() {
                    completer.error(end.into());
                }
            }
            MONITOR => {
                if let Some(completer) = self.monitor.take() {
                    completer.error(end.into());
                }
            }
            _ => self.stop_disconnect(end),
        }
    }
}

impl Core {
    fn stop_write(self: &Rc<Self>, write: Box<dyn Write>, end: End) {
        // Inside an attempt nobody can say, so it counts as if.
        let is_mid_write = self.ops.try_borrow().map_or(true, |ops| {
            ops.as_ref().is_some_and(|ops| ops.is_mid_write())
        });
        if write.written() > 0 || is_mid_write {
            // The peer would take whatever came next for the rest of this.
            self.write_error
                .borrow_mut()
                .get_or_insert_with(errors::broken_pipe);
        }
        if end != End::Dropped {
            write.finish(Err(end.into()));
        }
        self.resume_shutdown();
    }
}
