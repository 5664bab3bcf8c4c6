//! Addresses from the standard library's types, and back.

use std::io;
use std::net::{SocketAddr, SocketAddrV4, SocketAddrV6};
#[cfg(target_os = "android")]
use std::os::android::net as linux;
#[cfg(target_os = "linux")]
use std::os::linux::net as linux;
use std::os::unix::net::SocketAddr as UnixSocketAddr;

use rustix::io::Errno;

use super::{Address, Inner, UnixName};

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        Self(Inner::Inet(address))
    }
}

impl From<SocketAddrV4> for Address {
    fn from(address: SocketAddrV4) -> Self {
        SocketAddr::from(address).into()
    }
}

impl From<SocketAddrV6> for Address {
    fn from(address: SocketAddrV6) -> Self {
        SocketAddr::from(address).into()
    }
}

impl TryFrom<&Address> for SocketAddr {
    type Error = io::Error;

    /// The internet address with port, flow label and scope.
    ///
    /// # Errors
    /// - `EINVAL` if `address` is not an internet address.
    fn try_from(address: &Address) -> io::Result<Self> {
        address.inet()
    }
}

impl TryFrom<&UnixSocketAddr> for Address {
    type Error = io::Error;

    /// The same unix address.
    ///
    /// # Errors
    /// - `ENAMETOOLONG` for a path that fills `sockaddr_un` to its last byte, which no address of
    ///   ours does.
    fn try_from(address: &UnixSocketAddr) -> io::Result<Self> {
        if let Some(path) = address.as_pathname() {
            return Self::unix(path);
        }
        #[cfg(any(target_os = "linux", target_os = "android"))]
        if let Some(name) = linux::SocketAddrExt::as_abstract_name(address) {
            return Self::unix_abstract(name);
        }
        Ok(Self::unix_unnamed())
    }
}

impl TryFrom<&Address> for UnixSocketAddr {
    type Error = io::Error;

    /// The same unix address.
    ///
    /// # Errors
    /// - `EINVAL` if `address` is not a unix address, or has an abstract name where there are none.
    fn try_from(address: &Address) -> io::Result<Self> {
        match &address.0 {
            #[cfg(any(target_os = "linux", target_os = "android"))]
            Inner::Unix(UnixName::Abstract(name)) => {
                <Self as linux::SocketAddrExt>::from_abstract_name(name)
            }
            Inner::Unix(UnixName::Path(_) | UnixName::Unnamed) => {
                Self::from_pathname(address.unix_path()?)
            }
            _ => Err(Errno::INVAL.into()),
        }
    }
}
