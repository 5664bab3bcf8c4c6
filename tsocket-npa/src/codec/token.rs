//! The tokens: what a user may do here, by SIDs and by numbers.

use super::level::Layout;
use super::ndr::{Reader, Result, WIDE, Writer};
use super::{CodecErrorKind, EvaluateClaims, Sid};

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
#[doc(alias = "security_unix_token")]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UnixToken {
    /// The user.
    pub uid: u32,
    /// The primary group.
    pub gid: u32,
    /// All groups.
    pub groups: Vec<u32>,
}

/// How many bytes a SID has at least.
const SID_LEN_MIN: usize = 8;
const GID_LEN: usize = 8;

impl SecurityToken {
    pub(super) fn read(reader: &mut Reader<'_>, layout: &Layout) -> Result<Self> {
        reader.align(WIDE);
        let count = reader.u32("security_token.num_sids")?;
        let mut token = Self {
            sids: read_sids(reader, count, "security_token.sids")?,
            privilege_mask: reader.hyper("security_token.privilege_mask")?,
            rights_mask: reader.u32("security_token.rights_mask")?,
            ..Self::default()
        };
        if layout.has_claims {
            token.read_claims(reader)?;
        }
        Ok(token)
    }

    /// The claims, of which there must be none, and what stands among them.
    fn read_claims(&mut self, reader: &mut Reader<'_>) -> Result<()> {
        for field in CLAIM_COUNTS {
            let count = reader.u32(field)?;
            if count != 0 {
                return Err(reader.error_in_word(CodecErrorKind::Claims(count), field));
            }
        }
        let count = reader.u32("security_token.num_device_sids")?;
        for field in CLAIMS {
            reader.conformance(0, field)?;
        }
        self.device_sids = read_sids(reader, count, "security_token.device_sids")?;
        self.evaluate_claims = EvaluateClaims(reader.u16("security_token.evaluate_claims")?);
        Ok(())
    }

    pub(super) fn write(&self, writer: &mut Writer, layout: &Layout) -> Result<()> {
        writer.align(WIDE);
        writer.count(self.sids.len(), "security_token.num_sids")?;
        write_sids(writer, &self.sids, "security_token.sids")?;
        writer.hyper(self.privilege_mask);
        writer.u32(self.rights_mask);
        if layout.has_claims {
            CLAIM_COUNTS.iter().for_each(|_| writer.u32(0));
            writer.count(self.device_sids.len(), "security_token.num_device_sids")?;
            CLAIMS.iter().for_each(|_| writer.u32(0));
            write_sids(writer, &self.device_sids, "security_token.device_sids")?;
            writer.u16(self.evaluate_claims.0);
        }
        Ok(())
    }
}

const CLAIM_COUNTS: [&str; 3] = [
    "security_token.num_local_claims",
    "security_token.num_user_claims",
    "security_token.num_device_claims",
];

const CLAIMS: [&str; 3] = [
    "security_token.local_claims",
    "security_token.user_claims",
    "security_token.device_claims",
];

fn read_sids(reader: &mut Reader<'_>, count: u32, field: &'static str) -> Result<Vec<Sid>> {
    reader.conformance(count, field)?;
    reader.elements(count, SID_LEN_MIN, field, |reader| reader.sid(field))
}

fn write_sids(writer: &mut Writer, sids: &[Sid], field: &'static str) -> Result<()> {
    writer.count(sids.len(), field)?;
    sids.iter().for_each(|sid| writer.sid(sid));
    Ok(())
}

impl UnixToken {
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self> {
        const GROUPS: &str = "unix_token.groups";
        // The array is the end of the structure, so its count comes first of all.
        let conformance = reader.u32(GROUPS)?;
        reader.align(WIDE);
        let uid = reader.id("unix_token.uid")?;
        let gid = reader.id("unix_token.gid")?;
        let count = reader.u32("unix_token.ngroups")?;
        reader.same_count(count, conformance, "unix_token.ngroups")?;
        let groups = reader.elements(count, GID_LEN, GROUPS, |reader| reader.id(GROUPS))?;
        Ok(Self { uid, gid, groups })
    }

    pub(super) fn write(&self, writer: &mut Writer) -> Result<()> {
        writer.count(self.groups.len(), "unix_token.groups")?;
        writer.align(WIDE);
        writer.id(self.uid);
        writer.id(self.gid);
        writer.count(self.groups.len(), "unix_token.ngroups")?;
        self.groups.iter().for_each(|&group| writer.id(group));
        Ok(())
    }
}
