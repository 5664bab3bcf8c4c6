//! The command line of `relayd`.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use tevent_examples::{
    CertificateFiles, CommonOptions, Kind, ListenAddress, TlsClient, TlsServer, value,
};
use tsocket::Address;

#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) common: CommonOptions,
    /// What serves TLS on those addresses that ask for it.
    pub(crate) server: Option<TlsServer>,
    pub(crate) connect: Target,
    /// What speaks TLS to the target, if that is to be spoken to it.
    pub(crate) client: Option<TlsClient>,
}

/// Where connections are relayed to.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    text: String,
    kind: Kind,
    pub(crate) place: Place,
}

#[derive(Clone, Debug)]
pub(crate) enum Place {
    Address(Address),
    /// A name and a port.
    Host(String),
}

const HELP: &str = "\
usage: relayd --listen ADDR... --connect ADDR [OPTION]...
Relays connections to another server, byte by byte, until SIGTERM. An end of one direction is passed on
and leaves the other open; who does not read slows down who writes.

  --listen ADDR          where to listen; can be given several times
                           tcp:HOST:PORT   numeric; port 0 takes a free one
                           tls:HOST:PORT   the same; in a build with `--features tls`
                           unix:PATH       the file is for this user alone
  --connect ADDR         where to connect to for each connection
                           tcp:HOST:PORT   a name or numeric; all of its addresses are tried
                           tls:HOST:PORT   the same; its certificate has to be for HOST
                           unix:PATH
  --ca FILE              who may sign the certificate of the server, PEM (default: the
                         authorities of the system)";

const LIMITS: &str = "
Limits: 10 seconds to connect, names included, and 10 for each TLS handshake; 64 KiB read and not yet
written in each direction; 30 seconds to the first byte of a client, 60 seconds in which it takes nothing;
128 connections from one host. SIGTERM and SIGINT stop accepting, let what is quiet end, and end within 8
seconds. SIGUSR1 prints what is outstanding on standard error.";

impl Options {
    pub(crate) fn help() -> String {
        [
            HELP,
            CertificateFiles::HELP,
            CommonOptions::HELP,
            CertificateFiles::EXAMPLE,
            LIMITS,
        ]
        .concat()
    }

    /// The options, or nothing if help was asked for.
    pub(crate) fn from_command_line() -> Result<Option<Self>, String> {
        let (mut connect, mut ca) = (None, None);
        let mut certificate = CertificateFiles::default();
        let common = CommonOptions::from_command_line(|name, parser| {
            match name {
                "connect" => connect = Some(value(parser, name)?.parse::<Target>()?),
                "ca" => ca = Some(PathBuf::from(value(parser, name)?)),
                _ => return certificate.take(name, parser),
            }
            Ok(true)
        })?;
        let Some(common) = common else {
            return Ok(None);
        };
        if common.listen.is_empty() {
            return Err("--listen ADDR is missing, such as --listen tcp:0.0.0.0:6379".to_owned());
        }
        common.expect_kinds(&[Kind::Tcp, Kind::Tls, Kind::Unix])?;
        let connect = connect
            .ok_or("--connect ADDR is missing, such as --connect tcp:server.example:6379")?;
        let client = match (connect.tls_name(), ca) {
            (Some(name), ca) => Some(TlsClient::new(&name, ca.as_deref())?),
            (None, Some(_)) => return Err("--ca is of no use without --connect tls:…".to_owned()),
            (None, None) => None,
        };
        Ok(Some(Self {
            server: certificate.server(&common.listen)?,
            common,
            connect,
            client,
        }))
    }
}

impl Target {
    /// Whom the certificate of the server has to be for, if TLS is to be spoken to it.
    fn tls_name(&self) -> Option<String> {
        if self.kind != Kind::Tls {
            return None;
        }
        match &self.place {
            Place::Address(address) => Some(address.ip().ok()?.to_string()),
            Place::Host(host) => host.rsplit_once(':').map(|(name, _)| name.to_owned()),
        }
    }
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let target = |kind, place| Self {
            text: text.to_owned(),
            kind,
            place,
        };
        if let Ok(ListenAddress { kind, address, .. }) = text.parse() {
            return match kind {
                Kind::Tcp | Kind::Tls | Kind::Unix => Ok(target(kind, Place::Address(address))),
                Kind::Udp | Kind::UnixDatagram => Err(format!(
                    "--connect: {} has no connections, known are tcp, tls and unix",
                    kind.prefix()
                )),
            };
        }
        match text.split_once(':') {
            Some(("tcp", host)) if is_host(host) => {
                Ok(target(Kind::Tcp, Place::Host(host.to_owned())))
            }
            Some(("tls", host)) if is_host(host) => {
                Ok(target(Kind::Tls, Place::Host(host.to_owned())))
            }
            _ => Err(format!(
                "--connect: '{text}' is none of tcp:HOST:PORT, tls:HOST:PORT and unix:PATH"
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
        f.write_str(&self.text)
    }
}
