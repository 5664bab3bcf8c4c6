//! The command line of `echod`.

use std::str::FromStr;

use tevent_examples::{CertificateFiles, CommonOptions, number, value};
use tsocket::Limits;

/// More than any machine has processors.
const THREADS_MAX: usize = 1024;

/// What a connection's bytes are taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Echo,
    Frame,
    Sink,
    Source,
}

#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) common: CommonOptions,
    pub(crate) certificate: CertificateFiles,
    pub(crate) mode: Mode,
    pub(crate) threads: usize,
}

impl Options {
    const HELP: &str = "\
usage: echod [OPTION]...
Echoes what it receives, until SIGTERM.

  --listen ADDR          where to listen; can be given several times
                         (default: the sockets of LISTEN_FDS if there are any,
                         else tcp:127.0.0.1:7777)
                           tcp:HOST:PORT   numeric; port 0 takes a free one
                           tls:HOST:PORT   the same; in a build with `--features tls`
                           udp:HOST:PORT   the same
                           unix:PATH       the file is for this user alone
                           unixgram:PATH   the same
  --mode MODE            what to do with connections (default: echo)
                           echo    bytes back as they come
                           frame   4 bytes of length, big-endian, then the body, of at most
                                   16777216 bytes, back as one
                           sink    take bytes, and say nothing
                           source  send bytes without end
  --threads N            how many threads share the connections, their greatest number, and
                         what comes to udp; unixgram is the first one's (default: 1)";

    const HELP_END: &str = "
A connection is closed as well on which the client says nothing for the first 30 seconds
(not with source), or does not read for 60 seconds, and whatever is above 128 from one
foreign address. A TLS handshake has 10 seconds.
SIGTERM and SIGINT stop accepting, echo what has arrived, and end within 8 seconds.
SIGUSR1 prints what is outstanding on standard error.";

    pub(crate) fn help() -> String {
        [
            Self::HELP,
            CertificateFiles::HELP,
            CommonOptions::HELP,
            CertificateFiles::EXAMPLE,
            Self::HELP_END,
        ]
        .concat()
    }

    /// The options, or nothing if help was asked for.
    pub(crate) fn from_command_line() -> Result<Option<Self>, String> {
        let (mut mode, mut threads) = (Mode::Echo, 1);
        let mut certificate = CertificateFiles::default();
        let common = CommonOptions::from_command_line(|name, parser| {
            match name {
                "mode" => mode = value(parser, name)?.parse()?,
                "threads" => threads = number(parser, name)?,
                _ => return certificate.take(name, parser),
            }
            Ok(true)
        })?;
        if !(1..=THREADS_MAX).contains(&threads) {
            return Err(format!(
                "--threads: '{threads}' is not from 1 to {THREADS_MAX}"
            ));
        }
        Ok(common.map(|common| Self {
            common,
            certificate,
            mode,
            threads,
        }))
    }

    /// The limits of each thread.
    pub(crate) fn limits(&self) -> Limits {
        let share = self.common.max_connections.div_ceil(self.threads);
        let limits = self.common.limits().connections(share);
        match self.mode {
            // Nobody needs to say anything to be sent something.
            Mode::Source => limits.handshake(None),
            Mode::Echo | Mode::Frame | Mode::Sink => limits,
        }
    }
}

impl FromStr for Mode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "echo" => Ok(Self::Echo),
            "frame" => Ok(Self::Frame),
            "sink" => Ok(Self::Sink),
            "source" => Ok(Self::Source),
            _ => Err(format!(
                "--mode: unknown mode '{text}', known are echo, frame, sink and source"
            )),
        }
    }
}
