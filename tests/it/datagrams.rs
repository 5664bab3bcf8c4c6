//! The contract of datagrams, kept by every kind there is.

use std::io;
use std::os::unix::net::UnixDatagram;

use rustix::io::Errno;
use tevent::Context;
use tevent_tests::contract::{done, gives_back, has_ipv6};
use tevent_tests::{expect_errno, on_every_backend};
use tsocket::contract::datagram::{Kind, Pair};
use tsocket::contract::{Subject, check};
use tsocket::{Address, Datagram, Family, memory};
use tsocket_bsd::{DatagramOptions, datagram, datagram_from_fd};

fn bound(ctx: &Context, local: &Address) -> io::Result<Datagram> {
    datagram(ctx, local, &DatagramOptions::default())
}

fn udp(ctx: &Context, host: &str) -> io::Result<Pair> {
    let local = Address::from_strings(Family::Ip, Some(host), 0)?;
    Ok(Pair {
        near: bound(ctx, &local)?,
        far: bound(ctx, &local)?,
        keep: Box::new(()),
    })
}

/// Two sockets that are connected with each other: each has to know where the other is.
fn connected_udp(ctx: &Context) -> io::Result<Pair> {
    let near = std::net::UdpSocket::bind("127.0.0.1:0")?;
    let far = std::net::UdpSocket::bind("127.0.0.1:0")?;
    near.connect(far.local_addr()?)?;
    far.connect(near.local_addr()?)?;
    Ok(Pair {
        near: datagram_from_fd(ctx, near.into())?,
        far: datagram_from_fd(ctx, far.into())?,
        keep: Box::new(()),
    })
}

fn unix(ctx: &Context) -> io::Result<Pair> {
    let directory = tempfile::tempdir()?;
    let make = |name: &str| bound(ctx, &Address::unix(directory.path().join(name))?);
    Ok(Pair {
        near: make("near")?,
        far: make("far")?,
        keep: Box::new(directory),
    })
}

/// Both without a name.
fn socketpair(ctx: &Context) -> io::Result<Pair> {
    let (near, far) = UnixDatagram::pair()?;
    Ok(Pair {
        near: datagram_from_fd(ctx, near.into())?,
        far: datagram_from_fd(ctx, far.into())?,
        keep: Box::new(()),
    })
}

const UDP4: Kind = Kind::new("udp on IPv4", |ctx| udp(ctx, "127.0.0.1"));
const UDP6: Kind = Kind {
    is_here: has_ipv6,
    ..Kind::new("udp on IPv6", |ctx| udp(ctx, "::1"))
};
const CONNECTED_UDP: Kind = Kind {
    is_connected: true,
    ..Kind::new("connected udp", connected_udp)
};
const UNIX: Kind = Kind::new("unix", unix);
const SOCKETPAIR: Kind = Kind {
    is_connected: true,
    ..Kind::new("socketpair", socketpair)
};

const MEMORY: Kind = Kind {
    is_connected: true,
    ..Kind::new("memory", |ctx| {
        let (near, far) = memory::datagram_pair(ctx);
        let keep = Box::new(());
        Ok(Pair { near, far, keep })
    })
};

macro_rules! kinds {
    ($($module:ident: $kind:ident,)*) => {
        $(
            mod $module {
                tsocket::datagram_contract!(super::$kind);
            }
        )*
    };
}

kinds! {
    udp4: UDP4,
    udp6: UDP6,
    udp_connected: CONNECTED_UDP,
    unix_datagrams: UNIX,
    pair: SOCKETPAIR,
    memory_datagrams: MEMORY,
}

#[test]
fn a_kind_that_is_not_here_is_held_to_nothing() {
    let absent = Kind {
        is_here: || false,
        ..Kind::new("absent", |_| unreachable!("it is not here"))
    };
    for clause in Kind::CLAUSES {
        check(absent, clause.name());
    }
}

#[test]
fn a_connected_socket_needs_no_address_and_knows_its_peer() {
    on_every_backend(|ctx| {
        let Pair { far, near, .. } = udp(ctx, "127.0.0.1").unwrap();
        let at = far.local_address().unwrap();
        let any = Address::from_strings(Family::Ipv4, None, 0).unwrap();
        let connected = DatagramOptions::default().remote(at.clone());
        let connected = datagram(ctx, &any, &connected).unwrap();
        assert_eq!(connected.peer_address().unwrap(), at);
        done(ctx, connected.send_to(&b"to the peer"[..], None));
        assert_eq!(&*done(ctx, far.recv_from()).0, b"to the peer");
        expect_errno(near.peer_address(), Errno::NOTCONN);
        gives_back(ctx, near.send_to(&b"to whom"[..], None), Errno::DESTADDRREQ);
    });
}
