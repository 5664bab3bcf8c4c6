//! Addresses in the form that system calls take, and back.

use std::ffi::OsStr;
use std::io;
use std::net::SocketAddr;
use std::os::unix::ffi::OsStrExt as _;

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrAny, SocketAddrUnix};
use tsocket::{Address, Family};

/// What stands before the name in `sockaddr_un`; an address of no more than that is unnamed.
const UNIX_LEN_MIN: usize = 2;

/// The longest unix address whose path ends with a NUL byte.
const UNIX_LEN_MAX: usize = UNIX_LEN_MIN
    + if cfg!(any(target_os = "linux", target_os = "android")) {
        108
    } else {
        104
    };

/// The protocol family of `address`.
///
/// # Errors
/// - `EINVAL` for an address that is neither inet nor unix.
pub(crate) fn family(address: &Address) -> io::Result<AddressFamily> {
    if address.is_inet(Family::Ipv4) {
        Ok(AddressFamily::INET)
    } else if address.is_inet(Family::Ipv6) {
        Ok(AddressFamily::INET6)
    } else if address.is_unix() {
        Ok(AddressFamily::UNIX)
    } else {
        Err(Errno::INVAL.into())
    }
}

/// Whether a socket that connects to `remote` has to be bound to `local` before.
///
/// It has not if `local` leaves everything to the system (any IP address and any port, or no name):
/// connecting then binds it to what reaches the remote, whose family alone counts.
///
/// # Errors
/// - `EINVAL` if `local` is of another family.
pub(crate) fn has_to_be_bound(local: &Address, remote: &Address) -> io::Result<bool> {
    let is_any = match SocketAddr::try_from(local) {
        Ok(inet) => inet.ip().is_unspecified() && inet.port() == 0,
        Err(_) => *local == Address::unix_unnamed(),
    };
    if is_any && local.is_unix() == remote.is_unix() {
        return Ok(false);
    }
    if family(local)? == family(remote)? {
        Ok(true)
    } else {
        Err(Errno::INVAL.into())
    }
}

/// `address` as the kernel wants it.
///
/// # Errors
/// - `EINVAL` for an address that is neither inet nor unix, for the unnamed one, which leads nowhere,
///   and for an abstract name where there are none.
pub(crate) fn to_system(address: &Address) -> io::Result<SocketAddrAny> {
    if let Ok(inet) = SocketAddr::try_from(address) {
        return Ok(inet.into());
    }
    if let Ok(name) = address.abstract_name() {
        return abstract_to_system(name);
    }
    let path = address.unix_path()?;
    if path.as_os_str().is_empty() {
        return Err(Errno::INVAL.into());
    }
    Ok(SocketAddrUnix::new(path)?.into())
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn abstract_to_system(name: &[u8]) -> io::Result<SocketAddrAny> {
    Ok(SocketAddrUnix::new_abstract_name(name)?.into())
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn abstract_to_system(_name: &[u8]) -> io::Result<SocketAddrAny> {
    Err(Errno::INVAL.into())
}

/// What the kernel says of an endpoint; without an address it is an unnamed unix socket.
///
/// A path that fills `sun_path` to its last byte is shown as unnamed: [`Address`] has no form for it,
/// and no peer may turn its name into an error of ours.
///
/// # Errors
/// - `EAFNOSUPPORT` for a family other than inet and unix.
pub(crate) fn from_system(address: Option<SocketAddrAny>) -> io::Result<Address> {
    let Some(address) = address else {
        return Ok(Address::unix_unnamed());
    };
    if address.address_family() != AddressFamily::UNIX {
        return Ok(SocketAddr::try_from(address)?.into());
    }
    let len = usize::try_from(address.addr_len()).unwrap_or(usize::MAX);
    if len <= UNIX_LEN_MIN || len > UNIX_LEN_MAX {
        return Ok(Address::unix_unnamed());
    }
    let address = SocketAddrUnix::try_from(address)?;
    #[cfg(any(target_os = "linux", target_os = "android"))]
    if let Some(name) = address.abstract_name() {
        return Address::unix_abstract(name);
    }
    Address::unix(OsStr::from_bytes(address.path_bytes().unwrap_or_default()))
}
