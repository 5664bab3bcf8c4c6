//! [`Request`], what is sent to open a pipe.

use super::level::Layout;
use super::ndr::{PLAIN, Reader, Result, Writer};
use super::packet::{begin, finish, open};
use super::{Level, Secret, SessionInfoTransport, Transport};

/// Who wants to open a pipe, and where the connection comes from.
///
/// A field that the level does not have is left out when encoding, and has its default after decoding.
///
/// # Examples
/// ```
/// use tsocket_npa::codec::{
///     Endpoint, Level, Request, SecurityToken, SessionInfo, SessionInfoTransport, Sid, Transport, UnixInfo,
///     UnixToken, UserInfo,
/// };
///
/// let end = |address: &str| Endpoint {
///     name: Some("host".into()),
///     address: Some(address.into()),
///     port: 0,
/// };
/// let session = SessionInfo {
///     security_token: Some(SecurityToken { sids: vec![Sid::SYSTEM], ..SecurityToken::default() }),
///     unix_token: Some(UnixToken::default()),
///     info: Some(UserInfo { account_name: Some("SYSTEM".into()), ..UserInfo::default() }),
///     unix_info: Some(UnixInfo::default()),
///     ..SessionInfo::default()
/// };
/// let mut request = Request {
///     level: Level::L8,
///     transport: Transport::LOCAL,
///     remote_client: end("127.0.0.1"),
///     local_server: end("::"),
///     session_info: Some(SessionInfoTransport {
///         session_info: Some(session),
///         ..SessionInfoTransport::default()
///     }),
///     need_idle_server: false,
/// };
/// let packet = request.encode()?;
/// assert_eq!(Request::decode(packet.expose())?.encode()?, packet);
/// request.level = Level::L7; // an older Samba
/// assert!(request.encode()?.len() < packet.len());
/// # Ok::<(), tsocket_npa::codec::CodecError>(())
/// ```
///
/// # Source
/// `named_pipe_auth_req` in Samba's interface definitions.
#[doc(alias = "named_pipe_auth_req")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The layout of the packet.
    pub level: Level,
    /// How the user reached the caller. Not in level 4.
    pub transport: Transport,
    /// Where the user sits.
    pub remote_client: Endpoint,
    /// Where the user's connection arrived.
    pub local_server: Endpoint,
    /// The user's session. Never send `None`.
    pub session_info: Option<SessionInfoTransport>,
    /// Whether a process of its own is wanted. Level 5 only; later levels say it with a SID
    /// ([`NpaFlags::NEED_IDLE`](super::NpaFlags::NEED_IDLE)).
    pub need_idle_server: bool,
}

/// One end of the user's connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Endpoint {
    /// A name: from smbd, that of the server for both ends. Never send `None`.
    pub name: Option<String>,
    /// A numeric IPv4 or IPv6 address. Never send anything else.
    pub address: Option<String>,
    /// The port.
    pub port: u16,
}

impl Request {
    /// Reads a whole packet, its length included.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub fn decode(packet: &[u8]) -> Result<Self> {
        let (level, reader) = open(packet)?;
        let layout = level.layout();
        let result = Self::read(reader.clone(), level, layout);
        let (Err(error), Some(older)) = (&result, layout.older) else {
            return result;
        };
        match Self::read(reader, level, older) {
            // Of two forms that do not fit, the one that fits further is what was meant.
            Err(other) if other.offset() <= error.offset() => result,
            other => other,
        }
    }

    /// The whole packet, its length included. It has the session key.
    ///
    /// # Errors
    /// - [`EmbeddedNul`](super::CodecErrorKind::EmbeddedNul) if a text has one.
    /// - [`TooLong`](super::CodecErrorKind::TooLong) if it becomes larger than
    ///   [`MAX_PACKET_LEN`](super::MAX_PACKET_LEN).
    pub fn encode(&self) -> Result<Secret> {
        let mut writer = begin(self.level);
        self.write(&mut writer, self.layout())?;
        finish(writer).map(Secret::new)
    }

    fn read(mut reader: Reader<'_>, level: Level, layout: &Layout) -> Result<Self> {
        reader.align(PLAIN);
        let transport = match layout.has_transport {
            true => Transport(reader.u8("transport")?),
            false => Transport::default(),
        };
        let client_name = reader.pointer("remote_client_name")?;
        let client_address = reader.pointer("remote_client_addr")?;
        let client_port = reader.u16("remote_client_port")?;
        let server_name = reader.pointer("local_server_name")?;
        let server_address = reader.pointer("local_server_addr")?;
        let server_port = reader.u16("local_server_port")?;
        let session_info = reader.pointer("session_info")?;
        let need_idle_server = layout.has_need_idle_server && reader.boolean("need_idle_server")?;
        // Fields are read in the order in which they stand here.
        let request = Self {
            level,
            transport,
            remote_client: Endpoint {
                name: reader.string(client_name, "remote_client_name")?,
                address: reader.string(client_address, "remote_client_addr")?,
                port: client_port,
            },
            local_server: Endpoint {
                name: reader.string(server_name, "local_server_name")?,
                address: reader.string(server_address, "local_server_addr")?,
                port: server_port,
            },
            session_info: session_info
                .then(|| SessionInfoTransport::read(&mut reader, layout))
                .transpose()?,
            need_idle_server,
        };
        reader.end()?;
        Ok(request)
    }

    /// The form of the level that has what there is to say.
    fn layout(&self) -> &'static Layout {
        let outer = self.session_info.as_ref();
        let session = outer.and_then(|outer| outer.session_info.as_ref());
        let has_ticket_type = session.is_some_and(|session| session.ticket_type.is_some());
        let layout = self.level.layout();
        match layout.older {
            Some(older) if !has_ticket_type => older,
            _ => layout,
        }
    }

    fn write(&self, writer: &mut Writer, layout: &Layout) -> Result<()> {
        writer.align(PLAIN);
        if layout.has_transport {
            writer.u8(self.transport.0);
        }
        for end in [&self.remote_client, &self.local_server] {
            writer.pointer(end.name.is_some());
            writer.pointer(end.address.is_some());
            writer.u16(end.port);
        }
        writer.pointer(self.session_info.is_some());
        if layout.has_need_idle_server {
            writer.boolean(self.need_idle_server);
        }
        let (client, server) = (&self.remote_client, &self.local_server);
        writer.string(client.name.as_deref(), "remote_client_name")?;
        writer.string(client.address.as_deref(), "remote_client_addr")?;
        writer.string(server.name.as_deref(), "local_server_name")?;
        writer.string(server.address.as_deref(), "local_server_addr")?;
        match &self.session_info {
            Some(session_info) => session_info.write(writer, layout),
            None => Ok(()),
        }
    }
}
