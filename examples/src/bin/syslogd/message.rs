//! What a datagram says: bytes in, a [`Message`] out (RFC 3164, RFC 5424).

use std::fmt;

/// The priority of a message that states none (RFC 3164, section 4.3.3): `user.notice`.
const DEFAULT_PRIORITY: u8 = 13;

const FACILITIES: [&str; 24] = [
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv",
    "ftp", "ntp", "audit", "alert", "clock", "local0", "local1", "local2", "local3", "local4",
    "local5", "local6", "local7",
];

const SEVERITIES: [&str; 8] = [
    "emerg", "alert", "crit", "err", "warning", "notice", "info", "debug",
];

/// A message; what it does not state is empty.
///
/// Nothing is refused: a datagram that keeps to neither RFC is a text of the default priority.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Message<'a> {
    pub(crate) priority: u8,
    pub(crate) timestamp: &'a [u8],
    pub(crate) host: &'a [u8],
    pub(crate) tag: &'a [u8],
    pub(crate) process: &'a [u8],
    /// The structured data of RFC 5424, with its brackets.
    pub(crate) data: &'a [u8],
    pub(crate) text: &'a [u8],
}

impl<'a> Message<'a> {
    pub(crate) fn parse(datagram: &'a [u8]) -> Self {
        let datagram = trim_end(datagram);
        let Some((priority, rest)) = priority(datagram) else {
            return Self::text(DEFAULT_PRIORITY, datagram);
        };
        match rest.strip_prefix(b"1 ") {
            Some(rest) => Self::rfc5424(priority, rest),
            None => Self::rfc3164(priority, rest),
        }
        .unwrap_or(Self::text(priority, rest))
    }

    fn text(priority: u8, text: &'a [u8]) -> Self {
        Self {
            priority,
            timestamp: b"",
            host: b"",
            tag: b"",
            process: b"",
            data: b"",
            text,
        }
    }

    /// `TIMESTAMP HOSTNAME APP-NAME PROCID MSGID STRUCTURED-DATA [MSG]`; the message id, which nobody
    /// fills in, is left out.
    fn rfc5424(priority: u8, rest: &'a [u8]) -> Option<Self> {
        let (timestamp, rest) = field(rest)?;
        let (host, rest) = field(rest)?;
        let (tag, rest) = field(rest)?;
        let (process, rest) = field(rest)?;
        let (_, rest) = field(rest)?;
        let (data, rest) = structured_data(rest)?;
        let text = rest.strip_prefix(b" ").unwrap_or(rest);
        Some(Self {
            priority,
            timestamp,
            host,
            tag,
            process,
            data,
            text: text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text),
        })
    }

    /// `Mmm dd hh:mm:ss [HOSTNAME] TAG[PID]: MSG`; programs on this machine leave out the host.
    fn rfc3164(priority: u8, rest: &'a [u8]) -> Option<Self> {
        let (timestamp, rest) = rest.split_at_checked(15)?;
        if !is_timestamp(timestamp) {
            return None;
        }
        let rest = rest.strip_prefix(b" ")?;
        let (first, after_first) = word(rest);
        let (host, rest) = if first.iter().any(|byte| b":[".contains(byte)) {
            (&b""[..], rest)
        } else {
            (first, after_first)
        };
        let (tag, process, text) = tag(rest);
        Some(Self {
            timestamp,
            host,
            tag,
            process,
            text,
            ..Self::text(priority, b"")
        })
    }
}

/// One line: `TIMESTAMP HOST FACILITY.SEVERITY TAG[PID]: DATA TEXT`, with `-` for what is not stated.
///
/// Control characters are written as `#` and three octal digits, so that a message is one line and
/// moves no cursor.
impl fmt::Display for Message<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stated = |field| if is_stated(field) { field } else { b"-" };
        let facility = FACILITIES[usize::from(self.priority >> 3)];
        let severity = SEVERITIES[usize::from(self.priority & 7)];
        let (timestamp, host) = (
            Printable(stated(self.timestamp)),
            Printable(stated(self.host)),
        );
        write!(f, "{timestamp} {host} {facility}.{severity} ")?;
        if is_stated(self.tag) {
            write!(f, "{}", Printable(self.tag))?;
            if is_stated(self.process) {
                write!(f, "[{}]", Printable(self.process))?;
            }
            f.write_str(": ")?;
        }
        if is_stated(self.data) {
            write!(f, "{} ", Printable(self.data))?;
        }
        write!(f, "{}", Printable(self.text))
    }
}

/// Bytes as people may see them.
struct Printable<'a>(&'a [u8]);

impl fmt::Display for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in String::from_utf8_lossy(self.0).chars() {
            if character.is_control() {
                write!(f, "#{:03o}", u32::from(character))?;
            } else {
                write!(f, "{character}")?;
            }
        }
        Ok(())
    }
}

fn is_stated(field: &[u8]) -> bool {
    !matches!(field, b"" | b"-")
}

fn trim_end(mut bytes: &[u8]) -> &[u8] {
    while let [start @ .., b'\n' | b'\0'] = bytes {
        bytes = start;
    }
    bytes
}

/// `<PRI>`: one to three digits, at most 191.
fn priority(bytes: &[u8]) -> Option<(u8, &[u8])> {
    let rest = bytes.strip_prefix(b"<")?;
    let end = rest.iter().take(4).position(|byte| *byte == b'>')?;
    let digits = &rest[..end];
    let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    let number: u8 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    (is_number && usize::from(number >> 3) < FACILITIES.len()).then_some((number, &rest[end + 1..]))
}

/// What comes before the next space, and after it.
fn word(bytes: &[u8]) -> (&[u8], &[u8]) {
    match bytes.iter().position(|byte| *byte == b' ') {
        Some(end) => (&bytes[..end], &bytes[end + 1..]),
        None => (bytes, b""),
    }
}

fn field(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (field, rest) = word(bytes);
    (!field.is_empty()).then_some((field, rest))
}

/// `-`, or elements in brackets, in whose quoted values a backslash protects the next byte.
fn structured_data(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    if bytes.first() == Some(&b'-') {
        return Some(bytes.split_at(1));
    }
    let (mut is_inside, mut is_quoted, mut is_protected) = (false, false, false);
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            _ if is_protected => is_protected = false,
            b'\\' if is_quoted => is_protected = true,
            b'"' if is_inside => is_quoted = !is_quoted,
            b'[' if !is_inside => is_inside = true,
            b']' if is_inside && !is_quoted => is_inside = false,
            _ if is_inside => {}
            _ => return (at > 0).then(|| bytes.split_at(at)),
        }
    }
    (!is_inside && !bytes.is_empty()).then_some((bytes, b""))
}

/// `Mmm dd hh:mm:ss`
fn is_timestamp(bytes: &[u8]) -> bool {
    let pattern = b"Aaa dd dd:dd:dd";
    bytes
        .iter()
        .zip(pattern)
        .enumerate()
        .all(|(at, (byte, expected))| match expected {
            b'A' => byte.is_ascii_uppercase(),
            b'a' => byte.is_ascii_lowercase(),
            b'd' => byte.is_ascii_digit() || (at == 4 && *byte == b' '),
            _ => byte == expected,
        })
}

/// `TAG[PID]: TEXT`; without a colon all of it is text.
fn tag(bytes: &[u8]) -> (&[u8], &[u8], &[u8]) {
    let (first, _) = word(bytes);
    let Some(named) = first.strip_suffix(b":") else {
        return (b"", b"", bytes);
    };
    let rest = &bytes[first.len()..];
    let text = rest.strip_prefix(b" ").unwrap_or(rest);
    let process = named
        .strip_suffix(b"]")
        .and_then(|named| Some((named, named.iter().position(|byte| *byte == b'[')?)));
    match process {
        Some((named, start)) => (&named[..start], &named[start + 1..], text),
        None => (named, b"", text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(datagram: &[u8]) -> String {
        Message::parse(datagram).to_string()
    }

    #[test]
    fn messages_of_both_kinds_become_lines() {
        for (datagram, expected) in [
            (
                "<34>Oct 11 22:14:15 mymachine su: 'su root' failed on /dev/pts/8",
                "Oct 11 22:14:15 mymachine auth.crit su: 'su root' failed on /dev/pts/8",
            ),
            (
                "<13>Feb  5 17:32:18 user[4711]: hello: world\n",
                "Feb  5 17:32:18 - user.notice user[4711]: hello: world",
            ),
            (
                "<13>Feb  5 17:32:18 10.0.0.99 Use the BFG!",
                "Feb  5 17:32:18 10.0.0.99 user.notice Use the BFG!",
            ),
            (
                "<34>1 2003-10-11T22:14:15.003Z host.example su - ID47 - \u{feff}'su root' failed",
                "2003-10-11T22:14:15.003Z host.example auth.crit su: 'su root' failed",
            ),
            (
                r#"<165>1 2003-10-11T22:14:15.003Z h evntslog 7 ID47 [a@1 b="3" c="\]\"]"][d] text"#,
                r#"2003-10-11T22:14:15.003Z h local4.notice evntslog[7]: [a@1 b="3" c="\]\"]"][d] text"#,
            ),
            ("<165>1 - - - - - [a@1]", "- - local4.notice [a@1] "),
            ("<165>1 - - - - - -", "- - local4.notice "),
        ] {
            assert_eq!(line(datagram.as_bytes()), expected);
        }
    }

    #[test]
    fn whatever_else_comes_is_a_text() {
        for text in [
            "", "hello", "<", "<>x", "<192>x", "<+13>x", "<0013>x", "<13",
        ] {
            assert_eq!(line(text.as_bytes()), format!("- - user.notice {text}"));
        }
        assert_eq!(line(b"<0>x"), "- - kern.emerg x");
        assert_eq!(line(b"<191>"), "- - local7.debug ");
        assert_eq!(line(b"<13>1 only two"), "- - user.notice 1 only two");
        assert_eq!(
            line(b"<13>1 - - - - - [open x"),
            "- - user.notice 1 - - - - - [open x"
        );
        assert_eq!(line(b"<13>Feb 30"), "- - user.notice Feb 30");
    }

    #[test]
    fn a_message_is_one_line_whatever_is_in_it() {
        assert_eq!(
            line(b"<13>a\nb\x1b[2Jc\0d\xff\x7f\n"),
            "- - user.notice a#012b#033[2Jc#000d\u{fffd}#177"
        );
    }

    #[test]
    fn no_bytes_make_it_panic() {
        let pieces: [&[u8]; 12] = [
            b"<",
            b"13",
            b">",
            b"1 ",
            b"- ",
            b"[",
            b"]",
            b"\"",
            b"\\",
            b"Feb  5 17:32:18",
            b" ",
            b":",
        ];
        let mut state = 1_u32;
        for _ in 0..20_000 {
            let mut datagram = Vec::new();
            for _ in 0..12 {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                datagram.extend_from_slice(pieces[(state >> 16) as usize % pieces.len()]);
            }
            assert!(!line(&datagram).contains('\n'));
        }
    }
}
