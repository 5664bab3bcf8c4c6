//! [`CommonOptions`], what every daemon can be told on its command line.

use std::str::FromStr;
use std::time::Duration;

use lexopt::Parser;
use lexopt::prelude::*;
use tsocket::Limits;

use crate::process::raise_descriptor_limit;
use crate::{Kind, ListenAddress};

/// What every daemon can be told on its command line.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CommonOptions {
    /// Where to listen.
    pub listen: Vec<ListenAddress>,
    /// How many connections to serve at a time.
    pub max_connections: usize,
    /// How long nothing may move on a connection; nothing: for ever.
    pub idle_timeout: Option<Duration>,
    /// Whether to say a line about each connection.
    pub is_verbose: bool,
}

impl CommonOptions {
    /// The lines of a `--help` text for these options but `--listen`, whose kinds are each daemon's.
    pub const HELP: &str = "
  --max-connections N    how many connections to serve at a time; further ones wait
                         (default: the limit of open descriptors less 32)
  --idle-timeout SECONDS close a connection on which nothing moves for so long; 0 is never
                         (default: 300)
  -v, --verbose          one line for each connection: who it was, and why it ended
  --help                 this text
";

    /// Reads the command line, or nothing if help was asked for; raises the limit of open descriptors,
    /// which the defaults go by.
    ///
    /// `own` is offered each long option first, and says whether it was one of the daemon's own; it takes
    /// the [`value`] from the parser.
    ///
    /// # Errors
    /// A line about what is wrong.
    pub fn from_command_line(
        mut own: impl FnMut(&str, &mut Parser) -> Result<bool, String>,
    ) -> Result<Option<Self>, String> {
        let descriptors = raise_descriptor_limit();
        let left = descriptors.saturating_sub(Limits::RESERVED_DESCRIPTORS);
        let mut options = Self {
            listen: Vec::new(),
            max_connections: left.max(1),
            idle_timeout: Some(Limits::IDLE),
            is_verbose: false,
        };
        let mut parser = Parser::from_env();
        while let Some(argument) = parser.next().map_err(|error| error.to_string())? {
            match argument {
                Short('h') | Long("help") => return Ok(None),
                Short('v') | Long("verbose") => options.is_verbose = true,
                Long(name) => {
                    let name = name.to_owned();
                    if !own(&name, &mut parser)? && !options.take(&name, &mut parser)? {
                        return Err(Long(&name).unexpected().to_string());
                    }
                }
                unknown => return Err(unknown.unexpected().to_string()),
            }
        }
        Ok(Some(options))
    }

    fn take(&mut self, name: &str, parser: &mut Parser) -> Result<bool, String> {
        match name {
            "listen" => self.listen.push(value(parser, name)?.parse()?),
            "max-connections" => self.max_connections = number(parser, name)?,
            "idle-timeout" => {
                let seconds: u32 = number(parser, name)?;
                let timeout = Duration::from_secs(seconds.into());
                self.idle_timeout = (seconds > 0).then_some(timeout);
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Refuses an address to listen on whose kind is not one of `kinds`.
    ///
    /// # Errors
    /// A line that names it.
    pub fn expect_kinds(&self, kinds: &[Kind]) -> Result<(), String> {
        match self
            .listen
            .iter()
            .find(|address| !kinds.contains(&address.kind))
        {
            Some(address) => {
                let known: Vec<_> = kinds.iter().map(|kind| kind.prefix()).collect();
                let known = known.join(" and ");
                Err(format!(
                    "--listen: {address} is of no use here, known are {known}"
                ))
            }
            None => Ok(()),
        }
    }

    /// The limits that come of these options.
    pub fn limits(&self) -> Limits {
        Limits::default()
            .connections(self.max_connections)
            .idle(self.idle_timeout)
    }
}

/// The value of the long option `name`.
///
/// # Errors
/// A line that says what is wrong with it.
pub fn value(parser: &mut Parser, name: &str) -> Result<String, String> {
    let value = parser.value().map_err(|error| error.to_string())?;
    value.string().map_err(|error| format!("--{name}: {error}"))
}

/// The value of the long option `name`, a whole number.
///
/// # Errors
/// A line that says what is wrong with it.
pub fn number<T: FromStr>(parser: &mut Parser, name: &str) -> Result<T, String> {
    let text = value(parser, name)?;
    text.parse()
        .map_err(|_| format!("--{name}: '{text}' is not a whole number in its range"))
}
