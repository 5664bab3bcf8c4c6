//! [`Caller`], who has opened a pipe, whatever the level said it with.

use std::error::Error;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::ops::BitOr;

use super::{
    Guid, NtStatus, Request, Secret, SecurityToken, Sid, TicketType, Transport, UnixInfo,
    UnixToken, UserInfo,
};

/// Who has opened a pipe: the user, judged by SIDs, and both ends of the user's connection.
///
/// `Display` is one line for a log.
///
/// # Examples
/// ```
/// # use tsocket_npa::codec::*;
/// # fn request() -> Request {
/// #     let info = UserInfo { account_name: Some("alice".into()), domain_name: Some("HOST".into()), ..UserInfo::default() };
/// #     let token = SecurityToken { sids: vec!["S-1-5-21-1-2-3-1000".parse().unwrap(), Sid::AUTHENTICATED], ..SecurityToken::default() };
/// #     let unix = UnixToken { uid: 1000, gid: 1000, groups: vec![1000] };
/// #     let session = SessionInfo { security_token: Some(token), unix_token: Some(unix), info: Some(info), ..SessionInfo::default() };
/// #     let session = SessionInfoTransport { session_info: Some(session), ..SessionInfoTransport::default() };
/// #     let end = |port| Endpoint { name: Some("host".into()), address: Some("::1".into()), port };
/// #     Request { level: Level::L8, transport: Transport::NAMED_PIPE, remote_client: end(4000), local_server: end(445), session_info: Some(session), need_idle_server: false }
/// # }
/// let caller = Caller::from_request(request())?;
/// assert!(caller.is_authenticated() && !caller.is_anonymous());
/// assert_eq!(caller.to_string(), "HOST\\alice (S-1-5-21-1-2-3-1000, uid 1000) from [::1]:4000 over smb");
/// # Ok::<(), NotACaller>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The user and the groups, without the SID that carries the [flags](Self::flags).
    pub token: SecurityToken,
    /// The user as smbd maps it to this machine.
    pub unix_token: Option<UnixToken>,
    /// What else is known of the user.
    pub info: UserInfo,
    /// The user's names on this machine.
    pub unix_info: UnixInfo,
    /// Where the user sits.
    pub client_address: SocketAddr,
    /// Where the user's connection arrived.
    pub server_address: SocketAddr,
    /// How the user reached the caller.
    pub transport: Transport,
    /// What the caller's program wants.
    pub flags: NpaFlags,
    /// The key of the user's session.
    pub session_key: Secret,
    /// Credentials that the user delegated.
    pub credentials: Secret,
    /// The same number in all that concerns the user's session.
    pub session: Guid,
    /// The kind of Kerberos ticket.
    pub ticket_type: TicketType,
}

/// What the caller's program wants of the server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct NpaFlags(
    /// The bits on the wire.
    pub u32,
);

/// Why a request that could be decoded says nothing of a caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NotACaller {
    /// The address of the client or of the server is missing, or no numeric address.
    Address,
    /// There is no session, or one without a token.
    NoSession,
}

impl Caller {
    /// Who sent `request`. Looks at the addresses first, as Samba's services do.
    ///
    /// # Errors
    /// - [`Address`](NotACaller::Address) if one of the two addresses is none.
    /// - [`NoSession`](NotACaller::NoSession) if the session or its security token is missing.
    pub fn from_request(request: Request) -> Result<Self, NotACaller> {
        let client_address = socket_address(&request.remote_client)?;
        let server_address = socket_address(&request.local_server)?;
        let outer = request.session_info.ok_or(NotACaller::NoSession)?;
        let session = outer.session_info.ok_or(NotACaller::NoSession)?;
        let mut token = session.security_token.ok_or(NotACaller::NoSession)?;
        let mut flags = NpaFlags::take_from(&mut token.sids);
        if request.need_idle_server {
            flags = flags | NpaFlags::NEED_IDLE;
        }
        Ok(Self {
            token,
            unix_token: session.unix_token,
            info: session.info.unwrap_or_default(),
            unix_info: session.unix_info.unwrap_or_default(),
            client_address,
            server_address,
            transport: request.transport,
            flags,
            session_key: session.session_key,
            credentials: outer.exported_gssapi_credentials,
            session: session.unique_session_token,
            ticket_type: session.ticket_type.unwrap_or_default(),
        })
    }

    /// The name of the account, empty if there is none.
    #[must_use]
    pub fn account(&self) -> &str {
        self.info.account_name.as_deref().unwrap_or_default()
    }

    /// The domain of the account, empty if there is none.
    #[must_use]
    pub fn domain(&self) -> &str {
        self.info.domain_name.as_deref().unwrap_or_default()
    }

    /// The user, which is the first SID.
    #[must_use]
    pub fn user_sid(&self) -> Option<&Sid> {
        self.token.sids.first()
    }

    /// Whether `sid` is the user or one of the groups.
    #[must_use]
    pub fn has_sid(&self, sid: &Sid) -> bool {
        self.token.sids.contains(sid)
    }

    /// Whether nobody has proved to be anybody.
    #[must_use]
    pub fn is_anonymous(&self) -> bool {
        self.has_sid(&Sid::ANONYMOUS)
    }

    /// Whether the user has proved to be somebody.
    #[must_use]
    pub fn is_authenticated(&self) -> bool {
        self.has_sid(&Sid::AUTHENTICATED) || self.is_system()
    }

    /// Whether it is the system itself.
    #[must_use]
    pub fn is_system(&self) -> bool {
        self.user_sid() == Some(&Sid::SYSTEM)
    }
}

fn socket_address(end: &super::Endpoint) -> Result<SocketAddr, NotACaller> {
    let text = end.address.as_deref().ok_or(NotACaller::Address)?;
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok((address, end.port).into());
    }
    // A link-local address may name its interface.
    let (address, interface) = text.split_once('%').ok_or(NotACaller::Address)?;
    let address: Ipv6Addr = address.parse().map_err(|_| NotACaller::Address)?;
    let scope = interface.parse().unwrap_or(0);
    Ok(SocketAddrV6::new(address, end.port, 0, scope).into())
}

impl NpaFlags {
    /// A process of its own is wanted.
    pub const NEED_IDLE: Self = Self(1);

    /// The caller's process has winbind switched off.
    pub const WINBIND_OFF: Self = Self(2);

    /// The caller only asks whether the pipe is there, and closes after the reply.
    pub const PROBE: Self = Self(4);

    const SUB_AUTHORITY: u32 = 2_041_152_804;

    /// Whether all of `flags` are among these.
    #[must_use]
    pub fn contains(self, flags: Self) -> bool {
        self.0 & flags.0 == flags.0
    }

    /// The SID that carries the flags, last in a token of level 7 or 8.
    ///
    /// # Examples
    /// ```
    /// use tsocket_npa::codec::NpaFlags;
    ///
    /// assert_eq!(NpaFlags::PROBE.to_sid().to_string(), "S-1-22-2041152804-4");
    /// ```
    #[must_use]
    pub fn to_sid(self) -> Sid {
        Sid::known(Sid::UNIX, &[Self::SUB_AUTHORITY, self.0])
    }

    /// The flags that `sid` carries, if it is one that does.
    #[must_use]
    pub fn from_sid(sid: &Sid) -> Option<Self> {
        match *sid.sub_authorities() {
            [Self::SUB_AUTHORITY, flags] if sid.authority() == u64::from(Sid::UNIX) => {
                Some(Self(flags))
            }
            _ => None,
        }
    }

    fn take_from(sids: &mut Vec<Sid>) -> Self {
        let mut all = Self::default();
        sids.retain(|sid| {
            let flags = Self::from_sid(sid);
            all = all | flags.unwrap_or_default();
            flags.is_none()
        });
        all
    }
}

impl BitOr for NpaFlags {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl NotACaller {
    /// What to answer: with [`Reply::refuse`](super::Reply::refuse).
    #[must_use]
    pub fn status(self) -> NtStatus {
        match self {
            Self::Address => NtStatus::INVALID_ADDRESS,
            Self::NoSession => NtStatus::INVALID_PARAMETER,
        }
    }
}

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (domain, account) = (Printable(self.domain()), Printable(self.account()));
        write!(f, "{domain}\\{account} (")?;
        match self.user_sid() {
            Some(sid) => write!(f, "{sid}")?,
            None => f.write_str("no SID")?,
        }
        if let Some(unix) = &self.unix_token {
            write!(f, ", uid {}", unix.uid)?;
        }
        write!(f, ") from {} over {}", self.client_address, self.transport)
    }
}

/// A text that stays on its line.
struct Printable<'a>(&'a str);

impl fmt::Display for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            if character.is_control() {
                write!(f, "{}", character.escape_default())?;
            } else {
                write!(f, "{character}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for NotACaller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Address => "the request has no numeric addresses of the client and the server",
            Self::NoSession => "the request has no session, or one without a token",
        })
    }
}

impl Error for NotACaller {}
