//! The pending write of a stream: what is left of it, and how it ends.

use std::io::{self, IoSlice};
use std::rc::Rc;

use tevent::{Completer, Work};

use crate::buffers::{Parts, WriteBuffers};
use crate::{Failed, errors};

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

    /// Has `work` told when the request is dropped or ended from outside.
    fn set_work(&self, work: Rc<dyn Work>, slot: usize);
}

pub(super) struct WriteFully<B: WriteBuffers> {
    pub(super) buffers: B,
    pub(super) wanted: usize,
    pub(super) written: usize,
    pub(super) completer: Completer<B, Failed<B>>,
}

impl<B: WriteBuffers> Write for WriteFully<B> {
    fn attempt(
        &mut self,
        write: &mut dyn FnMut(&[IoSlice<'_>]) -> io::Result<usize>,
    ) -> io::Result<()> {
        while self.written < self.wanted {
            let mut parts = Parts::skipping(self.written);
            self.buffers.parts(&mut parts);
            match write(parts.slices())? {
                0 => return Err(errors::broken_pipe()),
                written => self.written += written,
            }
        }
        Ok(())
    }

    fn finish(self: Box<Self>, result: io::Result<()>) {
        let Self {
            buffers,
            written,
            completer,
            ..
        } = *self;
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
        self.written
    }

    fn set_work(&self, work: Rc<dyn Work>, slot: usize) {
        self.completer.set_work(work, slot);
    }
}
