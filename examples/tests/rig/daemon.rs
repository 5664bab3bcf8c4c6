//! A running daemon, from its start to its end.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::patience::{LIMIT, now, until};

/// How the line begins that ends a dump of outstanding requests.
const DUMP_END: &str = "end of dump";

/// A kind of address that `--listen` takes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    Tcp,
    /// Its clients see what is on the wire.
    Tls,
    Unix,
    Udp,
    UnixDatagram,
}

impl Kind {
    /// What stands before the colon.
    pub(crate) fn prefix(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Unix => "unix",
            Self::Udp => "udp",
            Self::UnixDatagram => "unixgram",
        }
    }
}

/// A daemon of this package.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Program {
    pub(crate) name: &'static str,
    pub(crate) path: &'static str,
}

pub(crate) const ECHOD: Program = Program {
    name: "echod",
    path: env!("CARGO_BIN_EXE_echod"),
};

/// A running daemon; it is killed and waited for when this is dropped.
#[derive(Debug)]
pub(crate) struct Daemon {
    program: Program,
    child: Child,
    directory: TempDir,
    banner: Vec<String>,
    stdout: Receiver<String>,
    stderr: Receiver<String>,
    /// What was taken from `stderr`, to be shown when the test fails.
    said: Vec<String>,
}

impl Daemon {
    /// Starts `echod` with one address of each of `kinds`, and waits until it listens.
    #[track_caller]
    pub(crate) fn listening(kinds: &[Kind], options: &[&str]) -> Self {
        Self::of(ECHOD, kinds, options)
    }

    /// Starts `program` with one address of each of `kinds`, and waits until it listens.
    #[track_caller]
    pub(crate) fn of(program: Program, kinds: &[Kind], options: &[&str]) -> Self {
        let directory = temporary_directory();
        let mut args = Vec::new();
        for kind in kinds {
            args.push("--listen".to_owned());
            args.push(match kind {
                Kind::Tcp | Kind::Tls | Kind::Udp => format!("{}:127.0.0.1:0", kind.prefix()),
                Kind::Unix | Kind::UnixDatagram => {
                    format!("{0}:{1}/{0}", kind.prefix(), directory.path().display())
                }
            });
        }
        args.extend(options.iter().map(|&option| option.to_owned()));
        let mut daemon = Self::spawn(program, &args, directory);
        daemon.expect_listening(kinds.len());
        daemon
    }

    /// Starts `echod` with exactly `args`, and does not wait.
    #[track_caller]
    pub(crate) fn with_arguments(args: &[&str]) -> Self {
        Self::start(ECHOD, args)
    }

    /// Starts `program` with exactly `args`, and does not wait.
    #[track_caller]
    pub(crate) fn start(program: Program, args: &[&str]) -> Self {
        Self::spawn(program, args, temporary_directory())
    }

    /// Starts `echod` as a service manager does that passes it one socket, and does not wait.
    #[track_caller]
    pub(crate) fn managed(passed: Stdio, args: &[&str]) -> Self {
        let script = "LISTEN_PID=$$ LISTEN_FDS=1 exec \"$0\" \"$@\" 3<&0 </dev/null";
        let mut shell = Command::new("/bin/sh");
        shell
            .args(["-c", script, ECHOD.path])
            .args(args)
            .stdin(passed);
        Self::spawn_command(ECHOD, shell, temporary_directory())
    }

    #[track_caller]
    fn spawn(program: Program, args: &[impl AsRef<OsStr>], directory: TempDir) -> Self {
        let mut command = Command::new(program.path);
        command.args(args).stdin(Stdio::null());
        Self::spawn_command(program, command, directory)
    }

    #[track_caller]
    fn spawn_command(program: Program, mut command: Command, directory: TempDir) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it was built and can be started");
        let stdout = lines_of(child.stdout.take().expect("its standard output is a pipe"));
        let stderr = lines_of(child.stderr.take().expect("its standard error is a pipe"));
        Self {
            program,
            child,
            directory,
            banner: Vec::new(),
            stdout,
            stderr,
            said: Vec::new(),
        }
    }

    /// Takes lines of its standard output until `count` addresses are announced.
    #[track_caller]
    pub(crate) fn expect_listening(&mut self, count: usize) {
        if let Err(complaint) = self.try_listening(count) {
            panic!(
                "{} ended before it listened; stderr: {complaint}",
                self.program.name
            );
        }
    }

    /// Like [`expect_listening`](Self::expect_listening), but gives back its complaint if it ended.
    #[track_caller]
    pub(crate) fn try_listening(&mut self, count: usize) -> Result<(), String> {
        while self.announced().count() < count {
            let line = self.output("its `listening on` lines");
            let Some(line) = line else {
                return Err(rest(&self.stderr).join("\n"));
            };
            self.banner.push(line);
        }
        Ok(())
    }

    /// The next line of its standard output; nothing if it has ended.
    #[track_caller]
    pub(crate) fn output(&mut self, what: &str) -> Option<String> {
        match self.stdout.recv_timeout(LIMIT) {
            Ok(line) => Some(line),
            Err(RecvTimeoutError::Timeout) => panic!("{} does not print {what}", self.program.name),
            Err(RecvTimeoutError::Disconnected) => None,
        }
    }

    /// The next line of its standard error.
    #[track_caller]
    pub(crate) fn next_complaint(&mut self, what: &str) -> String {
        match self.stderr.recv_timeout(LIMIT) {
            Ok(line) => {
                self.said.push(line.clone());
                line
            }
            Err(RecvTimeoutError::Timeout) => {
                panic!("{} does not print {what} on stderr", self.program.name)
            }
            Err(RecvTimeoutError::Disconnected) => {
                panic!("{} ended before it printed {what}", self.program.name)
            }
        }
    }

    /// What it has said on its standard error since the last look.
    pub(crate) fn complaints(&mut self) -> Vec<String> {
        let lines: Vec<_> = self.stderr.try_iter().collect();
        self.said.extend(lines.iter().cloned());
        lines
    }

    /// The dump of outstanding requests, which a signal asks for: its lines without the end marker.
    #[track_caller]
    pub(crate) fn dump(&mut self) -> Vec<String> {
        self.signal(Signal::USR1);
        self.next_dump()
    }

    /// The dump that comes next: each thread prints one.
    #[track_caller]
    pub(crate) fn next_dump(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        loop {
            let line = self.next_complaint("a dump that ends");
            if line.starts_with(DUMP_END) {
                return lines;
            }
            lines.push(line);
        }
    }

    #[track_caller]
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).expect("a child that was not waited for can be signalled");
    }

    /// Stops it in its tracks, so that what happens meanwhile reaches it at once after [`resume`](Self::resume).
    #[track_caller]
    pub(crate) fn pause(&self) {
        self.signal(Signal::STOP);
        let stat = format!("/proc/{}/stat", self.child.id());
        until("the daemon is stopped", LIMIT, || {
            let stat = std::fs::read_to_string(&stat).expect("/proc shows the daemon's state");
            let (_, state) = stat.rsplit_once(") ").expect("the state follows the name");
            if state.starts_with('T') {
                Ok(())
            } else {
                Err(format!("its state: {state}"))
            }
        });
    }

    #[track_caller]
    pub(crate) fn resume(&self) {
        self.signal(Signal::CONT);
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Waits for its end.
    #[track_caller]
    pub(crate) fn expect_exit(&mut self, limit: Duration) -> ExitStatus {
        until("the daemon ends", limit, || {
            let status = self.child.try_wait().expect("it is our child");
            status.ok_or_else(|| "it still runs".to_owned())
        })
    }

    /// Runs `echod` to its end: the status, and what it wrote to its standard output and standard error.
    #[track_caller]
    pub(crate) fn run_to_end(args: &[impl AsRef<OsStr>]) -> (ExitStatus, Vec<String>, Vec<String>) {
        Self::run(ECHOD, args)
    }

    /// Runs `program` to its end: the status, and what it wrote to its standard output and standard
    /// error.
    #[track_caller]
    pub(crate) fn run(
        program: Program,
        args: &[impl AsRef<OsStr>],
    ) -> (ExitStatus, Vec<String>, Vec<String>) {
        let mut daemon = Self::spawn(program, args, temporary_directory());
        let status = daemon.expect_exit(LIMIT);
        (status, rest(&daemon.stdout), rest(&daemon.stderr))
    }

    /// What it printed until it listened.
    pub(crate) fn banner(&self) -> &[String] {
        &self.banner
    }

    /// The announced addresses, with their prefixes.
    pub(crate) fn announced(&self) -> impl Iterator<Item = &str> {
        self.banner
            .iter()
            .filter_map(|line| line.strip_prefix("listening on "))
    }

    /// The announced TCP or UDP address.
    #[track_caller]
    pub(crate) fn inet_address(&self, kind: Kind) -> SocketAddr {
        let text = self.address(kind);
        text.parse()
            .unwrap_or_else(|err| panic!("`{text}` is not an address and port: {err}"))
    }

    /// The announced socket file.
    #[track_caller]
    pub(crate) fn path(&self, kind: Kind) -> PathBuf {
        PathBuf::from(self.address(kind))
    }

    /// A path for a socket of the test.
    pub(crate) fn own_path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    #[track_caller]
    fn address(&self, kind: Kind) -> &str {
        let prefix = kind.prefix();
        self.announced()
            .find_map(|address| address.strip_prefix(prefix)?.strip_prefix(':'))
            .unwrap_or_else(|| panic!("no `listening on {prefix}:` line in {:?}", self.banner))
    }
}

impl Drop for Daemon {
    #[expect(
        clippy::print_stderr,
        reason = "a failing test shows what the daemon had to say"
    )]
    fn drop(&mut self) {
        // Both fail only if it has ended and was waited for, which is what they are for.
        self.child.kill().ok();
        self.child.wait().ok();
        if thread::panicking() {
            self.said.extend(rest(&self.stderr));
            eprintln!(
                "{}'s standard output: {:?}, its standard error:",
                self.program.name, self.banner
            );
            for line in &self.said {
                eprintln!("  {line}");
            }
        }
    }
}

/// A new directory with a short path: a socket's path has at most 107 bytes.
#[track_caller]
pub(crate) fn temporary_directory() -> TempDir {
    tempfile::Builder::new()
        .prefix("tevent")
        .tempdir()
        .expect("there is room for a directory")
}

/// The lines of a process that has ended.
fn rest(lines: &Receiver<String>) -> Vec<String> {
    let deadline = now() + LIMIT;
    std::iter::from_fn(|| {
        lines
            .recv_timeout(deadline.saturating_duration_since(now()))
            .ok()
    })
    .collect()
}

/// Takes lines from a pipe as they come, so that the daemon never waits for the test.
fn lines_of(pipe: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(pipe).split(b'\n').map_while(Result::ok) {
            if sender
                .send(String::from_utf8_lossy(&line).into_owned())
                .is_err()
            {
                break;
            }
        }
    });
    receiver
}
