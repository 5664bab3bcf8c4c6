//! The command line of `syslogd`.

use std::path::PathBuf;

use tevent_examples::{CommonOptions, Kind, value};

#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) common: CommonOptions,
    /// Nothing: standard output.
    pub(crate) out: Option<PathBuf>,
}

pub(crate) const HELP: &str = "\
usage: syslogd --listen ADDR... [OPTION]...
Writes syslog messages (RFC 3164 and RFC 5424) as lines, until SIGTERM.

  --listen ADDR          where to listen; can be given several times
                           unixgram:PATH   the file is for this user alone
                           udp:HOST:PORT   numeric; port 0 takes a free one
  --out FILE             where to write, behind what is there (default: standard output)
  -v, --verbose          accepted, as by the other daemons; nothing is connected here
  --help                 this text

A line is: TIMESTAMP HOST FACILITY.SEVERITY TAG[PID]: DATA TEXT, with - for what is not stated, and #ooo
for control characters. At most 1 MiB waits for the file; then senders wait (unix) or the system drops
what it cannot hold (UDP). A file that refuses a line is tried again each second.
A message of more than 64 KiB is dropped, and a line says so.
SIGHUP opens the file again, for who has moved it away. SIGTERM and SIGINT write what has arrived, and
end within 8 seconds. SIGUSR1 prints what is outstanding on standard error.";

impl Options {
    /// The options, or nothing if help was asked for.
    pub(crate) fn from_command_line() -> Result<Option<Self>, String> {
        let mut out = None;
        let common = CommonOptions::from_command_line(|name, parser| {
            if name == "out" {
                out = Some(PathBuf::from(value(parser, name)?));
            }
            Ok(name == "out")
        })?;
        let Some(common) = common else {
            return Ok(None);
        };
        if common.listen.is_empty() {
            return Err("--listen ADDR is missing, such as --listen unixgram:/run/log".to_owned());
        }
        common.expect_kinds(&[Kind::UnixDatagram, Kind::Udp])?;
        Ok(Some(Self { common, out }))
    }
}
