//! The command line of `httpd`.

use std::path::PathBuf;
use std::time::Duration;

use tevent_examples::{CommonOptions, Kind, number, value};

#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) common: CommonOptions,
    pub(crate) root: PathBuf,
    /// How long a request may take to arrive.
    pub(crate) request_time: Duration,
}

/// What a request takes at most that fits into a few packets, some of which are lost.
const REQUEST_SECONDS: u32 = 30;

const HELP: &str = "\
usage: httpd --root DIR [OPTION]...
Serves the files below a directory over HTTP/1.1, until SIGTERM: GET and HEAD, ranges, dates, kept
connections. Symbolic links are not followed, directories are their index.html.

  --root DIR             the directory
  --listen ADDR          where to listen; can be given several times
                         (default: tcp:127.0.0.1:8080)
                           tcp:HOST:PORT   numeric; port 0 takes a free one
                           unix:PATH       the file is for this user alone
  --request-time SECONDS how long a request may take from its first byte to its last (default: 30)";

const LIMITS: &str = "
Limits: 16384 bytes and 64 lines for the head of a request, 65536 bytes for a body, which is skipped;
30 seconds to the first byte of a connection, 60 seconds in which a client takes nothing of a response, of
which at most 262144 bytes wait here; 128 connections from one host. SIGTERM and SIGINT stop accepting, finish what is being answered, and end
within 8 seconds. SIGUSR1 prints what is outstanding on standard error.";

impl Options {
    pub(crate) fn help() -> String {
        [HELP, CommonOptions::HELP, LIMITS].concat()
    }

    /// The options, or nothing if help was asked for.
    pub(crate) fn from_command_line() -> Result<Option<Self>, String> {
        let (mut root, mut seconds) = (None, REQUEST_SECONDS);
        let common = CommonOptions::from_command_line(|name, parser| {
            match name {
                "root" => root = Some(PathBuf::from(value(parser, name)?)),
                "request-time" => seconds = number(parser, name)?,
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        let Some(mut common) = common else {
            return Ok(None);
        };
        if common.listen.is_empty() {
            common.listen.push("tcp:127.0.0.1:8080".parse()?);
        }
        common.expect_kinds(&[Kind::Tcp, Kind::Unix])?;
        let root = root.ok_or("--root DIR is missing: which directory is to be served?")?;
        Ok(Some(Self {
            common,
            root,
            request_time: Duration::from_secs(seconds.into()),
        }))
    }
}
