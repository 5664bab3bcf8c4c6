//! From a request to its answer: a job that may block, and knows neither loop nor stream.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::time::SystemTime;

use crate::files::{Entry, Found, Root, read_block};
use crate::range::{self, Part};
use crate::request::Request;
use crate::response::{self, Head, Status};

/// A response: its head, and the content that goes behind it.
pub(crate) struct Answer {
    pub(crate) head: Vec<u8>,
    /// The first block of the content.
    pub(crate) block: Vec<u8>,
    /// What is left of the content.
    pub(crate) rest: Rest,
}

/// The part of a file that is still to be sent; nothing if there is no file.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rest {
    pub(crate) file: Option<Arc<File>>,
    pub(crate) range: Range<u64>,
}

impl Answer {
    pub(crate) fn to(request: &Request, root: &Root) -> Self {
        let target = &request.target;
        match root.find(&target.names, target.is_directory) {
            Ok(Found::File(entry)) => Self::with(entry, request),
            Ok(Found::Directory) => Self::moved(request),
            Err(status) => Self::status(status, request),
        }
    }

    /// A response without a file.
    pub(crate) fn status(status: Status, request: &Request) -> Self {
        Self::bare(response::plain(
            status,
            request.is_head,
            request.keeps_alive,
        ))
    }

    fn bare(head: Vec<u8>) -> Self {
        Self {
            head,
            block: Vec::new(),
            rest: Rest::default(),
        }
    }

    /// A directory has its slash, or relative links in its index would go astray.
    fn moved(request: &Request) -> Self {
        let mut head = Head::new(Status::MOVED_PERMANENTLY);
        // Several slashes in front would name a host.
        let path = request.target.text.trim_start_matches('/');
        head.line(format_args!("Location: /{path}/"));
        head.content("text/plain", 0);
        Self::bare(head.end(request.keeps_alive, ""))
    }

    fn with(entry: Entry, request: &Request) -> Self {
        if is_unmodified(request.modified_since, entry.modified) {
            let mut head = Head::new(Status::NOT_MODIFIED);
            last_modified(&mut head, &entry);
            return Self::bare(head.end(request.keeps_alive, ""));
        }
        let (status, range) = match part(request, &entry) {
            Part::Whole => (Status::OK, 0..entry.len),
            Part::Bytes(range) => (Status::PARTIAL_CONTENT, range),
            Part::Nothing => {
                let mut head = Head::new(Status::RANGE_NOT_SATISFIABLE);
                head.content_range(None, entry.len);
                head.content("text/plain", 0);
                return Self::bare(head.end(request.keeps_alive, ""));
            }
        };
        let mut head = Head::new(status);
        last_modified(&mut head, &entry);
        head.line("Accept-Ranges: bytes");
        head.line("X-Content-Type-Options: nosniff");
        if status == Status::PARTIAL_CONTENT {
            head.content_range(Some(&range), entry.len);
        }
        head.content(entry.media_type, range.end - range.start);
        let head = head.end(request.keeps_alive, "");
        if request.is_head {
            return Self::bare(head);
        }
        let rest = Rest {
            file: Some(Arc::new(entry.file)),
            range,
        };
        match rest.take_block() {
            Ok((block, rest)) => Self { head, block, rest },
            Err(_) => Self::status(Status::INTERNAL_ERROR, request),
        }
    }
}

impl Rest {
    pub(crate) fn is_empty(&self) -> bool {
        self.range.is_empty()
    }

    /// Reads the next block, and returns what is left then.
    ///
    /// # Errors
    /// `UnexpectedEof` if the file has become shorter than it was promised to be, which the peer can
    /// only be told by a connection that ends early.
    pub(crate) fn take_block(mut self) -> io::Result<(Vec<u8>, Self)> {
        let block = match &self.file {
            Some(file) => read_block(file, &self.range)?,
            None => Vec::new(),
        };
        if block.is_empty() && !self.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.range.start += block.len() as u64;
        Ok((block, self))
    }
}

fn last_modified(head: &mut Head, entry: &Entry) {
    if let Some(modified) = entry.modified {
        head.date("Last-Modified", modified);
    }
}

fn is_unmodified(since: Option<SystemTime>, modified: Option<SystemTime>) -> bool {
    matches!((since, modified), (Some(since), Some(modified)) if modified <= since)
}

/// Which part of the file is asked for.
fn part(request: &Request, entry: &Entry) -> Part {
    let is_current = match &request.if_range {
        // Only the very date will do: anything else means that the file is another one by now.
        Some(date) => entry.modified.is_some_and(|modified| {
            httpdate::parse_http_date(date).is_ok_and(|date| date == modified)
        }),
        None => true,
    };
    match &request.range {
        Some(header) if is_current => range::parse(header, entry.len),
        _ => Part::Whole,
    }
}
