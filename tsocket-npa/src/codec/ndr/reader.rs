//! [`Reader`], which takes a packet apart.

use super::super::{CodecError, CodecErrorKind, Guid, NtTime, Secret, Sid};
use super::{PLAIN, Result, WIDE};

/// A place in a packet. Every item says its name, for the error.
#[derive(Clone)]
pub(in super::super) struct Reader<'a> {
    packet: &'a [u8],
    // May be past the end, by padding that is not there.
    at: usize,
}

impl<'a> Reader<'a> {
    pub(in super::super) fn new(packet: &'a [u8], at: usize) -> Self {
        Self { packet, at }
    }

    /// The end of the structure, which has to be that of the packet.
    pub(in super::super) fn end(self) -> Result<()> {
        match self.left() {
            0 => Ok(()),
            count => Err(self.error(CodecErrorKind::TrailingBytes { count }, "end")),
        }
    }

    pub(in super::super) fn align(&mut self, alignment: usize) {
        self.at = self.at.next_multiple_of(alignment);
    }

    pub(in super::super) fn left(&self) -> usize {
        self.packet.len().saturating_sub(self.at)
    }

    /// What comes next, or less at the end, without taking it.
    pub(in super::super) fn peek(&self, len: usize) -> &'a [u8] {
        let rest = self.packet.get(self.at..).unwrap_or_default();
        &rest[..len.min(rest.len())]
    }

    /// An error at the place of the next item.
    fn error(&self, kind: CodecErrorKind, field: &'static str) -> CodecError {
        CodecError::new(kind, field, self.at)
    }

    /// An error in the word that was taken last.
    pub(in super::super) fn error_in_word(
        &self,
        kind: CodecErrorKind,
        field: &'static str,
    ) -> CodecError {
        CodecError::new(kind, field, self.at - size_of::<u32>())
    }

    fn has(&self, needed: usize, field: &'static str) -> Result<()> {
        let left = self.left();
        if needed > left {
            return Err(self.error(CodecErrorKind::Truncated { needed, left }, field));
        }
        Ok(())
    }

    fn take(&mut self, len: usize, field: &'static str) -> Result<&'a [u8]> {
        self.has(len, field)?;
        let bytes = &self.packet[self.at..self.at + len];
        self.at += len;
        Ok(bytes)
    }

    fn array<const LEN: usize>(&mut self, align: usize, field: &'static str) -> Result<[u8; LEN]> {
        self.align(align);
        let bytes = self.take(LEN, field)?;
        Ok(bytes.try_into().expect("as many bytes as asked for"))
    }

    pub(in super::super) fn u8(&mut self, field: &'static str) -> Result<u8> {
        self.array(1, field).map(u8::from_le_bytes)
    }

    pub(in super::super) fn boolean(&mut self, field: &'static str) -> Result<bool> {
        Ok(self.u8(field)? != 0)
    }

    pub(in super::super) fn u16(&mut self, field: &'static str) -> Result<u16> {
        self.array(2, field).map(u16::from_le_bytes)
    }

    pub(in super::super) fn u32(&mut self, field: &'static str) -> Result<u32> {
        self.array(4, field).map(u32::from_le_bytes)
    }

    pub(in super::super) fn hyper(&mut self, field: &'static str) -> Result<u64> {
        self.array(WIDE, field).map(u64::from_le_bytes)
    }

    /// The number of a user or a group, which has more room than it needs.
    pub(in super::super) fn id(&mut self, field: &'static str) -> Result<u32> {
        let id = self.hyper(field)?;
        let at = self.at - size_of::<u64>();
        u32::try_from(id).map_err(|_| CodecError::new(CodecErrorKind::IdTooLarge(id), field, at))
    }

    pub(in super::super) fn time(&mut self, field: &'static str) -> Result<NtTime> {
        let bytes = self.array(PLAIN, field)?;
        Ok(NtTime(u64::from_le_bytes(bytes)))
    }

    pub(in super::super) fn guid(&mut self, field: &'static str) -> Result<Guid> {
        self.array(PLAIN, field).map(Guid::from_wire)
    }

    /// Whether something will follow for this pointer.
    pub(in super::super) fn pointer(&mut self, field: &'static str) -> Result<bool> {
        Ok(self.u32(field)? != 0)
    }

    /// A pointer to something that has no layout.
    pub(in super::super) fn null(&mut self, field: &'static str) -> Result<()> {
        if self.pointer(field)? {
            return Err(self.error_in_word(CodecErrorKind::NotNull, field));
        }
        Ok(())
    }

    pub(in super::super) fn blob(&mut self, field: &'static str) -> Result<Secret> {
        let len = self.length(field)?;
        self.take(len, field).map(Secret::from)
    }

    fn length(&mut self, field: &'static str) -> Result<usize> {
        let len = self.u32(field)?;
        Ok(usize::try_from(len).unwrap_or(usize::MAX))
    }

    /// The text behind a pointer. It ends at its first NUL.
    pub(in super::super) fn string(
        &mut self,
        is_present: bool,
        field: &'static str,
    ) -> Result<Option<String>> {
        if !is_present {
            return Ok(None);
        }
        let size = self.u32(field)?;
        let offset = self.u32(field)?;
        if offset != 0 {
            return Err(self.error_in_word(CodecErrorKind::StringOffset(offset), field));
        }
        let length = self.u32(field)?;
        if length > size {
            let kind = CodecErrorKind::LengthOverSize { length, size };
            return Err(self.error_in_word(kind, field));
        }
        let bytes_at = self.at;
        let bytes = self.take(usize::try_from(length).unwrap_or(usize::MAX), field)?;
        let error = |kind, at| CodecError::new(kind, field, bytes_at + at);
        let text = match bytes.split_last() {
            Some((0, text)) => text,
            Some((_, text)) => return Err(error(CodecErrorKind::Unterminated, text.len())),
            None => return Err(self.error_in_word(CodecErrorKind::StringWithoutNul, field)),
        };
        let text = std::str::from_utf8(text)
            .map_err(|invalid| error(CodecErrorKind::InvalidUtf8, invalid.valid_up_to()))?;
        Ok(text.split('\0').next().map(str::to_owned))
    }

    pub(in super::super) fn sid(&mut self, field: &'static str) -> Result<Sid> {
        self.align(PLAIN);
        let start = self.at;
        let error = |kind| CodecError::new(kind, field, start);
        let revision = self.u8(field)?;
        if revision != Sid::REVISION {
            return Err(error(CodecErrorKind::SidRevision(revision)));
        }
        let count = self.u8(field)?;
        if usize::from(count) > Sid::MAX_SUB_AUTHORITIES {
            return Err(error(CodecErrorKind::SidTooLong(count)));
        }
        let authority = self.array(1, field)?;
        let mut subs = [0; Sid::MAX_SUB_AUTHORITIES];
        let subs = &mut subs[..count.into()];
        for sub in subs.iter_mut() {
            *sub = self.u32(field)?;
        }
        Ok(Sid::from_parts(authority, subs).expect("the count has been checked"))
    }

    /// The number of elements in front of an array whose structure says `count`.
    pub(in super::super) fn conformance(&mut self, count: u32, field: &'static str) -> Result<()> {
        let conformance = self.u32(field)?;
        self.same_count(count, conformance, field)
    }

    /// Compares the number of elements in a structure and that in front of the array, right after either.
    pub(in super::super) fn same_count(
        &self,
        count: u32,
        conformance: u32,
        field: &'static str,
    ) -> Result<()> {
        if count != conformance {
            let kind = CodecErrorKind::CountsDiffer { count, conformance };
            return Err(self.error_in_word(kind, field));
        }
        Ok(())
    }

    /// `count` elements of at least `len_min` bytes each, for which room is made only if they can be there.
    pub(in super::super) fn elements<T>(
        &mut self,
        count: u32,
        len_min: usize,
        field: &'static str,
        mut element: impl FnMut(&mut Self) -> Result<T>,
    ) -> Result<Vec<T>> {
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        self.has(count.saturating_mul(len_min), field)?;
        let mut elements = Vec::with_capacity(count);
        for _ in 0..count {
            elements.push(element(self)?);
        }
        Ok(elements)
    }
}
