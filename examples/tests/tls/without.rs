//! A build without TLS says how to get one with it.

use crate::relayd::RELAYD;
use crate::rig::daemon::{Daemon, ECHOD, Kind, Program};

#[track_caller]
fn expect_refused(program: Program, arguments: &[&str]) {
    let (status, output, complaints) = Daemon::run(program, arguments);
    assert_eq!(status.code(), Some(1), "{arguments:?}");
    assert_eq!(output, [""; 0], "{arguments:?}");
    let command = format!("cargo run --features tls --bin {}", program.name);
    assert!(
        complaints.len() == 1 && complaints[0].contains(&command),
        "{arguments:?}: {complaints:?}"
    );
}

#[test]
fn without_tls_an_address_of_it_says_how_to_build_with_it() {
    let address = format!("{}:127.0.0.1:0", Kind::Tls.prefix());
    let listen = ["--listen", &address];
    expect_refused(ECHOD, &listen);
    let files = ["--cert", "/does/not/exist", "--key", "/does/not/exist"];
    expect_refused(ECHOD, &[&listen[..], &files].concat());
    let onward = ["--connect", "tcp:127.0.0.1:1"];
    expect_refused(RELAYD, &[&listen[..], &onward].concat());
    let to_tls = ["--listen", "tcp:127.0.0.1:0", "--connect"];
    for target in ["tls:127.0.0.1:1", "tls:localhost:1"] {
        expect_refused(RELAYD, &[&to_tls[..], &[target]].concat());
    }
}
