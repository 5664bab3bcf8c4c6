//! What `echod` does with its arguments, and without any.

use std::fs;
use std::net::{Ipv4Addr, Ipv6Addr, TcpListener, TcpStream};
use std::os::unix::net::UnixListener;

use super::client::Client;
use super::daemon::{Daemon, Kind, temporary_directory};
use super::patience::tell;

#[test]
fn help_names_every_option_with_limits_and_defaults() {
    let (status, stdout, stderr) = Daemon::run_to_end(&["--help"]);
    assert_eq!(status.code(), Some(0), "--help is no error: {status}");
    assert_eq!(stderr, [""; 0], "help goes to the standard output");
    let help = stdout.join("\n");
    let options = [
        "--listen",
        "--mode",
        "--cert",
        "--key",
        "--max-connections",
        "--idle-timeout",
        "-v",
        "--help",
    ];
    let values = [
        "echo",
        "frame",
        "tcp:",
        "tls:",
        "udp:",
        "unix:",
        "unixgram:",
    ];
    let defaults = ["default", "tcp:127.0.0.1:7777"];
    for word in options.iter().chain(&values).chain(&defaults) {
        assert!(
            help.contains(word),
            "--help does not mention `{word}`:\n{help}"
        );
    }
    for option in ["--max-connections", "--idle-timeout"] {
        // Its own text ends where the next option begins.
        let described = help.match_indices(option).any(|(index, _)| {
            let text = help[index + option.len()..]
                .split(" --")
                .next()
                .unwrap_or_default();
            text.contains("default") || text.contains("limit")
        });
        assert!(
            described,
            "--help does not say what holds without {option}:\n{help}"
        );
    }
}

#[test]
fn without_arguments_it_listens_on_port_7777_and_says_how_to_try_it() {
    let mut daemon = Daemon::with_arguments(&[]);
    if let Err(complaint) = daemon.try_listening(1) {
        // Somebody else's daemon may be there; that is all right if ours says so.
        assert!(
            complaint.contains("in use"),
            "it does not start: {complaint}"
        );
        tell(&format!("skipped: port 7777 is not free here: {complaint}"));
        return;
    }
    assert_eq!(
        daemon.announced().collect::<Vec<_>>(),
        ["tcp:127.0.0.1:7777"]
    );
    let hint = match daemon.banner() {
        [_] => daemon.output("how to try it").unwrap_or_default(),
        [first, ..] => first.clone(),
        [] => String::new(),
    };
    assert!(
        !hint.trim().is_empty(),
        "the line that says how to try it is empty"
    );
    let mut client = Client::connect(&daemon, Kind::Tcp);
    client.expect_echo(b"out of the box");
    client.half_close();
    client.expect_end();
}

#[test]
fn port_0_is_announced_as_the_port_that_was_chosen() {
    let daemon = Daemon::listening(&[Kind::Tcp, Kind::Udp], &[]);
    for kind in [Kind::Tcp, Kind::Udp] {
        let address = daemon.inet_address(kind);
        assert_eq!(address.ip(), Ipv4Addr::LOCALHOST);
        assert_ne!(address.port(), 0, "nobody can connect to port 0");
    }
}

#[test]
fn an_ipv6_address_stands_in_brackets() {
    if let Err(err) = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)) {
        tell(&format!("skipped: no IPv6 here: {err}"));
        return;
    }
    let mut daemon = Daemon::with_arguments(&["--listen", "tcp:[::1]:0"]);
    daemon.expect_listening(1);
    let address = daemon.inet_address(Kind::Tcp);
    assert_eq!(
        address.ip(),
        Ipv6Addr::LOCALHOST,
        "announced as {:?}",
        daemon.banner()
    );
    Client::connect(&daemon, Kind::Tcp).expect_echo(b"over IPv6");
}

#[test]
fn an_option_may_be_joined_to_its_value() {
    let mut daemon = Daemon::with_arguments(&["--listen=tcp:127.0.0.1:0", "--mode=frame"]);
    daemon.expect_listening(1);
    Client::connect(&daemon, Kind::Tcp).expect_echo(b"\0\0\0\x01a");
}

#[test]
fn a_socket_file_that_nobody_listens_on_is_replaced() {
    let directory = temporary_directory();
    for prefix in ["unix", "unixgram"] {
        let path = directory.path().join(prefix);
        let mut first =
            Daemon::with_arguments(&["--listen", &format!("{prefix}:{}", path.display())]);
        first.expect_listening(1);
        // Killed, it cannot take its socket file with it.
        drop(first);
        assert!(
            path.exists(),
            "a killed daemon cannot have removed {}",
            path.display()
        );
        let mut second =
            Daemon::with_arguments(&["--listen", &format!("{prefix}:{}", path.display())]);
        second.expect_listening(1);
    }
}

#[test]
fn a_socket_file_in_use_and_a_plain_file_are_left_alone() {
    let directory = temporary_directory();
    let used = directory.path().join("used");
    let listener = UnixListener::bind(&used).expect("the path is new");
    let plain = directory.path().join("plain");
    fs::write(&plain, "precious").expect("there is room for a file");
    for path in [&used, &plain] {
        let address = format!("unix:{}", path.display());
        let (status, _, stderr) = Daemon::run_to_end(&["--listen", &address]);
        assert_eq!(
            status.code(),
            Some(1),
            "{address} cannot be listened on: {stderr:?}"
        );
        assert_eq!(stderr.len(), 1, "one line says so: {stderr:?}");
        assert!(
            stderr[0].contains(&address),
            "the line names {address}: {stderr:?}"
        );
    }
    std::os::unix::net::UnixStream::connect(&used).expect("the other listener was left alone");
    drop(listener);
    assert_eq!(
        fs::read_to_string(&plain).expect("the plain file was left alone"),
        "precious"
    );
}

#[test]
fn a_start_that_fails_half_way_leaves_no_socket_file() {
    let directory = temporary_directory();
    let path = directory.path().join("first");
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
    let address = taken.local_addr().expect("a listener has an address");
    let (first, second) = (format!("unix:{}", path.display()), format!("tcp:{address}"));
    let (status, _, stderr) = Daemon::run_to_end(&["--listen", &first, "--listen", &second]);
    assert_eq!(status.code(), Some(1), "{second} is in use: {stderr:?}");
    assert!(!path.exists(), "{} is left behind", path.display());
    TcpStream::connect(address).expect("the other listener was left alone");
}
