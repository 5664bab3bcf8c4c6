//! What daemons behind smbd share: their command line, and serving each client of a pipe.

use std::fmt::Display;
use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::rc::Rc;
use std::str::FromStr;
use std::time::Duration;

use lexopt::prelude::*;
use tevent::{Context, Request, Signal, WeakContext};
use tsocket::{Limits, Server};
use tsocket_npa::codec::NtStatus;
use tsocket_npa::{
    AcceptOptions, Accepted, HandshakeError, NpDirectory, PeerPolicy, PipeMode, PipeName, accept,
    listen,
};

use crate::{announce, complain, raise_descriptor_limit};

/// The command line of a daemon that serves named pipes.
#[derive(Debug)]
pub struct PipeOptions {
    np_dir: PathBuf,
    pipes: Vec<PipeName>,
    mode: PipeMode,
    also_allow: Vec<u32>,
    deny_anonymous: bool,
    limits: Limits,
    is_verbose: bool,
}

impl PipeOptions {
    /// What all such daemons have to say to `--help`.
    pub const HELP: &str = "
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
  --deny-anonymous       only for users who have proved to be somebody
  --max-connections N    how many clients to serve at a time; further ones wait
                         (default: the limit of open descriptors less 32)
  --idle-timeout SECONDS close a pipe on which nothing moves for so long; 0 is never
                         (default: 300)
  -v, --verbose          one more line for each client: why it ended
  --help                 this text

A client that does not finish its handshake in 10 seconds is closed, and a request of more than
1 MiB refused. For each client one line on standard error says who it is.
SIGTERM and SIGINT stop accepting, answer what has arrived, and end within 8 seconds; the sockets
are removed. SIGUSR1 prints what is outstanding on standard error.";

    /// The options, or nothing if help was asked for.
    ///
    /// # Errors
    /// What is wrong with the command line, in one line.
    pub fn from_command_line() -> Result<Option<Self>, String> {
        let mut np_dir = None;
        let mut options = Self {
            np_dir: PathBuf::new(),
            pipes: Vec::new(),
            mode: PipeMode::default(),
            also_allow: Vec::new(),
            deny_anonymous: false,
            limits: Limits::default(),
            is_verbose: false,
        };
        let mut parser = lexopt::Parser::from_env();
        while let Some(argument) = parser.next().map_err(|error| error.to_string())? {
            match argument {
                Long("np-dir") => {
                    let value = parser.value().map_err(|error| error.to_string())?;
                    np_dir = Some(PathBuf::from(value));
                }
                Long("pipe") => options.pipes.push(value(&mut parser, "--pipe")?),
                Long("mode") => options.mode = mode(&mut parser)?,
                Long("allow-uid") => options.also_allow.push(value(&mut parser, "--allow-uid")?),
                Long("deny-anonymous") => options.deny_anonymous = true,
                Long("max-connections") => {
                    let count = value(&mut parser, "--max-connections")?;
                    options.limits = options.limits.connections(count);
                }
                Long("idle-timeout") => {
                    let seconds: u32 = value(&mut parser, "--idle-timeout")?;
                    let timeout = Duration::from_secs(seconds.into());
                    options.limits = options.limits.idle((seconds > 0).then_some(timeout));
                }
                Short('v') | Long("verbose") => options.is_verbose = true,
                Short('h') | Long("help") => return Ok(None),
                _ => return Err(argument.unexpected().to_string()),
            }
        }
        options.np_dir = np_dir.ok_or("--np-dir is missing")?;
        if options.pipes.is_empty() {
            return Err("--pipe is missing".to_owned());
        }
        Ok(Some(options))
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

fn mode(parser: &mut lexopt::Parser) -> Result<PipeMode, String> {
    match value::<String>(parser, "--mode")?.as_str() {
        "message" => Ok(PipeMode::Message),
        "byte" => Ok(PipeMode::Byte),
        other => Err(format!(
            "--mode: unknown mode '{other}', known are message and byte"
        )),
    }
}

fn value<T: FromStr<Err: Display>>(parser: &mut lexopt::Parser, option: &str) -> Result<T, String> {
    let value = parser.value().map_err(|error| error.to_string())?;
    let text = value
        .string()
        .map_err(|error| format!("{option}: {error}"))?;
    text.parse()
        .map_err(|error| format!("{option} '{text}': {error}"))
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
    // Before the limits are asked for what it leaves.
    let _limit = raise_descriptor_limit();
    let ctx = Context::new().map_err(|error| format!("cannot start a loop: {error}"))?;
    let server = Rc::new(Server::new(&ctx, options.limits.clone()));
    server.on_error(move |error| complain(format_args!("{name}: {error}")));
    let directory = NpDirectory::create_or_verify(&options.np_dir)
        .map_err(|error| format!("cannot use the directory: {error}"))?;
    let session = Rc::new(session);
    for pipe in &options.pipes {
        let listener = listen(&ctx, &directory, pipe)
            .map_err(|error| format!("cannot listen on pipe '{pipe}': {error}"))?;
        let client = Client {
            pipe: pipe.clone(),
            options: options.accept_options(),
            is_verbose: options.is_verbose,
            session: session.clone(),
        };
        let ctx = ctx.downgrade();
        server.accept_from(listener, move |stream, _| {
            let ctx = alive(&ctx);
            let handshake = accept(&ctx, stream, &client.options);
            ctx.spawn(client.clone().serve(handshake))
        });
    }
    // Before the first line is out: whoever reads it may send a signal at once.
    let _signals =
        handle_signals(&ctx, &server).map_err(|error| format!("cannot handle signals: {error}"))?;
    for pipe in &options.pipes {
        if pipe.is_of_samba() {
            complain(format_args!(
                "{name}: '{pipe}' is a service of Samba, which may replace the socket"
            ));
        }
        let path = directory.socket_path(pipe);
        announce(format_args!("listening on npa:{}", path.display()));
    }
    let stopped = ctx.run_until(server.stopped()).and_then(|stopped| stopped);
    stopped
        .map(drop)
        .map_err(|error| format!("the loop failed: {error}"))
}

/// The context whose handler runs.
fn alive(ctx: &WeakContext) -> Context {
    ctx.upgrade().expect("it runs the handler that asks")
}

/// What is done for each client of one pipe.
struct Client<S> {
    pipe: PipeName,
    options: AcceptOptions,
    is_verbose: bool,
    session: Rc<S>,
}

impl<S> Clone for Client<S> {
    fn clone(&self) -> Self {
        Self {
            pipe: self.pipe.clone(),
            options: self.options.clone(),
            is_verbose: self.is_verbose,
            session: self.session.clone(),
        }
    }
}

impl<S, F> Client<S>
where
    S: Fn(Accepted) -> F,
    F: Future<Output = io::Result<String>>,
{
    async fn serve(self, handshake: Request<Accepted, HandshakeError>) {
        let pipe = &self.pipe;
        let accepted = match handshake.await {
            Ok(accepted) => accepted,
            Err(HandshakeError::Probe) => return,
            Err(error) => return complain(format_args!("{pipe}: nobody got in: {error}")),
        };
        let (caller, level) = (accepted.caller.to_string(), accepted.level);
        complain(format_args!("{pipe}: {caller}, {level}"));
        let ended = (self.session)(accepted).await;
        if self.is_verbose {
            let how = ended.unwrap_or_else(|error| error.to_string());
            complain(format_args!("{pipe}: {caller}: {how}"));
        }
    }
}

/// Has SIGTERM and SIGINT stop the server, and SIGUSR1 print what is outstanding.
fn handle_signals(ctx: &Context, server: &Rc<Server>) -> io::Result<[Signal; 3]> {
    let stop = || {
        let server = Rc::downgrade(server);
        move |_| {
            if let Some(server) = server.upgrade() {
                // It goes on without the request.
                drop(server.stop());
            }
        }
    };
    let dump = {
        let ctx = ctx.downgrade();
        move |_| {
            if let Some(ctx) = ctx.upgrade() {
                complain(format_args!("{}\nend of dump", ctx.dump()));
            }
        }
    };
    Ok([
        Signal::new(ctx, Signal::TERM, stop())?,
        Signal::new(ctx, Signal::INT, stop())?,
        Signal::new(ctx, Signal::USR1, dump)?,
    ])
}
