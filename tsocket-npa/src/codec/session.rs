//! [`SessionInfo`], all that is known of a user's session.

use super::{Guid, Secret, SecurityToken, TicketType, UnixInfo, UnixToken, UserInfo};

/// A session, and what travels with it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionInfoTransport {
    /// The session. Never send `None`: it kills real services.
    pub session_info: Option<SessionInfo>,
    /// Kerberos credentials that the user delegated; smbd sends none.
    pub exported_gssapi_credentials: Secret,
}

/// A user's session.
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
