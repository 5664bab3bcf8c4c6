//! The command line of `httpd`.

use std::path::PathBuf;

use tevent_examples::{CommonOptions, Kind, value};

#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) common: CommonOptions,
    pub(crate) root: PathBuf,
}

const HELP: &str = "\
usage: httpd --root DIR [OPTION]...
Serves the files below a directory over HTTP/1.1, until SIGTERM: GET and HEAD, ranges, dates, kept
connections. Symbolic links are not followed, directories are their index.html.

  --root DIR             the directory
  --listen ADDR          where to listen; can be given several times
                         (default: tcp:127.0.0.1:8080)
                           tcp:HOST:PORT   numeric; port 0 takes a free one
                           unix:PATH       the file is for this user alone";

const LIMITS: &str = "
Limits: 16384 bytes and 64 lines for the head of a request, 65536 bytes for a body, which is skipped;
30 seconds to the first byte of a connection, 60 seconds in which a client takes nothing of a response;
128 connections from one host. SIGTERM and SIGINT stop accepting, finish what is being answered, and end
within 8 seconds. SIGUSR1 prints what is outstanding on standard error.";

impl Options {
    pub(crate) fn help() -> String {
        [HELP, CommonOptions::HELP, LIMITS].concat()
    }

    /// The options, or nothing if help was asked for.
    pub(crate) fn from_command_line() -> Result<Option<Self>, String> {
        let mut root = None;
        let common = CommonOptions::from_command_line(|name, parser| {
            if name == "root" {
                root = Some(PathBuf::from(value(parser, name)?));
            }
            Ok(name == "root")
        })?;
        let Some(mut common) = common else {
            return Ok(None);
        };
        if common.listen.is_empty() {
            common.listen.push("tcp:127.0.0.1:8080".parse()?);
        }
        common.expect_kinds(&[Kind::Tcp, Kind::Unix])?;
        let root = root.ok_or("--root DIR is missing: which directory is to be served?")?;
        Ok(Some(Self { common, root }))
    }
}
