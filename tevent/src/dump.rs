//! [`Dump`], the tree of what is outstanding on a context.

mod json;

use std::cell::{Cell, RefCell};
use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::panic::Location;
use std::time::{Duration, Instant};

use crate::token::{Table, Token};

/// Who one outstanding computation is.
#[derive(Clone, Copy, Debug)]
struct Origin {
    kind: &'static str,
    location: &'static Location<'static>,
    created: Instant,
    // The computation that it is a part of, or nobody.
    parent: Token,
}

/// Everything outstanding on a context, and what is running now.
pub(crate) struct Residents {
    table: RefCell<Table<Origin>>,
    // The computation whose code is running: the parent of whatever it starts.
    current: Cell<Token>,
    // Of the few that tell.
    progress: RefCell<HashMap<Token, Progress>>,
    // How many are being profiled.
    profiled: Cell<isize>,
}

impl Residents {
    pub(crate) fn new() -> Self {
        Self {
            table: RefCell::default(),
            current: Cell::new(Token::NOBODY),
            progress: RefCell::default(),
            profiled: Cell::new(0),
        }
    }

    /// A part of the current computation, until it [leaves](Self::leave).
    pub(crate) fn enter(
        &self,
        kind: &'static str,
        location: &'static Location<'static>,
        created: Instant,
    ) -> Token {
        self.table.borrow_mut().insert(Origin {
            kind,
            location,
            created,
            parent: self.current.get(),
        })
    }

    /// Takes `token` out; returns whether it was there.
    pub(crate) fn leave(&self, token: Token) -> bool {
        let left = self.table.borrow_mut().remove(token);
        if !self.progress.borrow().is_empty() {
            self.progress.borrow_mut().remove(&token);
        }
        left.is_some()
    }

    /// Forgets all; those that are there now have left.
    pub(crate) fn forget_all(&self) {
        self.table.borrow_mut().take_all();
        self.progress.borrow_mut().clear();
        self.profiled.set(0);
    }

    /// Makes `token` a part of `parent`, whoever it was a part of before.
    pub(crate) fn adopt(&self, parent: Token, token: Token) {
        if let Some(origin) = self.table.borrow_mut().get_mut(token) {
            origin.parent = parent;
        }
    }

    /// Remembers how far `token` has come, until it leaves; returns whether it is there.
    pub(crate) fn set_progress(&self, token: Token, progress: Progress) -> bool {
        let is_here = self.table.borrow().get(token).is_some();
        if is_here {
            self.progress.borrow_mut().insert(token, progress);
        }
        is_here
    }

    /// Counts one that is profiled from now on, or one less.
    pub(crate) fn count_profiled(&self, change: isize) {
        self.profiled.set(self.profiled.get() + change);
    }

    /// Whether anybody is being profiled: rarely, and then it costs.
    pub(crate) fn has_profiled(&self) -> bool {
        self.profiled.get() > 0
    }

    /// The computation whose code is running.
    pub(crate) fn current(&self) -> Token {
        self.current.get()
    }

    /// Makes `token` the current one until the guard is dropped, also by a panic.
    pub(crate) fn make_current(&self, token: Token) -> CurrentGuard<'_> {
        CurrentGuard {
            residents: self,
            previous: self.current.replace(token),
        }
    }

    pub(crate) fn dump(&self, now: Instant) -> Dump {
        let mut found: Vec<(Token, Origin)> = {
            let table = self.table.borrow();
            table
                .iter()
                .map(|(token, origin)| (token, *origin))
                .collect()
        };
        // Latest first: the stack below turns the order round.
        found.sort_by_key(|(token, origin)| Reverse((origin.created, token.generation())));
        let tokens: HashSet<Token> = found.iter().map(|(token, _)| *token).collect();
        let mut children: HashMap<Token, Vec<(Token, Origin)>> = HashMap::new();
        let mut stack = Vec::new();
        for (token, origin) in found {
            if tokens.contains(&origin.parent) {
                children
                    .entry(origin.parent)
                    .or_default()
                    .push((token, origin));
            } else {
                stack.push((token, origin, 0));
            }
        }
        let mut entries = Vec::new();
        while let Some((token, origin, depth)) = stack.pop() {
            let Origin {
                kind,
                location,
                created,
                ..
            } = origin;
            entries.push(DumpEntry {
                kind,
                location,
                age: now.saturating_duration_since(created),
                depth,
                progress: self.progress.borrow().get(&token).copied(),
            });
            let below = children.remove(&token).unwrap_or_default();
            stack.extend(
                below
                    .into_iter()
                    .map(|(token, origin)| (token, origin, depth + 1)),
            );
        }
        Dump { entries }
    }
}

/// Restores what was current before.
pub(crate) struct CurrentGuard<'a> {
    residents: &'a Residents,
    previous: Token,
}

impl Drop for CurrentGuard<'_> {
    fn drop(&mut self) {
        self.residents.current.set(self.previous);
    }
}

/// What is outstanding on a context at one moment, parents before their children.
///
/// Its text is one line with the count, then one line for each entry, indented by its depth:
///
/// ```text
/// outstanding: 2
/// serve (examples/src/bin/echod.rs:80) for 12.5s
///   read (examples/src/bin/echod.rs:95) for 3.1s, 512/4096
/// ```
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// let ctx = tevent::Context::new()?;
/// let sleep = tevent::wakeup(&ctx, ctx.now() + std::time::Duration::from_secs(9));
/// assert_eq!(ctx.dump().entries().len(), 1);
/// assert!(ctx.dump().to_string().starts_with("outstanding: 1\nwakeup ("));
/// drop(sleep);
/// assert!(ctx.dump().entries().is_empty());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Dump {
    entries: Vec<DumpEntry>,
}

impl Dump {
    /// The entries, each parent directly before its children.
    #[must_use]
    pub fn entries(&self) -> &[DumpEntry] {
        &self.entries
    }
}

impl fmt::Display for Dump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "outstanding: {}", self.entries.len())?;
        self.entries
            .iter()
            .try_for_each(|entry| write!(f, "\n{entry}"))
    }
}

/// One line of a [`Dump`].
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct DumpEntry {
    /// What it is, as its implementor named it.
    pub kind: &'static str,
    /// Where it was created.
    pub location: &'static Location<'static>,
    /// How long it has been outstanding, by the clock of the loop's round.
    pub age: Duration,
    /// How many ancestors it has.
    pub depth: usize,
    /// How far it has come, if it tells.
    pub progress: Option<Progress>,
}

impl fmt::Display for DumpEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            kind,
            location,
            age,
            depth,
            progress,
        } = self;
        let indent = depth * 2;
        let (file, line) = (location.file(), location.line());
        write!(
            f,
            "{:indent$}{kind} ({file}:{line}) for {:.1}s",
            "",
            age.as_secs_f64()
        )?;
        match progress {
            Some(progress) => write!(f, ", {progress}"),
            None => Ok(()),
        }
    }
}

/// How far a computation has come, in whatever it counts: bytes, records, attempts.
///
/// # Examples
/// ```
/// use tevent::Progress;
///
/// assert_eq!(Progress::of(3, 10).to_string(), "3/10");
/// assert_eq!(Progress::new(3).to_string(), "3");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Progress {
    /// How much is done.
    pub done: u64,
    /// How much there is to do, if that is known.
    pub total: Option<u64>,
}

impl Progress {
    /// So much is done, and nobody knows of how much.
    #[must_use]
    pub fn new(done: u64) -> Self {
        Self { done, total: None }
    }

    /// So much is done of `total`.
    #[must_use]
    pub fn of(done: u64, total: u64) -> Self {
        let total = Some(total);
        Self { done, total }
    }
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.total {
            Some(total) => write!(f, "{}/{total}", self.done),
            None => write!(f, "{}", self.done),
        }
    }
}
