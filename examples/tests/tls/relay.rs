//! `relayd` that takes TLS off, puts TLS on, and both one after the other.

use std::fs;
use std::io::{Read as _, Write as _};
use std::process::Command;

use rustix::process::Signal;

use super::fixtures::{Client as Sealed, Files, certificate, daemon};
use crate::httpd::HTTPD;
use crate::relayd::{
    RELAYD, Target, expect_an_end_in_one_direction, expect_both_ways, expect_passage, noise,
};
use crate::rig::client::Client;
use crate::rig::counterpart;
use crate::rig::daemon::{Daemon, ECHOD, Kind, temporary_directory};
use crate::rig::patience::{LIMIT, scale};

/// A relay that puts TLS on, before one that takes it off, before a target.
struct Chain {
    on: Daemon,
    off: Daemon,
}

impl Chain {
    #[track_caller]
    fn to(target: &str) -> Self {
        let off = daemon(RELAYD, &["--connect", target]);
        let on = seal(&off, "localhost", &certificate("ca"));
        Self { on, off }
    }
}

/// A relay that speaks TLS to `server`, as a server of this name.
#[track_caller]
fn seal(server: &Daemon, name: &str, authority: &str) -> Daemon {
    let port = server.inet_address(Kind::Tls).port();
    let target = format!("tls:{name}:{port}");
    let options = ["--connect", &target, "--ca", authority, "-v"];
    Daemon::of(RELAYD, &[Kind::Tcp], &options)
}

#[test]
fn bytes_pass_a_chain_of_relays_in_both_directions_at_once() {
    let target = Target::new();
    let chain = Chain::to(&target.address());
    let client = Client::connect(&chain.on, Kind::Tcp);
    expect_both_ways(client, target.accept(), &noise(scale(1 << 20, 256 << 20)));
}

#[test]
fn an_end_passes_a_chain_of_relays_and_the_other_way_goes_on() {
    let target = Target::new();
    let chain = Chain::to(&target.address());
    let client = Client::connect(&chain.on, Kind::Tcp);
    expect_an_end_in_one_direction(client, target.accept());
}

#[test]
fn a_relay_before_an_echo_is_an_echo() {
    let echo = daemon(ECHOD, &[]);
    for name in ["localhost", "127.0.0.1"] {
        let relay = seal(&echo, name, &certificate("ca"));
        let mut client = Client::connect(&relay, Kind::Tcp);
        client.expect_echo(b"hello");
        client.half_close();
        client.expect_end();
    }
}

#[test]
fn a_reset_on_one_side_ends_the_other() {
    let target = Target::new();
    let chain = Chain::to(&target.address());
    let mut client = Client::connect(&chain.on, Kind::Tcp);
    let mut server = target.accept();
    expect_passage(&mut client, &mut server);
    client.reset();
    let gone = server.read(&mut [0; 10]);
    assert!(!matches!(gone, Ok(1..)), "{gone:?}");
    // Both go on serving others.
    let mut client = Client::connect(&chain.on, Kind::Tcp);
    expect_passage(&mut client, &mut target.accept());
}

#[test]
fn a_client_that_speaks_no_tls_or_breaks_off_costs_its_own_connection_alone() {
    let target = Target::new();
    let mut relay = daemon(RELAYD, &["--connect", &target.address()]);
    let mut garbage = Client::connect(&relay, Kind::Tls);
    garbage.send(b"GET / HTTP/1.0\r\n\r\n");
    let line = relay.next_complaint("what was wrong");
    assert!(line.contains("TLS handshake: "), "{line}");
    let mut broken = Sealed::connect(&relay);
    broken.send(b"ping");
    let mut server = target.accept();
    server.read_exact(&mut [0; 4]).expect("it arrives");
    // Without `close_notify`.
    drop(broken.0.sock);
    let line = relay.next_complaint("how it has ended");
    assert!(line.contains("reset"), "{line}");
    let gone = server.read(&mut [0; 10]);
    assert!(!matches!(gone, Ok(1..)), "{gone:?}");
    let mut client = Sealed::connect(&relay);
    client.send(b"ping");
    target.accept().read_exact(&mut [0; 4]).expect("it arrives");
}

#[test]
fn a_server_that_is_not_who_it_should_be_gets_no_connection() {
    let files = Files::new();
    let (other, key) = (certificate("other"), files.path("other.key"));
    let stranger = Daemon::of(ECHOD, &[Kind::Tls], &["--cert", &other, "--key", &key]);
    let echo = daemon(ECHOD, &[]);
    // One nobody trusts, and one with another name.
    for server in [&echo, &stranger] {
        let mut relay = seal(server, "localhost", &other);
        let mut client = Client::connect(&relay, Kind::Tcp);
        client.write_all(b"a secret").ok();
        client.expect_ended();
        let line = relay.next_complaint("what is wrong with the server");
        assert!(line.contains("invalid peer certificate"), "{line}");
    }
}

#[test]
fn the_authorities_of_the_system_do_not_vouch_for_anybody() {
    let echo = daemon(ECHOD, &[]);
    let port = echo.inet_address(Kind::Tls).port();
    let target = format!("tls:localhost:{port}");
    let arguments = ["--listen", "tcp:127.0.0.1:0", "--connect", &target, "-v"];
    let mut relay = Daemon::start(RELAYD, &arguments);
    // A system without any makes it say so.
    if let Err(complaint) = relay.try_listening(1) {
        assert!(complaint.contains("--ca FILE"), "{complaint}");
        return;
    }
    let mut client = Client::connect(&relay, Kind::Tcp);
    client.write_all(b"a secret").ok();
    client.expect_ended();
    let line = relay.next_complaint("what is wrong with the server");
    assert!(line.contains("invalid peer certificate"), "{line}");
}

#[test]
fn it_ends_when_asked_to_and_loses_nothing() {
    let target = Target::new();
    let mut chain = Chain::to(&target.address());
    let mut client = Sealed::connect(&chain.off);
    client.send(b"ping");
    let mut server = target.accept();
    let mut ping = [0; 4];
    server.read_exact(&mut ping).expect("it arrives");
    let bytes = noise(100_000);
    server.write_all(&bytes).expect("it is taken");
    chain.off.signal(Signal::TERM);
    client.expect_bytes(&bytes);
    client.expect_end();
    assert!(chain.off.expect_exit(LIMIT).success());
}

#[test]
fn curl_fetches_from_httpd_through_it() {
    let Some(curl) = counterpart::find("curl") else {
        return;
    };
    let root = temporary_directory();
    let content = noise(300_000);
    fs::write(root.path().join("file"), &content).expect("there is room");
    let path = root.path().display().to_string();
    let httpd = Daemon::of(HTTPD, &[Kind::Tcp], &["--root", &path]);
    let target = format!("tcp:{}", httpd.inet_address(Kind::Tcp));
    let relay = daemon(RELAYD, &["--connect", &target]);
    let port = relay.inet_address(Kind::Tls).port();
    let url = format!("https://localhost:{port}/file");
    let resolve = format!("localhost:{port}:127.0.0.1");
    for version in ["1.2", "1.3"] {
        let fetched = root.path().join(version);
        let mut command = Command::new(&curl);
        command
            .args(["--silent", "--show-error", "--noproxy", "*", "--cacert"])
            .args([&certificate("ca"), "--resolve", &resolve])
            .args([&format!("--tlsv{version}"), "--tls-max", version])
            .args(["--write-out", "%{http_code} %{ssl_verify_result}"])
            // Twice over one connection.
            .args([&url, &url, "--output"])
            .arg(&fetched)
            .arg("--output")
            .arg(&fetched);
        let report = counterpart::run(&mut command);
        assert!(report.status.success(), "{report:?}");
        assert_eq!(report.stdout, b"200 0200 0", "{report:?}");
        assert!(fs::read(&fetched).is_ok_and(|body| body == content));
    }
}
