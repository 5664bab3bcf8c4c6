//! Addresses from text: numeric only, nothing is looked up.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::str::FromStr;

use rustix::io::Errno;

use super::Address;

/// Which internet addresses are meant.
///
/// Parsed from the words that tsocket uses, in any case.
///
/// # Examples
/// ```
/// use tsocket::Family;
/// assert_eq!("IPv6".parse::<Family>()?, Family::Ipv6);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Family {
    /// `"ip"`: both; where no address is given, the one that stands for any IPv6 address.
    Ip,
    /// `"ipv4"`.
    Ipv4,
    /// `"ipv6"`.
    Ipv6,
}

impl Family {
    pub(super) fn includes(self, ip: IpAddr) -> bool {
        match self {
            Self::Ip => true,
            Self::Ipv4 => ip.is_ipv4(),
            Self::Ipv6 => ip.is_ipv6(),
        }
    }
}

impl FromStr for Family {
    type Err = io::Error;

    /// The family of this name.
    ///
    /// # Errors
    /// - `EAFNOSUPPORT` for a word other than `ip`, `ipv4` and `ipv6`.
    fn from_str(word: &str) -> io::Result<Self> {
        for (name, family) in [("ip", Self::Ip), ("ipv4", Self::Ipv4), ("ipv6", Self::Ipv6)] {
            if word.eq_ignore_ascii_case(name) {
                return Ok(family);
            }
        }
        Err(Errno::AFNOSUPPORT.into())
    }
}

impl Address {
    /// An internet address from its numeric form; `None` is any address of the family.
    ///
    /// Names are refused, they need a lookup. An IPv6 address may carry a scope as a number
    /// (`fe80::1%2`).
    ///
    /// # Errors
    /// - `EINVAL` if `ip` is not the full numeric form of an address of `family`.
    ///
    /// # Examples
    /// ```
    /// use tsocket::{Address, Family};
    /// let address = Address::from_strings(Family::Ipv4, Some("127.0.0.1"), 80)?;
    /// assert_eq!(address.to_string(), "ipv4:127.0.0.1:80");
    /// let any = Address::from_strings(Family::Ip, None, 0)?;
    /// assert_eq!(any.to_string(), "ipv6:[::]:0");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Source
    /// `tsocket_address_inet_from_strings()` in `lib/tsocket/tsocket.h`. Differs: the family is a
    /// type, its word is parsed by [`Family`]; abbreviations (`1.2.3`) and scopes by interface name
    /// are refused.
    #[doc(alias = "tsocket_address_inet_from_strings")]
    pub fn from_strings(family: Family, ip: Option<&str>, port: u16) -> io::Result<Self> {
        let address = match ip {
            None if family == Family::Ipv4 => Some((Ipv4Addr::UNSPECIFIED, port).into()),
            None => Some((Ipv6Addr::UNSPECIFIED, port).into()),
            Some(text) => parse_v4(text, port).or_else(|| parse_v6(text, port)),
        };
        of_family(family, address)
    }

    /// An internet address with an optional port: `A`, `A:P`, `[A6]`, `[A6]:P`, `A6`; `None` is any
    /// address of the family.
    ///
    /// `default_port` is used where the text has none. An IPv6 address with a port needs the brackets,
    /// and only IPv6 may have them. Port 0 is left to the system when it is bound. Names are refused,
    /// they need a lookup.
    ///
    /// # Errors
    /// - `EINVAL` if the address is not numeric or not of `family`, if the port is empty, not a
    ///   number or above 65535, or if anything else stands around them.
    ///
    /// # Examples
    /// ```
    /// use tsocket::{Address, Family};
    /// let address = Address::from_hostport(Family::Ip, Some("127.0.0.1"), 7777)?;
    /// assert_eq!(address.to_string(), "ipv4:127.0.0.1:7777");
    /// assert!(Address::from_hostport(Family::Ip, Some("localhost:7"), 7).is_err());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Source
    /// `tsocket_address_inet_from_hostport_strings()` in `lib/tsocket/tsocket.h`. Differs: blanks or
    /// a sign before the port, text before the bracket and IPv4 in brackets are refused; IPv6
    /// addresses that end in dots (`::ffff:1.2.3.4`) are understood without brackets.
    #[doc(alias = "tsocket_address_inet_from_hostport_strings")]
    pub fn from_hostport(
        family: Family,
        host_port: Option<&str>,
        default_port: u16,
    ) -> io::Result<Self> {
        match host_port {
            None => Self::from_strings(family, None, default_port),
            Some(text) => of_family(family, parse_host_port(text, default_port)),
        }
    }
}

fn of_family(family: Family, address: Option<SocketAddr>) -> io::Result<Address> {
    match address {
        Some(address) if family.includes(address.ip()) => Ok(address.into()),
        _ => Err(Errno::INVAL.into()),
    }
}

fn parse_host_port(text: &str, default_port: u16) -> Option<SocketAddr> {
    if let Some(rest) = text.strip_prefix('[') {
        let (host, rest) = rest.split_once(']')?;
        let port = match rest.strip_prefix(':') {
            Some(digits) => parse_port(digits)?,
            None if rest.is_empty() => default_port,
            None => return None,
        };
        return parse_v6(host, port);
    }
    // Two colons are IPv6: a port after them could not be told from the address.
    match text.split_once(':') {
        None => parse_v4(text, default_port),
        Some((_, rest)) if rest.contains(':') => parse_v6(text, default_port),
        Some((host, digits)) => parse_v4(host, parse_port(digits)?),
    }
}

fn parse_v4(text: &str, port: u16) -> Option<SocketAddr> {
    let ip: Ipv4Addr = text.parse().ok()?;
    Some((ip, port).into())
}

fn parse_v6(text: &str, port: u16) -> Option<SocketAddr> {
    let (ip, scope_id) = match text.split_once('%') {
        None => (text, 0),
        Some((ip, digits)) => (ip, parse_number(digits)?),
    };
    let ip: Ipv6Addr = ip.parse().ok()?;
    Some(SocketAddrV6::new(ip, port, 0, scope_id).into())
}

fn parse_port(digits: &str) -> Option<u16> {
    u16::try_from(parse_number(digits)?).ok()
}

/// Digits only: the parser of the standard library would let a `+` pass.
fn parse_number(digits: &str) -> Option<u32> {
    if digits.bytes().all(|byte| byte.is_ascii_digit()) {
        digits.parse().ok()
    } else {
        None
    }
}
