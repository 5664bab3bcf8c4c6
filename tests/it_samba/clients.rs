//! SMB clients: the script beside this file, and smbclient.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::smbd::{PASSWORD, Smbd, USER};

/// As whom a client logs in.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Login {
    Anonymous,
    User,
}

impl Smbd {
    fn client(&self, login: Login, options: &[&str]) -> Command {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("it_samba/pipe_client.py");
        let mut command = Command::new("python3");
        command.arg("-B").arg(script);
        command.arg("--port").arg(self.port().to_string());
        if let Login::User = login {
            command.args(["--user", USER, "--password", PASSWORD]);
        }
        command.args(options);
        command
    }

    /// Runs the client script with `options`, and returns what it prints.
    ///
    /// # Panics
    /// If it says that something went wrong.
    #[track_caller]
    pub(crate) fn run_client(&self, login: Login, options: &[&str]) -> String {
        let output = self.client(login, options).output().expect("python runs");
        let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{options:?}: {text}\n{errors}");
        text
    }

    /// Starts the client script with `options`, to be talked to.
    #[track_caller]
    pub(crate) fn start_client(&self, login: Login, options: &[&str]) -> Conversation {
        let mut command = self.client(login, options);
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let child = command.spawn().expect("python runs");
        Conversation { child }
    }

    /// Has smbclient carry out `commands` on `IPC$`, and returns what it prints.
    #[track_caller]
    pub(crate) fn run_smbclient(&self, commands: &str) -> String {
        let mut command = Command::new("smbclient");
        command.arg("-p").arg(self.port().to_string());
        command.args(["-U", &format!("{USER}%{PASSWORD}"), "-c", commands]);
        command.arg("//127.0.0.1/IPC$").stdin(Stdio::null());
        command.env("LC_ALL", "C.UTF-8");
        let output = command.output().expect("smbclient runs");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let errors = String::from_utf8_lossy(&output.stderr);
        format!("{text}{errors}")
    }
}

/// A client that waits to be told how to go on.
#[derive(Debug)]
pub(crate) struct Conversation {
    child: Child,
}

impl Conversation {
    /// The next line that it prints.
    #[track_caller]
    pub(crate) fn line(&mut self) -> String {
        let output = self.child.stdout.as_mut().expect("its output is a pipe");
        let mut line = String::new();
        // It prints one line and then waits, so there is nothing behind it to lose.
        BufReader::new(output)
            .read_line(&mut line)
            .expect("it prints a line");
        line.trim_end().to_owned()
    }

    #[track_caller]
    pub(crate) fn go_on(&mut self) {
        let input = self.child.stdin.as_mut().expect("its input is a pipe");
        input.write_all(b"\n").expect("it waits for a line");
    }
}

impl Drop for Conversation {
    fn drop(&mut self) {
        // It has ended by itself unless a test has failed.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
