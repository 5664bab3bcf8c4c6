//! `syslogd` as its users meet it: by hand, and with logger(1).

use std::fs;
use std::net::UdpSocket;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::Signal;
use tempfile::TempDir;

use crate::rig::counterpart;
use crate::rig::daemon::{Daemon, Kind, Program, temporary_directory};
use crate::rig::patience::{LIMIT, scale, until};

const SYSLOGD: Program = Program {
    name: "syslogd",
    path: env!("CARGO_BIN_EXE_syslogd"),
};

/// A daemon that writes to a file of its own.
struct Rig {
    daemon: Daemon,
    directory: TempDir,
}

impl Rig {
    fn new(kinds: &[Kind]) -> Self {
        let directory = temporary_directory();
        let out = directory.path().join("log");
        let daemon = Daemon::of(SYSLOGD, kinds, &["--out", &out.display().to_string()]);
        Self { daemon, directory }
    }

    fn out(&self) -> PathBuf {
        self.directory.path().join("log")
    }

    /// A unix socket that sends to the daemon.
    fn sender(&self) -> UnixDatagram {
        let sender = UnixDatagram::unbound().expect("a descriptor is left");
        sender
            .connect(self.daemon.path(Kind::UnixDatagram))
            .expect("the daemon listens");
        sender
            .set_write_timeout(Some(LIMIT))
            .expect("a socket takes timeouts");
        sender
    }
}

/// The lines of a file, once there are `count` of them.
#[track_caller]
fn expect_lines(file: &Path, count: usize) -> Vec<String> {
    until("the lines are written", LIMIT, || {
        let text = fs::read_to_string(file).unwrap_or_default();
        let lines: Vec<_> = text.lines().map(str::to_owned).collect();
        if lines.len() < count || !text.ends_with('\n') {
            return Err(format!("{} of {count} lines", lines.len()));
        }
        assert_eq!(lines.len(), count, "{lines:?}");
        Ok(lines)
    })
}

#[test]
fn each_message_is_a_line_wherever_it_came_in() {
    let rig = Rig::new(&[Kind::UnixDatagram, Kind::Udp]);
    let udp = UdpSocket::bind("127.0.0.1:0").expect("a port is free");
    let unix = rig.sender();
    unix.send(b"<34>Oct 11 22:14:15 su[7]: one\n")
        .expect("it is taken");
    expect_lines(&rig.out(), 1);
    udp.send_to(
        b"<165>1 2003-10-11T22:14:15.003Z host app 8 - [a@1 b=\"c\"] two",
        rig.daemon.inet_address(Kind::Udp),
    )
    .expect("it is sent");
    expect_lines(&rig.out(), 2);
    unix.send(b"three\nfour\x1b[2J").expect("it is taken");
    assert_eq!(
        expect_lines(&rig.out(), 3),
        [
            "Oct 11 22:14:15 - auth.crit su[7]: one",
            "2003-10-11T22:14:15.003Z host local4.notice app[8]: [a@1 b=\"c\"] two",
            "- - user.notice three#012four#033[2J",
        ]
    );
}

#[test]
fn no_message_is_lost_while_it_stops() {
    let mut rig = Rig::new(&[Kind::UnixDatagram]);
    let count = scale(5_000, 100_000);
    let sender = rig.sender();
    for number in 0..count {
        let message = format!("<13>Oct 11 22:14:15 test: {number}");
        sender.send(message.as_bytes()).expect("it is taken");
    }
    rig.daemon.signal(Signal::TERM);
    assert!(rig.daemon.expect_exit(LIMIT).success());
    let lines = expect_lines(&rig.out(), count);
    for (number, line) in lines.iter().enumerate() {
        assert!(line.ends_with(&format!(" test: {number}")), "{line}");
    }
}

#[test]
fn a_file_that_was_moved_away_is_opened_again() {
    let mut rig = Rig::new(&[Kind::UnixDatagram]);
    let (moved, sender) = (rig.directory.path().join("log.1"), rig.sender());
    sender.send(b"before").expect("it is taken");
    expect_lines(&rig.out(), 1);
    fs::rename(rig.out(), &moved).expect("a file can be moved");
    sender.send(b"meanwhile").expect("it is taken");
    expect_lines(&moved, 2);
    rig.daemon.signal(Signal::HUP);
    until("there is a new file", LIMIT, || {
        rig.out().exists().then_some(()).ok_or_else(String::new)
    });
    sender.send(b"after").expect("it is taken");
    assert_eq!(expect_lines(&rig.out(), 1), ["- - user.notice after"]);
    expect_lines(&moved, 2);
    assert!(rig.daemon.complaints().is_empty());
}

#[test]
fn the_old_file_stays_if_there_is_no_new_one() {
    let mut rig = Rig::new(&[Kind::UnixDatagram]);
    let (moved, sender) = (rig.directory.path().join("log.1"), rig.sender());
    fs::rename(rig.out(), &moved).expect("a file can be moved");
    fs::create_dir(rig.out()).expect("a directory can be made");
    rig.daemon.signal(Signal::HUP);
    let complaint = rig.daemon.next_complaint("what is wrong");
    assert!(complaint.contains("the old file stays"), "{complaint}");
    sender.send(b"not lost").expect("it is taken");
    assert_eq!(expect_lines(&moved, 1), ["- - user.notice not lost"]);
}

#[test]
fn a_full_disk_loses_nothing() {
    // It writes to a FIFO, whose reader decides when there is room; the batch waits as it would for a
    // disk.
    let directory = temporary_directory();
    let fifo = directory.path().join("fifo");
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, mode).expect("a FIFO can be made");
    // Open for both, so that neither end waits for the other.
    let reader = fs::OpenOptions::new().read(true).write(true).open(&fifo);
    let mut reader = std::io::BufReader::new(reader.expect("a FIFO can be opened"));
    let out = fifo.display().to_string();
    let daemon = Daemon::of(SYSLOGD, &[Kind::UnixDatagram], &["--out", &out]);
    let sender = UnixDatagram::unbound().expect("a descriptor is left");
    sender
        .connect(daemon.path(Kind::UnixDatagram))
        .expect("the daemon listens");
    let count = scale(4_000, 40_000);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0..count {
                let message = format!("{number} {}", "x".repeat(500));
                sender
                    .send(message.as_bytes())
                    .expect("it is taken in time");
            }
        });
        for number in 0..count {
            let mut line = String::new();
            std::io::BufRead::read_line(&mut reader, &mut line).expect("a line comes");
            let expected = format!("- - user.notice {number} x");
            assert!(line.starts_with(&expected), "{line}");
        }
    });
}

#[test]
fn a_message_larger_than_any_is_dropped_and_the_next_one_is_not() {
    let mut rig = Rig::new(&[Kind::UnixDatagram]);
    let sender = rig.sender();
    sender.send(&[b'x'; 100_000]).expect("it is taken");
    sender.send(b"after").expect("it is taken");
    assert_eq!(
        expect_lines(&rig.out(), 2),
        [
            "- - syslog.warning syslogd: a message of more than 65536 bytes was dropped",
            "- - user.notice after",
        ]
    );
    rig.daemon.signal(Signal::TERM);
    assert!(rig.daemon.expect_exit(LIMIT).success());
}

#[test]
fn a_file_that_refuses_every_line_can_be_replaced() {
    let directory = temporary_directory();
    let out = directory.path().join("log");
    std::os::unix::fs::symlink("/dev/full", &out).expect("a link can be made");
    let name = out.display().to_string();
    let mut daemon = Daemon::of(SYSLOGD, &[Kind::UnixDatagram], &["--out", &name]);
    let sender = UnixDatagram::unbound().expect("a descriptor is left");
    let path = daemon.path(Kind::UnixDatagram);
    sender.send_to(b"not lost", path).expect("it is taken");
    let complaint = daemon.next_complaint("what is wrong");
    assert!(complaint.contains("cannot write"), "{complaint}");
    fs::remove_file(&out).expect("it is there");
    daemon.signal(Signal::HUP);
    assert_eq!(expect_lines(&out, 1), ["- - user.notice not lost"]);
}

#[test]
fn many_hangups_in_a_row_lose_nothing() {
    let mut rig = Rig::new(&[Kind::UnixDatagram]);
    let (count, sender) = (scale(1_000, 50_000), rig.sender());
    for number in 0..count {
        let message = format!("<13>Oct 11 22:14:15 test: {number}");
        sender.send(message.as_bytes()).expect("it is taken");
        if number % 10 == 0 {
            rig.daemon.signal(Signal::HUP);
        }
    }
    let lines = expect_lines(&rig.out(), count);
    for (number, line) in lines.iter().enumerate() {
        assert!(line.ends_with(&format!(" test: {number}")), "{line}");
    }
    assert!(rig.daemon.complaints().is_empty());
}

#[test]
fn without_a_file_it_writes_to_standard_output() {
    let mut daemon = Daemon::of(SYSLOGD, &[Kind::UnixDatagram], &[]);
    let sender = UnixDatagram::unbound().expect("a descriptor is left");
    let path = daemon.path(Kind::UnixDatagram);
    sender.send_to(b"<0>hello", path).expect("it is taken");
    let line = daemon.output("the message");
    assert_eq!(line.as_deref(), Some("- - kern.emerg hello"));
}

#[test]
fn a_file_that_cannot_be_opened_is_named() {
    let arguments = ["--listen", "udp:127.0.0.1:0", "--out", "/nowhere/at/all"];
    let (status, _, complaints) = Daemon::run(SYSLOGD, &arguments);
    assert_eq!(status.code(), Some(1));
    assert_eq!(complaints.len(), 1, "{complaints:?}");
    assert!(complaints[0].contains("/nowhere/at/all"), "{complaints:?}");
}

#[test]
fn logger_is_understood() {
    let Some(logger) = counterpart::find("logger") else {
        return;
    };
    let rig = Rig::new(&[Kind::UnixDatagram, Kind::Udp]);
    let path = rig.daemon.path(Kind::UnixDatagram).display().to_string();
    let udp = rig.daemon.inet_address(Kind::Udp);
    let (host, port) = (udp.ip().to_string(), udp.port().to_string());
    let log = |arguments: &[&str]| {
        let said = counterpart::run(Command::new(&logger).args(arguments));
        assert!(said.status.success(), "{said:?}");
    };
    let common = ["--tag", "backup", "--priority", "local3.warning"];
    log(&[&common[..], &["--socket", &path, "to the unix socket"]].concat());
    assert!(
        expect_lines(&rig.out(), 1)[0].ends_with(" - local3.warning backup: to the unix socket")
    );
    let remote = ["--udp", "--server", &host, "--port", &port];
    log(&[&common[..], &remote[..], &["--rfc5424", "by RFC 5424"]].concat());
    let line = &expect_lines(&rig.out(), 2)[1];
    assert!(
        line.contains(" local3.warning backup: [timeQuality "),
        "{line}"
    );
    assert!(line.ends_with("] by RFC 5424"), "{line}");
    log(&[
        &common[..],
        &remote[..],
        &["--rfc3164", "--id=4711", "by RFC 3164"],
    ]
    .concat());
    let line = &expect_lines(&rig.out(), 3)[2];
    assert!(
        line.ends_with(" local3.warning backup[4711]: by RFC 3164"),
        "{line}"
    );
}
