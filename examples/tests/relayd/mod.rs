//! `relayd` as its users meet it: between clients and servers of all stream kinds, and before redis.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixListener;
use std::process::{Command, Stdio};
use std::thread;

use rustix::process::Signal;

use crate::rig::client::Client;
use crate::rig::counterpart::{self, Running};
use crate::rig::daemon::{Daemon, Kind, Program, temporary_directory};
use crate::rig::patience::{LIMIT, scale, tell, until};
use crate::rig::pattern::Random;

pub(crate) const RELAYD: Program = Program {
    name: "relayd",
    path: env!("CARGO_BIN_EXE_relayd"),
};

/// A server of the test: its connections come out of it one by one.
pub(crate) struct Target {
    listener: TcpListener,
}

impl Target {
    pub(crate) fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        Self { listener }
    }

    pub(crate) fn address(&self) -> String {
        let address = self.listener.local_addr().expect("it is bound");
        format!("tcp:{address}")
    }

    #[track_caller]
    pub(crate) fn accept(&self) -> TcpStream {
        let (stream, _) = self.listener.accept().expect("the relay connects");
        stream
            .set_read_timeout(Some(LIMIT))
            .and_then(|()| stream.set_write_timeout(Some(LIMIT)))
            .expect("a socket takes timeouts");
        stream
    }
}

fn relay(kind: Kind, to: &str) -> Daemon {
    Daemon::of(RELAYD, &[kind], &["--connect", to, "-v"])
}

pub(crate) fn noise(len: usize) -> Vec<u8> {
    let mut random = Random::new(2);
    let mut bytes: Vec<u8> = (0..len.div_ceil(8))
        .flat_map(|_| random.next().to_le_bytes())
        .collect();
    bytes.truncate(len);
    bytes
}

/// Sends a few bytes each way.
#[track_caller]
pub(crate) fn expect_passage(client: &mut Client, server: &mut TcpStream) {
    client.send(b"ping");
    let mut ping = [0; 4];
    server.read_exact(&mut ping).expect("it arrives");
    assert_eq!(&ping, b"ping");
    server.write_all(b"pong").expect("it is taken");
    client.expect_bytes(b"pong");
}

/// Sends `bytes` both ways at once, to their ends.
#[track_caller]
pub(crate) fn expect_both_ways(mut client: Client, mut server: TcpStream, bytes: &[u8]) {
    thread::scope(|scope| {
        let mut sending = client.another();
        let mut answering = server.try_clone().expect("a descriptor is left");
        scope.spawn(move || {
            sending.send(bytes);
            sending.half_close();
        });
        scope.spawn(move || {
            answering.write_all(bytes).expect("it is taken");
            answering
                .shutdown(Shutdown::Write)
                .expect("it is connected");
        });
        scope.spawn(move || {
            let mut arrived = Vec::new();
            server.read_to_end(&mut arrived).expect("an end comes");
            assert!(arrived == bytes, "came changed to the server");
        });
        client.expect_bytes(bytes);
        client.expect_end();
    });
}

/// Ends the way to the server, which answers all the same.
#[track_caller]
pub(crate) fn expect_an_end_in_one_direction(mut client: Client, mut server: TcpStream) {
    client.send(b"question");
    client.half_close();
    let mut question = String::new();
    server.read_to_string(&mut question).expect("an end comes");
    assert_eq!(question, "question");
    server.write_all(b"answer").expect("it is taken");
    client.expect_bytes(b"answer");
    server.write_all(b", late").expect("it is taken");
    drop(server);
    client.expect_bytes(b", late");
    client.expect_end();
}

#[test]
fn bytes_pass_in_both_directions_at_once() {
    for kind in [Kind::Tcp, Kind::Unix] {
        let target = Target::new();
        let daemon = relay(kind, &target.address());
        let (client, server) = (Client::connect(&daemon, kind), target.accept());
        expect_both_ways(client, server, &noise(scale(4 << 20, 256 << 20)));
    }
}

#[test]
fn an_end_passes_in_one_direction_and_the_other_goes_on() {
    let target = Target::new();
    let daemon = relay(Kind::Tcp, &target.address());
    let (client, server) = (Client::connect(&daemon, Kind::Tcp), target.accept());
    expect_an_end_in_one_direction(client, server);
}

#[test]
fn a_side_that_does_not_read_stops_the_other_from_writing() {
    let target = Target::new();
    let daemon = relay(Kind::Tcp, &target.address());
    let mut client = Client::connect(&daemon, Kind::Tcp);
    let mut server = target.accept();
    let most = 256 << 20;
    let written = client.stuff(most, std::time::Duration::from_millis(300));
    assert!(written < most, "the relay took everything");
    let mut left = written;
    let mut buffer = vec![0; 1 << 16];
    while left > 0 {
        left -= server.read(&mut buffer).expect("what was taken comes");
    }
}

#[test]
fn a_reset_on_one_side_ends_the_other() {
    let target = Target::new();
    let daemon = relay(Kind::Tcp, &target.address());
    let mut client = Client::connect(&daemon, Kind::Tcp);
    let mut server = target.accept();
    expect_passage(&mut client, &mut server);
    client.reset();
    // An end or a reset: either way nobody waits for a client that is gone.
    let gone = server.read(&mut [0; 10]);
    assert!(!matches!(gone, Ok(1..)), "{gone:?}");
}

#[test]
fn a_server_that_is_not_there_costs_its_client_alone() {
    let target = Target::new();
    let address = target.address();
    drop(target);
    let mut daemon = relay(Kind::Tcp, &address);
    for _ in 0..3 {
        let mut client = Client::connect(&daemon, Kind::Tcp);
        client.expect_ended();
        let complaint = daemon.next_complaint("which server is missing");
        assert!(complaint.contains(&address), "{complaint}");
    }
}

#[test]
fn a_unix_server_can_be_named() {
    let directory = temporary_directory();
    let path = directory.path().join("server");
    let listener = UnixListener::bind(&path).expect("a socket can be bound");
    let daemon = relay(Kind::Tcp, &format!("unix:{}", path.display()));
    let mut client = Client::connect(&daemon, Kind::Tcp);
    let (mut server, _) = listener.accept().expect("the relay connects");
    client.send(b"hello");
    let mut hello = [0; 5];
    server.read_exact(&mut hello).expect("it arrives");
    assert_eq!(&hello, b"hello");
}

#[test]
fn a_server_can_be_named_by_its_host() {
    let target = Target::new();
    let address = target.address().replace("127.0.0.1", "localhost");
    let daemon = relay(Kind::Tcp, &address);
    let mut client = Client::connect(&daemon, Kind::Tcp);
    expect_passage(&mut client, &mut target.accept());
}

#[test]
fn it_ends_when_asked_to_and_loses_nothing() {
    let target = Target::new();
    let mut daemon = relay(Kind::Tcp, &target.address());
    let mut client = Client::connect(&daemon, Kind::Tcp);
    let mut server = target.accept();
    let bytes = noise(100_000);
    server.write_all(&bytes).expect("it is taken");
    daemon.signal(Signal::TERM);
    client.expect_bytes(&bytes);
    client.expect_ended();
    assert!(daemon.expect_exit(LIMIT).success());
}

#[test]
fn wrong_arguments_are_named() {
    for (arguments, expected) in [
        (&["--listen", "tcp:127.0.0.1:0"][..], "--connect"),
        (&["--connect", "tcp:127.0.0.1:1"], "--listen"),
        (
            &[
                "--listen",
                "udp:127.0.0.1:0",
                "--connect",
                "tcp:127.0.0.1:1",
            ],
            "udp",
        ),
        (
            &["--listen", "tcp:127.0.0.1:0", "--connect", "unixgram:/x"],
            "unixgram",
        ),
    ] {
        let (status, _, complaints) = Daemon::run(RELAYD, arguments);
        assert_eq!(status.code(), Some(1), "{arguments:?}");
        assert_eq!(complaints.len(), 1, "{complaints:?}");
        assert!(complaints[0].contains(expected), "{complaints:?}");
    }
}

#[test]
fn redis_works_through_it() {
    let (Some(server), Some(benchmark)) = (
        counterpart::find("redis-server"),
        counterpart::find("redis-benchmark"),
    ) else {
        return;
    };
    let directory = temporary_directory();
    let socket = directory.path().join("redis");
    let redis = Command::new(server)
        .args([
            "--port",
            "0",
            "--save",
            "",
            "--appendonly",
            "no",
            "--daemonize",
            "no",
        ])
        .arg("--unixsocket")
        .arg(&socket)
        .current_dir(directory.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("redis was found");
    let redis = Running(redis);
    until("redis listens", LIMIT, || {
        std::os::unix::net::UnixStream::connect(&socket)
            .map(drop)
            .map_err(|error| error.to_string())
    });
    let daemon = relay(Kind::Tcp, &format!("unix:{}", socket.display()));
    let port = daemon.inet_address(Kind::Tcp).port().to_string();
    let report = counterpart::run(Command::new(benchmark).args([
        "-h",
        "127.0.0.1",
        "-p",
        &port,
        "-n",
        scale("5000", "100000"),
        "-c",
        "50",
        "-P",
        "4",
        "-d",
        "1000",
        "-t",
        "ping,set,get,lrange_100",
        "--csv",
    ]));
    let text = String::from_utf8_lossy(&report.stdout);
    tell(&text);
    assert!(report.status.success(), "{report:?}");
    for command in ["PING_MBULK", "SET", "GET", "LRANGE_100"] {
        assert!(text.contains(command), "{text}");
    }
    drop(redis);
}
