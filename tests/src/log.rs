//! [`Log`], what handlers write down so that a test can compare the order, beside [`Drops`].

use std::cell::{Cell, RefCell};
use std::rc::Rc;

/// A list of names that any number of handlers add to.
#[derive(Clone, Debug, Default)]
pub struct Log {
    entries: Rc<RefCell<Vec<String>>>,
}

impl Log {
    /// An empty log.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds `entry`.
    pub fn note(&self, entry: impl Into<String>) {
        self.entries.borrow_mut().push(entry.into());
    }

    /// A handler that adds `entry` each time it runs.
    pub fn calling(&self, entry: &str) -> impl Fn() + use<> {
        let (log, entry) = (self.clone(), entry.to_owned());
        move || log.note(entry.clone())
    }

    /// A completion, or a handler that is told something, that adds `entry` each time it runs.
    pub fn noting<A>(&self, entry: &str) -> impl Fn(A) + use<A> {
        let (log, entry) = (self.clone(), entry.to_owned());
        move |_| log.note(entry.clone())
    }

    /// How much has been added since it was last taken.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.borrow().len()
    }

    /// Whether nothing has.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What has been added since the last call.
    #[must_use]
    pub fn take(&self) -> Vec<String> {
        self.entries.take()
    }
}

/// Expects exactly `expected` in `log`, and empties it.
///
/// # Panics
/// If there is anything else.
#[track_caller]
pub fn expect_order(log: &Log, expected: &[&str]) {
    assert_eq!(log.take(), expected);
}

/// Counts how many of its tattles have been dropped.
#[derive(Clone, Debug, Default)]
pub struct Drops {
    count: Rc<Cell<usize>>,
}

impl Drops {
    /// A count of none.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How many have been dropped so far.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count.get()
    }

    /// Something that is counted when it is dropped.
    pub fn tattle(&self) -> Tattle {
        Tattle {
            count: self.count.clone(),
        }
    }
}

/// Something whose drop is counted.
#[derive(Debug)]
#[must_use = "it is counted as soon as it is dropped"]
pub struct Tattle {
    count: Rc<Cell<usize>>,
}

impl Tattle {
    /// Does nothing: a closure that calls this owns the tattle.
    pub fn hold(&self) {}
}

impl Drop for Tattle {
    fn drop(&mut self) {
        self.count.set(self.count.get() + 1);
    }
}
