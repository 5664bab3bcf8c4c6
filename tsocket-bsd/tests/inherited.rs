//! Sockets that a service manager passes, with a shell in its place.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::env;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::process::{Command, Output, Stdio};

use rustix::io::{FdFlags, fcntl_getfd};
use tevent::Context;
use tsocket_bsd::{ListenSocket, inherited};

/// What tells the process of a test that it is the one that a manager has started.
const STARTED: &str = "STARTED_BY_A_MANAGER";

/// Starts the test `name` of this file again, with `passed` as its descriptor 3, and 4 as well, closed.
#[track_caller]
fn start(name: &str, pid: &str, count: &str, passed: OwnedFd) -> Output {
    let script = format!(
        "LISTEN_PID={pid} LISTEN_FDS={count} LISTEN_FDNAMES=web exec \"$0\" \"$@\" 3<&0 </dev/null"
    );
    let this = env::current_exe().unwrap();
    Command::new("/bin/sh")
        .args(["-c", &script])
        .arg(this)
        .args(["--exact", name, "--nocapture"])
        .env(STARTED, "1")
        .stdin(Stdio::from(passed))
        .output()
        .unwrap()
}

#[track_caller]
fn expect_success(output: &Output) {
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("1 passed"), "{text}");
}

#[test]
fn a_socket_that_was_passed_is_served() {
    if env::var_os(STARTED).is_some() {
        let mut passed = inherited().unwrap();
        assert_eq!(passed.len(), 1);
        let passed = passed.remove(0);
        assert_eq!(passed.name.as_deref(), Some("web"));
        assert!(fcntl_getfd(&passed.fd).unwrap().contains(FdFlags::CLOEXEC));
        assert!(inherited().unwrap().is_empty(), "they are taken once");
        let ctx = Context::new().unwrap();
        let socket = ListenSocket::from_fd(passed.fd).unwrap();
        let listener = socket.into_listener(&ctx).unwrap();
        let (stream, _) = ctx.run_until(listener.accept()).unwrap().unwrap();
        ctx.run_until(stream.writev(&b"served"[..]))
            .unwrap()
            .unwrap();
        return;
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    // It waits in the backlog until the child accepts it.
    let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let name = "a_socket_that_was_passed_is_served";
    expect_success(&start(name, "$$", "1", listener.into()));
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, "served");
    client.flush().unwrap();
}

#[test]
fn what_was_passed_to_another_process_is_not_touched() {
    if env::var_os(STARTED).is_some() {
        assert!(inherited().unwrap().is_empty());
        return;
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let name = "what_was_passed_to_another_process_is_not_touched";
    expect_success(&start(name, "1", "1", listener.into()));
}

#[test]
fn a_descriptor_that_was_announced_and_is_not_there_is_an_error() {
    if env::var_os(STARTED).is_some() {
        let errno = inherited().unwrap_err().raw_os_error();
        assert_eq!(errno, Some(rustix::io::Errno::BADF.raw_os_error()));
        return;
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let name = "a_descriptor_that_was_announced_and_is_not_there_is_an_error";
    expect_success(&start(name, "$$", "900", listener.into()));
}

#[test]
fn an_announcement_that_is_none_is_an_error() {
    if env::var_os(STARTED).is_some() {
        let errno = inherited().unwrap_err().raw_os_error();
        assert_eq!(errno, Some(rustix::io::Errno::INVAL.raw_os_error()));
        return;
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let name = "an_announcement_that_is_none_is_an_error";
    expect_success(&start(name, "$$", "many", listener.into()));
}
