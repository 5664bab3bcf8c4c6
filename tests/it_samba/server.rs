//! [`Server`], a process of its own that serves pipes, so that it can be killed.

use std::env;
use std::error::Error;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tevent::{Context, FdEvent, Interest};
use tsocket::{Limits, Server as TsocketServer};
use tsocket_npa::codec::NtStatus;
use tsocket_npa::{
    AcceptOptions, Accepted, HandshakeError, MessageHeader, NpDirectory, PipeMode, PipeName,
    accept, listen,
};

/// Tells the process that it is the server, and where.
const DIRECTORY: &str = "TEVENT_TEST_NP_DIR";

/// The name of a pipe in capital letters, of which the last has two small forms.
pub(crate) const GREEK: &str = "ΟΔΟΣ";

const READY: &str = "ready to serve";

/// A running server of the pipes `echo` (message mode), `bytes` (byte mode), `users` (the same as `echo`,
/// for users only), `whoami` (which answers with the caller) and [`GREEK`] (the same as `echo`).
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
}

impl Server {
    #[track_caller]
    pub(crate) fn start(directory: &Path) -> Self {
        let this = env::current_exe().expect("a test knows where it is");
        let mut child = Command::new(this)
            .args([
                "--exact",
                "--nocapture",
                "server::serves_where_it_is_asked_to",
            ])
            .env(DIRECTORY, directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a test can be started");
        let output = child.stdout.take().expect("its output is a pipe");
        let mut lines = BufReader::new(output).lines();
        let is_ready = lines.any(|line| line.is_ok_and(|line| line.contains(READY)));
        let server = Self { child };
        assert!(is_ready, "the server ended before it was ready");
        server
    }

    /// Ends it in the middle of whatever it does, and leaves its socket files behind.
    pub(crate) fn kill(self) {
        drop(self);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Whoever has ended needs no signal.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

#[test]
fn serves_where_it_is_asked_to() -> Result<(), Box<dyn Error>> {
    match env::var_os(DIRECTORY) {
        Some(directory) => serve(Path::new(&directory)),
        None => Ok(()),
    }
}

#[expect(clippy::print_stdout, reason = "whoever has started it waits for this")]
fn serve(directory: &Path) -> Result<(), Box<dyn Error>> {
    let ctx = Context::new()?;
    let directory = NpDirectory::create_or_verify(directory)?;
    let server = TsocketServer::new(&ctx, Limits::default());
    let users = AcceptOptions::default().admit(|caller| match caller.is_authenticated() {
        true => Ok(()),
        false => Err(NtStatus::ACCESS_DENIED),
    });
    for (name, options) in [
        ("echo", AcceptOptions::default()),
        ("bytes", AcceptOptions::default().mode(PipeMode::Byte)),
        ("users", users),
        ("whoami", AcceptOptions::default()),
        (GREEK, AcceptOptions::default()),
    ] {
        let name = PipeName::new(name)?;
        let listener = listen(&ctx, &directory, &name)?;
        let ctx = ctx.downgrade();
        server.accept_from(listener, move |stream, _| {
            let ctx = ctx.upgrade().expect("it runs this");
            let is_echo = name.as_str() != "whoami";
            let handshake = accept(&ctx, stream, &options);
            ctx.spawn(async move { answer(handshake.await?, is_echo).await })
        });
    }
    // Whoever has started it has gone when its input ends.
    let input = std::io::stdin();
    let starter = FdEvent::new(&ctx, input, Interest::READ, |_| {
        let read = std::io::stdin().read(&mut [0; 1]);
        assert!(
            read.is_ok_and(|len| len > 0),
            "there is nobody left to serve"
        );
    });
    println!("{READY}");
    ctx.run()?;
    drop(starter);
    Ok(())
}

async fn answer(accepted: Accepted, is_echo: bool) -> Result<(), HandshakeError> {
    let pipe = accepted.pipe.stream();
    let who = accepted.caller.to_string();
    loop {
        let chunk = pipe.read(MessageHeader::MAX_PAYLOAD_LEN).await?;
        if chunk.is_empty() {
            return Ok(());
        }
        if is_echo {
            pipe.writev(chunk).await?;
        } else {
            pipe.writev(who.clone().into_bytes()).await?;
        }
    }
}
