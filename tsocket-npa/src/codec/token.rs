//! The tokens: what a user may do here, by SIDs and by numbers.

use super::{EvaluateClaims, Sid};

/// Who the user is and which groups count, as SIDs.
///
/// There is no field for claims: a packet with claims cannot be decoded, by Samba either.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SecurityToken {
    /// The user, the primary group, more groups; the last one may carry the flags of the handshake
    /// ([`NpaFlags`](super::NpaFlags)).
    pub sids: Vec<Sid>,
    /// Privileges, one bit each; SYSTEM has all.
    pub privilege_mask: u64,
    /// Rights to log on, one bit each; smbd sends none.
    pub rights_mask: u32,
    /// The groups of the device the user sits at. Level 8 only.
    pub device_sids: Vec<Sid>,
    /// Whether claims would count. Level 8 only.
    pub evaluate_claims: EvaluateClaims,
}

/// Who the user is on this machine, as numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UnixToken {
    /// The user.
    pub uid: u64,
    /// The primary group.
    pub gid: u64,
    /// All groups.
    pub groups: Vec<u64>,
}
