//! The buffers that operations own while they run.

#[cfg(feature = "bytes")]
mod bytes;

use std::io::{IoSlice, IoSliceMut};
use std::sync::Arc;

use crate::Chunk;

/// The largest number of buffers that one operation takes, the system's `IOV_MAX`.
pub const MAX_BUFFER_COUNT: usize = 1024;

/// How many buffers an attempt collects without allocating.
const INLINE: usize = 8;

/// Buffers that an operation can own.
pub trait Buffers: 'static {
    /// Buffers of no length, in place of those that are lost.
    fn empty() -> Self;
}

/// Buffers that can be filled: their length is what is read, and they are initialised memory.
///
/// Implemented for vectors and boxed slices of bytes, and for arrays, tuples and vectors of such.
///
/// # Examples
/// Buffers of one's own, a header and a body that is known only later:
/// ```
/// use tsocket::{Buffers, PartsMut, ReadBuffers};
///
/// struct Packet {
///     header: [u8; 4],
///     body: Vec<u8>,
/// }
///
/// impl Buffers for Packet {
///     fn empty() -> Self {
///         Self { header: [0; 4], body: Vec::new() }
///     }
/// }
///
/// impl ReadBuffers for Packet {
///     fn parts_mut<'a>(&'a mut self, parts: &mut PartsMut<'a>) {
///         parts.push(&mut self.header);
///         parts.push(&mut self.body);
///     }
/// }
/// ```
pub trait ReadBuffers: Buffers {
    /// Adds each buffer, in order. Must add the same lengths whenever it is called, from inside a read,
    /// and is no place to begin another one.
    fn parts_mut<'a>(&'a mut self, parts: &mut PartsMut<'a>);
}

/// Buffers that can be written.
///
/// Implemented for [`Chunk`], vectors and boxed slices of bytes, `&'static [u8]`, `Arc<[u8]>` (one
/// payload for any number of streams), and for arrays, tuples and vectors of such; with the feature
/// `bytes` for `Bytes` and `BytesMut` too.
pub trait WriteBuffers: Buffers {
    /// Adds each buffer, in order. Must add the same bytes whenever it is called, from inside a write,
    /// and is no place to begin another one.
    fn parts<'a>(&'a self, parts: &mut Parts<'a>);
}

macro_rules! collector {
    ($(#[$doc:meta])* $name:ident, $slice:ident, $bytes:ty, $split:ident) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $name<'a> {
            inline: [$slice<'a>; INLINE],
            inline_count: usize,
            // Everything, once there are more than fit inline.
            spilled: Vec<$slice<'a>>,
            skip: usize,
            count: usize,
            // Stays at the top once it would overflow.
            len: usize,
        }

        impl<'a> $name<'a> {
            /// A collector that leaves the first `skip` bytes out.
            pub(crate) fn skipping(skip: usize) -> Self {
                Self {
                    inline: std::array::from_fn(|_| $slice::new(Default::default())),
                    inline_count: 0,
                    spilled: Vec::new(),
                    skip,
                    count: 0,
                    len: 0,
                }
            }

            /// Adds one buffer behind those that were added before; empty ones are left out.
            #[inline]
            pub fn push(&mut self, bytes: $bytes) {
                self.count += 1;
                self.len = self.len.saturating_add(bytes.len());
                let skipped = self.skip.min(bytes.len());
                self.skip -= skipped;
                let (_, bytes) = bytes.$split(skipped);
                if bytes.is_empty() {
                    return;
                }
                match self.inline.get_mut(self.inline_count) {
                    Some(slice) if self.spilled.is_empty() => {
                        *slice = $slice::new(bytes);
                        self.inline_count += 1;
                    }
                    _ => self.spill(bytes),
                }
            }

            #[cold]
            fn spill(&mut self, bytes: $bytes) {
                let inline = self.inline.iter_mut().take(self.inline_count);
                self.spilled.extend(inline.map(|slice| {
                    std::mem::replace(slice, $slice::new(Default::default()))
                }));
                self.inline_count = 0;
                self.spilled.push($slice::new(bytes));
            }

            /// How many buffers were added, and how many bytes they have; no sum if it overflows.
            pub(crate) fn extent(&self) -> (usize, Option<usize>) {
                (self.count, (self.len < usize::MAX).then_some(self.len))
            }
        }
    };
}

collector! {
    /// Collects the buffers that one read attempt fills.
    PartsMut, IoSliceMut, &'a mut [u8], split_at_mut
}

collector! {
    /// Collects the buffers that one write attempt takes.
    Parts, IoSlice, &'a [u8], split_at
}

impl<'a> PartsMut<'a> {
    pub(crate) fn slices(&mut self) -> &mut [IoSliceMut<'a>] {
        if self.spilled.is_empty() {
            &mut self.inline[..self.inline_count]
        } else {
            &mut self.spilled
        }
    }
}

impl<'a> Parts<'a> {
    pub(crate) fn slices(&self) -> &[IoSlice<'a>] {
        if self.spilled.is_empty() {
            &self.inline[..self.inline_count]
        } else {
            &self.spilled
        }
    }
}

impl Buffers for Vec<u8> {
    fn empty() -> Self {
        Self::new()
    }
}

impl ReadBuffers for Vec<u8> {
    fn parts_mut<'a>(&'a mut self, parts: &mut PartsMut<'a>) {
        parts.push(self);
    }
}

impl WriteBuffers for Vec<u8> {
    fn parts<'a>(&'a self, parts: &mut Parts<'a>) {
        parts.push(self);
    }
}

impl Buffers for Box<[u8]> {
    fn empty() -> Self {
        Self::default()
    }
}

impl ReadBuffers for Box<[u8]> {
    fn parts_mut<'a>(&'a mut self, parts: &mut PartsMut<'a>) {
        parts.push(self);
    }
}

impl WriteBuffers for Box<[u8]> {
    fn parts<'a>(&'a self, parts: &mut Parts<'a>) {
        parts.push(self);
    }
}

impl Buffers for &'static [u8] {
    fn empty() -> Self {
        &[]
    }
}

impl WriteBuffers for &'static [u8] {
    fn parts<'a>(&'a self, parts: &mut Parts<'a>) {
        parts.push(self);
    }
}

impl Buffers for Arc<[u8]> {
    fn empty() -> Self {
        Self::from([])
    }
}

impl WriteBuffers for Arc<[u8]> {
    fn parts<'a>(&'a self, parts: &mut Parts<'a>) {
        parts.push(self);
    }
}

impl Buffers for Chunk {
    fn empty() -> Self {
        Self::default()
    }
}

impl WriteBuffers for Chunk {
    fn parts<'a>(&'a self, parts: &mut Parts<'a>) {
        parts.push(self);
    }
}

impl<B: Buffers> Buffers for Vec<B> {
    fn empty() -> Self {
        Self::new()
    }
}

impl<B: ReadBuffers> ReadBuffers for Vec<B> {
    fn parts_mut<'a>(&'a mut self, parts: &mut PartsMut<'a>) {
        for buffers in self {
            buffers.parts_mut(parts);
        }
    }
}

impl<B: WriteBuffers> WriteBuffers for Vec<B> {
    fn parts<'a>(&'a self, parts: &mut Parts<'a>) {
        for buffers in self {
            buffers.parts(parts);
        }
    }
}

impl<B: Buffers, const N: usize> Buffers for [B; N] {
    fn empty() -> Self {
        std::array::from_fn(|_| B::empty())
    }
}

impl<B: ReadBuffers, const N: usize> ReadBuffers for [B; N] {
    fn parts_mut<'a>(&'a mut self, parts: &mut PartsMut<'a>) {
        for buffers in self {
            buffers.parts_mut(parts);
        }
    }
}

impl<B: WriteBuffers, const N: usize> WriteBuffers for [B; N] {
    fn parts<'a>(&'a self, parts: &mut Parts<'a>) {
        for buffers in self {
            buffers.parts(parts);
        }
    }
}

impl<A: Buffers, B: Buffers> Buffers for (A, B) {
    fn empty() -> Self {
        (A::empty(), B::empty())
    }
}

impl<A: ReadBuffers, B: ReadBuffers> ReadBuffers for (A, B) {
    fn parts_mut<'a>(&'a mut self, parts: &mut PartsMut<'a>) {
        self.0.parts_mut(parts);
        self.1.parts_mut(parts);
    }
}

impl<A: WriteBuffers, B: WriteBuffers> WriteBuffers for (A, B) {
    fn parts<'a>(&'a self, parts: &mut Parts<'a>) {
        self.0.parts(parts);
        self.1.parts(parts);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lens(parts: &Parts<'_>) -> Vec<usize> {
        parts.slices().iter().map(|slice| slice.len()).collect()
    }

    #[test]
    fn skipped_bytes_and_empty_buffers_are_left_out() {
        let buffers = vec![vec![0_u8; 3], vec![], vec![0; 4], vec![0; 5]];
        let mut parts = Parts::skipping(5);
        buffers.parts(&mut parts);
        assert_eq!(lens(&parts), [2, 5]);
        assert_eq!(parts.extent(), (4, Some(12)));
    }

    #[test]
    fn more_buffers_than_fit_inline_keep_their_order() {
        let buffers: Vec<Vec<u8>> = (1..=20).map(|len| vec![0; len]).collect();
        let mut parts = Parts::skipping(0);
        buffers.parts(&mut parts);
        assert_eq!(lens(&parts), (1..=20).collect::<Vec<_>>());
    }

    #[test]
    fn filling_goes_into_the_buffers_themselves() {
        let mut buffers = (vec![0_u8; 2], [vec![0_u8; 1], vec![0_u8; 3]]);
        let mut parts = PartsMut::skipping(1);
        buffers.parts_mut(&mut parts);
        for slice in parts.slices() {
            slice.fill(7);
        }
        assert_eq!(buffers, (vec![0, 7], [vec![7], vec![7, 7, 7]]));
    }
}
