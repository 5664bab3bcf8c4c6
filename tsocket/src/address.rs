//! [`Address`], where an endpoint is: an internet address, a unix socket, or a kind of its own.

mod convert;
mod kind;
mod parse;
mod sockaddr;
#[cfg(test)]
mod tests;

use std::ffi::OsStr;
use std::fmt::{self, Write as _};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::sync::Arc;

use rustix::io::Errno;

pub use self::kind::AddressKind;
use self::kind::DynKind;
pub use self::parse::Family;

/// What `sockaddr_un` has room for, including the byte that ends a path.
const SUN_PATH_LEN: usize = if cfg!(any(target_os = "linux", target_os = "android")) {
    108
} else {
    104
};

/// The address of an endpoint.
///
/// Three kinds: an internet address with its port, a unix socket (a path, an abstract name or
/// unnamed), or a kind that a virtual socket brings along, see [`AddressKind`]. A copy is cheap and
/// independent: setting the port of one leaves the other alone.
///
/// [`Display`](fmt::Display) is for people, in one line: `ipv4:1.2.3.4:5`, `ipv6:[::1]:5`,
/// `unix:/path`, `unix:@abstract`, `unix:`. Bytes that do not print are escaped. Parsing is separate
/// and explicit: [`from_strings`](Self::from_strings), [`from_hostport`](Self::from_hostport).
///
/// # Examples
/// ```
/// use tsocket::{Address, Family};
/// let server = Address::from_hostport(Family::Ip, Some("[::1]:80"), 0)?;
/// assert_eq!(server.to_string(), "ipv6:[::1]:80");
/// let log = Address::unix("/dev/log")?;
/// assert_eq!(log.to_string(), "unix:/dev/log");
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Source
/// `struct tsocket_address` in `lib/tsocket/tsocket.h`. Differs: IPv6 stands in brackets, abstract
/// and unnamed unix addresses have a form, nothing is displayed as null.
#[derive(Clone, PartialEq, Eq, Hash)]
#[doc(alias = "tsocket_address")]
#[doc(alias = "tsocket_address_copy")]
#[doc(alias = "tsocket_address_string")]
pub struct Address(Inner);

#[derive(Clone, PartialEq, Eq, Hash)]
enum Inner {
    Inet(SocketAddr),
    Unix(UnixName),
    Custom(Arc<dyn DynKind>),
}

#[derive(Clone, PartialEq, Eq, Hash)]
enum UnixName {
    Unnamed,
    // Invariant: 1 to `SUN_PATH_LEN` - 1 bytes, none of them NUL.
    Path(Arc<[u8]>),
    // Invariant: at most `SUN_PATH_LEN` - 1 bytes.
    Abstract(Arc<[u8]>),
}

impl Address {
    /// A unix socket at `path`; the empty path is [`unnamed`](Self::unix_unnamed).
    ///
    /// # Errors
    /// - `ENAMETOOLONG` from 108 bytes on, which leaves no room for the byte that ends the path (104
    ///   where `sockaddr_un` is smaller).
    /// - `EINVAL` for a NUL byte inside.
    ///
    /// # Examples
    /// ```
    /// use tsocket::Address;
    /// let address = Address::unix("/run/echo")?;
    /// assert_eq!(address.unix_path()?, std::path::Path::new("/run/echo"));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Source
    /// `tsocket_address_unix_from_path()` in `lib/tsocket/tsocket.h`; `unix(7)`. Differs: NUL bytes
    /// are refused, so that the path means what it shows.
    #[doc(alias = "tsocket_address_unix_from_path")]
    pub fn unix(path: impl AsRef<Path>) -> io::Result<Self> {
        let bytes = path.as_ref().as_os_str().as_bytes();
        if bytes.is_empty() {
            return Ok(Self::unix_unnamed());
        }
        if bytes.contains(&0) {
            return Err(Errno::INVAL.into());
        }
        if bytes.len() >= SUN_PATH_LEN {
            return Err(Errno::NAMETOOLONG.into());
        }
        Ok(Self(Inner::Unix(UnixName::Path(bytes.into()))))
    }

    /// A unix socket with an abstract name, without the NUL byte that marks it; any bytes will do.
    ///
    /// Abstract names leave no file and know no permissions. Only Linux has them: elsewhere the
    /// address can be made, not used.
    ///
    /// # Errors
    /// - `ENAMETOOLONG` from 108 bytes on.
    ///
    /// # Examples
    /// ```
    /// use tsocket::Address;
    /// let address = Address::unix_abstract("echo")?;
    /// assert_eq!(address.to_string(), "unix:@echo");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Source
    /// `unix(7)`. tsocket has no form for these.
    pub fn unix_abstract(name: impl AsRef<[u8]>) -> io::Result<Self> {
        let name = name.as_ref();
        if name.len() >= SUN_PATH_LEN {
            return Err(Errno::NAMETOOLONG.into());
        }
        Ok(Self(Inner::Unix(UnixName::Abstract(name.into()))))
    }

    /// The unix address of a socket that was never bound, such as the client of a connection.
    ///
    /// # Examples
    /// ```
    /// use tsocket::Address;
    /// assert_eq!(Address::unix_unnamed().to_string(), "unix:");
    /// ```
    #[must_use]
    pub fn unix_unnamed() -> Self {
        Self(Inner::Unix(UnixName::Unnamed))
    }

    /// An address of a kind that this crate does not know.
    ///
    /// # Examples
    /// See [`AddressKind`].
    ///
    /// # Source
    /// `tsocket_address_create()` in `lib/tsocket/tsocket_internal.h`.
    #[doc(alias = "tsocket_address_create")]
    #[must_use]
    pub fn custom<K: AddressKind>(kind: K) -> Self {
        Self(Inner::Custom(Arc::new(kind)))
    }

    /// What [`custom`](Self::custom) was given, if it was a `K`.
    #[must_use]
    pub fn as_custom<K: AddressKind>(&self) -> Option<&K> {
        match &self.0 {
            Inner::Custom(kind) => kind.as_any().downcast_ref(),
            Inner::Inet(_) | Inner::Unix(_) => None,
        }
    }

    /// Whether this is an internet address of `family`; [`Family::Ip`] stands for both.
    ///
    /// # Examples
    /// ```
    /// use tsocket::{Address, Family};
    /// let address = Address::from_strings(Family::Ip, Some("1.2.3.4"), 5)?;
    /// assert!(address.is_inet(Family::Ipv4) && !address.is_inet(Family::Ipv6));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[doc(alias = "tsocket_address_is_inet")]
    #[must_use]
    pub fn is_inet(&self, family: Family) -> bool {
        match &self.0 {
            Inner::Inet(address) => family.includes(address.ip()),
            Inner::Unix(_) | Inner::Custom(_) => false,
        }
    }

    /// Whether this is the address of a unix socket, be it a path, an abstract name or unnamed.
    #[doc(alias = "tsocket_address_is_unix")]
    #[must_use]
    pub fn is_unix(&self) -> bool {
        matches!(self.0, Inner::Unix(_))
    }

    /// The internet address, without port and scope.
    ///
    /// # Errors
    /// - `EINVAL` if this is not an internet address.
    ///
    /// # Examples
    /// ```
    /// use tsocket::{Address, Family};
    /// let any = Address::from_strings(Family::Ipv4, None, 80)?;
    /// assert!(any.ip()?.is_unspecified());
    /// assert_eq!(any.port()?, 80);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[doc(alias = "tsocket_address_inet_addr_string")]
    pub fn ip(&self) -> io::Result<IpAddr> {
        self.inet().map(|address| address.ip())
    }

    /// The port.
    ///
    /// # Errors
    /// - `EINVAL` if this is not an internet address.
    #[doc(alias = "tsocket_address_inet_port")]
    pub fn port(&self) -> io::Result<u16> {
        self.inet().map(|address| address.port())
    }

    /// Sets the port.
    ///
    /// # Errors
    /// - `EINVAL` if this is not an internet address; it is left as it was.
    #[doc(alias = "tsocket_address_inet_set_port")]
    pub fn set_port(&mut self, port: u16) -> io::Result<()> {
        let Inner::Inet(address) = &mut self.0 else {
            return Err(Errno::INVAL.into());
        };
        address.set_port(port);
        Ok(())
    }

    /// The same address with another port.
    ///
    /// # Errors
    /// - `EINVAL` if this is not an internet address.
    ///
    /// # Examples
    /// ```
    /// use tsocket::{Address, Family};
    /// let plain = Address::from_strings(Family::Ipv4, None, 80)?;
    /// let secure = plain.with_port(443)?;
    /// assert_eq!((plain.port()?, secure.port()?), (80, 443));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn with_port(&self, port: u16) -> io::Result<Self> {
        let mut address = self.clone();
        address.set_port(port)?;
        Ok(address)
    }

    /// The path of a unix socket; empty if it is unnamed.
    ///
    /// # Errors
    /// - `EINVAL` if this is not a unix address, or one with an abstract name.
    #[doc(alias = "tsocket_address_unix_path")]
    pub fn unix_path(&self) -> io::Result<&Path> {
        match &self.0 {
            Inner::Unix(UnixName::Path(bytes)) => Ok(Path::new(OsStr::from_bytes(bytes))),
            Inner::Unix(UnixName::Unnamed) => Ok(Path::new("")),
            _ => Err(Errno::INVAL.into()),
        }
    }

    /// The abstract name of a unix socket, without the NUL byte that marks it.
    ///
    /// # Errors
    /// - `EINVAL` if this is not a unix address with an abstract name.
    pub fn abstract_name(&self) -> io::Result<&[u8]> {
        match &self.0 {
            Inner::Unix(UnixName::Abstract(name)) => Ok(name),
            _ => Err(Errno::INVAL.into()),
        }
    }

    fn inet(&self) -> io::Result<SocketAddr> {
        match &self.0 {
            Inner::Inet(address) => Ok(*address),
            Inner::Unix(_) | Inner::Custom(_) => Err(Errno::INVAL.into()),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Inner::Inet(address @ SocketAddr::V4(_)) => write!(f, "ipv4:{address}"),
            Inner::Inet(address @ SocketAddr::V6(_)) => write!(f, "ipv6:{address}"),
            Inner::Unix(UnixName::Unnamed) => f.write_str("unix:"),
            Inner::Unix(UnixName::Path(path)) => {
                f.write_str("unix:")?;
                write_escaped(f, path)
            }
            Inner::Unix(UnixName::Abstract(name)) => {
                f.write_str("unix:@")?;
                write_escaped(f, name)
            }
            Inner::Custom(kind) => fmt::Display::fmt(kind, f),
        }
    }
}

/// As [`Display`](fmt::Display), marked as an address.
impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({self})")
    }
}

/// Writes what is text as it is and everything else as `\xNN`, so that the result is one line.
fn write_escaped(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            if character.is_control() || character == '\\' {
                write!(f, "{}", character.escape_default())?;
            } else {
                f.write_char(character)?;
            }
        }
        write!(f, "{}", chunk.invalid().escape_ascii())?;
    }
    Ok(())
}
