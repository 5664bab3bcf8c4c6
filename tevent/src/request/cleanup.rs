//! Cleanup hooks, of which each runs whatever the others do.

use std::any::Any;
use std::panic::{self, AssertUnwindSafe};

use super::End;

pub(super) type Hook = Box<dyn FnOnce(End)>;

/// The first panic of hooks; to be raised again when all that has to be done is done.
#[must_use = "a panic is not kept from whoever caused it"]
pub(super) struct Panicked(Option<Box<dyn Any + Send>>);

/// Runs `hooks` in their order.
pub(super) fn run_all(hooks: Vec<Hook>, end: End) -> Panicked {
    let mut first = None;
    for hook in hooks {
        let ran = panic::catch_unwind(AssertUnwindSafe(|| hook(end)));
        first = first.or(ran.err());
    }
    Panicked(first)
}

impl Panicked {
    pub(super) fn raise(self) {
        if let Some(panic) = self.0 {
            panic::resume_unwind(panic);
        }
    }
}
