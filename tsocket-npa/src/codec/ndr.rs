//! The rules of NDR, as far as the handshake needs them, for both directions.
//!
//! Little-endian; offsets for alignment count from the first byte of the packet, its length included;
//! padding stands in front of an item, is written as zero and not looked at. What a pointer points at
//! comes after all scalars of the structure that has the pointer, in the order of the pointers.

mod reader;
mod writer;

pub(super) use reader::Reader;
pub(super) use writer::Writer;

use super::CodecError;

pub(super) type Result<T> = std::result::Result<T, CodecError>;

/// The alignment of structures that have a hyper.
pub(super) const WIDE: usize = 8;
/// The alignment of all other structures.
pub(super) const PLAIN: usize = 4;
