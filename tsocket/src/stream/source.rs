//! [`Source`], where the attempts of a read get their bytes.

use std::cell::Cell;
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

struct Place<'a> {
    is_taken: &'a Cell<bool>,
    is_kept: bool,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if !self.is_kept {
            self.is_taken.set(false);
        }
    }
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

    /// How many bytes a read would give without waiting.
    pub(super) fn pending_bytes(&self) -> io::Result<usize> {
        self.core.pending_bytes()
    }

    /// Calls code of the caller, whose panic takes the read with it: then the place is free.
    pub(super) fn unless_it_unwinds<R>(&self, call: impl FnOnce() -> R) -> R {
        let mut place = Place {
            is_taken: &self.core.is_reading,
            is_kept: false,
        };
        let result = call();
        place.is_kept = true;
        result
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
