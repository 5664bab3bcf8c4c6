//! `echod` behind TLS, before `openssl s_client` and others.

use std::io::Read as _;
use std::process::Command;

use rustix::process::Signal;

use super::fixtures::{Client, Files, VERSIONS, certificate, converse, daemon, s_client};
use crate::rig::client::Client as Raw;
use crate::rig::counterpart;
use crate::rig::daemon::{Daemon, ECHOD, Kind};
use crate::rig::patience::{LIMIT, now, scale, tell};
use crate::rig::pattern::Pattern;

#[test]
fn s_client_gets_every_byte_back() {
    let total: usize = scale(2 << 20, 256 << 20);
    for version in VERSIONS {
        let daemon = daemon(ECHOD, &[]);
        let Some(mut peer) = s_client(&daemon, &certificate("ca"), version) else {
            return;
        };
        let start = now();
        let (mut sent, mut got) = (Pattern::new(1), Pattern::new(1));
        let len = 1 << 16;
        converse(
            &mut peer,
            |input| (0..total / len).try_for_each(|_| input.write_all(&sent.bytes(len))),
            |output| {
                let mut piece = vec![0; len];
                for _ in 0..total / len {
                    output.read_exact(&mut piece).expect("it comes back");
                    got.expect(version, &piece);
                }
            },
        );
        tell(&format!(
            "{version}: {total} bytes each way in {:?}",
            now() - start
        ));
    }
}

#[test]
fn the_certificate_of_the_help_text_works() {
    if counterpart::find("openssl").is_none() {
        return;
    }
    let (_, help, _) = Daemon::run(ECHOD, &["--help"]);
    let command: Vec<_> = help
        .iter()
        .skip_while(|line| !line.trim_start().starts_with("openssl req"))
        .take_while(|line| line.starts_with("  "))
        .cloned()
        .collect();
    let files = Files::new();
    let script = format!(
        "cd '{}' && umask 022 && {}",
        files.path(""),
        command.join("\n")
    );
    let made = counterpart::run(Command::new("/bin/sh").args(["-c", &script]));
    assert!(made.status.success(), "{script}: {made:?}");
    let (certificate, key) = (files.path("cert.pem"), files.path("key.pem"));
    let options = ["--cert", &certificate, "--key", &key];
    let daemon = Daemon::of(ECHOD, &[Kind::Tls], &options);
    let Some(mut peer) = s_client(&daemon, &certificate, VERSIONS[1]) else {
        return;
    };
    converse(
        &mut peer,
        |input| input.write_all(b"hello"),
        |output| {
            let mut hello = [0; 5];
            output.read_exact(&mut hello).expect("it comes back");
            assert_eq!(&hello, b"hello");
        },
    );
}

#[test]
fn every_mode_and_thread_speaks_tls() {
    let echo = daemon(ECHOD, &["--threads", "2"]);
    let mut clients: Vec<_> = (0..8).map(|_| Client::connect(&echo)).collect();
    for client in &mut clients {
        client.expect_echo(b"hello");
        client.half_close();
        client.expect_end();
    }
    let frame = daemon(ECHOD, &["--mode", "frame"]);
    let mut framed = Client::connect(&frame);
    framed.send(b"\0\0\0\x05hel");
    framed.send(b"lo");
    framed.expect_bytes(b"\0\0\0\x05hello");
    let mut sink = daemon(ECHOD, &["--mode", "sink"]);
    let mut client = Client::connect(&sink);
    client.send(&[0; 100_000]);
    client.half_close();
    client.expect_end();
    let line = sink.next_complaint("what was taken");
    assert!(line.contains("100000 bytes taken"), "{line}");
    let source = daemon(ECHOD, &["--mode", "source"]);
    Client::connect(&source).expect_bytes(&[b'.'; 100_000]);
}

#[test]
fn tls_and_plain_addresses_stand_side_by_side() {
    let files = Files::new();
    let (certificate, key) = (certificate("server"), files.path("server.key"));
    let options = ["--cert", &certificate, "--key", &key];
    let daemon = Daemon::of(ECHOD, &[Kind::Tls, Kind::Tcp, Kind::Unix], &options);
    Client::connect(&daemon).expect_echo(b"sealed");
    Raw::connect(&daemon, Kind::Tcp).expect_echo(b"open");
    Raw::connect(&daemon, Kind::Unix).expect_echo(b"open");
}

#[test]
fn garbage_costs_its_own_connection_alone() {
    let mut daemon = daemon(ECHOD, &[]);
    let mut other = Client::connect(&daemon);
    other.expect_echo(b"before");
    for garbage in [&b"GET / HTTP/1.0\r\n\r\n"[..], &[0xff; 20_000], &[0; 5]] {
        let mut raw = Raw::connect(&daemon, Kind::Tls);
        raw.send(garbage);
        // An alert may come first.
        let mut answer = Vec::new();
        raw.read_to_end(&mut answer).ok();
        assert!(answer.len() <= 7, "{answer:?}");
        let line = daemon.next_complaint("what was wrong");
        assert!(line.contains("TLS handshake: "), "{line}");
        assert_eq!(daemon.complaints(), [""; 0], "one line each");
    }
    other.expect_echo(b"after");
}

#[test]
fn a_client_that_breaks_off_costs_its_own_connection_alone() {
    let mut daemon = daemon(ECHOD, &[]);
    let mut other = Client::connect(&daemon);
    other.expect_echo(b"before");
    let mut broken = Client::connect(&daemon);
    broken.expect_echo(b"hello");
    // Without `close_notify`.
    drop(broken.0.sock);
    let line = daemon.next_complaint("how it has ended");
    assert!(line.contains("reset"), "{line}");
    other.expect_echo(b"after");
}

#[test]
fn it_echoes_what_has_arrived_before_it_ends() {
    let mut daemon = daemon(ECHOD, &[]);
    let mut client = Client::connect(&daemon);
    client.expect_echo(b"hello");
    let mut unfinished = Raw::connect(&daemon, Kind::Tls);
    let bytes = Pattern::new(3).bytes(100_000);
    daemon.pause();
    client.send(&bytes);
    daemon.signal(Signal::TERM);
    daemon.resume();
    client.expect_bytes(&bytes);
    client.expect_end();
    drop(client);
    unfinished.expect_ended();
    assert!(daemon.expect_exit(LIMIT).success());
}
