//! What a request asks for: bytes in, a [`Request`] or the refusal of one out (RFC 9110, RFC 9112).

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::time::SystemTime;

use percent_encoding::percent_decode_str;

use crate::response::Status;

/// The longest head of a request, in bytes; what browsers send is a tenth of it.
pub(crate) const MAX_HEAD_LEN: usize = 16 * 1024;

/// The most header lines in a head.
const MAX_HEADERS: usize = 64;

/// The longest body that is skipped so that the connection can go on, in bytes.
const MAX_BODY_LEN: usize = 64 * 1024;

/// A request for a file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Request {
    /// `HEAD`: everything but the content.
    pub(crate) is_head: bool,
    pub(crate) target: Target,
    pub(crate) modified_since: Option<SystemTime>,
    pub(crate) range: Option<String>,
    /// A range holds only while this is still the date of the file.
    pub(crate) if_range: Option<String>,
    pub(crate) keeps_alive: bool,
    /// How long it is, with the body that nobody wants.
    pub(crate) len: usize,
}

/// A path below the root: its names, none of which is empty, `.` or `..`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) names: Vec<OsString>,
    /// It ends with a slash.
    pub(crate) is_directory: bool,
    /// As it was sent, without the query.
    pub(crate) text: String,
}

/// Reads the request at the start of `bytes`; nothing if more of it has to arrive.
///
/// # Errors
/// The status to refuse it with; what follows it cannot be told from its body then.
pub(crate) fn parse(bytes: &[u8]) -> Result<Option<Request>, Status> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut parsed = httparse::Request::new(&mut headers);
    let head_len = match parsed.parse(bytes) {
        Ok(httparse::Status::Complete(len)) if len <= MAX_HEAD_LEN => len,
        Ok(httparse::Status::Partial) if bytes.len() < MAX_HEAD_LEN => return Ok(None),
        Ok(_) | Err(httparse::Error::TooManyHeaders) => return Err(Status::HEAD_TOO_LARGE),
        Err(httparse::Error::Version) => return Err(Status::VERSION_NOT_SUPPORTED),
        Err(_) => return Err(Status::BAD_REQUEST),
    };
    let is_old = parsed.version == Some(0);
    let headers = Headers(parsed.headers);
    if !is_old && headers.count("host") != 1 {
        return Err(Status::BAD_REQUEST);
    }
    let body_len = headers.body_len()?;
    if bytes.len() < head_len + body_len {
        return Ok(None);
    }
    Ok(Some(Request {
        is_head: is_head(parsed.method.unwrap_or_default())?,
        target: Target::parse(parsed.path.unwrap_or_default())?,
        modified_since: headers
            .text("if-modified-since")
            .and_then(|date| httpdate::parse_http_date(date).ok()),
        range: headers.text("range").map(str::to_owned),
        if_range: headers.text("if-range").map(str::to_owned),
        keeps_alive: if is_old {
            headers.lists("connection", "keep-alive")
        } else {
            !headers.lists("connection", "close")
        },
        len: head_len + body_len,
    }))
}

fn is_head(method: &str) -> Result<bool, Status> {
    match method {
        "GET" => Ok(false),
        "HEAD" => Ok(true),
        "POST" | "PUT" | "DELETE" | "CONNECT" | "OPTIONS" | "TRACE" | "PATCH" => {
            Err(Status::METHOD_NOT_ALLOWED)
        }
        _ => Err(Status::NOT_IMPLEMENTED),
    }
}

impl Target {
    /// Decodes a target in origin form, or in absolute form, of which only the path counts here.
    fn parse(target: &str) -> Result<Self, Status> {
        let path = match target.strip_prefix("http://") {
            Some(rest) => rest.find('/').map_or("/", |start| &rest[start..]),
            None => target,
        };
        let path = path.split(['?', '#']).next().unwrap_or_default();
        if !path.starts_with('/') {
            return Err(Status::BAD_REQUEST);
        }
        let mut names = Vec::new();
        for segment in path.split('/') {
            let name: Vec<u8> = percent_decode_str(segment).collect();
            match &name[..] {
                b"" | b"." => {}
                b".." => return Err(Status::NOT_FOUND),
                name if name.contains(&0) || name.contains(&b'/') => {
                    return Err(Status::NOT_FOUND);
                }
                _ => names.push(OsString::from_vec(name)),
            }
        }
        Ok(Self {
            is_directory: path.ends_with('/'),
            text: path.to_owned(),
            names,
        })
    }
}

struct Headers<'a>(&'a [httparse::Header<'a>]);

impl Headers<'_> {
    fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.0
            .iter()
            .filter(move |header| header.name.eq_ignore_ascii_case(name))
            .map(|header| header.value)
    }

    fn count(&self, name: &str) -> usize {
        self.values(name).count()
    }

    fn text<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        let value = self.values(name).next()?;
        std::str::from_utf8(value).ok().map(str::trim)
    }

    /// Whether one of the lists named `name` has `option` in it.
    fn lists(&self, name: &str, option: &str) -> bool {
        self.values(name).any(|value| {
            value
                .split(|byte| *byte == b',')
                .any(|item| item.trim_ascii().eq_ignore_ascii_case(option.as_bytes()))
        })
    }

    /// How many bytes follow the head. Whatever leaves a doubt is refused: two readers that disagree
    /// about where a request ends are how one is smuggled.
    fn body_len(&self) -> Result<usize, Status> {
        if self.count("transfer-encoding") > 0 {
            return Err(Status::NOT_IMPLEMENTED);
        }
        if self.count("expect") > 0 {
            return Err(Status::EXPECTATION_FAILED);
        }
        let mut lengths = self.values("content-length");
        let Some(first) = lengths.next() else {
            return Ok(0);
        };
        let is_number = !first.is_empty() && first.iter().all(u8::is_ascii_digit);
        if !is_number || lengths.next().is_some() {
            return Err(Status::BAD_REQUEST);
        }
        let len = std::str::from_utf8(first)
            .ok()
            .and_then(|text| text.parse().ok());
        len.filter(|len| *len <= MAX_BODY_LEN)
            .ok_or(Status::CONTENT_TOO_LARGE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(head: &str) -> Request {
        parse(head.as_bytes()).unwrap().unwrap()
    }

    fn get(target: &str) -> Result<Target, Status> {
        let head = format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n");
        parse(head.as_bytes()).map(|request| request.unwrap().target)
    }

    #[test]
    fn a_request_is_complete_with_its_last_byte() {
        let head = b"GET /a HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nxyGET";
        let len = head.len() - 3;
        for end in 0..len {
            assert_eq!(parse(&head[..end]), Ok(None), "{end} bytes");
        }
        assert_eq!(parse(head).unwrap().unwrap().len, len);
    }

    #[test]
    fn a_target_is_decoded_into_names() {
        let target = get("/a%20b//./c/?q=/../x").unwrap();
        assert_eq!(target.names, ["a b", "c"]);
        assert!(target.is_directory);
        assert_eq!(get("http://host:1/x").unwrap().names, ["x"]);
        assert_eq!(get("http://host").unwrap().text, "/");
    }

    #[test]
    fn no_target_leads_out_of_the_root() {
        for target in ["/../etc/passwd", "/a/%2e%2e/b", "/a%2f..%2fb", "/a%00"] {
            assert_eq!(get(target), Err(Status::NOT_FOUND), "{target}");
        }
        assert_eq!(get("*"), Err(Status::BAD_REQUEST));
    }

    #[test]
    fn connections_are_kept_as_the_version_says() {
        assert!(parsed("GET / HTTP/1.1\r\nHost: a\r\n\r\n").keeps_alive);
        assert!(!parsed("GET / HTTP/1.0\r\n\r\n").keeps_alive);
        assert!(parsed("GET / HTTP/1.0\r\nConnection: x, Keep-Alive\r\n\r\n").keeps_alive);
        assert!(!parsed("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").keeps_alive);
    }

    #[test]
    fn what_is_not_served_has_a_status() {
        let refused = |line: &str, rest: &str| {
            let head = format!("{line}\r\n{rest}\r\n");
            parse(head.as_bytes()).unwrap_err()
        };
        let get = "GET / HTTP/1.1";
        assert_eq!(refused(get, ""), Status::BAD_REQUEST);
        assert_eq!(refused(get, "Host: a\r\nHost: b\r\n"), Status::BAD_REQUEST);
        for length in ["-1", "+1", "", "1, 1", "0x1"] {
            let headers = format!("Host: a\r\nContent-Length: {length}\r\n");
            assert_eq!(refused(get, &headers), Status::BAD_REQUEST, "{length}");
        }
        let headers = "Host: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n";
        assert_eq!(refused(get, headers), Status::BAD_REQUEST);
        let headers = "Host: a\r\nContent-Length: 99999999999999999999999\r\n";
        assert_eq!(refused(get, headers), Status::CONTENT_TOO_LARGE);
        let headers = "Host: a\r\nTransfer-Encoding: chunked\r\n";
        assert_eq!(refused(get, headers), Status::NOT_IMPLEMENTED);
        let headers = "Host: a\r\nExpect: 100-continue\r\n";
        assert_eq!(refused(get, headers), Status::EXPECTATION_FAILED);
        let host = "Host: a\r\n";
        assert_eq!(refused("POST / HTTP/1.1", host), Status::METHOD_NOT_ALLOWED);
        assert_eq!(refused("BREW / HTTP/1.1", host), Status::NOT_IMPLEMENTED);
        assert_eq!(
            refused("GET / HTTP/2.0", host),
            Status::VERSION_NOT_SUPPORTED
        );
        let long = format!("Host: a\r\nX: {}\r\n", "x".repeat(MAX_HEAD_LEN));
        assert_eq!(refused(get, &long), Status::HEAD_TOO_LARGE);
        let many = "X: y\r\n".repeat(MAX_HEADERS + 1);
        assert_eq!(refused(get, &many), Status::HEAD_TOO_LARGE);
    }

    #[test]
    fn an_endless_head_is_refused_before_it_ends() {
        let head = format!("GET / HTTP/1.1\r\nX: {}", "x".repeat(MAX_HEAD_LEN));
        assert_eq!(parse(head.as_bytes()), Err(Status::HEAD_TOO_LARGE));
    }
}
