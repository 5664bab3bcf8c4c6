//! The command line of `echod`.

use std::str::FromStr;
use std::time::Duration;

use lexopt::prelude::*;
use tevent_examples::ListenAddress;

/// Descriptors that are kept for anything but connections: the loop's, the listeners', the terminal's.
const RESERVED_DESCRIPTORS: usize = 32;

/// What a connection's bytes are taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Echo,
    Frame,
}

#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) listen: Vec<ListenAddress>,
    pub(crate) mode: Mode,
    pub(crate) max_connections: usize,
    /// Nothing: for ever.
    pub(crate) idle_timeout: Option<Duration>,
    pub(crate) is_verbose: bool,
    /// No address was given.
    pub(crate) is_default: bool,
}

impl Options {
    pub(crate) const HELP: &str = "\
usage: echod [OPTION]...
Echoes what it receives, until SIGTERM.

  --listen ADDR          where to listen; can be given several times
                         (default: tcp:127.0.0.1:7777)
                           tcp:HOST:PORT   numeric; port 0 takes a free one
                           udp:HOST:PORT   the same
                           unix:PATH       the file is for this user alone
                           unixgram:PATH   the same
  --mode MODE            what to echo on connections (default: echo)
                           echo    bytes as they come
                           frame   4 bytes of length, big-endian, then the body, of at most
                                   16777216 bytes, back as one
  --max-connections N    how many connections to serve at a time; further ones wait
                         (default: the limit of open descriptors less 32)
  --idle-timeout SECONDS close a connection on which nothing moves for so long; 0 is never
                         (default: 300)
  -v, --verbose          one line for each connection: who it was, and why it ended
  --help                 this text

SIGTERM and SIGINT stop accepting, echo what has arrived, and end within 8 seconds.
SIGUSR1 prints what is outstanding on standard error.";

    /// The options, or nothing if help was asked for.
    pub(crate) fn from_command_line(descriptor_limit: usize) -> Result<Option<Self>, String> {
        let mut options = Self {
            listen: Vec::new(),
            mode: Mode::Echo,
            max_connections: descriptor_limit.saturating_sub(RESERVED_DESCRIPTORS).max(1),
            idle_timeout: Some(Duration::from_secs(300)),
            is_verbose: false,
            is_default: false,
        };
        let mut parser = lexopt::Parser::from_env();
        while let Some(argument) = parser.next().map_err(|error| error.to_string())? {
            match argument {
                Long("listen") => {
                    options
                        .listen
                        .push(value(&mut parser, "--listen")?.parse()?);
                }
                Long("mode") => options.mode = value(&mut parser, "--mode")?.parse()?,
                Long("max-connections") => {
                    options.max_connections = number(&mut parser, "--max-connections")?;
                }
                Long("idle-timeout") => {
                    let seconds: u32 = number(&mut parser, "--idle-timeout")?;
                    let timeout = Duration::from_secs(seconds.into());
                    options.idle_timeout = (seconds > 0).then_some(timeout);
                }
                Short('v') | Long("verbose") => options.is_verbose = true,
                Short('h') | Long("help") => return Ok(None),
                _ => return Err(argument.unexpected().to_string()),
            }
        }
        if options.listen.is_empty() {
            options.is_default = true;
            options.listen.push("tcp:127.0.0.1:7777".parse()?);
        }
        Ok(Some(options))
    }
}

impl FromStr for Mode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "echo" => Ok(Self::Echo),
            "frame" => Ok(Self::Frame),
            _ => Err(format!(
                "--mode: unknown mode '{text}', known are echo and frame"
            )),
        }
    }
}

fn value(parser: &mut lexopt::Parser, option: &str) -> Result<String, String> {
    let value = parser.value().map_err(|error| error.to_string())?;
    value.string().map_err(|error| format!("{option}: {error}"))
}

fn number<T: FromStr>(parser: &mut lexopt::Parser, option: &str) -> Result<T, String> {
    let text = value(parser, option)?;
    text.parse()
        .map_err(|_| format!("{option}: '{text}' is not a whole number in its range"))
}
