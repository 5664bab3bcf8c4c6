//! [`SessionInfo`], all that is known of a user's session.

use super::level::Layout;
use super::ndr::{PLAIN, Reader, Result, Writer};
use super::{Guid, Secret, SecurityToken, TicketType, UnixInfo, UnixToken, UserInfo};

/// A session, and what travels with it.
#[doc(alias = "auth_session_info_transport")]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionInfoTransport {
    /// The session. Never send `None`: it kills real services.
    pub session_info: Option<SessionInfo>,
    /// Kerberos credentials that the user delegated; smbd sends none.
    pub exported_gssapi_credentials: Secret,
}

/// A user's session.
#[doc(alias = "auth_session_info")]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionInfo {
    /// The user as SIDs. Never send `None`.
    pub security_token: Option<SecurityToken>,
    /// The user as numbers. Never send `None`.
    pub unix_token: Option<UnixToken>,
    /// What is known of the user besides. Never send `None`.
    pub info: Option<UserInfo>,
    /// The user's names on this machine. Never send `None`.
    pub unix_info: Option<UnixInfo>,
    /// The key of the session: 16 bytes, zero for SYSTEM.
    pub session_key: Secret,
    /// Random, the same in all that concerns the session.
    pub unique_session_token: Guid,
    /// The kind of ticket. At levels 4 and 5, `None` leaves the field out, as early releases did; levels 7
    /// and 8 always have it, and take `None` as [`UNKNOWN`](TicketType::UNKNOWN).
    pub ticket_type: Option<TicketType>,
}

impl SessionInfoTransport {
    pub(super) fn read(reader: &mut Reader<'_>, layout: &Layout) -> Result<Self> {
        reader.align(PLAIN);
        let session_info = reader.pointer("session_info")?;
        let exported_gssapi_credentials = reader.blob("exported_gssapi_credentials")?;
        Ok(Self {
            session_info: session_info
                .then(|| SessionInfo::read(reader, layout))
                .transpose()?,
            exported_gssapi_credentials,
        })
    }

    pub(super) fn write(&self, writer: &mut Writer, layout: &Layout) -> Result<()> {
        writer.align(PLAIN);
        writer.pointer(self.session_info.is_some());
        writer.blob(
            &self.exported_gssapi_credentials,
            "exported_gssapi_credentials",
        )?;
        match &self.session_info {
            Some(session_info) => session_info.write(writer, layout),
            None => Ok(()),
        }
    }
}

impl SessionInfo {
    fn read(reader: &mut Reader<'_>, layout: &Layout) -> Result<Self> {
        reader.align(PLAIN);
        let security_token = reader.pointer("security_token")?;
        let unix_token = reader.pointer("unix_token")?;
        let info = reader.pointer("info")?;
        let unix_info = reader.pointer("unix_info")?;
        reader.null("torture")?;
        let session_key = reader.blob("session_key")?;
        reader.null("credentials")?;
        let unique_session_token = reader.guid("unique_session_token")?;
        let has_ticket_type = layout.has_ticket_type;
        let ticket_type = has_ticket_type.then(|| reader.u16("ticket_type").map(TicketType));
        // Fields are read in the order in which they stand here.
        Ok(Self {
            ticket_type: ticket_type.transpose()?,
            security_token: security_token
                .then(|| SecurityToken::read(reader, layout))
                .transpose()?,
            unix_token: unix_token.then(|| UnixToken::read(reader)).transpose()?,
            info: info.then(|| UserInfo::read(reader, layout)).transpose()?,
            unix_info: unix_info.then(|| UnixInfo::read(reader)).transpose()?,
            session_key,
            unique_session_token,
        })
    }

    fn write(&self, writer: &mut Writer, layout: &Layout) -> Result<()> {
        writer.align(PLAIN);
        writer.pointer(self.security_token.is_some());
        writer.pointer(self.unix_token.is_some());
        writer.pointer(self.info.is_some());
        writer.pointer(self.unix_info.is_some());
        writer.null(); // torture
        writer.blob(&self.session_key, "session_key")?;
        writer.null(); // credentials
        writer.guid(self.unique_session_token);
        if layout.has_ticket_type {
            writer.u16(self.ticket_type.unwrap_or_default().0);
        }
        if let Some(security_token) = &self.security_token {
            security_token.write(writer, layout)?;
        }
        if let Some(unix_token) = &self.unix_token {
            unix_token.write(writer)?;
        }
        if let Some(info) = &self.info {
            info.write(writer, layout)?;
        }
        if let Some(unix_info) = &self.unix_info {
            unix_info.write(writer)?;
        }
        Ok(())
    }
}
