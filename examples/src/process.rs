//! How a daemon starts, speaks and ends.

use std::fmt::Display;
use std::io::{self, Write as _};
use std::process::ExitCode;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Runs a daemon's `main`; an error becomes one line on standard error, and status 1.
pub fn run(name: &str, main: impl FnOnce() -> Result<(), String>) -> ExitCode {
    match main() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(format_args!("{name}: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// Prints one line on standard output, at once; whoever closed it does not want to know.
pub fn announce(line: impl Display) {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).ok();
}

/// Says where a daemon listens, now that it does.
pub fn announce_listening(addresses: &[String]) {
    for address in addresses {
        announce(format_args!("listening on {address}"));
    }
}

/// Prints one line on standard error; if nobody reads it, nobody is missing it.
pub fn complain(line: impl Display) {
    writeln!(io::stderr().lock(), "{line}").ok();
}

/// Raises the soft limit of open descriptors to the hard one, and returns it.
#[must_use]
pub fn raise_descriptor_limit() -> usize {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    let current = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        // What we have is good enough to run with.
        Err(_) => limit.current,
    };
    current
        .and_then(|limit| usize::try_from(limit).ok())
        .unwrap_or(usize::MAX)
}
