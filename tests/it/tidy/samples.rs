//! A bad snippet for every rule, so that each can be seen to fail, beside good ones that it leaves alone.

use super::rules::{Survey, check, empty_rooms};
use super::sources::Source;

/// The rules that `code` breaks as the file `path` of `member`, each once.
fn broken(member: &str, path: &str, code: &str) -> Vec<&'static str> {
    let text = format!("//! A sample.\n{code}");
    let sample = Source::sample(member, path, &text);
    let requests = "//! Requests.\npub struct Outcome; pub(crate) struct Hidden; pub enum Kind {}";
    let others = [
        Source::sample("tevent", "src/request/state.rs", requests),
        Source::sample("tevent", "src/stats.rs", "//! Trace.\npub enum Kind {}"),
    ];
    let mut rules: Vec<_> = check(&sample, &Survey::of(&others))
        .into_iter()
        .map(|offence| offence.rule)
        .collect();
    rules.dedup();
    rules
}

#[track_caller]
fn expect_broken(rule: &str, member: &str, path: &str, snippets: &[&str]) {
    for code in snippets {
        assert_eq!(
            broken(member, path, code),
            [rule],
            "{member}/{path}: {code}"
        );
    }
}

#[track_caller]
fn expect_fine(member: &str, path: &str, snippets: &[&str]) {
    for code in snippets {
        assert_eq!(
            broken(member, path, code),
            [""; 0],
            "{member}/{path}: {code}"
        );
    }
}

#[test]
fn the_loop_may_not_name_a_request() {
    let bad = [
        "use crate::Request;",
        "use crate::{Context, Completer};",
        "fn f(steps: crate::Steps) {}",
        "struct A { group: Group }",
        "use crate::request::state;",
        "use crate::{fd, wakeup};",
        "use super::queue::Entry;",
        "type A = crate::Outcome;",
        "use super::{Context, Outcome as Other};",
        "use crate::*;",
    ];
    expect_broken("loop", "tevent", "src/fd.rs", &bad);
    expect_broken(
        "loop",
        "tevent",
        "src/poller/epoll.rs",
        &["use super::super::run;"],
    );
    let good = [
        "// A `Request` is a guest.\nuse crate::Context;",
        "/// See [`Request`](crate::Request).\nfn f() {}",
        "#[doc(alias = \"crate::request\")] fn f() {}",
        "#[cfg(test)] mod tests { use crate::Request; }",
        "fn run(request: Hidden, kind: Kind) { self.queue.run(); let group = self::run; }",
        "enum Outcome {} fn f() -> Outcome { Phase::Kind }",
    ];
    expect_fine("tevent", "src/fd.rs", &good);
    expect_fine("tevent", "src/poller/epoll.rs", &["use super::run;"]);
    expect_fine(
        "tevent",
        "src/lib.rs",
        &["mod request; pub use request::Request;"],
    );
    expect_fine("tevent", "src/queue.rs", &["use crate::Request;"]);
    expect_fine("tevent", "src/poller/tests.rs", &["use crate::Request;"]);
}

#[test]
fn a_request_may_not_name_a_socket() {
    let bad = [
        "use tsocket::Address;",
        "fn f(stream: u8) {}",
        "use std::net::TcpStream;",
        "type A = UnixDatagram;",
        "fn socket_of() {}",
    ];
    expect_broken("request", "tevent", "src/request.rs", &bad);
    expect_broken(
        "request",
        "tevent",
        "src/queue/model.rs",
        &["struct Listener;"],
    );
    expect_broken(
        "request",
        "tevent",
        "src/request_future.rs",
        &["use std::net::UdpSocket;"],
    );
    expect_fine(
        "tevent",
        "src/request.rs",
        &["/* a socket */ fn upstream() {}", "f(\"stream\");"],
    );
    expect_fine(
        "tevent",
        "src/wake.rs",
        &["use std::os::unix::net::UnixStream;"],
    );
}

#[test]
fn a_socket_may_not_name_a_pipe() {
    let bad = [
        "use tsocket_npa::Frame;",
        "struct NamedPipe;",
        "fn open_named_pipe() {}",
        "mod npa {}",
    ];
    for (member, path) in [
        ("tevent", "src/wake.rs"),
        ("tsocket", "src/stream.rs"),
        ("tsocket-bsd", "src/pair.rs"),
    ] {
        expect_broken("pipe", member, path, &bad);
        expect_fine(
            member,
            path,
            &["use rustix::pipe::pipe;", "// npa\nf(\"named pipe\");"],
        );
    }
    expect_fine("tsocket-npa", "src/frame.rs", &bad);
}

#[test]
fn bsd_sockets_are_named_from_above_only() {
    let bad = [
        "use tsocket_bsd::connect;",
        "fn f() { ::tsocket_bsd::tcp() }",
    ];
    expect_broken("bsd", "tsocket", "src/address.rs", &bad);
    expect_broken("bsd", "tsocket-npa", "src/frame.rs", &bad);
    expect_fine("tsocket-npa", "src/connect.rs", &bad);
    expect_fine("examples", "src/bin/echod.rs", &bad);
}

#[test]
fn every_file_of_tevent_belongs_to_a_room() {
    expect_broken("room", "tevent", "src/misc.rs", &["fn f() {}"]);
    expect_broken("room", "tevent", "src/misc/more.rs", &["fn f() {}"]);
    expect_fine("tsocket", "src/misc.rs", &["fn f() {}"]);
    let sample = |path| Source::sample("tevent", path, "");
    let empty = empty_rooms(&[sample("src/fd/table.rs"), sample("src/queue.rs")]);
    assert!(
        empty.contains(&"timer") && empty.contains(&"steps"),
        "{empty:?}"
    );
    assert!(
        !empty.contains(&"fd") && !empty.contains(&"queue"),
        "{empty:?}"
    );
}

#[test]
fn unsafe_code_stands_in_sys_only() {
    let bad = [
        "fn f() { unsafe { g() } }",
        "unsafe impl Send for A {}",
        "#[cfg(test)] mod tests { unsafe fn f() {} }",
    ];
    expect_broken("unsafe", "tsocket", "src/stream.rs", &bad);
    expect_broken("unsafe", "tests", "it/main.rs", &bad);
    expect_fine("tevent", "src/sys.rs", &bad);
    expect_fine("tsocket-bsd", "src/pair/sys.rs", &bad);
    let good = [
        "#![forbid(unsafe_code)]",
        "// unsafe\nf(\"unsafe\", r#\"unsafe\"#, 'u');",
    ];
    expect_fine("tsocket", "src/stream.rs", &good);
}

#[test]
fn the_c_library_is_seen_in_sys_only() {
    let bad = [
        "use libc::c_int;",
        "fn f() -> u8 { libc::SIGTERM }",
        "use {std::io, libc};",
    ];
    expect_broken("libc", "tevent", "src/signal.rs", &bad);
    expect_broken("libc", "examples", "src/bin/echod.rs", &bad);
    expect_fine("tevent", "src/sys.rs", &bad);
    expect_fine(
        "tevent",
        "src/signal.rs",
        &["/// `libc::SIGTERM`\nfn f() {}"],
    );
}

#[test]
fn a_library_neither_prints_nor_exits() {
    let bad = [
        "fn f() { println!(\"a\") }",
        "fn f() { std::print!(\"a\") }",
        "fn f() { eprintln!() }",
        "fn f() { eprint![\"a\"] }",
        "fn f() { let a = dbg!(b); }",
        "use std::io::{self, stderr};",
        "fn f() { std::io::stdout().lock() }",
    ];
    expect_broken("print", "tevent", "src/stats.rs", &bad);
    let bad = [
        "use std::process::exit;",
        "fn f() { std::process::abort() }",
    ];
    expect_broken("exit", "tsocket-bsd", "src/listen.rs", &bad);
    let good = [
        "fn f() { if print != b { g(\"println!()\") } }",
        "#[cfg(test)] mod tests { fn f() { println!(\"a\"); } }",
        "/// println!(\"a\")\nfn f() { process.exit(); }",
    ];
    expect_fine("tevent", "src/stats.rs", &good);
    expect_fine(
        "examples",
        "src/bin/echod.rs",
        &["fn f() { println!(); std::process::exit(1) }"],
    );
}

#[test]
fn only_the_clock_reads_the_time() {
    let bad = [
        "fn f() { Instant::now() }",
        "fn f() { std::time::SystemTime::now() }",
    ];
    expect_broken("clock", "tevent", "src/timer.rs", &bad);
    expect_broken("clock", "tsocket", "src/stream.rs", &bad);
    expect_fine("tevent", "src/clock.rs", &bad);
    expect_fine("tests", "it/main.rs", &bad);
    expect_fine(
        "tevent",
        "src/timer.rs",
        &["fn f() { self.clock.now(); Instant::checked_add }"],
    );
}

#[test]
fn only_the_pool_starts_threads() {
    let bad = [
        "fn f() { std::thread::spawn(g) }",
        "use std::thread::{self, Builder};",
        "fn f() { thread::scope(g) }",
    ];
    expect_broken("threads", "tevent", "src/remote.rs", &bad);
    expect_broken("threads", "tsocket-bsd", "src/resolve.rs", &bad);
    expect_fine("tsocket-bsd", "src/pool.rs", &bad);
    expect_fine("tests", "it/main.rs", &bad);
    let good = [
        "fn f() { ctx.spawn(g); thread::current() }",
        "#[cfg(test)] fn f() { thread::spawn(g) }",
    ];
    expect_fine("tevent", "src/remote.rs", &good);
}

#[test]
fn a_file_opens_with_its_sentence() {
    let survey = Survey::default();
    for text in [
        "",
        "//!\n",
        "//! \n",
        "// A sample.\n",
        "\n//! A sample.\n",
        "fn f() {}\n",
    ] {
        let offences = check(&Source::sample("tests", "it/main.rs", text), &survey);
        assert_eq!(offences.len(), 1, "{text:?}: {offences:?}");
        assert_eq!((offences[0].rule, offences[0].line), ("header", 1));
    }
}

#[test]
fn a_file_has_at_most_500_lines() {
    expect_fine("tests", "it/main.rs", &["\n".repeat(499).as_str()]);
    expect_broken(
        "length",
        "tests",
        "it/main.rs",
        &["\n".repeat(500).as_str()],
    );
}
