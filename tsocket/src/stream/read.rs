//! The pending reads of a stream: what each still needs, and how it ends.

use std::io;
use std::rc::Rc;

use tevent::{Completer, Work};

use super::source::Source;
use crate::buffers::{PartsMut, ReadBuffers};
use crate::chunk::{Chunk, Pool};
use crate::{Failed, errors};

/// A read that goes on until it has what it needs.
pub(super) trait Read {
    /// Is called once, before any attempt; an error ends the read.
    fn begin(&mut self, _: &mut Source<'_>) -> io::Result<()> {
        Ok(())
    }

    /// Makes one attempt; `WouldBlock` asks to be called again, `Ok` means that it is complete.
    fn attempt(&mut self, source: &mut Source<'_>) -> io::Result<()>;

    /// Ends the request: with what was read, or with `result`'s error.
    fn finish(self: Box<Self>, result: io::Result<()>);

    /// Whether nobody waits for it any more.
    fn is_moot(&self) -> bool;

    /// Has `work` told when the request is dropped or ended from outside.
    fn set_work(&self, work: Rc<dyn Work>, slot: usize);
}

/// A read of whatever there is. While it waits it owns no buffer.
pub(super) struct ReadSome {
    pub(super) max: usize,
    pub(super) completer: Completer<Chunk>,
}

impl ReadSome {
    /// Makes one attempt; `WouldBlock` asks to be called again.
    pub(super) fn attempt(&self, source: &mut Source<'_>) -> io::Result<Chunk> {
        let mut chunk = source.pool().chunk(self.max.min(Pool::MAX));
        let read = source.try_read(&mut chunk)?;
        chunk.truncate(read);
        Ok(source.pool().fitted(chunk))
    }
}

/// A read that fills its buffers.
pub(super) struct ReadFully<B: ReadBuffers> {
    pub(super) buffers: B,
    pub(super) wanted: usize,
    pub(super) read: usize,
    pub(super) completer: Completer<B, Failed<B>>,
}

impl<B: ReadBuffers> Read for ReadFully<B> {
    fn attempt(&mut self, source: &mut Source<'_>) -> io::Result<()> {
        while self.read < self.wanted {
            let mut parts = PartsMut::skipping(self.read);
            self.buffers.parts_mut(&mut parts);
            match source.try_fill(parts, self.wanted - self.read)? {
                0 => return Err(errors::broken_pipe()),
                read => self.read += read,
            }
        }
        Ok(())
    }

    fn finish(self: Box<Self>, result: io::Result<()>) {
        let Self {
            buffers,
            read,
            completer,
            ..
        } = *self;
        completer.finish(match result {
            Ok(()) => Ok(buffers),
            Err(error) => Err(Failed {
                error,
                buffers,
                transferred: read,
            }),
        });
    }

    fn is_moot(&self) -> bool {
        self.completer.is_moot()
    }

    fn set_work(&self, work: Rc<dyn Work>, slot: usize) {
        self.completer.set_work(work, slot);
    }
}

/// The read that is outstanding; the one that waits for most connections most of the time needs no
/// allocation of its own.
pub(super) enum PendingRead {
    Some(ReadSome),
    Other(Box<dyn Read>),
}

impl PendingRead {
    pub(super) fn begin(&mut self, source: &mut Source<'_>) -> io::Result<()> {
        match self {
            Self::Some(_) => Ok(()),
            Self::Other(read) => read.begin(source),
        }
    }

    /// Ends the request before anything that it waits for has come.
    pub(super) fn fail(self, error: io::Error) {
        match self {
            Self::Some(read) => read.completer.error(error),
            Self::Other(read) => read.finish(Err(error)),
        }
    }

    pub(super) fn is_moot(&self) -> bool {
        match self {
            Self::Some(read) => read.completer.is_moot(),
            Self::Other(read) => read.is_moot(),
        }
    }

    pub(super) fn set_work(&self, work: Rc<dyn Work>, slot: usize) {
        match self {
            Self::Some(read) => read.completer.set_work(work, slot),
            Self::Other(read) => read.set_work(work, slot),
        }
    }
}
