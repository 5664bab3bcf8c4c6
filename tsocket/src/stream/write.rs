//! The pending write of a stream: what is left of it, and how it ends.

use std::io::{self, IoSlice};

use tevent::Completer;

use crate::Failed;
use crate::buffers::{Parts, WriteBuffers};

/// A write that goes on until everything was taken.
pub(super) trait Write {
    /// Makes one attempt; `WouldBlock` asks to be called again, `Ok` means that it is complete.
    fn attempt(
        &mut self,
        write: &mut dyn FnMut(&[IoSlice<'_>]) -> io::Result<usize>,
    ) -> io::Result<()>;

    /// Ends the request with the buffers, or with `result`'s error.
    fn finish(self: Box<Self>, result: io::Result<()>);

    /// How many bytes were taken.
    fn written(&self) -> usize;
}

/// What a write has come to with its first attempt.
pub(super) enum Begun<B> {
    Over(Result<B, Failed<B>>),
    Waits(Rest<B>),
}

/// A write of which something is left.
pub(super) struct Rest<B> {
    pub(super) buffers: B,
    pub(super) wanted: usize,
    pub(super) written: usize,
}

pub(super) struct WriteFully<B: WriteBuffers> {
    pub(super) rest: Rest<B>,
    pub(super) completer: Completer<B, Failed<B>>,
}

impl<B: WriteBuffers> Write for WriteFully<B> {
    fn attempt(
        &mut self,
        write: &mut dyn FnMut(&[IoSlice<'_>]) -> io::Result<usize>,
    ) -> io::Result<()> {
        let rest = &mut self.rest;
        while rest.written < rest.wanted {
            let mut parts = Parts::skipping(rest.written);
            rest.buffers.parts(&mut parts);
            rest.written += write(parts.slices())?;
        }
        Ok(())
    }

    fn finish(self: Box<Self>, result: io::Result<()>) {
        let Self { rest, completer } = *self;
        let Rest {
            buffers, written, ..
        } = rest;
        completer.finish(match result {
            Ok(()) => Ok(buffers),
            Err(error) => Err(Failed {
                error,
                buffers,
                transferred: written,
            }),
        });
    }

    fn written(&self) -> usize {
        self.rest.written
    }
}
