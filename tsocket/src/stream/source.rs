//! [`Source`], where the attempts of a read get their bytes.

use std::io;
use std::rc::Rc;

use super::StreamOps;
use super::core::Core;
use crate::buffers::PartsMut;
use crate::chunk::Pool;
use crate::errors;
use crate::read_ahead::ReadAhead;

/// Where the attempts of a read get their bytes.
pub(super) struct Source<'a> {
    core: &'a Core,
}

impl<'a> Source<'a> {
    pub(super) fn new(core: &'a Core) -> Self {
        Self { core }
    }

    pub(super) fn pool(&self) -> &Rc<Pool> {
        &self.core.pool
    }

    /// Makes one attempt to fill `parts`, of `wanted` bytes; 0 is the end of the stream.
    pub(super) fn try_fill(&mut self, parts: PartsMut<'_>, wanted: usize) -> io::Result<usize> {
        let pool = &self.core.pool;
        self.attempt(|ahead, ops| ahead.try_fill(ops, pool, parts, wanted))
    }

    /// Makes one attempt to fill `buffer`; 0 is the end of the stream.
    pub(super) fn try_read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let pool = &self.core.pool;
        self.attempt(|ahead, ops| ahead.try_read(ops, pool, buffer))
    }

    fn attempt(
        &self,
        fill: impl FnOnce(&mut ReadAhead, &mut dyn StreamOps) -> io::Result<usize>,
    ) -> io::Result<usize> {
        let Self { core } = self;
        let mut ops = core.ops.borrow_mut();
        let ops = &mut **ops.as_mut().ok_or_else(errors::closed)?;
        let filled = fill(&mut core.ahead.borrow_mut(), ops);
        match filled {
            // What has ended in an error has no good end.
            Ok(0) => {
                core.gone.set(true);
                core.read_failure().map_or(Ok(0), Err)
            }
            Ok(filled) => Ok(filled),
            Err(error) => {
                core.note_read_error(&error);
                Err(error)
            }
        }
    }
}
