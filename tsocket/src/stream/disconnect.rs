//! An orderly end: half-close, drain what still comes, then close.

use std::io::{ErrorKind, IoSliceMut};
use std::rc::Rc;
use std::time::Duration;

use tevent::{Completer, End, Readiness, Timer};

use super::StreamOps;
use super::core::{Core, DISCONNECT, Phase};
use crate::errors;

/// The longest that a disconnect waits for the peer to close its side.
///
/// Closing a TCP socket with unread data in it resets the connection, and the reset overtakes data
/// that the peer has not read yet. So we read until the peer has closed; this long serves a peer that
/// is alive, and a silent one does not hold the descriptor for longer.
pub const DISCONNECT_TIME: Duration = Duration::from_secs(5);

/// The most that a disconnect reads and throws away, in bytes, for the same reason.
pub const DISCONNECT_BYTES: usize = 16 << 20;

/// A disconnect that is going on.
pub(super) struct Disconnect {
    pub(super) completer: Completer<()>,
    is_shut_down: bool,
    drained: usize,
    _timer: Timer,
}

/// What a disconnect waits for.
enum Progress {
    Waits,
    Over,
}

impl Core {
    pub(super) fn begin_disconnect(self: &Rc<Self>, completer: Completer<()>) {
        let Some(ctx) = self.ctx.upgrade() else {
            self.abort();
            completer.error(errors::context_gone());
            return;
        };
        completer.set_work(self.clone(), DISCONNECT);
        self.set_phase(Phase::Disconnecting);
        self.end_monitor();
        let timer = Timer::new(&ctx, {
            let core = Rc::downgrade(self);
            move || {
                if let Some(core) = core.upgrade() {
                    core.end_disconnect();
                }
            }
        });
        timer.arm_after(DISCONNECT_TIME);
        let disconnect = Disconnect {
            completer,
            is_shut_down: false,
            drained: 0,
            _timer: timer,
        };
        self.disconnect.set(Some(disconnect));
        self.advance_disconnect(Readiness::NONE);
    }

    pub(super) fn advance_disconnect(&self, told: Readiness) {
        let Some(mut disconnect) = self.disconnect.take() else {
            return;
        };
        let progress = self.half_close(&mut disconnect);
        let is_shut_down = disconnect.is_shut_down;
        self.disconnect.set(Some(disconnect));
        match progress {
            Progress::Over => self.end_disconnect(),
            // Once it is shut down, all that is waited for is the end of the peer.
            Progress::Waits if is_shut_down && told.intersects(Readiness::WRITE) => {
                if let Some(ops) = &mut *self.ops.borrow_mut() {
                    ops.unwanted(Readiness::WRITE);
                }
            }
            Progress::Waits => {}
        }
    }

    fn half_close(&self, disconnect: &mut Disconnect) -> Progress {
        let mut ops = self.ops.borrow_mut();
        let Some(ops) = ops.as_mut() else {
            return Progress::Over;
        };
        if !disconnect.is_shut_down {
            match ops.try_shutdown() {
                Ok(()) => disconnect.is_shut_down = true,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Progress::Waits,
                // The peer learns of the end only when we close, so there is nothing to wait for. What
                // has arrived is drained, told of or not.
                Err(error) if errors::is_not_supported(&error) => {
                    self.drain_all(&mut **ops, disconnect);
                    return Progress::Over;
                }
                // The connection is gone.
                Err(_) => return Progress::Over,
            }
        }
        self.drain(&mut **ops, disconnect)
    }

    /// Reads and drops what has arrived until there is nothing more: once told, an implementation may
    /// read no more than its share of a round.
    fn drain_all(&self, ops: &mut dyn StreamOps, disconnect: &mut Disconnect) {
        loop {
            let before = disconnect.drained;
            ops.told(Readiness::READ);
            let drained = self.drain(ops, disconnect);
            if matches!(drained, Progress::Over) || disconnect.drained == before {
                return;
            }
        }
    }

    /// Reads and drops what has arrived; over when the peer has closed or sends without end.
    fn drain(&self, ops: &mut dyn StreamOps, disconnect: &mut Disconnect) -> Progress {
        self.pool.with_scratch(|scratch| {
            loop {
                match ops.try_readv(&mut [IoSliceMut::new(scratch)]) {
                    Err(error) if error.kind() == ErrorKind::WouldBlock => return Progress::Waits,
                    Ok(0) | Err(_) => return Progress::Over,
                    Ok(read) => disconnect.drained += read,
                }
                if disconnect.drained > DISCONNECT_BYTES {
                    return Progress::Over;
                }
            }
        })
    }

    /// The request of a disconnect was dropped or ended from outside: closes at once.
    pub(super) fn stop_disconnect(&self, end: End) {
        let disconnect = self.disconnect.take();
        self.abort();
        if let Some(disconnect) = disconnect {
            disconnect.completer.error(end.into());
        }
    }

    fn end_disconnect(&self) {
        let Some(disconnect) = self.disconnect.take() else {
            return;
        };
        self.abort();
        disconnect.completer.done(());
    }
}
