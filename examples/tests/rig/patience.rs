//! Waiting with a limit, and how much to do.

use std::thread;
use std::time::{Duration, Instant};

/// How long a test waits for something that should happen at once; generous, for busy machines.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);

/// How often [`until`] looks again.
const INTERVAL: Duration = Duration::from_millis(5);

#[expect(
    clippy::disallowed_methods,
    reason = "the daemon is another process: its time is real time"
)]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Repeats `attempt` until it gives a value; it fails with what is in the way.
#[track_caller]
pub(crate) fn until<T>(
    what: &str,
    limit: Duration,
    mut attempt: impl FnMut() -> Result<T, String>,
) -> T {
    let deadline = now() + limit;
    loop {
        match attempt() {
            Ok(value) => return value,
            Err(state) if now() >= deadline => panic!("{what}: not within {limit:?}; {state}"),
            // Nobody tells when a figure in /proc changes, so this looks again after a while.
            Err(_) => thread::park_timeout(INTERVAL),
        }
    }
}

/// The small count by default, the full one with `TEVENT_SCALE=full`.
pub(crate) fn scale<T>(small: T, full: T) -> T {
    match std::env::var("TEVENT_SCALE") {
        Ok(scale) if scale == "full" => full,
        Ok(scale) if !scale.is_empty() => panic!("TEVENT_SCALE is `{scale}`, not `full` or unset"),
        _ => small,
    }
}

/// Says something that a reader of the test's output wants to know (`--nocapture` shows it).
#[expect(
    clippy::print_stdout,
    reason = "the harness shows it when asked to or when the test fails"
)]
pub(crate) fn tell(line: &str) {
    println!("{line}");
}
