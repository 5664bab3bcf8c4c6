//! Addresses from the bytes of a `sockaddr`, laid out as the platform has it, and back.

use std::ffi::OsStr;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::unix::ffi::OsStrExt as _;

use rustix::io::Errno;
use rustix::net::AddressFamily;

use super::{Address, Inner, SUN_PATH_LEN, UnixName};

/// Whether abstract names exist, and a family is two bytes without a length in front.
const IS_LINUX: bool = cfg!(any(target_os = "linux", target_os = "android"));

/// `sa_family`, or `sa_len` and `sa_family`.
const HEADER_LEN: usize = 2;

/// `sizeof(struct sockaddr_in)`: header, port, address, eight bytes of nothing.
const INET_LEN: usize = 16;

/// `sizeof(struct sockaddr_in6)`: header, port, flow label, address, scope.
const INET6_LEN: usize = 28;

impl Address {
    /// The longest `sockaddr` that an address becomes, in bytes: `sizeof(struct sockaddr_un)`.
    pub const SOCKADDR_LEN_MAX: usize = HEADER_LEN + SUN_PATH_LEN;

    /// The address in the bytes of a `sockaddr`, of which there are as many as the system said.
    ///
    /// What follows an internet address is ignored, so a whole `sockaddr_storage` will do. A unix
    /// address of its family alone is unnamed, a path ends with its first NUL byte or with the bytes,
    /// and an abstract name (Linux) with the bytes alone: for those the exact length matters.
    ///
    /// # Errors
    /// - `EINVAL` for fewer bytes than a family, or than an address of that family, takes.
    /// - `EAFNOSUPPORT` for a family other than inet and unix.
    /// - `ENAMETOOLONG` for a path that fills `sockaddr_un` to its last byte.
    ///
    /// # Examples
    /// ```
    /// use tsocket::{Address, Family};
    /// let address = Address::from_strings(Family::Ipv4, Some("1.2.3.4"), 80)?;
    /// let mut bytes = [0; Address::SOCKADDR_LEN_MAX];
    /// let len = address.write_sockaddr(&mut bytes)?;
    /// assert_eq!(Address::from_sockaddr(&bytes[..len])?, address);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Source
    /// `tsocket_address_bsd_from_sockaddr()` in `lib/tsocket/tsocket.h`; `ip(7)`, `ipv6(7)`,
    /// `unix(7)`.
    #[doc(alias = "tsocket_address_bsd_from_sockaddr")]
    #[doc(alias = "tsocket_address_bsd_from_samba_sockaddr")]
    pub fn from_sockaddr(bytes: &[u8]) -> io::Result<Self> {
        let (header, _) = split::<HEADER_LEN>(bytes)?;
        let family = if IS_LINUX {
            u16::from_ne_bytes(header)
        } else {
            u16::from(header[1])
        };
        if family == number(AddressFamily::INET) {
            from_inet(bytes)
        } else if family == number(AddressFamily::INET6) {
            from_inet6(bytes)
        } else if family == number(AddressFamily::UNIX) {
            from_unix(&bytes[HEADER_LEN..bytes.len().min(Self::SOCKADDR_LEN_MAX)])
        } else {
            Err(Errno::AFNOSUPPORT.into())
        }
    }

    /// Writes the address to the front of `bytes` as a `sockaddr`, zeroes the rest, and returns how
    /// many bytes of it the address takes.
    ///
    /// That is 16 for IPv4, 28 for IPv6, 2 for the unnamed unix address, and for the other unix
    /// addresses 3 more than their name has bytes. [`SOCKADDR_LEN_MAX`](Self::SOCKADDR_LEN_MAX)
    /// suffice for each.
    ///
    /// # Errors
    /// - `EINVAL` if `bytes` are too few, for kinds other than inet and unix, and for an abstract
    ///   name where there are none; `bytes` are left as they were.
    ///
    /// # Examples
    /// See [`from_sockaddr`](Self::from_sockaddr).
    ///
    /// # Source
    /// `tsocket_address_bsd_sockaddr()` in `lib/tsocket/tsocket.h`. Differs: the length of a path is
    /// its own and not that of the largest.
    #[doc(alias = "tsocket_address_bsd_sockaddr")]
    pub fn write_sockaddr(&self, bytes: &mut [u8]) -> io::Result<usize> {
        match &self.0 {
            Inner::Inet(SocketAddr::V4(address)) => {
                let room = prepare(bytes, AddressFamily::INET, INET_LEN)?;
                room[2..4].copy_from_slice(&address.port().to_be_bytes());
                room[4..8].copy_from_slice(&address.ip().octets());
                Ok(INET_LEN)
            }
            Inner::Inet(SocketAddr::V6(address)) => {
                let room = prepare(bytes, AddressFamily::INET6, INET6_LEN)?;
                room[2..4].copy_from_slice(&address.port().to_be_bytes());
                room[4..8].copy_from_slice(&address.flowinfo().to_ne_bytes());
                room[8..24].copy_from_slice(&address.ip().octets());
                room[24..28].copy_from_slice(&address.scope_id().to_ne_bytes());
                Ok(INET6_LEN)
            }
            Inner::Unix(UnixName::Unnamed) => {
                prepare(bytes, AddressFamily::UNIX, HEADER_LEN)?;
                Ok(HEADER_LEN)
            }
            Inner::Unix(UnixName::Path(path)) => {
                let len = HEADER_LEN + path.len() + 1;
                let room = prepare(bytes, AddressFamily::UNIX, len)?;
                room[HEADER_LEN..len - 1].copy_from_slice(path);
                Ok(len)
            }
            Inner::Unix(UnixName::Abstract(name)) if IS_LINUX => {
                let len = HEADER_LEN + 1 + name.len();
                let room = prepare(bytes, AddressFamily::UNIX, len)?;
                room[HEADER_LEN + 1..len].copy_from_slice(name);
                Ok(len)
            }
            Inner::Unix(UnixName::Abstract(_)) | Inner::Custom(_) => Err(Errno::INVAL.into()),
        }
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn number(family: AddressFamily) -> u16 {
    family.as_raw()
}

/// Elsewhere it is one byte.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn number(family: AddressFamily) -> u16 {
    family.as_raw().into()
}

/// The first `N` bytes, and the others.
fn split<const N: usize>(bytes: &[u8]) -> io::Result<([u8; N], &[u8])> {
    let (first, rest) = bytes.split_first_chunk().ok_or(Errno::INVAL)?;
    Ok((*first, rest))
}

fn from_inet(bytes: &[u8]) -> io::Result<Address> {
    let (whole, _) = split::<INET_LEN>(bytes)?;
    let (port, rest) = split(&whole[HEADER_LEN..])?;
    let (ip, _) = split::<4>(rest)?;
    Ok(SocketAddrV4::new(Ipv4Addr::from(ip), u16::from_be_bytes(port)).into())
}

fn from_inet6(bytes: &[u8]) -> io::Result<Address> {
    let (whole, _) = split::<INET6_LEN>(bytes)?;
    let (port, rest) = split(&whole[HEADER_LEN..])?;
    let (flow, rest) = split(rest)?;
    let (ip, rest) = split::<16>(rest)?;
    let (scope, _) = split(rest)?;
    // As the standard library has it: the flow label is carried as it stands.
    let (flow, scope) = (u32::from_ne_bytes(flow), u32::from_ne_bytes(scope));
    Ok(SocketAddrV6::new(Ipv6Addr::from(ip), u16::from_be_bytes(port), flow, scope).into())
}

fn from_unix(name: &[u8]) -> io::Result<Address> {
    match name.split_first() {
        Some((0, name)) if IS_LINUX => Address::unix_abstract(name),
        _ => {
            let path = name.split(|byte| *byte == 0).next().unwrap_or_default();
            Address::unix(OsStr::from_bytes(path))
        }
    }
}

/// Zeroes `bytes` and writes the header of an address of `len` bytes.
fn prepare(bytes: &mut [u8], family: AddressFamily, len: usize) -> io::Result<&mut [u8]> {
    if bytes.len() < len {
        return Err(Errno::INVAL.into());
    }
    bytes.fill(0);
    let family = number(family);
    let header = if IS_LINUX {
        family.to_ne_bytes()
    } else {
        let narrow = |number| u8::try_from(number).expect("lengths and families are below 256");
        [
            narrow(u16::try_from(len).unwrap_or(u16::MAX)),
            narrow(family),
        ]
    };
    bytes[..HEADER_LEN].copy_from_slice(&header);
    Ok(bytes)
}
