//! What is answered: status lines and headers.

use std::fmt::Write as _;
use std::ops::Range;
use std::time::SystemTime;

/// A status code with its usual phrase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Status(u16, &'static str);

impl Status {
    pub(crate) const OK: Self = Self(200, "OK");
    pub(crate) const PARTIAL_CONTENT: Self = Self(206, "Partial Content");
    pub(crate) const MOVED_PERMANENTLY: Self = Self(301, "Moved Permanently");
    pub(crate) const NOT_MODIFIED: Self = Self(304, "Not Modified");
    pub(crate) const BAD_REQUEST: Self = Self(400, "Bad Request");
    pub(crate) const FORBIDDEN: Self = Self(403, "Forbidden");
    pub(crate) const NOT_FOUND: Self = Self(404, "Not Found");
    pub(crate) const METHOD_NOT_ALLOWED: Self = Self(405, "Method Not Allowed");
    pub(crate) const REQUEST_TIMEOUT: Self = Self(408, "Request Timeout");
    pub(crate) const CONTENT_TOO_LARGE: Self = Self(413, "Content Too Large");
    pub(crate) const RANGE_NOT_SATISFIABLE: Self = Self(416, "Range Not Satisfiable");
    pub(crate) const EXPECTATION_FAILED: Self = Self(417, "Expectation Failed");
    pub(crate) const HEAD_TOO_LARGE: Self = Self(431, "Request Header Fields Too Large");
    pub(crate) const INTERNAL_ERROR: Self = Self(500, "Internal Server Error");
    pub(crate) const NOT_IMPLEMENTED: Self = Self(501, "Not Implemented");
    pub(crate) const UNAVAILABLE: Self = Self(503, "Service Unavailable");
    pub(crate) const VERSION_NOT_SUPPORTED: Self = Self(505, "HTTP Version Not Supported");
}

/// The head of a response, as it is put together.
pub(crate) struct Head {
    text: String,
}

impl Head {
    pub(crate) fn new(status: Status) -> Self {
        let mut head = Self {
            text: String::with_capacity(320),
        };
        let Status(code, phrase) = status;
        head.line(format_args!("HTTP/1.1 {code} {phrase}"));
        head.date("Date", SystemTime::now());
        if status == Status::METHOD_NOT_ALLOWED {
            head.line("Allow: GET, HEAD");
        }
        head
    }

    pub(crate) fn date(&mut self, name: &str, date: SystemTime) {
        self.line(format_args!("{name}: {}", httpdate::fmt_http_date(date)));
    }

    pub(crate) fn content(&mut self, media_type: &str, len: u64) {
        self.line(format_args!("Content-Type: {media_type}"));
        self.line(format_args!("Content-Length: {len}"));
    }

    /// Which part of `len` bytes follows; none if there is nothing at what was asked for.
    pub(crate) fn content_range(&mut self, part: Option<&Range<u64>>, len: u64) {
        match part {
            Some(part) => {
                let last = part.end - 1;
                let first = part.start;
                self.line(format_args!("Content-Range: bytes {first}-{last}/{len}"));
            }
            None => self.line(format_args!("Content-Range: bytes */{len}")),
        }
    }

    pub(crate) fn line(&mut self, line: impl std::fmt::Display) {
        // Writing to a string cannot fail.
        write!(self.text, "{line}\r\n").ok();
    }

    /// The bytes, with `content` behind the head.
    pub(crate) fn end(mut self, keeps_alive: bool, content: &str) -> Vec<u8> {
        self.line(if keeps_alive {
            "Connection: keep-alive"
        } else {
            "Connection: close"
        });
        self.text.push_str("\r\n");
        self.text.push_str(content);
        self.text.into_bytes()
    }
}

/// A response that consists of its status, for people to read.
pub(crate) fn plain(status: Status, is_head: bool, keeps_alive: bool) -> Vec<u8> {
    let Status(code, phrase) = status;
    let content = format!("{code} {phrase}\n");
    let mut head = Head::new(status);
    head.content("text/plain; charset=utf-8", content.len() as u64);
    head.end(keeps_alive, if is_head { "" } else { &content })
}
