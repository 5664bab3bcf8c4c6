//! [`Level`], which layout a packet has.

use std::fmt;

use super::{level4, level5, level7, level8};

/// The number of a packet's layout. A release of Samba speaks one level.
///
/// | Samba | level |
/// | --- | --- |
/// | up to 4.15 | 4 |
/// | 4.16, 4.17.0 to 4.17.8, 4.18.0 to 4.18.2 | 5 |
/// | later 4.17 and 4.18, 4.19 | 7 |
/// | from 4.20 | 8 |
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Level {
    /// Level 4.
    L4,
    /// Level 5.
    L5,
    /// Level 7.
    L7,
    /// Level 8.
    L8,
}

impl Level {
    /// The levels there are, the oldest first.
    pub const ALL: &[Self] = &[Self::L4, Self::L5, Self::L7, Self::L8];

    /// The number.
    #[must_use]
    pub const fn number(self) -> u32 {
        match self {
            Self::L4 => 4,
            Self::L5 => 5,
            Self::L7 => 7,
            Self::L8 => 8,
        }
    }

    /// The level with this number.
    #[must_use]
    pub fn from_number(number: u32) -> Option<Self> {
        let mut all = Self::ALL.iter().copied();
        all.find(|level| level.number() == number)
    }
}

/// What a level has, and others may not.
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) has_transport: bool,
    pub(super) has_need_idle_server: bool,
    pub(super) has_ticket_type: bool,
    pub(super) user_flags: UserFlagsLen,
    /// Claims, device SIDs and whether to evaluate claims.
    pub(super) has_claims: bool,
    /// The level as earlier releases had it, under the same number.
    pub(super) older: Option<&'static Self>,
}

/// How many bytes [`UserFlags`](super::UserFlags) have.
#[derive(Clone, Copy, Debug)]
pub(super) enum UserFlagsLen {
    Byte,
    /// It depends on the release of Samba.
    Either,
    Word,
}

impl Level {
    pub(super) fn layout(self) -> &'static Layout {
        match self {
            Self::L4 => &level4::LAYOUT,
            Self::L5 => &level5::LAYOUT,
            Self::L7 => &level7::LAYOUT,
            Self::L8 => &level8::LAYOUT,
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "level {}", self.number())
    }
}
