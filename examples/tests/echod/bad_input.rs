//! Wrong arguments end it with one line that names what was wrong, and status 1.

use std::ffi::OsStr;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::os::unix::ffi::OsStrExt;

use super::daemon::{Daemon, temporary_directory};

/// Runs it with `args` and checks that the only line on its standard error contains all of `named`.
#[track_caller]
fn expect_refused(args: &[&str], named: &[&str]) {
    let (status, stdout, stderr) = Daemon::run_to_end(args);
    assert_eq!(
        status.code(),
        Some(1),
        "{args:?} ended with {status}: {stderr:?}"
    );
    assert_eq!(
        stderr.len(),
        1,
        "{args:?}: one line on stderr, not {stderr:#?}"
    );
    for name in named {
        assert!(
            stderr[0].contains(name),
            "{args:?}: `{}` does not name `{name}`",
            stderr[0]
        );
    }
    for word in ["panicked", "RUST_BACKTRACE", ".rs:", "Os {", "unwrap"] {
        assert!(
            !stderr[0].contains(word),
            "{args:?}: `{}` is for programmers",
            stderr[0]
        );
    }
    assert_eq!(
        stdout, [""; 0],
        "{args:?}: it announced something nevertheless"
    );
}

#[test]
fn a_wrong_address_is_named() {
    for address in [
        "tcp:nonsense",
        "tcp:127.0.0.1",
        "tcp:127.0.0.1:",
        "tcp:127.0.0.1:99999",
        "tcp:127.0.0.1:-1",
        "tcp:::1:80",
        "tcp:[::1:80",
        "tcp:256.0.0.1:80",
        "tcp:",
        "udp:nonsense",
        "udp:127.0.0.1:port",
        "unix:",
        "unixgram:",
        "foo:bar",
        "nonsense",
        "",
    ] {
        expect_refused(&["--listen", address], &[address]);
        expect_refused(
            &["--listen", "tcp:127.0.0.1:0", "--listen", address],
            &[address],
        );
    }
}

#[test]
fn an_address_that_is_not_of_this_machine_is_named() {
    // RFC 5737 keeps this network for documentation: no machine has an address in it.
    expect_refused(&["--listen", "tcp:192.0.2.1:0"], &["tcp:192.0.2.1:0"]);
    expect_refused(&["--listen", "udp:192.0.2.1:0"], &["udp:192.0.2.1:0"]);
}

#[test]
fn a_port_in_use_is_named() {
    let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
    let address = format!(
        "tcp:{}",
        tcp.local_addr().expect("a listener has an address")
    );
    expect_refused(&["--listen", &address], &[&address, "in use"]);
    let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
    let address = format!("udp:{}", udp.local_addr().expect("a socket has an address"));
    expect_refused(&["--listen", &address], &[&address, "in use"]);
}

#[test]
fn a_missing_directory_is_named() {
    let directory = temporary_directory();
    for prefix in ["unix", "unixgram"] {
        let address = format!("{prefix}:{}/missing/socket", directory.path().display());
        expect_refused(
            &["--listen", &address],
            &[&address, "No such file or directory"],
        );
    }
}

#[test]
fn a_path_too_long_for_a_socket_is_named() {
    let long = "a".repeat(200);
    for prefix in ["unix", "unixgram"] {
        let address = format!("{prefix}:/tmp/{long}");
        expect_refused(&["--listen", &address], &[&long]);
    }
}

#[test]
fn an_unknown_option_or_argument_is_named() {
    expect_refused(&["--frobnicate"], &["--frobnicate"]);
    expect_refused(&["-x"], &["-x"]);
    expect_refused(&["stray"], &["stray"]);
    expect_refused(&["--listen", "tcp:127.0.0.1:0", "stray"], &["stray"]);
}

#[test]
fn a_missing_value_is_named() {
    for option in ["--listen", "--mode", "--max-connections", "--idle-timeout"] {
        expect_refused(&[option], &[option]);
    }
}

#[test]
fn a_bad_number_is_named_with_its_option() {
    for option in ["--max-connections", "--idle-timeout"] {
        for number in ["many", "-1", "1x", "", "99999999999999999999999"] {
            let joined = format!("{option}={number}");
            expect_refused(&[&joined, "--listen", "tcp:127.0.0.1:0"], &[option, number]);
        }
    }
}

#[test]
fn an_unknown_mode_is_named() {
    expect_refused(
        &["--mode", "shout", "--listen", "tcp:127.0.0.1:0"],
        &["shout"],
    );
}

#[test]
fn a_value_that_is_not_text_is_refused() {
    let args = [OsStr::new("--mode"), OsStr::from_bytes(b"e\xffcho")];
    let (status, _, stderr) = Daemon::run_to_end(&args);
    assert_eq!(status.code(), Some(1), "it ended with {status}: {stderr:?}");
    assert_eq!(stderr.len(), 1, "one line says what is wrong: {stderr:?}");
    assert!(!stderr[0].contains("panicked"), "{stderr:?}");
}
