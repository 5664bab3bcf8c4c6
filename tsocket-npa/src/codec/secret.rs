//! [`Secret`], bytes that nobody must see.

use std::fmt;

use zeroize::Zeroizing;

/// Bytes that are wiped from memory when dropped, and never printed: a session key, exported
/// credentials, or a packet that has such.
///
/// # Examples
/// ```
/// use tsocket_npa::codec::Secret;
///
/// let key = Secret::from(b"0123456789abcdef".as_slice());
/// assert_eq!(format!("{key:?}"), "Secret(16 bytes)");
/// assert_eq!(key.expose().len(), 16);
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    pub(super) fn new(bytes: Zeroizing<Vec<u8>>) -> Self {
        Self(bytes)
    }

    /// The bytes. Whoever copies them has to wipe the copy.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// How many bytes there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<&[u8]> for Secret {
    /// A copy; the original is the caller's to wipe.
    fn from(bytes: &[u8]) -> Self {
        Self(Zeroizing::new(bytes.into()))
    }
}

impl From<Vec<u8>> for Secret {
    /// The same memory.
    fn from(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({} bytes)", self.len())
    }
}

/// Moves the bytes to where there is room for `capacity`, and wipes where they were.
pub(super) fn grow(bytes: &mut Zeroizing<Vec<u8>>, capacity: usize) {
    let mut larger = Zeroizing::new(Vec::with_capacity(capacity));
    larger.extend_from_slice(bytes);
    *bytes = larger;
}
