//! [`Guid`], a 128-bit number that names something.

use std::fmt;

/// A GUID, printed the usual way: `ce777380-26bc-425b-b225-b5c7a81c28b9`.
///
/// # Examples
/// ```
/// use tsocket_npa::codec::Guid;
///
/// let wire = [
///     0x80, 0x73, 0x77, 0xce, 0xbc, 0x26, 0x5b, 0x42, 0xb2, 0x25, 0xb5, 0xc7, 0xa8, 0x1c, 0x28, 0xb9,
/// ];
/// let guid = Guid::from_wire(wire);
/// assert_eq!(guid.to_string(), "ce777380-26bc-425b-b225-b5c7a81c28b9");
/// assert_eq!(guid.to_wire(), wire);
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Guid([u8; Self::LEN]);

impl Guid {
    /// How many bytes it has.
    pub const LEN: usize = 16;

    /// The GUID with these bytes on the wire: the first three groups are little-endian there.
    #[must_use]
    pub const fn from_wire(bytes: [u8; Self::LEN]) -> Self {
        Self(bytes)
    }

    /// Its bytes on the wire.
    #[must_use]
    pub const fn to_wire(self) -> [u8; Self::LEN] {
        self.0
    }
}

impl fmt::Display for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const ORDER: [usize; Guid::LEN] = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];
        for (index, from) in ORDER.into_iter().enumerate() {
            if matches!(index, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{:02x}", self.0[from])?;
        }
        Ok(())
    }
}

impl fmt::Debug for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Guid({self})")
    }
}
