//! [`Sink`], whoever waits for the result of a request.

use std::rc::Rc;
use std::task::Waker;

/// Whoever waits for the result.
pub(crate) enum Sink<T, E> {
    Nobody,
    Completion(Box<dyn FnOnce(Result<T, E>)>),
    // One that others have too.
    Shared(Rc<dyn Fn(Result<T, E>)>),
    Waker(Waker),
}

impl<T, E> Sink<T, E> {
    pub(super) fn is_completion(&self) -> bool {
        matches!(self, Self::Completion(_) | Self::Shared(_))
    }

    /// Runs the completion; the others have no turn in the line.
    pub(super) fn complete(self, result: Result<T, E>) {
        match self {
            Self::Completion(completion) => completion(result),
            Self::Shared(completion) => completion(result),
            Self::Nobody | Self::Waker(_) => {}
        }
    }
}
