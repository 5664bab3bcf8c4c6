//! Shared verbs of the tests.

pub mod contract;
mod log;
pub mod npa;
mod random;
#[path = "../../tsocket/examples/security_layer/layer.rs"]
pub mod security_layer;
mod signals;
#[cfg(target_os = "linux")]
mod sys;
pub mod tls;

use std::any::Any;
use std::env;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::panic::{self, AssertUnwindSafe};
use std::process::Command;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

pub use log::{Drops, Log, Tattle, expect_order};
pub use random::Random;
#[cfg(target_os = "linux")]
pub use signals::raise_with_value;
pub use signals::{alone_with_signals, raise};
pub use tsocket::contract::{expect_errno, settle};

use tevent::Context;

/// The code in the README.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct Readme;

/// How long a story may take before it counts as hung.
const LIMIT: Duration = Duration::from_secs(120);

/// Runs `story` as the test `name` in a process of its own: other tests open and close descriptors of
/// this one all the time.
///
/// # Panics
/// If the story does.
#[track_caller]
pub fn alone(name: &str, story: impl FnOnce()) {
    /// Set in the process of its own.
    const ALONE: &str = "TEVENT_TESTS_ALONE";

    if env::var_os(ALONE).is_some() {
        story();
        return;
    }
    let program = env::current_exe().expect("a test knows its program");
    let alone = Command::new(program)
        .args(["--exact", name])
        .env(ALONE, "1")
        .output()
        .expect("the test can be run again");
    let text = String::from_utf8_lossy(&alone.stdout);
    assert!(
        alone.status.success() && text.contains("1 passed"),
        "{text}{}",
        String::from_utf8_lossy(&alone.stderr)
    );
}

/// How many descriptors this process has open.
#[must_use]
pub fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").map_or(0, Iterator::count)
}

/// Runs `story` in a thread of its own, and fails if it takes too long.
///
/// # Panics
/// If the story does, or does not end.
#[track_caller]
pub fn within_limit(story: impl FnOnce() + Send + 'static) {
    let (sender, receiver) = mpsc::channel();
    let thread = thread::spawn(move || {
        let ended = panic::catch_unwind(AssertUnwindSafe(story));
        sender.send(ended).ok();
    });
    match receiver.recv_timeout(LIMIT) {
        Ok(ended) => {
            thread.join().expect("a story that panics is caught");
            ended.unwrap_or_else(|panic| panic::resume_unwind(panic));
        }
        Err(_) => panic!("the story did not end within {LIMIT:?}"),
    }
}

/// The back ends that watch no descriptors and pass no time: they have no kernel.
const WITHOUT_KERNEL: [&str; 1] = ["sim"];

/// The names of the back ends of this platform that have a kernel.
pub fn kernel_backends() -> impl Iterator<Item = &'static str> {
    let all = Context::backend_list().iter().copied();
    all.filter(|name| !WITHOUT_KERNEL.contains(name))
}

/// Tells `story` once on each back end of this platform that has a kernel, each within the time limit.
///
/// # Panics
/// If a story does, or does not end.
#[track_caller]
pub fn on_every_backend(story: impl Fn(&Context) + Clone + Send + 'static) {
    kernel_backends().for_each(|name| tell(&story, name));
}

/// Tells `story` once on each back end there is, `sim` included, each within the time limit.
///
/// For stories that need no descriptor, and no timer that keeps the loop waiting for somebody outside.
///
/// # Panics
/// If a story does, or does not end.
#[track_caller]
pub fn everywhere(story: impl Fn(&Context) + Clone + Send + 'static) {
    let backends = Context::backend_list().iter();
    backends.for_each(|name| tell(&story, name));
}

#[track_caller]
fn tell(story: &(impl Fn(&Context) + Clone + Send + 'static), backend: &'static str) {
    let story = story.clone();
    within_limit(move || {
        let ctx = Context::with_backend(backend).expect("a listed back end can be made");
        assert_eq!(ctx.backend(), backend);
        story(&ctx);
    });
}

/// Runs `ctx` until nothing is ready and expects that nobody has written to `log`.
///
/// # Panics
/// If somebody has.
#[track_caller]
pub fn expect_silence(ctx: &Context, log: &Log) {
    settle(ctx);
    expect_order(log, &[]);
}

/// Runs `ctx` until `is_reached` says so.
///
/// # Panics
/// If the loop fails, or nothing is left that could get there.
#[track_caller]
pub fn run_to(ctx: &Context, mut is_reached: impl FnMut() -> bool) {
    while !is_reached() {
        let waits = ctx.stats().waits;
        let has_run = ctx.run_once().expect("the loop runs");
        let has_waited = ctx.stats().waits > waits;
        assert!(
            has_run || has_waited || is_reached(),
            "nothing is left that could happen"
        );
    }
}

/// Calls `action`, which has to panic, and returns what it panicked with.
///
/// # Panics
/// If `action` does not.
#[track_caller]
pub fn expect_panic<R>(action: impl FnOnce() -> R) -> String {
    let Err(panic) = panic::catch_unwind(AssertUnwindSafe(action)) else {
        panic!("there was no panic");
    };
    text_of(&*panic)
}

fn text_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_default()
}

/// Two connected stream sockets that do not block.
///
/// # Panics
/// If the system has none.
#[must_use]
pub fn socket_pair() -> (UnixStream, UnixStream) {
    let (near, far) = UnixStream::pair().expect("the system has a socket pair");
    for end in [&near, &far] {
        end.set_nonblocking(true).expect("a socket can do that");
    }
    (near, far)
}

/// Writes one byte, for which there has to be room.
///
/// # Panics
/// If there is none.
#[track_caller]
pub fn write_byte(mut socket: &UnixStream) {
    socket.write_all(b"!").expect("there is room for a byte");
}

/// Reads one byte, which has to be there.
///
/// # Panics
/// If it is not.
#[track_caller]
pub fn read_byte(mut socket: &UnixStream) {
    let mut byte = [0];
    socket.read_exact(&mut byte).expect("a byte has arrived");
}

/// `full` if the environment asks for the full form (`TEVENT_SCALE=full`), otherwise `usual`.
#[must_use]
pub fn scaled(usual: usize, full: usize) -> usize {
    match env::var("TEVENT_SCALE").as_deref() {
        Ok("full") => full,
        _ => usual,
    }
}
