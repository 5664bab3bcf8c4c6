//! Files that are missing or wrong end a daemon with one line.

use std::process::Command;

use super::fixtures::{Files, certificate};
use crate::relayd::RELAYD;
use crate::rig::counterpart;
use crate::rig::daemon::{Daemon, ECHOD, Program};

#[track_caller]
fn expect_complaint(program: Program, arguments: &[&str], expected: &[&str]) {
    let (status, output, complaints) = Daemon::run(program, arguments);
    assert_eq!(status.code(), Some(1), "{arguments:?}");
    assert_eq!(output, [""; 0], "{arguments:?}");
    assert_eq!(complaints.len(), 1, "{complaints:?}");
    for word in expected {
        assert!(complaints[0].contains(word), "{word}: {complaints:?}");
    }
}

/// Starts `echod` for TLS with these files.
#[track_caller]
fn expect_refused(certificate: &str, key: &str, expected: &[&str]) {
    let listen = ["--listen", "tls:127.0.0.1:0"];
    let files = ["--cert", certificate, "--key", key];
    expect_complaint(ECHOD, &[&listen[..], &files].concat(), expected);
}

#[test]
fn a_missing_option_or_address_is_named() {
    let listen = ["--listen", "tls:127.0.0.1:0"];
    let certificate = certificate("server");
    let some = ["--cert", &certificate];
    expect_complaint(ECHOD, &listen, &["--cert", "--help"]);
    expect_complaint(ECHOD, &[&listen[..], &some].concat(), &["--key", "--help"]);
    expect_complaint(ECHOD, &some, &["--listen tls:"]);
    let plain = [
        "--listen",
        "tcp:127.0.0.1:0",
        "--connect",
        "tcp:127.0.0.1:1",
    ];
    let ca = [&plain[..], &["--ca", &certificate]].concat();
    expect_complaint(RELAYD, &ca, &["--ca", "--connect tls:"]);
}

#[test]
fn a_file_that_is_not_what_it_should_be_is_named() {
    let files = Files::new();
    let (server, key) = (certificate("server"), files.path("server.key"));
    let garbage = files.write("garbage", b"\0\xff garbage\n", 0o600);
    let empty = files.write("empty", b"", 0o600);
    let broken = b"-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n";
    let broken = files.write("broken", broken, 0o600);
    let unfinished = files.write("unfinished", b"-----BEGIN PRIVATE KEY-----\nMIG", 0o600);
    let large = files.write("large", &vec![b'\n'; 2 << 20], 0o600);
    for (wrong, expected) in [
        ("/does/not/exist", "No such file"),
        ("/", "not a regular file"),
        ("/dev/zero", "not a regular file"),
        (&garbage, "no certificate"),
        (&empty, "no certificate"),
        (&broken, "--cert"),
        (&large, "longer than"),
        (&key, "no certificate"),
    ] {
        expect_refused(wrong, &key, &["--cert", wrong, expected]);
    }
    for (wrong, expected) in [
        ("/does/not/exist", "No such file"),
        ("/", "not a regular file"),
        (&garbage, "no private key"),
        (&empty, "no private key"),
        (&unfinished, "--key"),
        (&large, "longer than"),
        (&files.path("other.key"), "not the key of"),
    ] {
        expect_refused(&server, wrong, &["--key", wrong, expected]);
    }
}

#[test]
fn a_key_that_everybody_may_read_is_refused() {
    let files = Files::new();
    let (server, key) = (certificate("server"), files.path("server.key"));
    let content = std::fs::read(&key).expect("it was written");
    for mode in [0o604, 0o644, 0o666] {
        let key = files.write("open.key", &content, mode);
        expect_refused(&server, &key, &["--key", &key, "everybody"]);
    }
}

#[test]
fn a_pipe_in_place_of_a_file_does_not_hold_a_daemon_up() {
    let files = Files::new();
    let pipe = files.path("pipe");
    let made = counterpart::run(Command::new("mkfifo").arg(&pipe));
    assert!(made.status.success(), "{made:?}");
    expect_refused(&certificate("server"), &pipe, &["not a regular file"]);
}

#[test]
fn a_name_or_an_authority_that_is_none_is_named() {
    let relay = ["--listen", "tcp:127.0.0.1:0", "--connect"];
    let files = Files::new();
    let garbage = files.write("garbage", b"garbage", 0o644);
    let target = [&relay[..], &["tls:localhost:1", "--ca", &garbage]].concat();
    expect_complaint(RELAYD, &target, &["--ca", &garbage, "no certificate"]);
    let ca = certificate("ca");
    let name = [&relay[..], &["tls:no name:1", "--ca", &ca]].concat();
    expect_complaint(RELAYD, &name, &["no name"]);
}
