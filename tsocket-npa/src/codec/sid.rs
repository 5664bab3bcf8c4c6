//! [`Sid`], who somebody is.

use std::error::Error;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

/// A security identifier of revision 1: an authority and up to 15 numbers below it.
///
/// Printed and parsed as `S-1-5-21-1-2-3-1000`; an authority of more than 32 bits is hexadecimal.
///
/// # Examples
/// ```
/// use tsocket_npa::codec::Sid;
///
/// let sid: Sid = "S-1-5-32-544".parse()?;
/// assert_eq!(sid, Sid::ADMINISTRATORS);
/// assert_eq!(sid.sub_authorities(), [32, 544]);
/// assert_eq!(Sid::unix_user(1000).to_string(), "S-1-22-1-1000");
/// # Ok::<(), tsocket_npa::codec::ParseSidError>(())
/// ```
#[doc(alias = "dom_sid")]
#[derive(Clone, Copy)]
pub struct Sid {
    authority: [u8; Self::AUTHORITY_LEN],
    count: u8,
    // Invariant: zero from `count` on.
    subs: [u32; Self::MAX_SUB_AUTHORITIES],
}

/// A text is not a [`Sid`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ParseSidError;

impl Sid {
    /// How many sub-authorities there can be.
    pub const MAX_SUB_AUTHORITIES: usize = 15;

    pub(super) const REVISION: u8 = 1;
    pub(super) const AUTHORITY_LEN: usize = 6;

    /// Everyone.
    pub const EVERYONE: Self = Self::known(1, &[0]);

    /// Whoever came over the network.
    pub const NETWORK: Self = Self::known(5, &[2]);

    /// A session without a user.
    pub const ANONYMOUS: Self = Self::known(5, &[7]);

    /// Whoever has proved to be somebody; no anonymous session has it.
    pub const AUTHENTICATED: Self = Self::known(5, &[11]);

    /// The system itself.
    pub const SYSTEM: Self = Self::known(5, &[18]);

    /// The administrators of this machine.
    pub const ADMINISTRATORS: Self = Self::known(5, &[32, 544]);

    /// The guests of this machine.
    pub const GUESTS: Self = Self::known(5, &[32, 546]);

    /// The authority of what Samba makes of the numbers of this machine.
    pub(super) const UNIX: u8 = 22;

    /// The SID with these numbers, or `None` if there are more than 15 or the authority has more than 48
    /// bits.
    #[must_use]
    pub fn new(authority: u64, sub_authorities: &[u32]) -> Option<Self> {
        if authority >> 48 != 0 {
            return None;
        }
        let [_, _, authority @ ..] = authority.to_be_bytes();
        Self::from_parts(authority, sub_authorities)
    }

    pub(super) fn from_parts(
        authority: [u8; Self::AUTHORITY_LEN],
        sub_authorities: &[u32],
    ) -> Option<Self> {
        let mut subs = [0; Self::MAX_SUB_AUTHORITIES];
        subs.get_mut(..sub_authorities.len())?
            .copy_from_slice(sub_authorities);
        let count = u8::try_from(sub_authorities.len()).ok()?;
        Some(Self {
            authority,
            count,
            subs,
        })
    }

    pub(super) const fn known(authority: u8, sub_authorities: &[u32]) -> Self {
        let mut subs = [0; Self::MAX_SUB_AUTHORITIES];
        let mut index: u8 = 0;
        while (index as usize) < sub_authorities.len() {
            subs[index as usize] = sub_authorities[index as usize];
            index += 1;
        }
        Self {
            authority: [0, 0, 0, 0, 0, authority],
            count: index,
            subs,
        }
    }

    /// The SID of a user of this machine, by number.
    #[must_use]
    pub const fn unix_user(uid: u32) -> Self {
        Self::known(Self::UNIX, &[1, uid])
    }

    /// The SID of a group of this machine, by number.
    #[must_use]
    pub const fn unix_group(gid: u32) -> Self {
        Self::known(Self::UNIX, &[2, gid])
    }

    /// The authority: a number of 48 bits.
    #[must_use]
    pub fn authority(&self) -> u64 {
        let mut wide = [0; 8];
        wide[2..].copy_from_slice(&self.authority);
        u64::from_be_bytes(wide)
    }

    pub(super) fn sub_authority_count(&self) -> u8 {
        self.count
    }

    pub(super) fn authority_bytes(&self) -> [u8; Self::AUTHORITY_LEN] {
        self.authority
    }

    /// The numbers below the authority.
    #[must_use]
    pub fn sub_authorities(&self) -> &[u32] {
        &self.subs[..self.count.into()]
    }
}

impl PartialEq for Sid {
    fn eq(&self, other: &Self) -> bool {
        self.authority == other.authority && self.sub_authorities() == other.sub_authorities()
    }
}

impl Eq for Sid {}

impl Hash for Sid {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.authority.hash(state);
        self.sub_authorities().hash(state);
    }
}

impl fmt::Display for Sid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.authority() {
            authority if authority <= u32::MAX.into() => write!(f, "S-1-{authority}")?,
            authority => write!(f, "S-1-0x{authority:012x}")?,
        }
        for sub in self.sub_authorities() {
            write!(f, "-{sub}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Sid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sid({self})")
    }
}

impl FromStr for Sid {
    type Err = ParseSidError;

    fn from_str(text: &str) -> Result<Self, ParseSidError> {
        let rest = text.strip_prefix("S-1-").ok_or(ParseSidError)?;
        let mut parts = rest.split('-');
        let authority = parts.next().ok_or(ParseSidError)?;
        let authority = match authority.strip_prefix("0x") {
            Some(digits) => number(digits, 16)?,
            None => number(authority, 10)?,
        };
        let mut subs = [0; Self::MAX_SUB_AUTHORITIES];
        let mut count = 0;
        for part in parts {
            let sub = number(part, 10)?;
            *subs.get_mut(count).ok_or(ParseSidError)? =
                u32::try_from(sub).map_err(|_| ParseSidError)?;
            count += 1;
        }
        Self::new(authority, &subs[..count]).ok_or(ParseSidError)
    }
}

/// The digits and nothing else: the parsers of the standard library take a sign.
fn number(digits: &str, radix: u32) -> Result<u64, ParseSidError> {
    if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(ParseSidError);
    }
    u64::from_str_radix(digits, radix).map_err(|_| ParseSidError)
}

impl fmt::Display for ParseSidError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a SID looks like S-1-5-21-1-2-3-1000")
    }
}

impl Error for ParseSidError {}
