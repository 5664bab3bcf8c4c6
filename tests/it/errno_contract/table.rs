//! The tables of the contract, as the document has them.

use std::fs;
use std::path::Path;

use rustix::io::Errno;

use super::OWN;

const NAMES: &[(&str, Errno)] = &[
    ("EADDRINUSE", Errno::ADDRINUSE),
    ("EADDRNOTAVAIL", Errno::ADDRNOTAVAIL),
    ("EAFNOSUPPORT", Errno::AFNOSUPPORT),
    ("EAGAIN", Errno::AGAIN),
    ("EALREADY", Errno::ALREADY),
    ("EBUSY", Errno::BUSY),
    ("ECANCELED", Errno::CANCELED),
    ("ECONNABORTED", Errno::CONNABORTED),
    ("ECONNREFUSED", Errno::CONNREFUSED),
    ("ECONNRESET", Errno::CONNRESET),
    ("EDESTADDRREQ", Errno::DESTADDRREQ),
    ("EINVAL", Errno::INVAL),
    ("EISCONN", Errno::ISCONN),
    ("EMSGSIZE", Errno::MSGSIZE),
    ("ENOBUFS", Errno::NOBUFS),
    ("ENOENT", Errno::NOENT),
    ("ENOTCONN", Errno::NOTCONN),
    ("ENOTSOCK", Errno::NOTSOCK),
    ("EOPNOTSUPP", Errno::OPNOTSUPP),
    ("EPIPE", Errno::PIPE),
    ("EPROTOTYPE", Errno::PROTOTYPE),
    ("ESHUTDOWN", Errno::SHUTDOWN),
    ("ETIMEDOUT", Errno::TIMEDOUT),
];

/// A table, with the heading above it.
pub(super) struct Table {
    pub(super) heading: String,
    columns: Vec<String>,
    rows: Vec<(String, Vec<Cell>)>,
}

/// What may happen, and whether it happens again.
#[derive(Debug)]
pub(super) struct Cell {
    outcomes: Vec<Option<Errno>>,
    stays: bool,
}

impl Cell {
    pub(super) fn parse(text: &str) -> Self {
        let (names, stays) = match text.strip_suffix(" stays") {
            Some(names) => (names, true),
            None => (text, false),
        };
        let outcome = |name: &str| match name {
            "–" => None,
            "as the rule says" | "as the PDU says" => Some(OWN),
            _ => {
                let known = NAMES.iter().find(|(known, _)| format!("`{known}`") == name);
                Some(known.unwrap_or_else(|| panic!("no errno: {name}")).1)
            }
        };
        Self {
            outcomes: names.split(" or ").map(outcome).collect(),
            stays,
        }
    }

    /// Whether a second call fails like the first.
    pub(super) fn stays(&self) -> bool {
        self.stays
    }

    /// What is wrong with the cell if this is the outcome.
    pub(super) fn complaint(&self, outcome: Option<Errno>, of: &str) -> Option<String> {
        let is_wrong = !self.outcomes.contains(&outcome);
        is_wrong.then(|| format!("{of}: {outcome:?}, and not {:?}", self.outcomes))
    }
}

impl Table {
    /// Every table of the document, in order.
    pub(super) fn all() -> Vec<Self> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tsocket/ERRORS.md");
        let text = fs::read_to_string(path).expect("the contract is there");
        let chapters = text.split("\n## ").skip(1);
        chapters.map(Self::parse).collect()
    }

    fn parse(chapter: &str) -> Self {
        let heading = chapter.lines().next().unwrap_or("").to_owned();
        let mut lines = chapter.lines().filter_map(cells);
        let head = lines.next().expect("a chapter has a table");
        let is_matrix = head[0] == "Condition";
        // A list has operation and condition in front, a matrix the condition alone.
        let in_front = if is_matrix { 1 } else { 2 };
        let rows = lines.skip(1).map(|cells| {
            assert_eq!(cells.len(), head.len(), "{cells:?}");
            let name = cells[..in_front].join(", ");
            let name = if is_matrix {
                name
            } else {
                name.replacen('`', "", 2)
            };
            let cells = cells[in_front..].iter().map(|cell| Cell::parse(cell));
            (name, cells.collect())
        });
        Self {
            heading,
            columns: head[in_front..]
                .iter()
                .map(|name| name.trim_matches('`').to_owned())
                .collect(),
            rows: rows.collect(),
        }
    }

    pub(super) fn cell(&self, row: usize, column: usize) -> &Cell {
        &self.rows[row].1[column]
    }

    /// Expects that each column has what provokes it, and the other way round.
    pub(super) fn expect_columns<'a>(&self, names: impl Iterator<Item = &'a str>) {
        assert_eq!(self.columns, names.collect::<Vec<_>>(), "{}", self.heading);
    }

    /// Expects that each row has what provokes it, and the other way round.
    pub(super) fn expect_rows(&self, names: impl Iterator<Item = String>) {
        let rows: Vec<_> = self.rows.iter().map(|(name, _)| name.clone()).collect();
        assert_eq!(rows, names.collect::<Vec<_>>(), "{}", self.heading);
    }
}

fn cells(line: &str) -> Option<Vec<&str>> {
    let inner = line.strip_prefix('|')?.strip_suffix('|')?;
    Some(inner.split('|').map(str::trim).collect())
}
