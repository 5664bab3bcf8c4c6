//! Starts `npad` and `whoamid`, and talks to them with `npcat`.

use std::fs;
use std::io::{self, BufRead as _, BufReader, ErrorKind, Read, Write as _};
use std::os::unix::fs::PermissionsExt as _;
#[cfg(target_os = "linux")]
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tevent::Context;
use tsocket_npa::codec::Sid;
use tsocket_npa::{Identity, Levels, PipeName, connect};

const NPAD: &str = env!("CARGO_BIN_EXE_npad");
const NPCAT: &str = env!("CARGO_BIN_EXE_npcat");
const WHOAMID: &str = env!("CARGO_BIN_EXE_whoamid");

/// How long anything may take before it counts as hung.
const LIMIT: Duration = Duration::from_secs(60);

/// A place for socket files.
fn place() -> (TempDir, PathBuf) {
    let temporary = tempfile::tempdir().expect("there is room for a directory");
    let directory = temporary.path().join("np");
    (temporary, directory)
}

/// What comes out of a process, a line or some bytes at a time.
fn pieces_of<P: Send + 'static>(
    mut next: impl FnMut() -> Option<P> + Send + 'static,
) -> Receiver<P> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(
        move || {
            while next().is_some_and(|piece| sender.send(piece).is_ok()) {}
        },
    );
    receiver
}

fn lines_of(output: impl Read + Send + 'static) -> Receiver<String> {
    let mut lines = BufReader::new(output).lines();
    pieces_of(move || lines.next()?.ok())
}

#[track_caller]
fn next<P>(pieces: &Receiver<P>, what: &str) -> P {
    let piece = pieces.recv_timeout(LIMIT);
    piece.unwrap_or_else(|error| panic!("waiting for {what}: {error}"))
}

/// A running daemon; it is killed and waited for when this is dropped.
struct Daemon {
    child: Child,
    errors: Receiver<String>,
}

impl Daemon {
    /// Starts `program` for `pipe` in `directory`, and waits until it listens.
    #[track_caller]
    fn start(program: &str, directory: &Path, pipe: &str, options: &[&str]) -> Self {
        let mut child = Command::new(program)
            .arg("--np-dir")
            .arg(directory)
            .args(["--pipe", pipe])
            .args(options)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it was built and can be started");
        let output = lines_of(child.stdout.take().expect("its output is a pipe"));
        let errors = lines_of(child.stderr.take().expect("its errors are a pipe"));
        let socket = directory.join(pipe.to_lowercase());
        let expected = format!("listening on npa:{}", socket.display());
        assert_eq!(next(&output, "the line that it listens"), expected);
        Self { child, errors }
    }

    #[track_caller]
    fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.child.id()).expect("an id is positive");
        let id = Pid::from_raw(id).expect("an id is positive");
        kill_process(id, signal).expect("it runs");
    }

    /// Asks it to end, and waits for that.
    #[track_caller]
    fn stop(mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.child.wait().expect("it can be waited for")
    }

    #[track_caller]
    fn error_line(&self) -> String {
        next(&self.errors, "a line on standard error")
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Whoever has ended needs no signal.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// A running `npcat`.
struct Cat {
    child: Child,
    input: Option<ChildStdin>,
    output: Receiver<Vec<u8>>,
}

impl Cat {
    fn start(socket: &Path, options: &[&str]) -> Self {
        let mut child = Command::new(NPCAT)
            .args(["--connect", &format!("npa:{}", socket.display())])
            .args(["--linger", "0.01"])
            .args(options)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it was built and can be started");
        let input = child.stdin.take();
        let mut output = child.stdout.take().expect("its output is a pipe");
        let output = pieces_of(move || {
            let mut bytes = vec![0; 1 << 16];
            let len = output.read(&mut bytes).ok().filter(|len| *len > 0)?;
            bytes.truncate(len);
            Some(bytes)
        });
        Self {
            child,
            input,
            output,
        }
    }

    #[track_caller]
    fn send(&mut self, bytes: &[u8]) {
        let input = self.input.as_mut().expect("its input is open");
        input.write_all(bytes).expect("it reads");
    }

    #[track_caller]
    fn read(&self) -> Vec<u8> {
        next(&self.output, "what the pipe answers")
    }

    #[track_caller]
    fn read_exactly(&self, len: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        while bytes.len() < len {
            bytes.extend(self.read());
        }
        bytes
    }

    /// Ends its input, and waits for its end.
    fn end(mut self) -> ExitStatus {
        drop(self.input.take());
        self.child.wait().expect("it can be waited for")
    }
}

fn run(program: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null());
    command.output().expect("it was built and can be started")
}

/// Expects `program` to complain in one line that contains `words`, with status 1.
#[track_caller]
fn expect_complaint(program: &str, arguments: &[&str], words: &str) {
    let output = run(program, arguments);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {errors}");
    assert!(output.stdout.is_empty());
    assert!(errors.contains(words), "{errors}");
    assert_eq!(errors.lines().count(), 1, "{errors}");
}

#[test]
fn each_explains_itself() {
    for (program, words) in [
        (
            NPAD,
            ["--np-dir", "65535", "10 seconds", "--max-connections"],
        ),
        (WHOAMID, ["--pipe", "1 MiB", "--idle-timeout", "8 seconds"]),
        (NPCAT, ["--connect", "--level", "65535", "default: 10"]),
    ] {
        let output = run(program, &["--help"]);
        assert!(output.status.success() && output.stderr.is_empty());
        let text = String::from_utf8_lossy(&output.stdout);
        for word in words {
            assert!(text.contains(word), "{program}: {word}");
        }
        assert!(text.lines().all(|line| line.len() <= 100));
    }
}

#[test]
fn what_is_wrong_is_said_in_one_line() {
    let (temporary, directory) = place();
    let np = directory.to_str().unwrap();
    let good = ["--np-dir", np, "--pipe", "echo"];
    expect_complaint(NPAD, &["--pipe", "echo"], "--np-dir is missing");
    expect_complaint(NPAD, &["--np-dir", np], "--pipe is missing");
    expect_complaint(NPAD, &[&good[..], &["--what"]].concat(), "--what");
    expect_complaint(NPAD, &[&good[..], &["--mode", "other"]].concat(), "'other'");
    expect_complaint(NPAD, &[&good[..], &["--allow-uid", "me"]].concat(), "'me'");
    for name in ["..", ".", "a/b", "", &"n".repeat(200)] {
        let words = format!("--pipe '{name}': the name of a pipe");
        expect_complaint(NPAD, &["--np-dir", np, "--pipe", name], &words);
    }
    expect_complaint(NPCAT, &[], "--connect is missing");
    expect_complaint(NPCAT, &["--connect", np], "expected npa:PATH");
    let nowhere = format!("npa:{np}/nothing");
    expect_complaint(NPCAT, &["--connect", &nowhere], "No such file");
    let unknown = ["--connect", &nowhere, "--as", "nobody at all"];
    expect_complaint(NPCAT, &unknown, "there is no account 'nobody at all'");
    let level = ["--connect", &nowhere, "--level", "6"];
    expect_complaint(NPCAT, &level, "known are 4, 5, 7, 8 and auto");
    drop(temporary);
}

#[test]
fn a_directory_that_others_could_enter_is_refused() {
    let (temporary, directory) = place();
    fs::create_dir(&directory).unwrap();
    fs::set_permissions(&directory, fs::Permissions::from_mode(0o750)).unwrap();
    let arguments = ["--np-dir", directory.to_str().unwrap(), "--pipe", "echo"];
    expect_complaint(NPAD, &arguments, "np has mode 0750, it has to have 0700");
    drop(temporary);
}

#[test]
fn messages_come_back_as_messages_and_the_line_says_who_it_was() {
    let (_temporary, directory) = place();
    let npad = Daemon::start(NPAD, &directory, "Echo", &["-v"]);
    for level in ["auto", "4", "5", "7", "8"] {
        let mut cat = Cat::start(&directory.join("echo"), &["--level", level]);
        for message in ["first", "the second", "3"] {
            cat.send(message.as_bytes());
            assert_eq!(cat.read(), message.as_bytes());
        }
        assert!(cat.end().success());
        let opened = npad.error_line();
        let number = if level == "auto" { "8" } else { level };
        assert!(
            opened.starts_with("npad: echo: opened by NT AUTHORITY\\ANONYMOUS LOGON (S-1-5-7")
                && opened.ends_with(&format!("level {number}")),
            "{opened}"
        );
        let ended = npad.error_line();
        assert!(
            ended.ends_with("the peer has ended; 16 bytes echoed"),
            "{ended}"
        );
    }
    assert!(npad.stop().success());
    assert!(!directory.join("echo").exists());
}

#[test]
fn an_answer_is_waited_for_after_the_end_of_the_input() {
    let (_temporary, directory) = place();
    let whoamid = Daemon::start(WHOAMID, &directory, "whoami", &[]);
    let mut cat = Cat::start(&directory.join("whoami"), &[]);
    cat.send(b"who");
    drop(cat.input.take());
    assert!(cat.read().starts_with(b"NT AUTHORITY"));
    assert!(cat.end().success());
    let silent = Cat::start(&directory.join("whoami"), &[]);
    assert!(silent.end().success(), "nothing was asked");
    assert!(whoamid.stop().success());
}

#[test]
fn bytes_come_back_in_order() {
    let (_temporary, directory) = place();
    let npad = Daemon::start(NPAD, &directory, "bytes", &["--mode", "byte"]);
    let sent: Vec<u8> = (0..1 << 20)
        .map(|n: u32| (n >> 5).to_le_bytes()[0])
        .collect();
    let mut cat = Cat::start(&directory.join("bytes"), &[]);
    let mut input = cat.input.take().unwrap();
    let bytes = sent.clone();
    let sender = thread::spawn(move || {
        input.write_all(&bytes).expect("it reads");
        input
    });
    assert!(cat.read_exactly(sent.len()) == sent);
    cat.input = Some(sender.join().unwrap());
    assert!(cat.end().success());
    assert!(npad.stop().success());
}

#[test]
fn everybody_is_told_who_they_are() {
    let (_temporary, directory) = place();
    let whoamid = Daemon::start(WHOAMID, &directory, "whoami", &[]);
    for (name, words) in [
        (
            "anonymous",
            &[
                "NT AUTHORITY\\ANONYMOUS LOGON, anonymous\n",
                "sid S-1-5-7\n",
            ][..],
        ),
        (
            "system",
            &["NT AUTHORITY\\SYSTEM, the system\n", "over local\n"],
        ),
        (
            "root",
            &[
                "localhost\\root, a user\n",
                "sid S-1-5-11\n",
                "unix uid 0, gid 0",
            ],
        ),
    ] {
        let mut cat = Cat::start(&directory.join("whoami"), &["--as", name]);
        cat.send(b"?");
        let answer = String::from_utf8(cat.read()).unwrap();
        for word in words {
            assert!(answer.contains(word), "{answer}");
        }
        assert!(cat.end().success());
    }
    assert!(whoamid.stop().success());
}

#[test]
fn who_is_not_wanted_is_refused() {
    let (_temporary, directory) = place();
    let npad = Daemon::start(NPAD, &directory, "users", &["--deny-anonymous"]);
    let socket = format!("npa:{}", directory.join("users").display());
    expect_complaint(NPCAT, &["--connect", &socket], "NT_STATUS_ACCESS_DENIED");
    let line = npad.error_line();
    assert!(line.starts_with("npad: users: nobody got in: "), "{line}");
    let mut cat = Cat::start(&directory.join("users"), &["--as", "root"]);
    cat.send(b"let me in");
    assert_eq!(cat.read(), b"let me in");
    assert!(cat.end().success());
    assert!(npad.stop().success());
}

#[test]
fn a_daemon_that_was_killed_is_replaced_and_one_that_runs_is_not() {
    let (_temporary, directory) = place();
    let npad = Daemon::start(NPAD, &directory, "echo", &[]);
    let arguments = ["--np-dir", directory.to_str().unwrap(), "--pipe", "echo"];
    expect_complaint(NPAD, &arguments, "cannot listen on pipe 'echo'");
    let mut cat = Cat::start(&directory.join("echo"), &[]);
    cat.send(b"before");
    assert_eq!(cat.read(), b"before");
    npad.signal(Signal::KILL);
    drop(npad);
    assert!(cat.child.wait().unwrap().success(), "the pipe has ended");
    assert!(
        directory.join("echo").exists(),
        "nobody was left to remove it"
    );
    let npad = Daemon::start(NPAD, &directory, "echo", &[]);
    npad.signal(Signal::USR1);
    while npad.error_line() != "end of dump" {}
    assert!(npad.stop().success());
}

#[test]
fn a_user_in_thousands_of_groups_is_told_what_fits_a_message() {
    let (_temporary, directory) = place();
    let whoamid = Daemon::start(WHOAMID, &directory, "whoami", &[]);
    let ctx = Context::new().unwrap();
    let groups = (0..5000).map(|n| Sid::new(5, &[21, n, n, n, n]).unwrap());
    let user = Identity::user("daemon", "HOST", Sid::unix_user(1), 1, 1);
    let user = groups.fold(user, Identity::sid);
    let answer = ctx.block_on(async {
        let name = PipeName::new("whoami").unwrap();
        let pipe = connect(&ctx, &directory, &name, &user, Levels::Any).await?;
        pipe.pipe.write_message(&b"?"[..]).await?;
        Ok::<_, io::Error>(pipe.pipe.read_message().await?.to_vec())
    });
    let answer = String::from_utf8(answer.unwrap().unwrap()).unwrap();
    assert!(answer.len() > 65_000, "{}", answer.len());
    assert!(answer.starts_with("HOST\\daemon, a user\nsid S-1-22-1-1\n"));
    assert!(answer.ends_with("\n...\n"));
    assert!(whoamid.stop().success());
}

/// The memory that a process has in use, in bytes.
#[cfg(target_os = "linux")]
fn memory_of(process: u32) -> usize {
    let status = fs::read_to_string(format!("/proc/{process}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
    let kib: usize = kib.and_then(|kib| kib.parse().ok()).expect("a number");
    kib << 10
}

/// How many connections there can be, here and there: `wanted`, or what the limit has room for.
#[cfg(target_os = "linux")]
fn affordable(wanted: usize) -> usize {
    let descriptors = tevent_examples::raise_descriptor_limit();
    wanted.min(descriptors.saturating_sub(200))
}

#[cfg(target_os = "linux")]
#[test]
fn silent_peers_cost_a_daemon_little_and_nobody_else_anything() {
    let (_temporary, directory) = place();
    let npad = Daemon::start(NPAD, &directory, "echo", &[]);
    let echo = |word: &[u8]| {
        let mut cat = Cat::start(&directory.join("echo"), &[]);
        cat.send(word);
        assert_eq!(cat.read(), word);
        assert!(cat.end().success());
    };
    echo(b"before");
    let is_full = std::env::var("TEVENT_SCALE").is_ok_and(|scale| scale == "full");
    let count = affordable(if is_full { 10_000 } else { 1000 });
    let before = memory_of(npad.child.id());
    let mut peers = Vec::new();
    for _ in 0..count {
        let mut peer = UnixStream::connect(directory.join("echo")).expect("it listens");
        // The largest request that is taken, and nothing of it.
        peer.write_all(b"\0\x0f\xff\xfcNPAM").expect("it is read");
        peers.push(peer);
    }
    // Connections are accepted in order, so those before it have been.
    echo(b"behind them");
    let cost = memory_of(npad.child.id()).saturating_sub(before);
    // 64 MiB for ten thousand.
    let bound = (64 << 20) / 10_000 * count;
    assert!(cost <= bound, "{cost} bytes for {count} silent peers");
    for peer in &mut peers {
        peer.set_nonblocking(true).unwrap();
        let kind = peer.read(&mut [0]).map_err(|error| error.kind());
        assert_eq!(kind, Err(ErrorKind::WouldBlock), "it waits for the rest");
    }
    if is_full {
        for peer in &mut peers {
            peer.set_nonblocking(false).unwrap();
            peer.set_read_timeout(Some(LIMIT)).unwrap();
            let end = peer.read(&mut [0]);
            assert!(
                end.is_ok_and(|len| len == 0),
                "it is closed by the deadline"
            );
        }
    }
}
