//! [`Chunk`], bytes in a buffer that goes back to its context's pool.

use std::cell::RefCell;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::rc::{Rc, Weak};

/// The sizes of pooled buffers, in bytes; a chunk uses the smallest that is large enough.
const SIZES: [usize; 4] = [1 << 10, 1 << 12, 1 << 14, 1 << 16];

/// How many bytes of unused buffers the pool of a context keeps for each size.
const KEPT_BYTES: usize = 1 << 20;

/// Bytes that were read, or that are to be written, in a buffer of the context's pool.
///
/// Its buffer is at most four times as large, or 1 KiB. Dereferences to its bytes. A chunk that was read can be written as it is, without copying. Its
/// buffer goes back to the pool when it is dropped.
///
/// # Examples
/// ```
/// let chunk = tsocket::Chunk::from(b"hello".to_vec());
/// assert_eq!(&chunk[..], b"hello");
/// ```
#[derive(Default)]
pub struct Chunk {
    // Small, because chunks move a lot; nothing if the chunk is empty from the start.
    buffer: Option<Box<Buffer>>,
    len: usize,
}

struct Buffer {
    // Initialised to its whole length; the chunk's bytes are `len` behind `start`.
    bytes: Vec<u8>,
    start: usize,
    // Where it goes back to, be it from a chunk that outlives its context, and among which size there.
    pool: Weak<Pool>,
    class: usize,
}

impl Chunk {
    /// Keeps the first `len` bytes; does nothing if there are fewer.
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// Takes the first `len` bytes off, without copying; does nothing if there are fewer.
    ///
    /// # Examples
    /// ```
    /// let mut pdu = tsocket::Chunk::from(b"\0\0\0\x05hello".to_vec());
    /// pdu.advance(4);
    /// assert_eq!(&pdu[..], b"hello");
    /// ```
    pub fn advance(&mut self, len: usize) {
        if let (Some(buffer), Some(rest)) = (&mut self.buffer, self.len.checked_sub(len)) {
            buffer.start += len;
            self.len = rest;
        }
    }
}

impl Chunk {
    /// Makes it `len` bytes long where it is, those behind of any value; returns whether it has the room.
    pub(crate) fn grow(&mut self, len: usize) -> bool {
        let buffer = self.buffer.as_ref();
        let has_room = buffer.is_some_and(|buffer| buffer.bytes.len() - buffer.start >= len);
        if has_room {
            self.len = self.len.max(len);
        }
        has_room
    }
}

#[cfg(feature = "bytes")]
impl Chunk {
    /// The bytes in a vector: the buffer itself, unless most of it is unused, or else a copy.
    pub(crate) fn into_vec(mut self) -> Vec<u8> {
        let Some(buffer) = self
            .buffer
            .take_if(|buffer| buffer.bytes.len() <= 2 * self.len)
        else {
            return self.to_vec();
        };
        let Buffer {
            mut bytes, start, ..
        } = *buffer;
        bytes.truncate(start + self.len);
        bytes.drain(..start);
        bytes
    }
}

impl From<Vec<u8>> for Chunk {
    fn from(bytes: Vec<u8>) -> Self {
        let len = bytes.len();
        let pool = Weak::new();
        Self {
            buffer: Some(Box::new(Buffer {
                bytes,
                start: 0,
                pool,
                class: SIZES.len(),
            })),
            len,
        }
    }
}

impl Deref for Chunk {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.buffer {
            Some(buffer) => &buffer.bytes[buffer.start..][..self.len],
            None => &[],
        }
    }
}

impl DerefMut for Chunk {
    fn deref_mut(&mut self) -> &mut [u8] {
        match &mut self.buffer {
            Some(buffer) => &mut buffer.bytes[buffer.start..][..self.len],
            None => &mut [],
        }
    }
}

impl AsRef<[u8]> for Chunk {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl fmt::Debug for Chunk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chunk")
            .field("len", &self.len)
            .finish_non_exhaustive()
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        if let Some(buffer) = self.buffer.take() {
            if let Some(pool) = buffer.pool.upgrade() {
                pool.give_back(buffer);
            }
        }
    }
}

/// The unused buffers of a context, and its scratch buffer.
#[derive(Default)]
pub(crate) struct Pool {
    #[expect(clippy::vec_box, reason = "the boxes go in and out as they are")]
    free: [RefCell<Vec<Box<Buffer>>>; SIZES.len()],
    scratch: RefCell<Vec<u8>>,
}

impl Pool {
    /// The largest chunk that is pooled.
    pub(crate) const MAX: usize = SIZES[SIZES.len() - 1];

    /// A chunk of `len` bytes of any value; one of none has no buffer.
    pub(crate) fn chunk(self: &Rc<Self>, len: usize) -> Chunk {
        if len == 0 {
            return Chunk::default();
        }
        let Some(class) = SIZES.iter().position(|size| *size >= len) else {
            return Chunk::from(vec![0; len]);
        };
        let free = self.free[class].borrow_mut().pop();
        let buffer = free.unwrap_or_else(|| {
            Box::new(Buffer {
                bytes: vec![0; SIZES[class]],
                start: 0,
                pool: Rc::downgrade(self),
                class,
            })
        });
        Chunk {
            buffer: Some(buffer),
            len,
        }
    }

    /// The same bytes in a buffer of their size: `chunk` itself, or a copy if a smaller one is enough.
    ///
    /// Whoever keeps what was read then keeps little more, whatever room the read offered.
    pub(crate) fn fitted(self: &Rc<Self>, chunk: Chunk) -> Chunk {
        let class = chunk.buffer.as_ref().map_or(0, |buffer| buffer.class);
        let is_too_large = class > 0 && chunk.len <= SIZES[class - 1];
        if is_too_large {
            self.copy(&chunk)
        } else {
            chunk
        }
    }

    /// A chunk with a copy of `bytes`.
    pub(crate) fn copy(self: &Rc<Self>, bytes: &[u8]) -> Chunk {
        let mut chunk = self.chunk(bytes.len());
        chunk.copy_from_slice(bytes);
        chunk
    }

    fn give_back(&self, mut buffer: Box<Buffer>) {
        buffer.start = 0;
        let mut free = self.free[buffer.class].borrow_mut();
        if free.len() < KEPT_BYTES / SIZES[buffer.class] {
            free.push(buffer);
        }
    }

    /// Lends the context's scratch buffer, [`Pool::MAX`] bytes of any value.
    pub(crate) fn with_scratch<R>(&self, scratch: impl FnOnce(&mut [u8]) -> R) -> R {
        let mut buffer = self.scratch.take();
        buffer.resize(Self::MAX, 0);
        let result = scratch(&mut buffer);
        self.scratch.replace(buffer);
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_chunk_gives_its_buffer_to_the_next() {
        let pool = Rc::new(Pool::default());
        let chunk = pool.chunk(100);
        let address = chunk.as_ptr();
        drop(chunk);
        assert_eq!(pool.chunk(1000).as_ptr(), address);
        assert_ne!(pool.chunk(2000).as_ptr(), address);
    }

    #[test]
    fn a_buffer_comes_back_whole_from_a_chunk_that_has_advanced() {
        let pool = Rc::new(Pool::default());
        let mut chunk = pool.chunk(1024);
        chunk.advance(1000);
        chunk.advance(25);
        assert_eq!(chunk.len(), 24, "there are no 25");
        drop(chunk);
        assert_eq!(pool.chunk(1024).len(), 1024);
    }

    #[test]
    fn the_pool_keeps_a_bounded_number_of_bytes() {
        let pool = Rc::new(Pool::default());
        let chunks: Vec<Chunk> = (0..100).map(|_| pool.chunk(Pool::MAX)).collect();
        drop(chunks);
        assert_eq!(pool.free[3].borrow().len(), KEPT_BYTES / Pool::MAX);
    }

    #[test]
    fn a_chunk_grows_as_far_as_its_buffer_goes() {
        let pool = Rc::new(Pool::default());
        let mut chunk = pool.copy(b"head");
        assert!(chunk.grow(1024));
        assert_eq!((&chunk[..4], chunk.len()), (&b"head"[..], 1024));
        chunk.advance(4);
        assert!(!chunk.grow(1024));
        assert_eq!(chunk.len(), 1020);
        assert!(!Chunk::default().grow(1));
    }

    #[test]
    fn a_chunk_of_little_keeps_little() {
        let pool = Rc::new(Pool::default());
        for (len, room) in [(1, 1 << 10), (5_000, 1 << 14), (20_000, 1 << 16), (0, 0)] {
            let mut chunk = pool.chunk(Pool::MAX);
            chunk.fill(7);
            chunk.truncate(len);
            let fitted = pool.fitted(chunk);
            assert_eq!(&*fitted, vec![7; len]);
            assert_eq!(
                fitted
                    .buffer
                    .as_ref()
                    .map_or(0, |buffer| buffer.bytes.len()),
                room
            );
        }
    }

    #[test]
    fn an_empty_chunk_takes_no_buffer() {
        let pool = Rc::new(Pool::default());
        assert!(pool.chunk(0).buffer.is_none());
    }

    #[test]
    fn large_chunks_are_not_pooled() {
        let pool = Rc::new(Pool::default());
        let mut chunk = pool.chunk(Pool::MAX + 1);
        assert_eq!(chunk.len(), Pool::MAX + 1);
        chunk.truncate(3);
        assert_eq!(chunk.len(), 3);
        drop(chunk);
        assert!(pool.free.iter().all(|free| free.borrow().is_empty()));
    }
}
