//! [`Ended`] and [`End`], the ways in which a request can end, and [`Work`], which is told.

use std::error::Error;
use std::fmt;
use std::io;
use std::rc::Rc;

use rustix::io::Errno;

/// Why a request ended other than by its implementor's word.
///
/// An error type of requests implements `From<Ended>`; for [`io::Error`] these are `ETIMEDOUT`,
/// `ECANCELED` and `EIO`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ended {
    /// Its deadline passed.
    #[doc(alias = "TEVENT_REQ_TIMED_OUT")]
    TimedOut,
    /// Its caller canceled it.
    Canceled,
    /// Its implementor dropped the completer: a panic in a step, or a mistake.
    Abandoned,
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TimedOut => "the deadline of the request has passed",
            Self::Canceled => "the request was canceled",
            Self::Abandoned => "the request was abandoned by its implementor",
        })
    }
}

impl Error for Ended {}

impl From<Ended> for io::Error {
    fn from(ended: Ended) -> Self {
        Self::from(match ended {
            Ended::TimedOut => Errno::TIMEDOUT,
            Ended::Canceled => Errno::CANCELED,
            Ended::Abandoned => Errno::IO,
        })
    }
}

/// How a request ended, as its cleanup hooks and its [`Work`] are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum End {
    /// With a value.
    #[doc(alias = "TEVENT_REQ_DONE")]
    Done,
    /// With an error of its implementor.
    #[doc(alias = "TEVENT_REQ_USER_ERROR")]
    Error,
    /// From outside.
    Ended(Ended),
    /// Its caller dropped it.
    #[doc(alias = "TEVENT_REQ_RECEIVED")]
    Dropped,
}

impl From<End> for io::Error {
    /// The error that whoever is left without a result gets: a dropped request was canceled.
    fn from(end: End) -> Self {
        match end {
            End::Ended(ended) => ended.into(),
            End::Dropped | End::Done | End::Error => Ended::Canceled.into(),
        }
    }
}

/// An implementor's side of a request that is told when nobody waits any more.
pub trait Work {
    /// The request with this `slot` was dropped or ended from outside: gives up its place at once.
    ///
    /// Called at most once for each request, inside the call that dropped or ended it. If the request
    /// was not dropped, the completer may be finished here with an error of its own, one that hands
    /// buffers back for instance; otherwise the request ends with `end` as its error.
    fn stopped(self: Rc<Self>, slot: usize, end: End);
}
