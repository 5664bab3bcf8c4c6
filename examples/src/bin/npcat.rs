//! `npcat` joins a named pipe to standard input and output: it teaches being the client.

use std::cell::Cell;
use std::ffi::OsStr;
use std::fs;
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Duration;

use lexopt::prelude::*;
use tevent::{Context, race};
use tevent_examples::{announce, complain, value};
use tsocket::Stream;
use tsocket_npa::codec::{Level, Sid};
use tsocket_npa::{Identity, Levels, MessageHeader, PipeName, connect};

const HELP: &str = "\
usage: npcat --connect npa:PATH [OPTION]...
Opens a named pipe of a local service and joins it to standard input and output.

  --connect npa:PATH     the socket of the pipe, such as npa:/run/samba/ncalrpc/np/winreg
  --as USER              who to say the user is (default: anonymous)
                           anonymous  nobody
                           system     the machine itself
                           USER       an account of this machine
  --level LEVEL          the level to ask at: 4, 5, 7, 8, or auto, which tries 8 first, then the
                         others (default: auto)
  --timeout SECONDS      give up if the pipe is not open by then; also how long to wait for a first
                         answer after the end of standard input (default: 10)
  --linger SECONDS       after the end of standard input and an answer, end when nothing more has
                         come for so long (default: 1)
  -v, --verbose          say on standard error what was opened
  --help                 this text

What one read of standard input brings, at most 65535 bytes, is written at once: in message mode
it is one message. Ends when the service closes the pipe. SIGINT and SIGTERM end it at once.";

struct Options {
    directory: PathBuf,
    name: PipeName,
    identity: Identity,
    levels: Levels,
    timeout: Duration,
    linger: Duration,
    is_verbose: bool,
}

fn main() -> ExitCode {
    tevent_examples::run("npcat", || match Options::from_command_line()? {
        Some(options) => {
            let ctx = Context::new().map_err(|error| format!("cannot start a loop: {error}"))?;
            let joined = ctx.block_on(join(&ctx, &options));
            joined.map_err(|error| format!("the loop failed: {error}"))?
        }
        None => {
            announce(HELP);
            Ok(())
        }
    })
}

async fn join(ctx: &Context, options: &Options) -> Result<(), String> {
    let address = options.address();
    let opening = connect(
        ctx,
        &options.directory,
        &options.name,
        &options.identity,
        options.levels,
    );
    opening.set_timeout(options.timeout);
    let opened = opening.await;
    let opened = opened.map_err(|error| format!("cannot open {address}: {error}"))?;
    if options.is_verbose {
        let (mode, level) = (opened.pipe.mode(), opened.level);
        complain(format_args!("{address}: open, {mode:?} mode, {level}"));
    }
    let pipe = opened.pipe.into_stream();
    let awaits_answer = Rc::new(Cell::new(false));
    let input = ctx.spawn(send_input(ctx.clone(), pipe.clone(), awaits_answer.clone()));
    let output = ctx.spawn(print_output(pipe.clone(), None, awaits_answer.clone()));
    let (first, ended) = race(ctx, [input, output])
        .await
        .map_err(|error| error.to_string())?;
    ended
        .and_then(|ended| ended)
        .map_err(|error| format!("{address}: {error}"))?;
    if first == 0 {
        // The output that was waited for has been dropped, which loses nothing.
        let patience = if awaits_answer.get() {
            options.timeout
        } else {
            options.linger
        };
        let rest = print_output(pipe, Some((patience, options.linger)), awaits_answer).await;
        rest.map_err(|error| format!("{address}: {error}"))?;
    }
    Ok(())
}

/// Writes what standard input brings to `pipe`, until its end.
async fn send_input(ctx: Context, pipe: Stream, awaits_answer: Rc<Cell<bool>>) -> io::Result<()> {
    loop {
        let bytes = ctx.offload(read_input).await??;
        if bytes.is_empty() {
            return Ok(());
        }
        awaits_answer.set(true);
        pipe.writev(bytes).await?;
    }
}

fn read_input() -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; MessageHeader::MAX_PAYLOAD_LEN];
    // Below the buffer of the library, which would collect several messages.
    let len = rustix::io::read(io::stdin(), &mut bytes)?;
    bytes.truncate(len);
    Ok(bytes)
}

/// Prints what comes from `pipe`, until its end or nothing has come for as long as `patience` says: at
/// first, and from the first answer on.
async fn print_output(
    pipe: Stream,
    mut patience: Option<(Duration, Duration)>,
    awaits_answer: Rc<Cell<bool>>,
) -> io::Result<()> {
    let mut output = io::stdout();
    loop {
        let read = pipe.read(MessageHeader::MAX_PAYLOAD_LEN);
        if let Some((first, _)) = patience {
            read.set_timeout(first);
        }
        match read.await {
            Ok(chunk) if chunk.is_empty() => return Ok(()),
            Ok(chunk) => {
                awaits_answer.set(false);
                patience = patience.map(|(_, later)| (later, later));
                output.write_all(&chunk).and_then(|()| output.flush())?;
            }
            Err(error) if error.kind() == ErrorKind::TimedOut => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}

impl Options {
    /// The options, or nothing if help was asked for.
    fn from_command_line() -> Result<Option<Self>, String> {
        let mut path = None;
        let mut identity = Identity::anonymous();
        let mut levels = Levels::Any;
        let mut timeout = Duration::from_secs(10);
        let mut linger = Duration::from_secs(1);
        let mut is_verbose = false;
        let mut parser = lexopt::Parser::from_env();
        while let Some(argument) = parser.next().map_err(|error| error.to_string())? {
            match argument {
                Long("connect") => {
                    let text = value(&mut parser, "connect")?;
                    let place = text.strip_prefix("npa:").map(PathBuf::from);
                    path = Some(place.ok_or(format!("address '{text}': expected npa:PATH"))?);
                }
                Long("as") => identity = user(&value(&mut parser, "as")?)?,
                Long("level") => levels = level(&value(&mut parser, "level")?)?,
                Long("timeout") => timeout = seconds(&mut parser, "timeout")?,
                Long("linger") => linger = seconds(&mut parser, "linger")?,
                Short('v') | Long("verbose") => is_verbose = true,
                Short('h') | Long("help") => return Ok(None),
                _ => return Err(argument.unexpected().to_string()),
            }
        }
        let path = path.ok_or("--connect is missing")?;
        let name = path.file_name().and_then(OsStr::to_str);
        let name = name.ok_or(format!(
            "npa:{}: expected the path of a socket",
            path.display()
        ))?;
        Ok(Some(Self {
            name: PipeName::new(name).map_err(|error| format!("'{name}': {error}"))?,
            directory: path.parent().unwrap_or(Path::new("")).to_owned(),
            identity,
            levels,
            timeout,
            linger,
            is_verbose,
        }))
    }

    fn address(&self) -> String {
        let path = self.directory.join(self.name.as_str());
        format!("npa:{}", path.display())
    }
}

/// Whom `--as` names.
fn user(name: &str) -> Result<Identity, String> {
    match name {
        "anonymous" => return Ok(Identity::anonymous()),
        "system" => return Ok(Identity::system()),
        _ => {}
    }
    let accounts = fs::read_to_string("/etc/passwd");
    let accounts = accounts.map_err(|error| format!("/etc/passwd: {error}"))?;
    let numbers = accounts.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next()? == name).then_some(())?;
        let (uid, gid) = (fields.nth(1)?, fields.next()?);
        Some((uid.parse().ok()?, gid.parse().ok()?))
    });
    let (uid, gid) = numbers.ok_or(format!("--as: there is no account '{name}'"))?;
    Ok(Identity::user(
        name,
        "localhost",
        Sid::unix_user(uid),
        uid,
        gid,
    ))
}

fn level(text: &str) -> Result<Levels, String> {
    if text == "auto" {
        return Ok(Levels::Any);
    }
    let level = text.parse().ok().and_then(Level::from_number);
    level.map(Levels::Only).ok_or(format!(
        "--level: unknown level '{text}', known are 4, 5, 7, 8 and auto"
    ))
}

fn seconds(parser: &mut lexopt::Parser, name: &str) -> Result<Duration, String> {
    let text = value(parser, name)?;
    let seconds = text.parse().ok();
    let duration = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    duration.ok_or(format!("--{name}: '{text}' is not a number of seconds"))
}
