//! [`Writer`], which puts a packet together.

use zeroize::Zeroizing;

use super::super::secret::grow;
use super::super::{CodecError, CodecErrorKind, Guid, NtTime, Secret, Sid};
use super::{PLAIN, Result, WIDE};

/// What a pointer's value is, if it is not null: the first one, and how far the next is from it.
const FIRST_POINTER: u32 = 0x0002_0000;
const POINTER_STEP: u32 = 4;

/// Room for nearly every packet there is.
const CAPACITY: usize = 2048;

/// A packet so far. It leaves nothing behind when it grows.
pub(in super::super) struct Writer {
    bytes: Zeroizing<Vec<u8>>,
    next_pointer: u32,
}

impl Writer {
    pub(in super::super) fn new() -> Self {
        Self {
            bytes: Zeroizing::new(Vec::with_capacity(CAPACITY)),
            next_pointer: FIRST_POINTER,
        }
    }

    pub(in super::super) fn into_bytes(self) -> Zeroizing<Vec<u8>> {
        self.bytes
    }

    pub(in super::super) fn raw(&mut self, bytes: &[u8]) {
        let len = self.bytes.len() + bytes.len();
        if len > self.bytes.capacity() {
            grow(&mut self.bytes, len.next_power_of_two());
        }
        self.bytes.extend_from_slice(bytes);
    }

    pub(in super::super) fn align(&mut self, alignment: usize) {
        let len = self.bytes.len();
        self.raw(&[0; WIDE][..len.next_multiple_of(alignment) - len]);
    }

    fn aligned(&mut self, alignment: usize, bytes: &[u8]) {
        self.align(alignment);
        self.raw(bytes);
    }

    pub(in super::super) fn u8(&mut self, value: u8) {
        self.raw(&[value]);
    }

    pub(in super::super) fn boolean(&mut self, value: bool) {
        self.u8(value.into());
    }

    pub(in super::super) fn u16(&mut self, value: u16) {
        self.aligned(2, &value.to_le_bytes());
    }

    pub(in super::super) fn u32(&mut self, value: u32) {
        self.aligned(4, &value.to_le_bytes());
    }

    pub(in super::super) fn hyper(&mut self, value: u64) {
        self.aligned(WIDE, &value.to_le_bytes());
    }

    /// The number of a user or a group.
    pub(in super::super) fn id(&mut self, value: u32) {
        self.hyper(value.into());
    }

    pub(in super::super) fn time(&mut self, value: NtTime) {
        self.aligned(PLAIN, &value.0.to_le_bytes());
    }

    pub(in super::super) fn guid(&mut self, value: Guid) {
        self.aligned(PLAIN, &value.to_wire());
    }

    /// A pointer, to something that will follow if `is_present`.
    pub(in super::super) fn pointer(&mut self, is_present: bool) {
        if !is_present {
            return self.u32(0);
        }
        self.u32(self.next_pointer);
        self.next_pointer += POINTER_STEP;
    }

    pub(in super::super) fn null(&mut self) {
        self.pointer(false);
    }

    pub(in super::super) fn blob(&mut self, value: &Secret, field: &'static str) -> Result<()> {
        self.count(value.len(), field)?;
        self.raw(value.expose());
        Ok(())
    }

    /// A number of elements or bytes.
    pub(in super::super) fn count(&mut self, count: usize, field: &'static str) -> Result<()> {
        let word = u32::try_from(count).map_err(|_| self.too_long(count, field))?;
        self.u32(word);
        Ok(())
    }

    fn too_long(&self, more: usize, field: &'static str) -> CodecError {
        let at = self.bytes.len();
        CodecError::too_long(at.saturating_add(more), field, at)
    }

    /// The text behind a pointer.
    pub(in super::super) fn string(
        &mut self,
        text: Option<&str>,
        field: &'static str,
    ) -> Result<()> {
        let Some(text) = text else { return Ok(()) };
        let len = text.len() + 1;
        self.count(len, field)?;
        self.u32(0);
        self.count(len, field)?;
        if let Some(place) = text.find('\0') {
            let at = self.bytes.len() + place;
            return Err(CodecError::new(CodecErrorKind::EmbeddedNul, field, at));
        }
        self.raw(text.as_bytes());
        self.u8(0);
        Ok(())
    }

    pub(in super::super) fn sid(&mut self, sid: &Sid) {
        self.align(PLAIN);
        let subs = sid.sub_authorities();
        self.u8(Sid::REVISION);
        self.u8(sid.sub_authority_count());
        self.raw(&sid.authority_bytes());
        for &sub in subs {
            self.u32(sub);
        }
    }
}
