//! [`Layer`], a tunnel and the stream below it as [`StreamOps`].

use std::io::{self, ErrorKind, IoSlice, IoSliceMut};
use std::mem;
use std::rc::Rc;

use tevent::{Context, Readiness};

use super::Tunnel;
use crate::chunk::Pool;
use crate::session::Driver;
use crate::stream::{StreamOps, Transport};
use crate::{Address, Credentials, errors};

/// The most that is received at once, in bytes: four records of TLS.
const RECEIVED_LEN: usize = 64 << 10;

/// How many times in a row the stream below is read from for the sake of one attempt: a peer that
/// sends nothing for a reader must not keep the loop.
const RECEIVE_BUDGET: usize = 16;

/// How much is opened for the sake of `pending_bytes`.
const OPENED_LEN: usize = 64 << 10;

pub(super) struct Layer<T: Tunnel> {
    driver: Driver<T>,
    transport: Transport,
    pool: Rc<Pool>,
    // The last byte of what was sealed counts as written when all of it has gone out.
    is_sealed: bool,
    // What is left of a write below that was taken in part: the next one has to be the rest of it.
    batch: usize,
    // Whether the own side has ended, and if so, whether the peer was told.
    finished: Option<bool>,
    // It ends as soon as what waits has gone out.
    ends_later: bool,
    // A read waits for room to answer.
    awaits_flush: bool,
    failed: Option<io::Error>,
    write_failed: Option<io::Error>,
}

impl<T: Tunnel> Layer<T> {
    pub(super) fn new(ctx: &Context, transport: Transport, driver: Driver<T>) -> Self {
        let ready = transport.ready();
        driver.io().set_carrier(Rc::new(move || {
            ready.schedule(Readiness::READ | Readiness::WRITE);
        }));
        Self {
            driver,
            transport,
            pool: ctx.local::<Pool>(),
            is_sealed: false,
            batch: 0,
            finished: None,
            ends_later: false,
            awaits_flush: false,
            failed: None,
            write_failed: None,
        }
    }

    pub(super) fn tunnel(&mut self) -> &mut T {
        self.driver.session()
    }

    /// Makes one attempt to come to the end of the negotiation.
    pub(super) fn negotiate(&mut self) -> io::Result<()> {
        loop {
            let flushed = self.flush();
            if !self.tunnel().is_negotiating() {
                flushed?;
                return Ok(());
            }
            if let Some(end) = self.tunnel().end() {
                return end.and(Err(errors::broken_pipe()));
            }
            if let Err(error) = self.receive() {
                return Err(self.failure().unwrap_or(error));
            }
        }
    }

    /// Sends what waits; an error is kept for the write side.
    fn flush(&mut self) -> io::Result<()> {
        let sent = self.send_waiting();
        let is_blocked = matches!(&sent, Err(error) if error.kind() == ErrorKind::WouldBlock);
        if !is_blocked && mem::take(&mut self.awaits_flush) {
            self.transport.ready().schedule(Readiness::READ);
        }
        sent?;
        if mem::take(&mut self.ends_later) {
            let ended = self.end_own_side();
            self.ends_later = matches!(ended, Err(error) if error.kind() == ErrorKind::WouldBlock);
        }
        Ok(())
    }

    fn send_waiting(&mut self) -> io::Result<()> {
        if let Some(error) = &self.write_failed {
            // What the peer provokes meanwhile must not count for ever.
            drop(self.driver.take_sent());
            return Err(errors::again(error));
        }
        while self.driver.io().has_waiting() {
            if self.batch == 0 {
                self.batch = self.transport.max_write_len();
            }
            let (io, transport) = (self.driver.io(), &mut self.transport);
            let mut offered = 0;
            let written = io.with_slices(self.batch, |slices| {
                offered = slices.iter().map(|slice| slice.len()).sum();
                transport.try_writev(slices)
            });
            match written {
                Ok(0) => return Err(self.fail_writing(&errors::broken_pipe())),
                Ok(len) => {
                    self.batch = offered - len;
                    self.driver.io().taken(len);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.batch = if self.transport.is_mid_write() {
                        offered
                    } else {
                        0
                    };
                    return Err(error);
                }
                Err(error) => return Err(self.fail_writing(&error)),
            }
        }
        Ok(())
    }

    fn fail_writing(&mut self, error: &io::Error) -> io::Error {
        self.write_failed = Some(errors::again(error));
        drop(self.driver.take_sent());
        errors::again(error)
    }

    /// Has the tunnel end its side; returns whether the peer is told.
    fn finish(&mut self) -> io::Result<bool> {
        let io = self.driver.io().clone();
        let is_told = io.quietly(|| self.tunnel().finish(&io))?;
        self.finished = Some(is_told);
        Ok(is_told)
    }

    fn end_own_side(&mut self) -> io::Result<()> {
        let is_told = match self.finished {
            Some(is_told) => is_told,
            None => self.finish()?,
        };
        self.send_waiting()?;
        match self.transport.try_shutdown() {
            Err(error) if is_told && errors::is_not_supported(&error) => Ok(()),
            ended => ended,
        }
    }

    /// Whether there is nothing more to come.
    fn has_ended(&mut self) -> bool {
        self.failed.is_some() || self.driver.session().end().is_some()
    }

    /// Makes one attempt to have the tunnel receive something.
    fn receive(&mut self) -> io::Result<()> {
        if let Some(error) = &self.failed {
            return Err(errors::again(error));
        }
        let received = self.try_receive();
        // An answer that cannot go out now does when there is room.
        self.flush().ok();
        received.map_err(|error| {
            if error.kind() == ErrorKind::WouldBlock {
                return error;
            }
            let again = errors::again(&error);
            self.failed = Some(error);
            again
        })
    }

    /// What has gone wrong: whoever asks first gets the error itself.
    fn failure(&mut self) -> Option<io::Error> {
        let failed = self.failed.take()?;
        self.failed = Some(errors::again(&failed));
        Some(failed)
    }

    fn try_receive(&mut self) -> io::Result<()> {
        if self.driver.resume()? {
            return Ok(());
        }
        let is_stopped = self.driver.unconsumed() > 0 && self.tunnel().pending() > 0;
        if is_stopped {
            return Err(errors::would_block());
        }
        if self.driver.io().is_congested() && self.write_failed.is_none() {
            // Told again when there is room; what arrives until then is no news.
            self.awaits_flush = true;
            self.transport.unwanted(Readiness::READ);
            return Err(errors::would_block());
        }
        let room = self.driver.room().min(RECEIVED_LEN);
        if room == 0 {
            return Err(errors::too_large());
        }
        let (driver, transport) = (&mut self.driver, &mut self.transport);
        self.pool.with_scratch(|scratch| {
            let received = transport.try_readv(&mut [IoSliceMut::new(&mut scratch[..room])])?;
            if received == 0 {
                driver.end_input(None);
                Ok(())
            } else {
                driver.receive(&mut scratch[..received])
            }
        })
    }

    /// What was opened has been read: looks for what comes next, whether or not anybody reads.
    fn go_on(&mut self) {
        self.driver.io().ask_resume();
        if self.driver.wants_resume() || !self.has_ended() && !self.transport.awaits_read() {
            self.transport.ready().schedule(Readiness::READ);
        }
    }

    /// Receives until there is something for a reader; `Ok` if there is, or nothing will come.
    fn fill(&mut self) -> io::Result<()> {
        for _ in 0..RECEIVE_BUDGET {
            if self.tunnel().pending() > 0 || self.has_ended() {
                return Ok(());
            }
            self.receive()?;
        }
        if self.tunnel().pending() > 0 || self.has_ended() {
            return Ok(());
        }
        self.transport.ready().schedule(Readiness::READ);
        Err(errors::would_block())
    }
}

impl<T: Tunnel> StreamOps for Layer<T> {
    fn try_readv(&mut self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        let filled = self.fill();
        let read = self.tunnel().read(buffers);
        if read > 0 {
            if self.tunnel().pending() == 0 {
                self.go_on();
            }
            return Ok(read);
        }
        if let Some(error) = self.failure() {
            return Err(error);
        }
        filled?;
        match self.tunnel().end() {
            Some(end) => end.map(|()| 0),
            None => Err(errors::would_block()),
        }
    }

    fn try_writev(&mut self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        self.flush()?;
        if mem::take(&mut self.is_sealed) {
            return Ok(1);
        }
        if let Some(error) = self.failure() {
            return Err(error);
        }
        let io = self.driver.io().clone();
        let sealed = io.quietly(|| self.tunnel().write(buffers, &io))?;
        match self.flush() {
            Err(error) if error.kind() == ErrorKind::WouldBlock && sealed > 0 => {
                self.is_sealed = true;
                match sealed - 1 {
                    0 => Err(error),
                    len => Ok(len),
                }
            }
            flushed => flushed.map(|()| sealed),
        }
    }

    fn pending_bytes(&mut self) -> io::Result<usize> {
        loop {
            let before = self.tunnel().pending();
            if before >= OPENED_LEN || self.has_ended() || self.receive().is_err() {
                break;
            }
            if self.tunnel().pending() == before {
                break;
            }
        }
        Ok(self.tunnel().pending())
    }

    fn try_shutdown(&mut self) -> io::Result<()> {
        match self.send_waiting() {
            // The rest of a write that was given up: nobody waits for it, and it goes out by itself.
            Err(error) if error.kind() == ErrorKind::WouldBlock && self.is_sealed => {
                self.ends_later = true;
                Ok(())
            }
            sent => sent.and_then(|()| self.end_own_side()),
        }
    }

    fn local_address(&self) -> io::Result<Address> {
        self.transport.local_address()
    }

    fn peer_address(&self) -> io::Result<Address> {
        self.transport.peer_address()
    }

    fn peer_credentials(&self) -> io::Result<Credentials> {
        self.transport.peer_credentials()
    }

    fn move_to(&mut self, ctx: &Context) -> io::Result<()> {
        self.transport.move_to(ctx)?;
        self.pool = ctx.local::<Pool>();
        // Nobody may read or write there.
        let ready = self.transport.ready();
        ready.schedule(Readiness::READ | Readiness::WRITE);
        Ok(())
    }

    fn try_monitor(&mut self) -> io::Result<()> {
        self.pending_bytes()?;
        if let Some(error) = &self.failed {
            return Err(errors::again(error));
        }
        self.tunnel()
            .end()
            .unwrap_or_else(|| Err(errors::would_block()))
    }

    fn told(&mut self, readiness: Readiness) -> Readiness {
        let told = self.transport.told(readiness);
        if told.intersects(Readiness::WRITE | Readiness::ERROR) && self.driver.io().has_waiting() {
            // What goes wrong is kept for the next attempt.
            self.flush().ok();
        }
        if told.intersects(Readiness::READ | Readiness::ERROR) {
            self.fill().ok();
        }
        told
    }

    fn unwanted(&mut self, readiness: Readiness) {
        let mut unwanted = readiness;
        if self.driver.io().has_waiting() && self.write_failed.is_none() {
            unwanted -= Readiness::WRITE;
        }
        if self.tunnel().pending() == 0 && !self.has_ended() && !self.awaits_flush {
            unwanted -= Readiness::READ;
        }
        if !unwanted.is_empty() {
            self.transport.unwanted(unwanted);
        }
    }

    fn awaits_read(&mut self) -> bool {
        self.tunnel().pending() == 0
            && !self.has_ended()
            && !self.driver.wants_resume()
            && self.transport.awaits_read()
    }

    fn is_mid_write(&self) -> bool {
        self.is_sealed || self.transport.is_mid_write()
    }
}

/// A peer hears of an end that leaves nothing behind; it may not take a write that breaks off for one.
impl<T: Tunnel> Drop for Layer<T> {
    fn drop(&mut self) {
        let is_in_order = self.finished.is_none() && !self.is_sealed && self.failed.is_none();
        if is_in_order
            && !self.tunnel().is_negotiating()
            && self.flush().is_ok()
            && matches!(self.finish(), Ok(true))
        {
            self.flush().ok();
        }
    }
}
