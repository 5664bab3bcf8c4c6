//! The packets that were captured from Samba, or made to provoke it.

use std::fmt::{Debug, LowerHex};

use tevent_tests::npa::{Vector, vectors};
use tsocket_npa::MessageHeader;
use tsocket_npa::codec::{
    Caller, CodecError, Level, NotACaller, NpaFlags, NtStatus, Reply, Request, Secret, SessionInfo,
    Sid, Transport, UserFlags, UserInfo,
};

/// Lines like those in the headers of the vectors.
#[derive(Default)]
struct Lines(Vec<String>);

impl Lines {
    fn add(&mut self, key: &str, value: impl ToString) {
        self.0.push(format!("{key} = {}", value.to_string()));
    }

    fn hex(&mut self, key: &str, value: impl LowerHex, digits: usize) {
        self.add(key, format!("0x{value:0digits$x}"));
    }

    fn text(&mut self, key: &str, value: Option<&String>) {
        let escaped = value.map(|text| text.replace('\\', "\\\\").replace('"', "\\\""));
        self.add(
            key,
            escaped.map_or("null".to_owned(), |text| format!("\"{text}\"")),
        );
    }

    fn secret(&mut self, key: &str, value: &Secret) {
        let digits: String = value
            .expose()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        self.add(key, format!("hex:{digits}"));
    }

    fn sids(&mut self, key: &str, sids: &[Sid]) {
        self.add(&format!("security_token.num_{key}"), sids.len());
        for (index, sid) in sids.iter().enumerate() {
            self.add(&format!("security_token.{key}[{index}]"), sid);
        }
    }

    fn request(&mut self, request: &Request) {
        self.add("level", request.level.number());
        if request.level != Level::L4 {
            self.add("transport", request.transport.0);
        }
        let (client, server) = (&request.remote_client, &request.local_server);
        self.text("remote_client_name", client.name.as_ref());
        self.text("remote_client_addr", client.address.as_ref());
        self.add("remote_client_port", client.port);
        self.text("local_server_name", server.name.as_ref());
        self.text("local_server_addr", server.address.as_ref());
        self.add("local_server_port", server.port);
        if request.level == Level::L5 {
            self.add("need_idle_server", u8::from(request.need_idle_server));
        }
        let Some(outer) = &request.session_info else {
            return self.add("session_info", "null");
        };
        self.secret(
            "exported_gssapi_credentials",
            &outer.exported_gssapi_credentials,
        );
        let session = outer.session_info.as_ref();
        self.session(
            request.level,
            session.expect("all vectors with the one have the other"),
        );
    }

    fn session(&mut self, level: Level, session: &SessionInfo) {
        let token = session
            .security_token
            .as_ref()
            .expect("all vectors have it");
        self.sids("sids", &token.sids);
        self.hex("security_token.privilege_mask", token.privilege_mask, 16);
        self.hex("security_token.rights_mask", token.rights_mask, 8);
        if level == Level::L8 {
            for claims in ["local", "user", "device"] {
                self.add(&format!("security_token.num_{claims}_claims"), 0);
            }
            self.sids("device_sids", &token.device_sids);
            self.add("security_token.evaluate_claims", token.evaluate_claims.0);
        }
        let unix = session.unix_token.as_ref().expect("all vectors have it");
        self.add("unix_token.uid", unix.uid);
        self.add("unix_token.gid", unix.gid);
        self.add("unix_token.ngroups", unix.groups.len());
        for (index, group) in unix.groups.iter().enumerate() {
            self.add(&format!("unix_token.groups[{index}]"), group);
        }
        self.info(session.info.as_ref().expect("all vectors have it"));
        match &session.unix_info {
            Some(info) => {
                self.text("unix_info.unix_name", info.unix_name.as_ref());
                self.text(
                    "unix_info.sanitized_username",
                    info.sanitized_username.as_ref(),
                );
            }
            None => self.add("unix_info", "null"),
        }
        self.secret("session_key", &session.session_key);
        self.add("unique_session_token", session.unique_session_token);
        let ticket_type = session.ticket_type.expect("all vectors have it");
        self.add("ticket_type", ticket_type.0);
    }

    fn info(&mut self, info: &UserInfo) {
        self.text("info.account_name", info.account_name.as_ref());
        self.text(
            "info.user_principal_name",
            info.user_principal_name.as_ref(),
        );
        let constructed = u8::from(info.user_principal_constructed);
        self.add("info.user_principal_constructed", constructed);
        self.text("info.domain_name", info.domain_name.as_ref());
        self.text("info.dns_domain_name", info.dns_domain_name.as_ref());
        self.text("info.full_name", info.full_name.as_ref());
        self.text("info.logon_script", info.logon_script.as_ref());
        self.text("info.profile_path", info.profile_path.as_ref());
        self.text("info.home_directory", info.home_directory.as_ref());
        self.text("info.home_drive", info.home_drive.as_ref());
        self.text("info.logon_server", info.logon_server.as_ref());
        self.hex("info.last_logon", info.last_logon.0, 16);
        self.hex("info.last_logoff", info.last_logoff.0, 16);
        self.hex("info.acct_expiry", info.acct_expiry.0, 16);
        self.hex("info.last_password_change", info.last_password_change.0, 16);
        self.hex(
            "info.allow_password_change",
            info.allow_password_change.0,
            16,
        );
        self.hex(
            "info.force_password_change",
            info.force_password_change.0,
            16,
        );
        self.add("info.logon_count", info.logon_count);
        self.add("info.bad_password_count", info.bad_password_count);
        self.hex("info.acct_flags", info.acct_flags, 8);
        match info.user_flags {
            UserFlags::Authenticated(value) => self.add("info.authenticated", value),
            UserFlags::Flags(flags) => self.hex("info.user_flags", flags, 8),
        }
    }
}

#[track_caller]
fn decoded<T: Debug>(vector: &Vector, result: Result<T, CodecError>) -> T {
    result.unwrap_or_else(|error| panic!("{}: {error}", vector.name))
}

#[test]
fn each_captured_request_is_what_its_header_says_and_encodes_to_the_same_bytes() {
    for vector in vectors("req-") {
        assert_eq!(vector.kind, "request", "{}", vector.name);
        let request = decoded(&vector, Request::decode(&vector.bytes));
        let mut lines = Lines::default();
        lines.request(&request);
        assert_eq!(lines.0, vector.fields, "{}", vector.name);
        let encoded = request.encode().unwrap();
        assert_eq!(encoded.expose(), vector.bytes, "{}", vector.name);
    }
}

#[test]
fn each_captured_reply_is_what_its_header_says_and_encodes_to_the_same_bytes() {
    for vector in vectors("rep-") {
        assert_eq!(vector.kind, "reply", "{}", vector.name);
        let reply = decoded(&vector, Reply::decode(&vector.bytes));
        let mut lines = Lines::default();
        lines.add("level", reply.level.number());
        lines.add("file_type", reply.file_type.0);
        lines.hex("device_state", reply.device_state, 4);
        lines.add("allocation_size", reply.allocation_size);
        lines.hex("status", reply.status.0, 8);
        assert_eq!(lines.0, vector.fields, "{}", vector.name);
        assert_eq!(reply.encode(), vector.bytes[..], "{}", vector.name);
    }
}

/// What is wrong with each vector that has to be refused.
const BAD: [(&str, &str); 21] = [
    (
        "bad-l7-groups-conformance",
        "at byte 304, unix_token.ngroups: the structure counts 1, the array 2",
    ),
    (
        "bad-l7-invalid-utf8-name",
        "at byte 60, remote_client_name: the string is not UTF-8",
    ),
    (
        "bad-l7-length-only-magic",
        "at byte 0, length: a packet of length 4 is too short",
    ),
    (
        "bad-l7-length-short-3",
        "at byte 0, length: a packet of length 3 is too short",
    ),
    (
        "bad-l7-length-too-large",
        "at byte 0, length: a packet of 16777220 bytes, at most 16777219 are taken",
    ),
    (
        "bad-l7-length-zero",
        "at byte 0, length: a packet of length 0 is too short",
    ),
    (
        "bad-l7-level-unknown",
        "at byte 8, level: level 99 is none of 4, 5, 7, 8",
    ),
    (
        "bad-l7-level-zero",
        "at byte 8, level: level 0 is none of 4, 5, 7, 8",
    ),
    ("bad-l7-magic", "at byte 4, magic: \"NPAX\" is not \"NPAM\""),
    (
        "bad-l7-sid-16-subauths",
        "at byte 216, security_token.sids: a SID of 16 sub-authorities, at most 15",
    ),
    (
        "bad-l7-sids-conformance",
        "at byte 212, security_token.sids: the structure counts 4, the array 3",
    ),
    (
        "bad-l7-sids-huge",
        "at byte 216, security_token.sids: it needs 2147483648 bytes, 417 are left",
    ),
    (
        "bad-l7-string-length-huge",
        "at byte 60, remote_client_name: it needs 2147483647 bytes, 573 are left",
    ),
    (
        "bad-l7-string-length-over-size",
        "at byte 56, remote_client_name: the length 7 is larger than the size 3",
    ),
    (
        "bad-l7-string-length-zero",
        "at byte 56, remote_client_name: the string has no bytes, not even a NUL",
    ),
    (
        "bad-l7-string-offset",
        "at byte 52, remote_client_name: the string begins at 1 instead of 0",
    ),
    (
        "bad-l7-string-unterminated",
        "at byte 66, remote_client_name: the string does not end with a NUL",
    ),
    (
        "bad-l7-switch-differs",
        "at byte 12, level: it is level 7, and then level 8",
    ),
    (
        "bad-l7-trailing-byte",
        "at byte 633, end: the structure has ended, bytes left: 1",
    ),
    (
        "bad-l7-truncated-4",
        "at byte 628, unix_info.sanitized_username: it needs 4 bytes, 1 are left",
    ),
    (
        "bad-l7-truncated-half",
        "at byte 312, unix_token.groups: it needs 8 bytes, 4 are left",
    ),
];

#[test]
fn each_bad_packet_is_refused_with_what_is_wrong_and_where() {
    let vectors = vectors("bad-");
    let refused = vectors.iter().map(|vector| {
        let error = Request::decode(&vector.bytes).unwrap_err();
        (vector.name.as_str(), error.to_string())
    });
    let expected = BAD.map(|(name, what)| (name, what.to_owned()));
    assert_eq!(refused.collect::<Vec<_>>(), expected);
}

#[test]
fn odd_packets_are_accepted_and_written_the_usual_way() {
    for vector in vectors("odd-") {
        let request = decoded(&vector, Request::decode(&vector.bytes));
        let encoded = request.encode().unwrap();
        let again = decoded(&vector, Request::decode(encoded.expose()));
        assert_eq!(again, request, "{}", vector.name);
        assert!(Caller::from_request(request).is_ok(), "{}", vector.name);
        let is_odd_in_its_values = ["address-ipv6", "name-null"].iter();
        let keeps_its_bytes = is_odd_in_its_values
            .copied()
            .any(|end| vector.name.ends_with(end));
        assert_eq!(
            encoded.expose() == vector.bytes,
            keeps_its_bytes,
            "{}",
            vector.name
        );
    }
}

#[test]
fn a_text_ends_at_its_first_nul() {
    let vector = &vectors("odd-l7-embedded-nul")[0];
    let request = Request::decode(&vector.bytes).unwrap();
    assert_eq!(request.remote_client.name.as_deref(), Some("cli"));
}

#[test]
fn requests_without_an_address_are_no_callers() {
    for vector in vectors("refused-") {
        let request = decoded(&vector, Request::decode(&vector.bytes));
        assert_eq!(
            request.encode().unwrap().expose(),
            vector.bytes,
            "{}",
            vector.name
        );
        let error = Caller::from_request(request).unwrap_err();
        assert_eq!(error, NotACaller::Address, "{}", vector.name);
        assert_eq!(error.status(), NtStatus::INVALID_ADDRESS);
    }
}

#[test]
fn captured_messages_are_where_their_lengths_say() {
    for vector in vectors("frames-") {
        let (mut at, mut lines) = (0, Lines::default());
        while at < vector.bytes.len() {
            let header = vector.bytes[at..at + MessageHeader::LEN]
                .try_into()
                .unwrap();
            let header = MessageHeader::decode(header).unwrap();
            at += MessageHeader::LEN + header.payload_len();
            lines.0.push(header.payload_len().to_string());
        }
        assert_eq!(at, vector.bytes.len(), "{}", vector.name);
        let lengths = vector
            .fields
            .iter()
            .filter(|line| line.contains(".length = "));
        let lengths = lengths.filter_map(|line| line.rsplit(' ').next());
        assert_eq!(lengths.collect::<Vec<_>>(), lines.0, "{}", vector.name);
    }
}

/// The caller of a request that can be decoded.
fn caller(name: &str) -> Caller {
    let vector = &vectors(name)[0];
    let request = decoded(vector, Request::decode(&vector.bytes));
    Caller::from_request(request).expect("it says who it is")
}

#[test]
fn a_caller_is_the_same_whatever_the_level() {
    for name in ["req-l4-user", "req-l7-user-smb21", "req-l8-user-smb21"] {
        let caller = caller(name);
        assert_eq!(caller.account(), "daemon", "{name}");
        assert_eq!(
            caller.domain(),
            caller.info.logon_server.as_deref().unwrap(),
            "{name}"
        );
        assert!(caller.is_authenticated(), "{name}");
        assert!(!caller.is_anonymous() && !caller.is_system(), "{name}");
        assert_eq!(caller.transport, Transport::NAMED_PIPE, "{name}");
        assert_eq!(caller.unix_token.as_ref().unwrap().uid, 1, "{name}");
        assert_eq!(caller.session_key.len(), 16, "{name}");
        assert!(caller.has_sid(&Sid::unix_user(1)), "{name}");
        assert_eq!(caller.flags, NpaFlags::default(), "{name}");
        let line = caller.to_string();
        assert!(
            line.ends_with(" over smb") && line.contains("\\daemon (S-1-5-21-"),
            "{line}"
        );
    }
}

#[test]
fn the_sid_of_the_flags_is_not_among_the_groups() {
    let probe = caller("req-l8-probe");
    assert!(probe.flags.contains(NpaFlags::PROBE));
    let carries_flags = |sid: &Sid| NpaFlags::from_sid(sid).is_some();
    assert!(!probe.token.sids.iter().any(carries_flags));
    assert_eq!(caller("req-l7-system").flags, NpaFlags::NEED_IDLE);
    assert_eq!(caller("req-l5-idle").flags, NpaFlags::NEED_IDLE);
}

#[test]
fn anonymous_and_system_callers_are_known_by_their_sids() {
    for name in ["req-l7-anonymous", "req-l8-anonymous"] {
        let caller = caller(name);
        assert!(
            caller.is_anonymous() && !caller.is_authenticated(),
            "{name}"
        );
    }
    for name in ["req-l7-system", "req-l8-system"] {
        let caller = caller(name);
        assert!(caller.is_system() && caller.is_authenticated(), "{name}");
        assert_eq!(caller.transport, Transport::LOCAL, "{name}");
        let line = caller.to_string();
        assert_eq!(
            line,
            "NT AUTHORITY\\SYSTEM (S-1-5-18, uid 0) from 127.0.0.1:0 over local"
        );
    }
}

#[test]
fn a_request_without_a_session_is_no_caller() {
    let vector = &vectors("req-l7-null-session")[0];
    let request = decoded(vector, Request::decode(&vector.bytes));
    let error = Caller::from_request(request).unwrap_err();
    assert_eq!(error, NotACaller::NoSession);
    assert_eq!(error.status(), NtStatus::INVALID_PARAMETER);
}

#[test]
fn the_example_of_the_protocol_is_a_captured_packet() {
    let text = include_str!("../../tsocket-npa/PROTOCOL.md");
    let (_, example) = text.split_once("## An example, byte by byte").unwrap();
    let example = example.split("```").nth(1).unwrap();
    let mut bytes = Vec::new();
    for line in example.lines().filter(|line| line.starts_with('0')) {
        let at = usize::from_str_radix(&line[..4], 16).unwrap();
        assert_eq!(at, bytes.len(), "{line}");
        let digits = line.get(6..53).unwrap_or(&line[6..]).trim_end().split(' ');
        bytes.extend(digits.map(|digits| u8::from_str_radix(digits, 16).unwrap()));
    }
    assert_eq!(bytes, vectors("req-l7-system")[0].bytes);
}
