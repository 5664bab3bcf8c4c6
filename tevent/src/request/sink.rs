//! [`Sink`], whoever waits for the result of a request.

use std::panic::Location;
use std::rc::Rc;
use std::task::Waker;

use crate::context::Context;
use crate::trace::TraceKind;

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

    /// Runs the completion of a request made at `location`; the others have no turn in the line.
    #[inline]
    pub(super) fn complete(
        self,
        ctx: &Context,
        location: &'static Location<'static>,
        result: Result<T, E>,
    ) {
        const KIND: TraceKind = TraceKind::Completion;
        match self {
            Self::Completion(completion) => ctx.measure(KIND, location, || completion(result)),
            Self::Shared(completion) => ctx.measure(KIND, location, || completion(result)),
            Self::Nobody | Self::Waker(_) => {}
        }
    }
}
