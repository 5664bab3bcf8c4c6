//! `echod` with several threads, and with sockets that were passed to it.

use std::net::{TcpListener, UdpSocket};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::Signal;

use super::client::Client;
use super::daemon::{Daemon, Kind};
use super::figures::descriptors;
use super::patience::LIMIT;
use super::pattern::{Pattern, seed};

const KINDS: [Kind; 2] = [Kind::Tcp, Kind::Unix];

fn threads_of(daemon: &Daemon) -> usize {
    let tasks = format!("/proc/{}/task", daemon.pid().as_raw_nonzero());
    std::fs::read_dir(tasks)
        .expect("/proc shows the daemon's threads")
        .count()
}

#[test]
fn threads_share_the_connections_of_each_address() {
    let mut pattern = Pattern::new(seed());
    let mut daemon = Daemon::listening(&KINDS, &["--threads", "3"]);
    assert_eq!(threads_of(&daemon), 3);
    let before = descriptors(daemon.pid());
    let mut clients: Vec<_> = (0..60)
        .map(|index| Client::connect(&daemon, KINDS[index % KINDS.len()]))
        .collect();
    let bytes = pattern.bytes(10_000);
    for client in &mut clients {
        client.send(&bytes);
    }
    for client in &mut clients {
        client.expect_bytes(&bytes);
    }
    assert_eq!(descriptors(daemon.pid()), before + clients.len());
    daemon.signal(Signal::TERM);
    for client in &mut clients {
        client.expect_end();
    }
    drop(clients);
    let status = daemon.expect_exit(Duration::from_secs(10));
    assert_eq!(status.code(), Some(0), "{status}");
    assert!(!daemon.path(Kind::Unix).exists(), "the file is left behind");
    assert_eq!(daemon.complaints(), [""; 0]);
}

#[test]
fn threads_share_a_udp_port() {
    let mut daemon = Daemon::listening(&[Kind::Udp, Kind::UnixDatagram], &["--threads", "3"]);
    let address = daemon.inet_address(Kind::Udp);
    for index in 0..30 {
        // A port of its own each time, by which the kernel chooses the thread.
        let client = UdpSocket::bind("127.0.0.1:0").expect("a port is free");
        client
            .set_read_timeout(Some(LIMIT))
            .expect("a socket takes timeouts");
        client
            .send_to(&[index], address)
            .expect("loopback has room");
        let mut answer = [0; 2];
        let answered = client.recv(&mut answer).expect("a thread answers");
        assert_eq!((answered, answer[0]), (1, index));
    }
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.expect_exit(LIMIT).code(), Some(0));
}

#[test]
fn each_thread_tells_what_is_outstanding() {
    let mut daemon = Daemon::listening(&[Kind::Unix], &["--threads", "2"]);
    let mut client = Client::connect(&daemon, Kind::Unix);
    client.expect_echo(b"hello");
    for dump in [daemon.dump(), daemon.next_dump()] {
        let text = dump.join("\n");
        assert!(text.contains("server "), "{text}");
    }
}

#[test]
fn a_connection_limit_is_shared_by_the_threads() {
    let options = ["--threads", "2", "--max-connections", "4"];
    let daemon = Daemon::listening(&[Kind::Unix], &options);
    let mut clients: Vec<_> = (0..4)
        .map(|_| Client::connect(&daemon, Kind::Unix))
        .collect();
    for client in &mut clients {
        client.expect_echo(b"served");
    }
    let mut above = Client::connect(&daemon, Kind::Unix);
    above.send(b"me too");
    assert!(!above.is_readable_within(Duration::from_millis(200)));
    drop(clients.pop());
    above.expect_bytes(b"me too");
}

#[test]
fn sockets_of_a_service_manager_are_listened_on() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listener.local_addr().expect("it is bound");
    let passed = Stdio::from(std::os::fd::OwnedFd::from(listener));
    let mut daemon = Daemon::managed(passed, &["-v", "--threads", "2"]);
    daemon.expect_listening(1);
    assert_eq!(daemon.inet_address(Kind::Tcp), address);
    let mut client = Client::connect(&daemon, Kind::Tcp);
    client.expect_echo(b"hello");
    daemon.signal(Signal::TERM);
    client.expect_end();
    drop(client);
    assert_eq!(daemon.expect_exit(LIMIT).code(), Some(0));
}
