//! What Linux's `/proc` tells about a process.

use std::fs;
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, getrlimit, setrlimit};

use super::patience::{LIMIT, now, until};

/// Descriptors that the harness and the tests that run at the same time need besides.
const SPARE_DESCRIPTORS: u64 = 500;

/// The number of open descriptors.
pub(super) fn descriptors(pid: Pid) -> usize {
    fs::read_dir(path(pid, "fd"))
        .expect("/proc shows the daemon's descriptors")
        .count()
}

/// The resident memory in KiB.
pub(super) fn memory(pid: Pid) -> u64 {
    status_number(&path(pid, "status"), "VmRSS:")
}

/// How busy a process has been: it stays the same exactly while the process does nothing.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Activity {
    cpu_ticks: u64,
    context_switches: u64,
}

impl Activity {
    pub(super) fn of(pid: Pid) -> Self {
        let mut context_switches = 0;
        for thread in fs::read_dir(path(pid, "task")).expect("/proc shows the daemon's threads") {
            let thread = thread.expect("/proc shows the daemon's threads").path();
            let status = format!("{}/status", thread.display());
            context_switches += status_number(&status, "voluntary_ctxt_switches:");
        }
        let stat = fs::read_to_string(path(pid, "stat")).expect("/proc shows the daemon's times");
        // The second field is the name in parentheses, which may hold anything; see proc_pid_stat(5).
        let (_, after_name) = stat
            .rsplit_once(')')
            .expect("the name stands in parentheses");
        let mut times = after_name
            .split_whitespace()
            .skip(11)
            .map(str::parse::<u64>);
        let mut time = || {
            times
                .next()
                .and_then(Result::ok)
                .expect("utime and stime are numbers")
        };
        Self {
            cpu_ticks: time() + time(),
            context_switches,
        }
    }
}

/// Waits until the daemon has come to rest, then checks that `wait` passes without it doing anything.
///
/// `wait` must take some hundred milliseconds, in which nobody sends it anything.
#[track_caller]
pub(super) fn expect_idle(pid: Pid, wait: impl FnOnce()) {
    let before = until("the daemon comes to rest", LIMIT, || {
        let seen = Activity::of(pid);
        pass(Duration::from_millis(30));
        let after = Activity::of(pid);
        if after == seen {
            Ok(after)
        } else {
            Err(format!("it went from {seen:?} to {after:?}"))
        }
    });
    wait();
    let after = Activity::of(pid);
    assert_eq!(after, before, "the idle daemon did something");
}

/// Lets `span` pass while nothing is expected to happen.
pub(super) fn pass(span: Duration) {
    let deadline = now() + span;
    while let Some(rest) = deadline
        .checked_duration_since(now())
        .filter(|rest| !rest.is_zero())
    {
        thread::park_timeout(rest);
    }
}

/// Raises the soft limit of descriptors to the hard one if `count` connections need it.
#[track_caller]
pub(super) fn ensure_descriptors(count: u64) {
    // TCP and unix streams are tested at the same time.
    let needed = 2 * count + SPARE_DESCRIPTORS;
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= needed) {
        return;
    }
    setrlimit(
        Resource::Nofile,
        Rlimit {
            current: limit.maximum,
            maximum: limit.maximum,
        },
    )
    .expect("the soft limit may be raised to the hard one");
    if let Some(hard) = limit.maximum.filter(|&hard| hard < needed) {
        panic!(
            "{count} connections need {needed} descriptors, the hard limit is {hard} (ulimit -Hn)"
        );
    }
}

fn path(pid: Pid, file: &str) -> String {
    format!("/proc/{}/{file}", pid.as_raw_nonzero())
}

fn status_number(path: &str, key: &str) -> u64 {
    let status = fs::read_to_string(path).unwrap_or_else(|err| panic!("{path}: {err}"));
    status
        .lines()
        .find_map(|line| line.strip_prefix(key))
        .and_then(|value| value.split_whitespace().next()?.parse().ok())
        .unwrap_or_else(|| panic!("{path} has no number after `{key}`:\n{status}"))
}
