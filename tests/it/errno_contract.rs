//! The errno contract: every cell of `tsocket/ERRORS.md` is provoked.
//!
//! A new operation is a column of a matrix, a new state a row of it, and what fits neither is a line of a
//! table of calls: each stands in the document and, in the same order, in the list that provokes it.

mod calls;
mod copies;
mod datagrams;
mod listeners;
mod making;
mod pdus;
mod streams;
mod table;

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll, Waker};
use std::time::Duration;

use rustix::io::Errno;
use tevent::{Context, Request};
use tevent_tests::settle;
use tsocket_bsd::HostError;

use self::table::{Cell, Table};

/// The cells that are not true, one line each.
type Complaints = Vec<String>;

/// A heading, and what provokes the cells of the table below it.
type Chapter = (&'static str, fn(&Table) -> Complaints);

/// The chapters of the contract that have a table, each with what provokes its cells.
const CHAPTERS: &[Chapter] = &[
    ("Streams: single calls", calls::streams),
    ("Streams: states", streams::states),
    ("Streams: watched, and passed on", streams::leaving),
    ("Streams: ended from outside", streams::ends),
    ("PDUs", pdus::check),
    ("Copies", copies::check),
    ("Queues", calls::queues),
    ("Datagrams: single calls", calls::datagrams),
    ("Datagrams: states", datagrams::states),
    ("Datagrams: ended from outside", datagrams::ends),
    ("Listeners", listeners::states),
    ("Listeners: ended from outside", listeners::ends),
    ("Making them", making::check),
];

/// An operation that was begun.
enum Begun {
    Over(io::Result<()>),
    Going(Box<dyn Going>),
}

/// A request whose value does not matter.
trait Going {
    fn cancel(&self);
    fn time_out(&self);
    /// Its result, if it has one.
    fn result(&mut self) -> Option<io::Result<()>>;
}

impl<T: 'static, E: Into<io::Error> + 'static> Going for Request<T, E> {
    fn cancel(&self) {
        Self::cancel(self);
    }

    fn time_out(&self) {
        self.set_timeout(Duration::ZERO);
    }

    fn result(&mut self) -> Option<io::Result<()>> {
        match Pin::new(self).poll(&mut TaskContext::from_waker(Waker::noop())) {
            Poll::Ready(result) => Some(result.map(drop).map_err(Into::into)),
            Poll::Pending => None,
        }
    }
}

impl<T: 'static, E: Into<io::Error> + 'static> From<Request<T, E>> for Begun {
    fn from(request: Request<T, E>) -> Self {
        Self::Going(Box::new(request))
    }
}

impl<T> From<io::Result<T>> for Begun {
    fn from(result: io::Result<T>) -> Self {
        Self::Over(result.map(drop))
    }
}

impl Begun {
    /// What it fails with once everything has happened that is ready; nothing if it waits or is done.
    fn failure(self, ctx: Option<&Context>) -> Option<Errno> {
        if let Some(ctx) = ctx {
            settle(ctx);
        }
        let result = match self {
            Self::Over(result) => Some(result),
            Self::Going(mut going) => going.result(),
        };
        let error = result?.err()?;
        // That of a host tells more, and has its errno in its cause.
        let host = error.get_ref().and_then(|error| error.downcast_ref());
        let cause = host.map_or(&error, HostError::cause);
        Some(Errno::from_io_error(cause).unwrap_or_else(|| panic!("no errno: {error:?}")))
    }
}

/// What a cell of a matrix is about: an endpoint in some state.
trait Scene {
    /// The context, unless it is gone.
    fn ctx(&self) -> Option<&Context>;

    /// Ends the condition, where that can be done.
    fn relieve(&mut self);
}

/// An operation: a column of a matrix.
type Column<S> = (&'static str, fn(&mut S) -> Begun);

/// A condition: a row of a matrix, with a scene in which it is fulfilled.
type Row<K, S> = (&'static str, fn(K) -> S);

/// Provokes every cell of a table of states, of each of `kinds`.
fn states<K: Copy, S: Scene>(
    table: &Table,
    kinds: &[K],
    columns: &[Column<S>],
    rows: &[Row<K, S>],
) -> Complaints {
    let mut complaints = Vec::new();
    table.expect_columns(columns.iter().map(|(name, _)| *name));
    table.expect_rows(rows.iter().map(|(name, _)| (*name).to_owned()));
    for (index, (condition, set)) in rows.iter().enumerate() {
        for (column, (operation, begin)) in columns.iter().enumerate() {
            let cell = table.cell(index, column);
            for (number, kind) in kinds.iter().enumerate() {
                let of = format!("{operation} of kind {number}, when {condition}");
                let mut scene = set(*kind);
                let failure = begin(&mut scene).failure(scene.ctx());
                complaints.extend(cell.complaint(failure, &of));
                let Some(errno) = failure else { continue };
                scene.relieve();
                let again = begin(&mut scene).failure(scene.ctx());
                if (again == Some(errno)) != cell.stays() {
                    complaints.push(format!("{of}: {errno:?}, then {again:?}"));
                }
            }
        }
    }
    complaints
}

/// What an operation that waits is ended by: a row of a table of ends.
type Ending<S> = (&'static str, fn(&mut S, &dyn Going));

/// Provokes every cell of a table of ends.
fn ends<K: Copy, S: Scene>(
    table: &Table,
    kinds: &[K],
    make: fn(K) -> S,
    columns: &[Column<S>],
    endings: &[Ending<S>],
) -> Complaints {
    let mut complaints = Vec::new();
    table.expect_columns(columns.iter().map(|(name, _)| *name));
    table.expect_rows(endings.iter().map(|(name, _)| (*name).to_owned()));
    for (index, (ending, end)) in endings.iter().enumerate() {
        for (column, (operation, begin)) in columns.iter().enumerate() {
            for kind in kinds {
                let of = format!("{operation}, when {ending}");
                let mut scene = make(*kind);
                let Begun::Going(mut going) = begin(&mut scene) else {
                    panic!("{operation} does not wait");
                };
                scene.ctx().into_iter().for_each(settle);
                assert!(going.result().is_none(), "{operation} does not wait");
                end(&mut scene, &*going);
                let failure = Begun::Going(going).failure(scene.ctx());
                complaints.extend(table.cell(index, column).complaint(failure, &of));
            }
        }
    }
    complaints
}

/// An operation and a condition, with what provokes it as often as it is called.
type Call = (
    &'static str,
    &'static str,
    fn() -> (Context, Box<dyn FnMut() -> Begun>),
);

/// Provokes every line of a table of calls.
fn calls(table: &Table, calls: &[Call]) -> Complaints {
    let mut complaints = Vec::new();
    table.expect_rows(
        calls
            .iter()
            .map(|(operation, condition, _)| format!("{operation}, {condition}")),
    );
    for (index, (operation, condition, provoke)) in calls.iter().enumerate() {
        let cell = table.cell(index, 0);
        let of = format!("{operation}, {condition}");
        let (ctx, mut begin) = provoke();
        let failure = begin().failure(Some(&ctx));
        complaints.extend(cell.complaint(failure, &of));
        if cell.stays() {
            let again = begin().failure(Some(&ctx));
            complaints.extend(cell.complaint(again, &format!("{of}, again")));
        }
    }
    complaints
}

/// The errno of whatever fails on its own account.
const OWN: Errno = Errno::PROTO;

fn context() -> Context {
    Context::new().expect("there is a loop")
}

#[test]
fn every_cell_of_the_contract_is_what_happens() {
    tevent_tests::within_limit(|| {
        let tables = Table::all();
        let headings: Vec<_> = tables.iter().map(|table| table.heading.as_str()).collect();
        let known: Vec<_> = CHAPTERS.iter().map(|(heading, _)| *heading).collect();
        assert_eq!(headings, known, "each table has what provokes it");
        let complaints: Vec<_> = tables
            .iter()
            .zip(CHAPTERS)
            .flat_map(|(table, (_, check))| check(table))
            .collect();
        assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
    });
}

#[test]
fn a_cell_says_what_may_happen_and_for_how_long() {
    let cell = Cell::parse("– or `EPIPE` stays");
    assert!(cell.stays());
    let complains = |cell: &Cell, outcome| cell.complaint(outcome, "it").is_some();
    assert!(!complains(&cell, None) && !complains(&cell, Some(Errno::PIPE)));
    assert!(complains(&cell, Some(Errno::BUSY)));
    let busy = Cell::parse("`EBUSY`");
    assert!(complains(&busy, None) && !complains(&busy, Some(Errno::BUSY)));
    assert!(!busy.stays());
}
