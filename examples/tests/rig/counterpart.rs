//! The programs that others use with such daemons: curl, logger, wrk, redis.

use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

use super::patience::{LIMIT, tell, until};

/// Where the program is; nothing if this machine has it not, which ends a test early, unless
/// `TEVENT_COUNTERPARTS=required` says that all have to be here.
#[track_caller]
pub(crate) fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        // Daemons are not in everybody's path.
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .map(|directory| directory.join(name))
        .find(|program| program.is_file());
    if found.is_none() {
        let is_required =
            std::env::var_os("TEVENT_COUNTERPARTS").is_some_and(|value| value == "required");
        assert!(!is_required, "{name} is not installed");
        tell(&format!("left out: {name} is not installed"));
    }
    found
}

/// Runs a program to its end, which has to come soon.
#[track_caller]
pub(crate) fn run(command: &mut Command) -> Output {
    let child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program was found");
    Running(child).finish()
}

/// A program that is killed and waited for if the test ends before it.
pub(crate) struct Running(pub(crate) Child);

impl Running {
    /// Waits for its end, and takes what it has said; that has to fit into a pipe.
    #[track_caller]
    pub(crate) fn finish(mut self) -> Output {
        use std::io::Read as _;
        let status = until("the program ends", LIMIT, || {
            let status = self.0.try_wait().expect("it is our child");
            status.ok_or_else(|| "it still runs".to_owned())
        });
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        if let Some(mut pipe) = self.0.stdout.take() {
            pipe.read_to_end(&mut stdout).expect("a pipe can be read");
        }
        if let Some(mut pipe) = self.0.stderr.take() {
            pipe.read_to_end(&mut stderr).expect("a pipe can be read");
        }
        Output {
            status,
            stdout,
            stderr,
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only if it has ended and was waited for.
        self.0.kill().ok();
        self.0.wait().ok();
    }
}
