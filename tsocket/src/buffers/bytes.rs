//! `Bytes` and `BytesMut` as buffers.

use bytes::{Bytes, BytesMut};

use super::{Buffers, Parts, PartsMut, ReadBuffers, WriteBuffers};
use crate::Chunk;

impl Buffers for Bytes {
    fn empty() -> Self {
        Self::new()
    }
}

impl WriteBuffers for Bytes {
    fn parts<'a>(&'a self, parts: &mut Parts<'a>) {
        parts.push(self);
    }
}

impl Buffers for BytesMut {
    fn empty() -> Self {
        Self::new()
    }
}

impl ReadBuffers for BytesMut {
    fn parts_mut<'a>(&'a mut self, parts: &mut PartsMut<'a>) {
        parts.push(self);
    }
}

impl WriteBuffers for BytesMut {
    fn parts<'a>(&'a self, parts: &mut Parts<'a>) {
        parts.push(self);
    }
}

/// Takes the buffer out of the context's pool, which cannot be shared with other threads; if the chunk
/// fills less than half of it, the bytes are copied, so that a small one does not keep a large buffer.
impl From<Chunk> for Bytes {
    fn from(chunk: Chunk) -> Self {
        chunk.into_vec().into()
    }
}
