//! What a server tells of itself: counts, errors, and how it has stopped.

use std::fmt::{self, Display};
use std::io;

use super::Limit;
use crate::Address;

/// How many connections a [`Server`](crate::Server) has and had, and what became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// Those that there are now.
    pub active: usize,
    /// All that were accepted, those that were refused then included.
    pub accepted: u64,
    /// Closed at once, because their peer had [too many](crate::Limits::per_peer).
    pub refused: u64,
    /// How often the [total](crate::Limits::connections) was reached, so that accepting paused.
    pub filled: u64,
    /// Whose requests have ended without an error, or after they were asked to.
    pub done: u64,
    /// Whose requests have failed.
    pub failed: u64,
    /// Ended by [`Limits::handshake`](crate::Limits::handshake).
    pub handshake: u64,
    /// Ended by [`Limits::idle`](crate::Limits::idle).
    pub idle: u64,
    /// Ended by [`Limits::write_stall`](crate::Limits::write_stall).
    pub write_stall: u64,
    /// Ended by [`Limits::drain`](crate::Limits::drain).
    pub drain: u64,
}

impl Counts {
    pub(super) fn ended_by(&mut self, limit: Limit) {
        let count = match limit {
            Limit::PerPeer => &mut self.refused,
            Limit::Handshake => &mut self.handshake,
            Limit::Idle => &mut self.idle,
            Limit::WriteStall => &mut self.write_stall,
            Limit::Drain => &mut self.drain,
        };
        *count += 1;
    }
}

/// What a [`Server`](crate::Server) tells its [hook](crate::Server::on_error).
///
/// `Display` is one line for a log, with the peer in front if there is one.
#[non_exhaustive]
pub enum ServeError<'a> {
    /// Nobody can be accepted: told once, when it begins.
    #[non_exhaustive]
    Accept {
        /// What the listener said.
        error: &'a io::Error,
        /// Whether it stays so, because the listener was closed; else it is tried again soon.
        is_over: bool,
    },
    /// A connection was closed as soon as it was accepted.
    #[non_exhaustive]
    Refused {
        /// Whose.
        peer: &'a Address,
        /// Which limit was in the way.
        limit: Limit,
    },
    /// A connection was ended.
    #[non_exhaustive]
    Ended {
        /// Whose.
        peer: &'a Address,
        /// Which limit it has met.
        limit: Limit,
    },
    /// The request of a connection has failed.
    #[non_exhaustive]
    Failed {
        /// Whose.
        peer: &'a Address,
        /// What it failed with.
        error: &'a dyn Display,
    },
}

impl Display for ServeError<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Accept { error, is_over } => {
                let outlook = if *is_over { "has ended" } else { "rests" };
                write!(f, "accepting {outlook}: {error}")
            }
            Self::Refused { peer, limit } => write!(f, "{peer}: refused: {limit}"),
            Self::Ended { peer, limit } => write!(f, "{peer}: {limit}"),
            Self::Failed { peer, error } => write!(f, "{peer}: {error}"),
        }
    }
}

impl fmt::Debug for ServeError<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ServeError({self})")
    }
}

/// What the request of a connection may end with: nothing, or a result that may be an error.
///
/// The request of a future ([`Context::spawn`](tevent::Context::spawn)) ends with what the future
/// returns, so that its error is one of these.
pub trait Outcome: 'static {
    /// The error in it, if there is one.
    fn error(&self) -> Option<&dyn Display>;
}

impl Outcome for () {
    fn error(&self) -> Option<&dyn Display> {
        None
    }
}

impl<T: Outcome, E: Display + 'static> Outcome for Result<T, E> {
    fn error(&self) -> Option<&dyn Display> {
        match self {
            Ok(value) => value.error(),
            Err(error) => Some(error),
        }
    }
}

/// How a [`Server`](crate::Server) has stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stopped {
    /// How many connections were left when the [drain time](crate::Limits::drain) was over, and were
    /// ended then.
    pub left: usize,
}
