//! Ready-made rules for where a PDU ends, for [`Stream::read_pdu`](crate::Stream::read_pdu).
//!
//! | A PDU is | Rule |
//! |---|---|
//! | its length as an integer, then so many bytes | [`u8()`], [`u16_be`], [`u16_le`], [`u32_be`], [`u32_le`] |
//! | a header that says its length somehow, then the rest | [`header`] |
//! | everything up to a delimiter | [`delimited`] |
//! | something else | a function of one's own, which sees what has arrived and says how many more bytes are needed at least |
//! | several buffers, or whatever is pending | [`NextVector`], for [`Stream::read_pdu_into`](crate::Stream::read_pdu_into) |
//!
//! Every rule takes a limit, and refuses with `EMSGSIZE` what is above it, before memory is reserved.
//! The PDU is read with its prefix, header or delimiter; [`Chunk::advance`](crate::Chunk::advance) and
//! [`truncate`](crate::Chunk::truncate) take them off without copying.
//!
//! # Examples
//! Fragments of DCE/RPC: a header of 16 bytes, in which bit 4 of byte 4 says the order of the bytes
//! in its integers, and the length of the whole fragment stands in bytes 8 and 9:
//! ```
//! use std::io;
//! use tevent::Context;
//! use tsocket::{memory, pdu};
//!
//! const HEADER_LEN: usize = 16;
//! const MAX_FRAGMENT_LEN: usize = 5840;
//!
//! fn fragment_len(header: &[u8]) -> io::Result<usize> {
//!     let len = [header[8], header[9]];
//!     let is_little_endian = header[4] & 0x10 != 0;
//!     Ok(usize::from(if is_little_endian {
//!         u16::from_le_bytes(len)
//!     } else {
//!         u16::from_be_bytes(len)
//!     }))
//! }
//!
//! fn fragment(order: u8, len: [u8; 2], body: &[u8]) -> Vec<u8> {
//!     let header = [5, 0, 0, 3, order, 0, 0, 0, len[0], len[1], 0, 0, 1, 0, 0, 0];
//!     [&header, body].concat()
//! }
//!
//! # fn main() -> io::Result<()> {
//! let ctx = Context::new()?;
//! let (client, server) = memory::stream_pair(&ctx);
//! let little = fragment(0x10, 20_u16.to_le_bytes(), b"body");
//! let big = fragment(0, 21_u16.to_be_bytes(), b"other");
//! let both = [&little[..], &big].concat();
//! let read = ctx.block_on(async {
//!     client.writev(both).await?;
//!     let rule = || pdu::header(HEADER_LEN, MAX_FRAGMENT_LEN, fragment_len);
//!     let first = server.read_pdu(rule()).await?;
//!     let mut second = server.read_pdu(rule()).await?;
//!     second.advance(HEADER_LEN);
//!     Ok::<_, io::Error>((first, second))
//! })??;
//! assert_eq!(*read.0, little);
//! assert_eq!(*read.1, *b"other");
//! # Ok(())
//! # }
//! ```

use std::io;

use crate::errors;
pub use crate::stream::{NextVector, VectorProgress};

macro_rules! prefix {
    ($(#[$doc:meta])* $name:ident: $int:ident::$from:ident, $what:literal) => {
        #[doc = concat!("A PDU that begins with the length of its body: ", $what, ", not counting")]
        /// itself.
        ///
        /// A body of more than `max_body_len` bytes is refused with `EMSGSIZE` before memory is
        /// reserved. A body may be empty.
        $(#[$doc])*
        pub fn $name(max_body_len: usize) -> impl FnMut(&[u8]) -> io::Result<usize> + 'static {
            prefixed(max_body_len, |prefix| {
                usize::try_from($int::$from(prefix)).unwrap_or(usize::MAX)
            })
        }
    };
}

prefix! {
    ///
    /// # Examples
    /// ```
    /// let mut next = tsocket::pdu::u8(100);
    /// assert_eq!(next(b"").unwrap(), 1);
    /// assert_eq!(next(b"\x05").unwrap(), 5);
    /// assert_eq!(next(b"\x05hello").unwrap(), 0);
    /// assert!(next(b"\x65").is_err());
    /// ```
    u8: u8::from_be_bytes, "one byte"
}

prefix! {
    ///
    /// # Examples
    /// ```
    /// let mut next = tsocket::pdu::u16_be(1000);
    /// assert_eq!(next(b"\x01").unwrap(), 1);
    /// assert_eq!(next(b"\x01\x02").unwrap(), 0x102);
    /// ```
    u16_be: u16::from_be_bytes, "two bytes, big-endian"
}

prefix! {
    ///
    /// # Examples
    /// ```
    /// let mut next = tsocket::pdu::u16_le(1000);
    /// assert_eq!(next(b"\x01\x02").unwrap(), 0x201);
    /// ```
    u16_le: u16::from_le_bytes, "two bytes, little-endian"
}

prefix! {
    ///
    /// # Examples
    /// ```
    /// let mut next = tsocket::pdu::u32_be(1000);
    /// assert_eq!(next(b"").unwrap(), 4);
    /// assert_eq!(next(b"\0\0\0\x05").unwrap(), 5);
    /// assert_eq!(next(b"\0\0\0\x05hello").unwrap(), 0);
    /// assert!(next(b"\xff\xff\xff\xff").is_err());
    /// ```
    ///
    /// # Source
    /// `tstream_u32_read_send()` of Samba. Differs: an empty body is allowed.
    #[doc(alias = "tstream_u32_read_send")]
    u32_be: u32::from_be_bytes, "four bytes, big-endian"
}

prefix! {
    ///
    /// # Examples
    /// ```
    /// let mut next = tsocket::pdu::u32_le(1000);
    /// assert_eq!(next(b"\x05\0\0\0").unwrap(), 5);
    /// ```
    u32_le: u32::from_le_bytes, "four bytes, little-endian"
}

fn prefixed<const N: usize>(
    max_body_len: usize,
    body_len: impl Fn([u8; N]) -> usize + 'static,
) -> impl FnMut(&[u8]) -> io::Result<usize> + 'static {
    move |arrived| {
        let Some((prefix, body)) = arrived.split_first_chunk() else {
            return Ok(N - arrived.len());
        };
        let body_len = body_len(*prefix);
        if body_len > max_body_len {
            return Err(errors::too_large());
        }
        Ok(body_len.saturating_sub(body.len()))
    }
}

/// A PDU that begins with a header of `header_len` bytes, in which `whole_len` finds the length of the
/// whole, header included.
///
/// One of more than `max_len` bytes, or of fewer than its header has, is refused with `EMSGSIZE`
/// before memory is reserved; an error of `whole_len` is the error of the read.
///
/// # Examples
/// See the [module](self).
pub fn header(
    header_len: usize,
    max_len: usize,
    mut whole_len: impl FnMut(&[u8]) -> io::Result<usize> + 'static,
) -> impl FnMut(&[u8]) -> io::Result<usize> + 'static {
    move |arrived| {
        let Some((header, _)) = arrived.split_at_checked(header_len) else {
            return Ok(header_len - arrived.len());
        };
        let len = whole_len(header)?;
        if !(header_len..=max_len).contains(&len) {
            return Err(errors::too_large());
        }
        Ok(len.saturating_sub(arrived.len()))
    }
}

/// A PDU that ends with `delimiter`: a line, the head of a message.
///
/// One of more than `max_len` bytes, delimiter included, is refused with `EMSGSIZE`. An empty
/// delimiter is refused with `EINVAL`.
///
/// # Examples
/// ```
/// use tevent::Context;
/// use tsocket::{memory, pdu};
///
/// # fn main() -> std::io::Result<()> {
/// let ctx = Context::new()?;
/// let (client, server) = memory::stream_pair(&ctx);
/// let lines = ctx.block_on(async {
///     client.writev(&b"HELO there\r\nQUIT\r\n"[..]).await?;
///     let first = server.read_pdu(pdu::delimited(b"\r\n", 1000)).await?;
///     let second = server.read_pdu(pdu::delimited(b"\r\n", 1000)).await?;
///     Ok::<_, std::io::Error>((first, second))
/// })??;
/// assert_eq!((&lines.0[..], &lines.1[..]), (&b"HELO there\r\n"[..], &b"QUIT\r\n"[..]));
/// # Ok(())
/// # }
/// ```
pub fn delimited(
    delimiter: impl Into<Vec<u8>>,
    max_len: usize,
) -> impl FnMut(&[u8]) -> io::Result<usize> + 'static {
    let delimiter: Vec<u8> = delimiter.into();
    move |arrived| {
        // How much of it is there already, so that no byte behind it is asked for.
        let present = (0..=delimiter.len().min(arrived.len()))
            .rev()
            .find(|len| arrived.ends_with(&delimiter[..*len]));
        let missing = delimiter.len() - present.unwrap_or(0);
        if arrived.len().saturating_add(missing) > max_len {
            return Err(errors::too_large());
        }
        Ok(missing)
    }
}
