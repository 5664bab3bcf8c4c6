//! [`Identity`], whom a client says the user to be.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::codec::{
    Endpoint, EvaluateClaims, Guid, Level, NpaFlags, NtTime, Request, Secret, SecurityToken,
    SessionInfo, SessionInfoTransport, Sid, TicketType, Transport, UnixInfo, UnixToken, UserFlags,
    UserInfo,
};

/// The unix user and group that stand for nobody.
const NOBODY: u32 = 65_534;

/// The account of a person.
const NORMAL_ACCOUNT: u32 = 0x10;

/// How many bytes a session key has.
const SESSION_KEY_LEN: usize = 16;

/// The user that a client vouches for.
///
/// Made with [`anonymous`](Self::anonymous), [`system`](Self::system) or [`user`](Self::user), and
/// completed with what else is known. All that a service of Samba insists on is always there.
///
/// # Examples
/// ```
/// use tsocket_npa::Identity;
/// use tsocket_npa::codec::{Level, Sid};
///
/// let alice: Sid = "S-1-5-21-1-2-3-1000".parse()?;
/// let identity = Identity::user("alice", "EXAMPLE", alice, 1000, 1000)
///     .sid("S-1-5-21-1-2-3-513".parse()?)
///     .client_address("192.0.2.7:50000".parse()?);
/// let request = identity.request(Level::L8);
/// assert_eq!(request.remote_client.address.as_deref(), Some("192.0.2.7"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Identity {
    account: String,
    domain: String,
    unix_name: String,
    sanitized_name: String,
    sids: Vec<Sid>,
    privileges: u64,
    uid: u32,
    gid: u32,
    groups: Vec<u32>,
    is_authenticated: bool,
    evaluate_claims: EvaluateClaims,
    transport: Transport,
    flags: NpaFlags,
    host: String,
    client_address: SocketAddr,
    server_address: SocketAddr,
    session_key: Secret,
    session: Guid,
}

impl Identity {
    fn new(account: &str, domain: &str, sids: Vec<Sid>, uid: u32, gid: u32) -> Self {
        Self {
            account: account.to_owned(),
            domain: domain.to_owned(),
            unix_name: account.to_owned(),
            sanitized_name: account.to_owned(),
            sids,
            privileges: 0,
            uid,
            gid,
            groups: vec![gid],
            is_authenticated: true,
            evaluate_claims: EvaluateClaims::NEVER,
            transport: Transport::NAMED_PIPE,
            flags: NpaFlags::default(),
            host: "localhost".to_owned(),
            client_address: (IpAddr::from(Ipv4Addr::LOCALHOST), 0).into(),
            server_address: (IpAddr::from(Ipv6Addr::UNSPECIFIED), 0).into(),
            session_key: Secret::from([0; SESSION_KEY_LEN].as_slice()),
            session: Guid::default(),
        }
    }

    /// A session without a user.
    pub fn anonymous() -> Self {
        let sids = [
            Sid::ANONYMOUS,
            Sid::EVERYONE,
            Sid::NETWORK,
            Sid::unix_user(NOBODY),
            Sid::unix_group(NOBODY),
        ];
        Self {
            unix_name: "nobody".to_owned(),
            sanitized_name: String::new(),
            is_authenticated: false,
            evaluate_claims: EvaluateClaims::INVALID,
            ..Self::new(
                "ANONYMOUS LOGON",
                "NT AUTHORITY",
                sids.into(),
                NOBODY,
                NOBODY,
            )
        }
    }

    /// The system itself: a local program that speaks for the machine. Samba's services believe it over
    /// the local transport only, which is therefore the one that is named.
    pub fn system() -> Self {
        Self {
            unix_name: "NT AUTHORITY\\SYSTEM".to_owned(),
            privileges: u64::MAX,
            evaluate_claims: EvaluateClaims::INVALID,
            transport: Transport::LOCAL,
            ..Self::new("SYSTEM", "NT AUTHORITY", vec![Sid::SYSTEM], 0, 0)
        }
    }

    /// A user who has proved to be `account` of `domain`, whose SID is `sid`, and who is `uid` with the
    /// primary group `gid` on this machine.
    ///
    /// The SIDs that every such user has (everyone, network, authenticated, and those of `uid` and
    /// `gid`) are added.
    pub fn user(account: &str, domain: &str, sid: Sid, uid: u32, gid: u32) -> Self {
        let usual = [
            Sid::EVERYONE,
            Sid::NETWORK,
            Sid::AUTHENTICATED,
            Sid::unix_user(uid),
            Sid::unix_group(gid),
        ];
        let usual = usual.into_iter().filter(|one| *one != sid);
        let sids = [sid].into_iter().chain(usual).collect();
        Self::new(account, domain, sids, uid, gid)
    }

    /// One more SID: a group the user is in. SIDs that carry [`NpaFlags`] are left out: see
    /// [`flags`](Self::flags).
    pub fn sid(mut self, sid: Sid) -> Self {
        if NpaFlags::from_sid(&sid).is_none() {
            self.sids.push(sid);
        }
        self
    }

    /// The groups of the user on this machine, the primary one included; that one alone by default.
    pub fn groups(mut self, groups: impl Into<Vec<u32>>) -> Self {
        self.groups = groups.into();
        self
    }

    /// The privileges of the user, one bit each; none by default, and all for the system.
    pub fn privileges(mut self, bits: u64) -> Self {
        self.privileges = bits;
        self
    }

    /// Where the user sits; the loopback address by default.
    pub fn client_address(mut self, address: SocketAddr) -> Self {
        self.client_address = address;
        self
    }

    /// Where the user's connection arrived; the unspecified address by default, as for local programs.
    pub fn server_address(mut self, address: SocketAddr) -> Self {
        self.server_address = address;
        self
    }

    /// The name of this machine, which stands for both ends of the connection; `localhost` by default.
    pub fn host(mut self, name: &str) -> Self {
        name.clone_into(&mut self.host);
        self
    }

    /// The key of the user's session; 16 zero bytes by default.
    pub fn session_key(mut self, key: Secret) -> Self {
        self.session_key = key;
        self
    }

    /// The number that ties together what concerns the user's session; zero by default.
    pub fn session(mut self, session: Guid) -> Self {
        self.session = session;
        self
    }

    /// What this program wants of the server; nothing by default.
    pub fn flags(mut self, flags: NpaFlags) -> Self {
        self.flags = flags;
        self
    }

    /// The request that says so at `level`.
    #[must_use]
    pub fn request(&self, level: Level) -> Request {
        let session = SessionInfoTransport {
            session_info: Some(self.session_info(level)),
            exported_gssapi_credentials: Secret::default(),
        };
        Request {
            level,
            transport: self.transport,
            remote_client: self.endpoint(self.client_address),
            local_server: self.endpoint(self.server_address),
            session_info: Some(session),
            need_idle_server: self.flags.contains(NpaFlags::NEED_IDLE),
        }
    }

    fn endpoint(&self, address: SocketAddr) -> Endpoint {
        Endpoint {
            name: Some(self.host.clone()),
            address: Some(address.ip().to_string()),
            port: address.port(),
        }
    }

    fn session_info(&self, level: Level) -> SessionInfo {
        let mut sids = self.sids.clone();
        if level >= Level::L7 {
            sids.push(self.flags.to_sid());
        }
        SessionInfo {
            security_token: Some(SecurityToken {
                sids,
                privilege_mask: self.privileges,
                evaluate_claims: self.evaluate_claims,
                ..SecurityToken::default()
            }),
            unix_token: Some(UnixToken {
                uid: self.uid,
                gid: self.gid,
                groups: self.groups.clone(),
            }),
            info: Some(self.user_info(level)),
            unix_info: Some(UnixInfo {
                unix_name: Some(self.unix_name.clone()),
                sanitized_username: Some(self.sanitized_name.clone()),
            }),
            session_key: self.session_key.clone(),
            unique_session_token: self.session,
            ticket_type: Some(TicketType::UNKNOWN),
        }
    }

    fn user_info(&self, level: Level) -> UserInfo {
        let text = |text: &str| Some(text.to_owned());
        UserInfo {
            account_name: text(&self.account),
            domain_name: text(&self.domain),
            full_name: text(&self.account),
            logon_script: text(""),
            profile_path: text(""),
            home_directory: text(""),
            home_drive: text(""),
            logon_server: text(&self.host),
            last_logoff: NtTime::NEVER,
            acct_expiry: NtTime::NEVER,
            force_password_change: NtTime::NEVER,
            acct_flags: NORMAL_ACCOUNT,
            user_flags: match (level, self.is_authenticated) {
                // Of 1, releases of level 7 say the opposite of each other; the SIDs decide.
                (Level::L8, true) => UserFlags::Flags(0),
                (Level::L8, false) => UserFlags::Flags(1),
                (_, is_authenticated) => UserFlags::Authenticated(is_authenticated.into()),
            },
            ..UserInfo::default()
        }
    }
}
