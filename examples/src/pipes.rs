//! What daemons behind smbd share: their command line, and serving each client of a pipe.

use std::fmt::Display;
use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::rc::{Rc, Weak};
use std::str::FromStr;

use lexopt::Parser;
use tevent::Request;
use tsocket_npa::codec::NtStatus;
use tsocket_npa::{
    AcceptOptions, Accepted, HandshakeError, NpDirectory, PeerPolicy, PipeMode, PipeName, accept,
    listen,
};

use crate::{CommonOptions, Daemon, announce_listening, complain, number, value};

/// The command line of a daemon that serves named pipes.
#[derive(Debug)]
pub struct PipeOptions {
    common: CommonOptions,
    own: OwnOptions,
}

#[derive(Debug, Default)]
struct OwnOptions {
    np_dir: Option<PathBuf>,
    pipes: Vec<PipeName>,
    mode: PipeMode,
    also_allow: Vec<u32>,
    deny_anonymous: bool,
}

impl PipeOptions {
    const HELP: &str = "
  --np-dir DIR           the directory of socket files that smbd uses: `np` in smb.conf's
                         `ncalrpc dir` (on Debian /run/samba/ncalrpc/np). If missing it is made
                         for this user alone (mode 0700), its parent with mode 0755; it is
                         refused with any other mode or owner
  --pipe NAME            the name of a pipe, in any case; can be given several times
  --mode MODE            how clients see the pipe (default: message)
                           message   each write is a message of 1 to 65535 bytes
                           byte      a stream of bytes
  --allow-uid UID        who else than root and this user may say who a client is; can be given
                         several times
  --deny-anonymous       only for users who have proved to be somebody";

    const HELP_END: &str = "
For each client one line on standard error says who it is. One that does not finish its handshake
in 10 seconds is closed, and so is a request of more than 1 MiB, a client that does not read for 60
seconds, and a peer that runs as anybody else than root, this user or UID.
SIGTERM and SIGINT stop accepting, answer what has arrived, and end within 8 seconds; the sockets
are removed. SIGUSR1 prints what is outstanding on standard error.";

    /// The text for `--help` of a daemon whose usage is `usage`.
    #[must_use]
    pub fn help(usage: &str) -> String {
        let (own, common, end) = (Self::HELP, CommonOptions::HELP, Self::HELP_END);
        format!("{usage}{own}{common}{end}")
    }

    /// The options, or nothing if help was asked for.
    ///
    /// # Errors
    /// What is wrong with the command line, in one line.
    pub fn from_command_line() -> Result<Option<Self>, String> {
        let mut own = OwnOptions::default();
        let common = CommonOptions::from_command_line(|name, parser| own.take(name, parser))?;
        let Some(common) = common else {
            return Ok(None);
        };
        if own.pipes.is_empty() {
            return Err("--pipe is missing".to_owned());
        }
        if !common.listen.is_empty() {
            return Err("--listen: a pipe is named with --np-dir and --pipe".to_owned());
        }
        Ok(Some(Self { common, own }))
    }
}

impl OwnOptions {
    fn take(&mut self, name: &str, parser: &mut Parser) -> Result<bool, String> {
        match name {
            "np-dir" => {
                let directory = parser.value().map_err(|error| error.to_string())?;
                self.np_dir = Some(directory.into());
            }
            "pipe" => {
                let text = value(parser, name)?;
                let pipe = PipeName::from_str(&text);
                let pipe = pipe.map_err(|error| format!("--pipe '{text}': {error}"))?;
                self.pipes.push(pipe);
            }
            "mode" => {
                self.mode = match value(parser, name)?.as_str() {
                    "message" => PipeMode::Message,
                    "byte" => PipeMode::Byte,
                    other => {
                        return Err(format!(
                            "--mode: unknown mode '{other}', known are message and byte"
                        ));
                    }
                };
            }
            "allow-uid" => self.also_allow.push(number(parser, name)?),
            "deny-anonymous" => self.deny_anonymous = true,
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn accept_options(&self) -> AcceptOptions {
        let deny_anonymous = self.deny_anonymous;
        AcceptOptions::default()
            .mode(self.mode)
            .peers(PeerPolicy::AlsoAllow(self.also_allow.clone()))
            .admit(move |caller| {
                if deny_anonymous && !caller.is_authenticated() {
                    return Err(NtStatus::ACCESS_DENIED);
                }
                Ok(())
            })
    }
}

/// Serves the pipes that `options` name until SIGTERM: `session` is what happens on each, and says how
/// it was.
///
/// # Errors
/// What keeps it from starting, in one line.
pub fn serve_pipes<F>(
    name: &'static str,
    options: &PipeOptions,
    session: impl Fn(Accepted) -> F + 'static,
) -> Result<(), String>
where
    F: Future<Output = io::Result<String>> + 'static,
{
    let PipeOptions { common, own } = options;
    let daemon = Daemon::new(name, common.is_verbose, common.limits())?;
    let path = own.np_dir.as_ref().ok_or("--np-dir is missing")?;
    let directory = NpDirectory::create_or_verify(path)
        .map_err(|error| format!("cannot use the directory: {error}"))?;
    let session = Rc::new(session);
    let mut listening = Vec::new();
    for pipe in &own.pipes {
        let listener = listen(daemon.context(), &directory, pipe)
            .map_err(|error| format!("cannot listen on pipe '{pipe}': {error}"))?;
        if pipe.is_of_samba() {
            complain(format_args!(
                "{name}: '{pipe}' is a service of Samba, which may replace the socket"
            ));
        }
        listening.push(format!("npa:{}", directory.socket_path(pipe).display()));
        let client = Client {
            name,
            daemon: Rc::downgrade(&daemon),
            pipe: pipe.clone(),
            session: session.clone(),
        };
        let accepting = own.accept_options();
        daemon.serve_from(listener, move |stream, _| {
            let daemon = client.daemon();
            let handshake = accept(daemon.context(), stream, &accepting);
            daemon.context().spawn(client.clone().serve(handshake))
        });
    }
    announce_listening(&listening);
    daemon.run()
}

/// What is done for each client of one pipe.
struct Client<S> {
    name: &'static str,
    daemon: Weak<Daemon>,
    pipe: PipeName,
    session: Rc<S>,
}

impl<S> Clone for Client<S> {
    fn clone(&self) -> Self {
        Self {
            name: self.name,
            daemon: self.daemon.clone(),
            pipe: self.pipe.clone(),
            session: self.session.clone(),
        }
    }
}

impl<S> Client<S> {
    fn say(&self, line: impl Display) {
        complain(format_args!("{}: {}: {line}", self.name, self.pipe));
    }

    fn daemon(&self) -> Rc<Daemon> {
        self.daemon.upgrade().expect("it runs this")
    }
}

impl<S, F> Client<S>
where
    S: Fn(Accepted) -> F,
    F: Future<Output = io::Result<String>>,
{
    async fn serve(self, handshake: Request<Accepted, HandshakeError>) {
        let accepted = match handshake.await {
            Ok(accepted) => accepted,
            Err(HandshakeError::Probe) => return,
            Err(error) => return self.say(format_args!("nobody got in: {error}")),
        };
        // In memory of its own: a peer that says nothing costs no room for what comes after that.
        Box::pin(self.converse(accepted)).await;
    }

    async fn converse(self, accepted: Accepted) {
        let (caller, level) = (accepted.caller.to_string(), accepted.level);
        self.say(format_args!("opened by {caller}, {level}"));
        let ended = (self.session)(accepted).await;
        let how = ended.unwrap_or_else(|error| error.to_string());
        let pipe = &self.pipe;
        self.daemon().tell(format_args!("{pipe}: {caller}: {how}"));
    }
}
