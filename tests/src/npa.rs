//! Packets of the handshake: those that were captured, and any number of made-up ones.

use std::fs;
use std::path::Path;

use arbtest::arbitrary::{Result, Unstructured};
use tsocket_npa::codec::{
    Endpoint, EvaluateClaims, Guid, Level, NtTime, Request, Secret, SecurityToken, SessionInfo,
    SessionInfoTransport, Sid, TicketType, Transport, UnixInfo, UnixToken, UserFlags, UserInfo,
};

/// Bytes that were seen on a wire, and what they mean.
#[derive(Debug)]
pub struct Vector {
    /// The name of its file, without the extension.
    pub name: String,
    /// What it is: `request`, `bad-request`, ….
    pub kind: String,
    /// What the bytes decode to, one `key = value` each, in the order of the wire.
    pub fields: Vec<String>,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// All vectors whose names begin with `prefix`; there are some.
///
/// # Panics
/// If there are none, or one is not as the README of the vectors says.
#[must_use]
pub fn vectors(prefix: &str) -> Vec<Vector> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tsocket-npa/vectors");
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("the vectors are there") {
        let path = entry.expect("the folder can be read").path();
        let name = path.file_stem().and_then(|name| name.to_str());
        let name = name.expect("names are plain text").to_owned();
        if name.starts_with(prefix) && path.extension().is_some_and(|end| end == "hex") {
            let text = fs::read_to_string(&path).expect("the file can be read");
            found.push(parse(name, &text));
        }
    }
    assert!(!found.is_empty(), "no vector is called {prefix}…");
    found.sort_by(|one, other| one.name.cmp(&other.name));
    found
}

fn parse(name: String, text: &str) -> Vector {
    let header = || text.lines().filter_map(|line| line.strip_prefix("# "));
    let value = |key| header().find_map(|line| line.strip_prefix(key));
    let digits: String = text.lines().filter(|line| !line.starts_with('#')).collect();
    let bytes: Vec<u8> = (0..digits.len() / 2)
        .map(|index| u8::from_str_radix(&digits[2 * index..2 * index + 2], 16))
        .collect::<std::result::Result<_, _>>()
        .expect("the bytes are hexadecimal");
    let len = value("bytes: ").and_then(|len| len.parse().ok());
    assert_eq!(len, Some(bytes.len()), "{name}");
    Vector {
        kind: value("kind: ").expect("every vector has a kind").to_owned(),
        fields: header()
            .filter(|line| line.contains(" = "))
            .map(str::to_owned)
            .collect(),
        name,
        bytes,
    }
}

/// A request of any shape that `level` can carry.
///
/// # Errors
/// If `source` does not say enough.
pub fn any_request(source: &mut Unstructured<'_>, level: Level) -> Result<Request> {
    let has_transport = level != Level::L4;
    Ok(Request {
        level,
        transport: if has_transport {
            Transport(source.arbitrary()?)
        } else {
            Transport::default()
        },
        remote_client: any_end(source)?,
        local_server: any_end(source)?,
        session_info: maybe(source, |source| {
            Ok(SessionInfoTransport {
                session_info: maybe(source, |source| any_session(source, level))?,
                exported_gssapi_credentials: any_secret(source)?,
            })
        })?,
        need_idle_server: level == Level::L5 && source.arbitrary()?,
    })
}

/// Usually a thing, sometimes nothing.
fn maybe<'a, T>(
    source: &mut Unstructured<'a>,
    thing: impl FnOnce(&mut Unstructured<'a>) -> Result<T>,
) -> Result<Option<T>> {
    source.ratio(7, 8)?.then(|| thing(source)).transpose()
}

fn any_end(source: &mut Unstructured<'_>) -> Result<Endpoint> {
    Ok(Endpoint {
        name: any_text(source)?,
        // Samba reads addresses in the code page of DOS.
        address: any_text(source)?.map(|text| text.replace(|c: char| !c.is_ascii(), "")),
        port: source.arbitrary()?,
    })
}

/// A text of any script; one with a NUL would be cut by its reader.
fn any_text(source: &mut Unstructured<'_>) -> Result<Option<String>> {
    maybe(source, |source| {
        let text: String = source.arbitrary()?;
        Ok(text.replace('\0', ""))
    })
}

fn any_secret(source: &mut Unstructured<'_>) -> Result<Secret> {
    let len = source.int_in_range(0..=20)?;
    Ok(Secret::from(source.bytes(len.min(source.len()))?))
}

fn any_session(source: &mut Unstructured<'_>, level: Level) -> Result<SessionInfo> {
    Ok(SessionInfo {
        security_token: maybe(source, |source| any_token(source, level))?,
        unix_token: maybe(source, |source| {
            Ok(UnixToken {
                uid: source.arbitrary()?,
                gid: source.arbitrary()?,
                groups: source.arbitrary()?,
            })
        })?,
        info: maybe(source, |source| any_info(source, level))?,
        unix_info: maybe(source, |source| {
            Ok(UnixInfo {
                unix_name: any_text(source)?,
                sanitized_username: any_text(source)?,
            })
        })?,
        session_key: any_secret(source)?,
        unique_session_token: Guid::from_wire(source.arbitrary()?),
        // What level 8 alone has is always there in the others.
        ticket_type: match level {
            Level::L4 | Level::L5 => maybe(source, |source| source.arbitrary().map(TicketType))?,
            _ => Some(TicketType(source.int_in_range(0..=2)?)),
        },
    })
}

fn any_sids(source: &mut Unstructured<'_>) -> Result<Vec<Sid>> {
    let count = source.int_in_range(0..=12)?;
    (0..count)
        .map(|_| {
            let authority = source.int_in_range(0..=(1 << 48) - 1)?;
            let sub_count = source.int_in_range(0..=Sid::MAX_SUB_AUTHORITIES)?;
            let subs: Vec<u32> = (0..sub_count)
                .map(|_| source.arbitrary())
                .collect::<Result<_>>()?;
            Ok(Sid::new(authority, &subs).expect("the numbers are in range"))
        })
        .collect()
}

fn any_token(source: &mut Unstructured<'_>, level: Level) -> Result<SecurityToken> {
    let mut token = SecurityToken {
        sids: any_sids(source)?,
        privilege_mask: source.arbitrary()?,
        rights_mask: source.arbitrary()?,
        ..SecurityToken::default()
    };
    if level == Level::L8 {
        token.device_sids = any_sids(source)?;
        token.evaluate_claims = EvaluateClaims(source.int_in_range(0..=2)?);
    }
    Ok(token)
}

fn any_info(source: &mut Unstructured<'_>, level: Level) -> Result<UserInfo> {
    let time = |source: &mut Unstructured<'_>| source.arbitrary().map(NtTime);
    Ok(UserInfo {
        account_name: any_text(source)?,
        user_principal_name: any_text(source)?,
        user_principal_constructed: source.arbitrary()?,
        domain_name: any_text(source)?,
        dns_domain_name: any_text(source)?,
        full_name: any_text(source)?,
        logon_script: any_text(source)?,
        profile_path: any_text(source)?,
        home_directory: any_text(source)?,
        home_drive: any_text(source)?,
        logon_server: any_text(source)?,
        last_logon: time(source)?,
        last_logoff: time(source)?,
        acct_expiry: time(source)?,
        last_password_change: time(source)?,
        allow_password_change: time(source)?,
        force_password_change: time(source)?,
        logon_count: source.arbitrary()?,
        bad_password_count: source.arbitrary()?,
        acct_flags: source.arbitrary()?,
        user_flags: match level {
            Level::L8 => UserFlags::Flags(source.arbitrary()?),
            _ => UserFlags::Authenticated(source.arbitrary()?),
        },
    })
}

/// Bytes that may be a packet, or may have been one: a request of any level, changed in a few places or not
/// at all, with a length that fits, or nothing but bytes.
///
/// # Errors
/// If `source` does not say enough.
///
/// # Panics
/// If a request cannot be encoded.
pub fn any_packet(source: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    if source.ratio(1, 8)? {
        return source.arbitrary();
    }
    let level = *source.choose(Level::ALL)?;
    let packet = any_request(source, level)?.encode();
    let mut packet = packet.expect("it is not too long").expose().to_vec();
    for _ in 0..source.int_in_range(0..=4)? {
        change(source, &mut packet)?;
    }
    if source.ratio(7, 8)? {
        fit_length(&mut packet);
    }
    Ok(packet)
}

fn change(source: &mut Unstructured<'_>, packet: &mut Vec<u8>) -> Result<()> {
    let Some(last) = packet.len().checked_sub(1) else {
        return Ok(());
    };
    let at = source.int_in_range(0..=last)?;
    match source.int_in_range(0..=4)? {
        0 => packet[at] = source.arbitrary()?,
        1 => packet.truncate(at),
        2 => packet.insert(at, source.arbitrary()?),
        // Counts and pointers are words.
        kind => {
            let word: u32 = if kind == 3 {
                source.arbitrary()?
            } else {
                source.int_in_range(0..=9)?
            };
            let at = at / 4 * 4;
            if let Some(old) = packet.get_mut(at..at + 4) {
                old.copy_from_slice(&word.to_le_bytes());
            }
        }
    }
    Ok(())
}

/// Has the length of `packet` say how many bytes it has.
///
/// # Panics
/// If these are more than 4 GiB.
pub fn fit_length(packet: &mut [u8]) {
    let Some(rest) = packet.len().checked_sub(4) else {
        return;
    };
    let length = u32::try_from(rest).expect("no test has more");
    packet[..4].copy_from_slice(&length.to_be_bytes());
}
