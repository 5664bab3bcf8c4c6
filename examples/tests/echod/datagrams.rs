//! Datagrams come back one for one.

use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, UdpSocket};
use std::os::fd::AsFd;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags};
use rustix::net::sockopt;

use super::client::wait;
use super::daemon::{Daemon, Kind};
use super::figures::{expect_idle, pass};
use super::patience::{LIMIT, now, scale, tell};
use super::pattern::{Pattern, Random, seed};

/// How many datagrams may be under way, so that no queue of the kernel overflows.
const OUTSTANDING_MAX: usize = 32;

/// What fits into an Ethernet frame with room to spare.
const LEN_MAX: usize = 1_400;

/// A datagram socket that is connected to the daemon, UDP or unix.
trait Peer: AsFd {
    fn send(&self, bytes: &[u8]) -> io::Result<usize>;
    fn recv(&self, buf: &mut [u8]) -> io::Result<usize>;
}

impl Peer for UdpSocket {
    fn send(&self, bytes: &[u8]) -> io::Result<usize> {
        self.send(bytes)
    }

    fn recv(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.recv(buf)
    }
}

impl Peer for UnixDatagram {
    fn send(&self, bytes: &[u8]) -> io::Result<usize> {
        self.send(bytes)
    }

    fn recv(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.recv(buf)
    }
}

/// A non-blocking socket that talks to `daemon`; `name` tells those of a test apart.
#[track_caller]
fn peer(daemon: &Daemon, kind: Kind, name: &str) -> Box<dyn Peer> {
    match kind {
        Kind::Udp => {
            let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
            socket
                .connect(daemon.inet_address(kind))
                .expect("UDP connects at once");
            socket
                .set_nonblocking(true)
                .expect("a socket can be made non-blocking");
            sockopt::set_socket_recv_buffer_size(&socket, 1 << 20).expect("it has a buffer size");
            Box::new(socket)
        }
        Kind::UnixDatagram => {
            let socket = UnixDatagram::bind(daemon.own_path(name)).expect("the path is new");
            socket
                .connect(daemon.path(kind))
                .expect("the daemon's socket file exists");
            socket
                .set_nonblocking(true)
                .expect("a socket can be made non-blocking");
            Box::new(socket)
        }
        Kind::Tcp | Kind::Tls | Kind::Unix => panic!("{kind:?} has no datagrams"),
    }
}

/// Sends a datagram when there is room, and says whether there was.
#[track_caller]
fn try_send(peer: &dyn Peer, bytes: &[u8]) -> bool {
    match peer.send(bytes) {
        Ok(count) => {
            assert_eq!(count, bytes.len(), "a datagram was cut when it was sent");
            true
        }
        Err(err) if err.kind() == ErrorKind::WouldBlock => false,
        Err(err) => panic!("cannot send a datagram of {} bytes: {err}", bytes.len()),
    }
}

/// Takes a datagram if there is one.
#[track_caller]
fn try_receive(peer: &dyn Peer) -> Option<Vec<u8>> {
    let mut buf = vec![0; 64 << 10];
    match peer.recv(&mut buf) {
        Ok(count) => {
            buf.truncate(count);
            Some(buf)
        }
        Err(err) if err.kind() == ErrorKind::WouldBlock => None,
        Err(err) => panic!("cannot receive a datagram: {err}"),
    }
}

/// Sends one datagram and takes exactly it back; empty ones may come before it.
#[track_caller]
fn expect_echo(peer: &dyn Peer, bytes: &[u8]) {
    let ready = |flags| wait(&mut [PollFd::new(&peer, flags)], LIMIT) > 0;
    while !try_send(peer, bytes) {
        assert!(ready(PollFlags::OUT), "the daemon takes no datagram");
    }
    loop {
        assert!(
            ready(PollFlags::IN),
            "a datagram of {} bytes gets no answer",
            bytes.len()
        );
        match try_receive(peer) {
            Some(got) if got == bytes => return,
            Some(got) => assert!(got.is_empty(), "{} bytes came back instead", got.len()),
            None => {}
        }
    }
}

/// One datagram: its number as far as it has room for that, then bytes of its own.
fn datagram(number: u32, len: usize, pattern: &mut Pattern) -> Vec<u8> {
    let mut bytes = pattern.bytes(len);
    for (byte, digit) in bytes.iter_mut().zip(number.to_be_bytes()) {
        *byte = digit;
    }
    bytes
}

#[track_caller]
fn expect_exchange(kind: Kind) {
    let count: u32 = scale(1_000, 10_000);
    let seed = seed();
    let (mut pattern, mut sizes) = (Pattern::new(seed), Random::new(!seed));
    let daemon = Daemon::listening(&[kind], &[]);
    let peer = peer(&daemon, kind, "peer");
    let mut outstanding: Vec<Vec<u8>> = Vec::new();
    let mut next: Option<Vec<u8>> = None;
    let (mut number, mut bytes) = (0, 0);
    let start = now();
    while number < count || next.is_some() || !outstanding.is_empty() {
        if next.is_none() && number < count {
            let len = match number {
                0 => LEN_MAX,
                1 => 1,
                _ => sizes.size(LEN_MAX),
            };
            next = Some(datagram(number, len, &mut pattern));
            number += 1;
        }
        let mut moved = false;
        let room = outstanding.len() < OUTSTANDING_MAX;
        if let Some(sent) = next.take_if(|next| room && try_send(&*peer, next)) {
            outstanding.push(sent);
            moved = true;
        }
        // A full window is emptied as far as it goes, so that bursts of all lengths come up.
        while let Some(got) = (!moved).then(|| try_receive(&*peer)).flatten() {
            let found = outstanding.iter().position(|sent| *sent == got);
            let index = found.unwrap_or_else(|| {
                panic!(
                    "a datagram of {} bytes came back that is not outstanding",
                    got.len()
                )
            });
            bytes += outstanding.swap_remove(index).len();
        }
        if !moved && !outstanding.is_empty() {
            let out = if room && next.is_some() {
                PollFlags::OUT
            } else {
                PollFlags::empty()
            };
            let happened = wait(&mut [PollFd::new(&peer, PollFlags::IN | out)], LIMIT);
            let lens: Vec<_> = outstanding.iter().map(Vec::len).collect();
            assert!(
                happened > 0,
                "lost: datagrams of {lens:?} bytes among the first {number}"
            );
        }
    }
    let span = now() - start;
    assert_eq!(try_receive(&*peer), None, "more came back than was sent");
    let rate = u128::from(count) * 1_000_000 / span.as_micros().max(1);
    tell(&format!(
        "{}: {count} datagrams, {bytes} bytes, {span:.2?}, {rate}/s",
        kind.prefix()
    ));
}

#[track_caller]
fn expect_empty_datagram_does_no_harm(kind: Kind) {
    let daemon = Daemon::listening(&[kind], &[]);
    let peer = peer(&daemon, kind, "peer");
    expect_echo(&*peer, b"before");
    for _ in 0..3 {
        assert!(try_send(&*peer, b""), "there is room for an empty datagram");
    }
    expect_echo(&*peer, b"after");
    assert!(try_send(&*peer, b""), "there is room for an empty datagram");
    expect_idle(daemon.pid(), || pass(Duration::from_millis(300)));
    expect_echo(&*peer, b"at last");
}

#[test]
fn udp_datagrams_come_back_and_none_is_lost() {
    expect_exchange(Kind::Udp);
}

#[test]
fn unix_datagrams_come_back_and_none_is_lost() {
    expect_exchange(Kind::UnixDatagram);
}

#[test]
fn an_empty_udp_datagram_neither_stops_nor_spins_the_daemon() {
    expect_empty_datagram_does_no_harm(Kind::Udp);
}

#[test]
fn an_empty_unix_datagram_neither_stops_nor_spins_the_daemon() {
    expect_empty_datagram_does_no_harm(Kind::UnixDatagram);
}

#[test]
fn a_unix_datagram_from_a_socket_without_a_name_is_taken_and_forgotten() {
    let daemon = Daemon::listening(&[Kind::UnixDatagram], &[]);
    let nameless = UnixDatagram::unbound().expect("a descriptor is left");
    nameless
        .send_to(b"whom to answer?", daemon.path(Kind::UnixDatagram))
        .expect("it is taken");
    expect_echo(&*peer(&daemon, Kind::UnixDatagram, "peer"), b"me");
    expect_idle(daemon.pid(), || pass(Duration::from_millis(300)));
}

#[test]
fn a_datagram_peer_that_has_gone_does_not_stop_the_daemon() {
    let daemon = Daemon::listening(&[Kind::Udp, Kind::UnixDatagram], &[]);
    for kind in [Kind::Udp, Kind::UnixDatagram] {
        // The answers find no socket any more: ICMP reports it for UDP, the call itself for unix.
        daemon.pause();
        let gone = peer(&daemon, kind, "gone");
        for _ in 0..5 {
            assert!(
                try_send(&*gone, b"farewell"),
                "there is room for a few datagrams"
            );
        }
        drop(gone);
        daemon.resume();
        let other = peer(&daemon, kind, "other");
        for _ in 0..5 {
            expect_echo(&*other, b"still there");
        }
    }
    expect_idle(daemon.pid(), || pass(Duration::from_millis(300)));
}
