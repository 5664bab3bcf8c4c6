//! Ready-made rules for where a PDU ends, for [`Stream::read_pdu`](crate::Stream::read_pdu).

use std::io;

use crate::errors;

/// A PDU that begins with the length of its body: four bytes, big-endian, not counting themselves.
///
/// A body of more than `max_body_len` bytes is refused with `EMSGSIZE` before memory is reserved. A
/// body may be empty.
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
pub fn u32_be(max_body_len: usize) -> impl FnMut(&[u8]) -> io::Result<usize> + 'static {
    move |arrived| {
        let Some((prefix, body)) = arrived.split_first_chunk() else {
            return Ok(size_of::<u32>() - arrived.len());
        };
        let body_len = usize::try_from(u32::from_be_bytes(*prefix)).unwrap_or(usize::MAX);
        if body_len > max_body_len {
            return Err(errors::too_large());
        }
        Ok(body_len.saturating_sub(body.len()))
    }
}
