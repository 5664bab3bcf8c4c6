//! [`ListenAddress`], an address as it stands on a command line.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::str::FromStr;

use tsocket::Address;

/// The kinds of endpoint that a command line can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `tcp:HOST:PORT`
    Tcp,
    /// `tls:HOST:PORT`, TLS over TCP
    Tls,
    /// `udp:HOST:PORT`
    Udp,
    /// `unix:PATH`
    Unix,
    /// `unixgram:PATH`
    UnixDatagram,
}

impl Kind {
    const ALL: [Self; 5] = [
        Self::Tcp,
        Self::Tls,
        Self::Udp,
        Self::Unix,
        Self::UnixDatagram,
    ];

    /// What stands before the first colon.
    #[must_use]
    pub fn prefix(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Udp => "udp",
            Self::Unix => "unix",
            Self::UnixDatagram => "unixgram",
        }
    }

    /// `address`, one of this kind, as it would stand on a command line.
    ///
    /// # Errors
    /// `EINVAL` if it has no such form (an unnamed unix socket).
    pub fn display(self, address: &Address) -> io::Result<String> {
        let text = match self {
            Self::Tcp | Self::Tls | Self::Udp => {
                SocketAddr::new(address.ip()?, address.port()?).to_string()
            }
            Self::Unix | Self::UnixDatagram => address.unix_path()?.display().to_string(),
        };
        Ok(format!("{}:{text}", self.prefix()))
    }
}

/// An address as it stands on a command line, with its kind in front.
///
/// # Examples
/// ```
/// use tevent_examples::{Kind, ListenAddress};
/// let address: ListenAddress = "tcp:[::1]:7777".parse()?;
/// assert_eq!(address.kind, Kind::Tcp);
/// assert!("tcp:localhost:7777".parse::<ListenAddress>().is_err());
/// # Ok::<(), String>(())
/// ```
#[derive(Clone, Debug)]
pub struct ListenAddress {
    /// What kind of endpoint it is.
    pub kind: Kind,
    /// Where it is.
    pub address: Address,
    text: String,
}

impl FromStr for ListenAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let complaint = |reason: &dyn fmt::Display| format!("address '{text}': {reason}");
        let (prefix, rest) = text
            .split_once(':')
            .ok_or_else(|| complaint(&"expected KIND:WHERE, such as tcp:127.0.0.1:7777"))?;
        let kind = Kind::ALL
            .into_iter()
            .find(|kind| kind.prefix() == prefix)
            .ok_or_else(|| {
                complaint(&format!(
                    "unknown kind '{prefix}', known are tcp, tls, udp, unix, unixgram"
                ))
            })?;
        let address = match kind {
            Kind::Tcp | Kind::Tls | Kind::Udp => {
                let parsed: Result<SocketAddr, _> = rest.parse();
                let expected = "expected a numeric address and a port, such as 127.0.0.1:7777 or \
                                [::1]:7777";
                Address::from(parsed.map_err(|_| complaint(&expected))?)
            }
            Kind::Unix | Kind::UnixDatagram if rest.is_empty() => {
                return Err(complaint(&"expected a path"));
            }
            Kind::Unix | Kind::UnixDatagram => {
                Address::unix(rest).map_err(|error| complaint(&error))?
            }
        };
        Ok(Self {
            kind,
            address,
            text: text.to_owned(),
        })
    }
}

/// The address as it was written.
impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
