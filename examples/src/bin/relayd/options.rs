//! The command line of `relayd`.

use std::fmt;
use std::str::FromStr;

use tevent_examples::{CommonOptions, Kind, ListenAddress, value};

#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) common: CommonOptions,
    pub(crate) connect: Target,
}

/// Where connections are relayed to.
#[derive(Clone, Debug)]
pub(crate) enum Target {
    Address(ListenAddress),
    /// A name and a port.
    Host(String),
}

const HELP: &str = "\
usage: relayd --listen ADDR... --connect ADDR [OPTION]...
Relays connections to another server, byte by byte, until SIGTERM. An end of one direction is passed on
and leaves the other open; who does not read slows down who writes.

  --listen ADDR          where to listen; can be given several times
                           tcp:HOST:PORT   numeric; port 0 takes a free one
                           unix:PATH       the file is for this user alone
  --connect ADDR         where to connect to for each connection
                           tcp:HOST:PORT   a name or numeric; all of its addresses are tried
                           unix:PATH";

const LIMITS: &str = "
Limits: 10 seconds to connect, names included; 64 KiB read and not yet written in each direction; 30
seconds to the first byte of a client, 60 seconds in which it takes nothing; 128 connections from one
host. SIGTERM and SIGINT stop accepting, let what is quiet end, and end within 8 seconds. SIGUSR1 prints
what is outstanding on standard error.";

impl Options {
    pub(crate) fn help() -> String {
        [HELP, CommonOptions::HELP, LIMITS].concat()
    }

    /// The options, or nothing if help was asked for.
    pub(crate) fn from_command_line() -> Result<Option<Self>, String> {
        let mut connect = None;
        let common = CommonOptions::from_command_line(|name, parser| {
            if name == "connect" {
                connect = Some(value(parser, name)?.parse()?);
            }
            Ok(name == "connect")
        })?;
        let Some(common) = common else {
            return Ok(None);
        };
        if common.listen.is_empty() {
            return Err("--listen ADDR is missing, such as --listen tcp:0.0.0.0:6379".to_owned());
        }
        common.expect_kinds(&[Kind::Tcp, Kind::Unix])?;
        let connect = connect
            .ok_or("--connect ADDR is missing, such as --connect tcp:server.example:6379")?;
        Ok(Some(Self { common, connect }))
    }
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(address) = text.parse::<ListenAddress>() {
            return match address.kind {
                Kind::Tcp | Kind::Unix => Ok(Self::Address(address)),
                kind => Err(format!(
                    "--connect: {} has no connections, known are tcp and unix",
                    kind.prefix()
                )),
            };
        }
        match text.strip_prefix("tcp:") {
            Some(host) if is_host(host) => Ok(Self::Host(host.to_owned())),
            _ => Err(format!(
                "--connect: '{text}' is neither tcp:HOST:PORT nor unix:PATH"
            )),
        }
    }
}

/// Whether it is a name and a port.
fn is_host(text: &str) -> bool {
    text.rsplit_once(':')
        .is_some_and(|(name, port)| !name.is_empty() && port.parse::<u16>().is_ok())
}

/// The address as it was written.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => write!(f, "{address}"),
            Self::Host(host) => write!(f, "tcp:{host}"),
        }
    }
}
