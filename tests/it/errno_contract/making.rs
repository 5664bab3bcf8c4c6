//! Endpoints that cannot be made.

use std::fmt;
use std::fs::File;
use std::io;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};

use rustix::net::{self, AddressFamily, SocketAddrUnix, SocketType};
use tempfile::TempDir;
use tevent::Context;
use tevent_tests::settle;
use tsocket::{Address, AddressKind, Family, memory};
use tsocket_bsd::{
    ConnectOptions, DatagramOptions, FdPassing, ListenOptions, ListenSocket, connect, connect_host,
    datagram, datagram_from_fd, listen, stream_from_fd,
};

use super::table::Table;
use super::{Begun, Call, Complaints, calls, context};

#[derive(Debug, PartialEq, Eq, Hash)]
struct Tunnel;

impl fmt::Display for Tunnel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("tunnel")
    }
}

impl AddressKind for Tunnel {}

/// A context, and a directory for socket files.
struct Place {
    ctx: Context,
    directory: TempDir,
}

/// What `begin` begins at a place of its own.
fn at(begin: fn(&Place) -> Begun) -> (Context, Box<dyn FnMut() -> Begun>) {
    let place = Place {
        ctx: context(),
        directory: tempfile::tempdir().expect("there is room for a directory"),
    };
    (place.ctx.clone(), Box::new(move || begin(&place)))
}

impl Place {
    fn file(&self, name: &str) -> Address {
        Address::unix(self.directory.path().join(name)).expect("that is an address")
    }

    fn connect(&self, remote: &Address) -> Begun {
        connect(&self.ctx, remote, &ConnectOptions::default()).into()
    }

    fn connect_from(&self, local: Address) -> Begun {
        let listener = listen(&self.ctx, &ip("127.0.0.1"), &ListenOptions::default());
        let listener = listener.expect("the address is free");
        let remote = listener.local_address().expect("it has one");
        let options = ConnectOptions::default().local_address(local);
        connect(&self.ctx, &remote, &options).into()
    }

    fn listen(&self, local: &Address) -> Begun {
        listen(&self.ctx, local, &ListenOptions::default()).into()
    }

    fn datagram(&self, local: &Address) -> Begun {
        datagram(&self.ctx, local, &DatagramOptions::default()).into()
    }

    fn stream(&self, fd: impl Into<OwnedFd>) -> Begun {
        let made = stream_from_fd(&self.ctx, fd.into());
        made.map_err(io::Error::from).into()
    }

    fn datagram_from(&self, fd: impl Into<OwnedFd>) -> Begun {
        let made = datagram_from_fd(&self.ctx, fd.into());
        made.map_err(io::Error::from).into()
    }

    fn connect_host(&self, host: &str) -> Begun {
        connect_host(&self.ctx, host, &ConnectOptions::default()).into()
    }

    fn connect_host_until(&self, end: fn(&dyn super::Going)) -> Begun {
        let begun = self.connect_host("localhost:9");
        if let Begun::Going(going) = &begun {
            end(&**going);
        }
        begun
    }

    /// Begins to connect, and has `end` end that before the loop runs.
    fn connect_until(&self, end: fn(&dyn super::Going)) -> Begun {
        let listener = listen(&self.ctx, &ip("127.0.0.1"), &ListenOptions::default());
        let listener = listener.expect("the address is free");
        let begun = self.connect(&listener.local_address().expect("it has one"));
        if let Begun::Going(going) = &begun {
            end(&**going);
        }
        begun
    }
}

fn ip(address: &str) -> Address {
    Address::from_strings(Family::Ip, Some(address), 0).expect("that is an address")
}

/// An address with a port that nobody has.
fn nobody() -> Address {
    let ctx = context();
    let listener = listen(&ctx, &ip("127.0.0.1"), &ListenOptions::default());
    let address = listener.and_then(|listener| listener.local_address());
    address.expect("the system chooses one")
}

fn null() -> File {
    File::open("/dev/null").expect("every system has it")
}

fn tcp_listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").expect("there is a port")
}

fn of_another_family() -> OwnedFd {
    let netlink = net::socket(AddressFamily::NETLINK, SocketType::RAW, None);
    netlink.expect("everybody may have one")
}

fn listen_socket(fd: impl Into<OwnedFd>) -> Begun {
    let made = ListenSocket::from_fd(fd.into());
    made.map_err(io::Error::from).into()
}

fn in_memory() -> Address {
    Address::custom(memory::Name("contract".to_owned()))
}

/// An address of the documentation, which no machine has.
const ELSEWHERE: &str = "192.0.2.1";

const CALLS: &[Call] = &[
    ("connect", "nobody listens at a TCP address", || {
        at(|place| place.connect(&nobody()))
    }),
    ("connect", "a socket file without a listener", || {
        at(|place| {
            let file = place.directory.path().join("left");
            drop(UnixListener::bind(file).expect("the name is free"));
            place.connect(&place.file("left"))
        })
    }),
    ("connect", "no socket file", || {
        at(|place| place.connect(&place.file("none")))
    }),
    ("connect", "the unnamed unix address", || {
        at(|place| place.connect(&Address::unix_unnamed()))
    }),
    ("connect", "a kind that is no socket's", || {
        at(|place| place.connect(&Address::custom(Tunnel)))
    }),
    ("connect", "a local address of another family", || {
        at(|place| place.connect_from(place.file("local")))
    }),
    ("connect", "a local address that is in use", || {
        at(|place| {
            let other = listen(&place.ctx, &ip("127.0.0.1"), &ListenOptions::default());
            let other = other.expect("the address is free");
            place.connect_from(other.local_address().expect("it has one"))
        })
    }),
    ("connect", "a local address of another machine", || {
        at(|place| place.connect_from(ip(ELSEWHERE)))
    }),
    ("connect", "its deadline has passed", || {
        at(|place| place.connect_until(|going| going.time_out()))
    }),
    ("connect", "it was canceled", || {
        at(|place| place.connect_until(|going| going.cancel()))
    }),
    ("connect", "a full unix backlog, until its deadline", || {
        at(|place| {
            let path = place.directory.path().join("full");
            let listener = net::socket(AddressFamily::UNIX, SocketType::STREAM, None);
            let listener = listener.expect("a descriptor is left");
            let address = SocketAddrUnix::new(&path).expect("that is an address");
            net::bind(&listener, &address)
                .and_then(|()| net::listen(&listener, 0))
                .expect("the name is free");
            let room = UnixStream::connect(&path).expect("there is room for one");
            let begun = place.connect(&place.file("full"));
            settle(&place.ctx);
            if let Begun::Going(going) = &begun {
                going.time_out();
            }
            settle(&place.ctx);
            drop((room, listener));
            begun
        })
    }),
    (
        "connect_host",
        "neither a name nor an address with a port",
        || at(|place| place.connect_host("nowhere")),
    ),
    (
        "connect_host",
        "nobody listens at any of its addresses",
        || {
            at(|place| {
                let port = nobody().port().expect("it has one");
                place.connect_host(&format!("127.0.0.1:{port}"))
            })
        },
    ),
    ("connect_host", "its deadline has passed", || {
        at(|place| place.connect_host_until(|going| going.time_out()))
    }),
    ("connect_host", "it was canceled", || {
        at(|place| place.connect_host_until(|going| going.cancel()))
    }),
    ("stream_from_fd", "a descriptor that is no socket", || {
        at(|place| place.stream(null()))
    }),
    ("stream_from_fd", "a datagram socket", || {
        at(|place| place.stream(UnixDatagram::unbound().expect("the system has sockets")))
    }),
    ("stream_from_fd", "a socket of another family", || {
        at(|place| place.stream(of_another_family()))
    }),
    ("stream_from_fd", "a socket that is not connected", || {
        at(|place| place.stream(tcp_listener()))
    }),
    ("FdPassing::new", "a socket that is no unix socket", || {
        at(|place| {
            let made = FdPassing::new(&place.ctx, tcp_listener().into());
            made.map_err(io::Error::from).into()
        })
    }),
    ("listen", "an address that is in use", || {
        at(|place| {
            let other = listen(&place.ctx, &ip("127.0.0.1"), &ListenOptions::default());
            let other = other.expect("the address is free");
            place.listen(&other.local_address().expect("it has one"))
        })
    }),
    ("listen", "an address of another machine", || {
        at(|place| place.listen(&ip(ELSEWHERE)))
    }),
    ("listen", "a directory that is not there", || {
        at(|place| place.listen(&place.file("none/socket")))
    }),
    ("listen", "the unnamed unix address", || {
        at(|place| place.listen(&Address::unix_unnamed()))
    }),
    ("listen", "a kind that is no socket's", || {
        at(|place| place.listen(&Address::custom(Tunnel)))
    }),
    ("datagram", "an address that is in use", || {
        at(|place| {
            let other = datagram(&place.ctx, &ip("127.0.0.1"), &DatagramOptions::default());
            let other = other.expect("the address is free");
            place.datagram(&other.local_address().expect("it has one"))
        })
    }),
    ("datagram", "a remote address of another family", || {
        at(|place| {
            let options = DatagramOptions::default().remote(place.file("remote"));
            datagram(&place.ctx, &ip("127.0.0.1"), &options).into()
        })
    }),
    ("datagram", "a kind that is no socket's", || {
        at(|place| place.datagram(&Address::custom(Tunnel)))
    }),
    ("datagram_from_fd", "a descriptor that is no socket", || {
        at(|place| place.datagram_from(null()))
    }),
    ("datagram_from_fd", "a stream socket", || {
        at(|place| place.datagram_from(tcp_listener()))
    }),
    ("datagram_from_fd", "a socket of another family", || {
        at(|place| place.datagram_from(of_another_family()))
    }),
    (
        "ListenSocket::from_fd",
        "a descriptor that is no socket",
        || at(|_| listen_socket(null())),
    ),
    ("ListenSocket::from_fd", "a datagram socket", || {
        at(|_| listen_socket(UnixDatagram::unbound().expect("the system has sockets")))
    }),
    (
        "ListenSocket::from_fd",
        "a socket that does not listen",
        || {
            at(|_| {
                let (near, _) = UnixStream::pair().expect("descriptors are left");
                listen_socket(near)
            })
        },
    ),
    ("memory::listen", "an address of another kind", || {
        at(|place| memory::listen(&place.ctx, &ip("127.0.0.1")).into())
    }),
    ("memory::listen", "a name that is in use", || {
        at(|place| {
            let other = memory::listen(&place.ctx, &in_memory());
            let begun = memory::listen(&place.ctx, &in_memory()).into();
            drop(other);
            begun
        })
    }),
    ("memory::connect", "an address of another kind", || {
        at(|place| memory::connect(&place.ctx, &ip("127.0.0.1")).into())
    }),
    ("memory::connect", "nobody listens under the name", || {
        at(|place| memory::connect(&place.ctx, &in_memory()).into())
    }),
    ("memory::connect", "`BACKLOG` connections wait", || {
        at(|place| {
            let connect = || memory::connect(&place.ctx, &in_memory());
            let listener = memory::listen(&place.ctx, &in_memory());
            let waiting: Vec<_> = (0..memory::BACKLOG).map(|_| connect()).collect();
            let begun = connect().into();
            drop((waiting, listener));
            begun
        })
    }),
];

pub(super) fn check(table: &Table) -> Complaints {
    calls(table, CALLS)
}
