//! The porting guides: every C name is in its guide, and every item it names carries that name.

mod npa;
mod tevent;
mod tsocket;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::Path;

use crate::upstream::is_a_test;

/// What every guide is held to; `$count` is how many names its tables have.
macro_rules! guide_tests {
    ($guide:expr, $count:expr) => {
        #[test]
        fn every_c_name_is_in_the_guide_once() {
            $guide.expect_every_name();
            assert_eq!($guide.row_count(|_| true), $count);
        }

        #[test]
        fn every_item_in_the_guide_carries_the_c_name() -> std::io::Result<()> {
            $guide.expect_items_to_carry_their_names()
        }

        #[test]
        fn every_c_function_that_an_item_carries_is_in_its_row() -> std::io::Result<()> {
            $guide.expect_names_to_have_their_items()
        }

        #[test]
        fn every_difference_in_the_guide_has_its_test() {
            $guide.expect_differences_to_have_tests();
        }
    };
}
use guide_tests;

fn spelled_out(list: &[(&str, &str)]) -> Vec<String> {
    let names = list.iter().flat_map(|(prefix, names)| {
        names
            .split_whitespace()
            .map(move |name| format!("{prefix}{name}"))
    });
    names.collect()
}

/// One line of the tables of names.
struct Row {
    name: String,
    items: Vec<String>,
    reason: String,
}

/// A porting guide, and the crates whose items it names.
pub(crate) struct Guide {
    /// The crate that it belongs to.
    pub(crate) name: &'static str,
    /// Crates above that one, whose items are named with their crate.
    pub(crate) above: &'static [&'static str],
    /// Every C name, with the part that each line's names have in common in front.
    pub(crate) names: &'static [(&'static str, &'static str)],
}

impl Guide {
    fn text(&self) -> String {
        let path = workspace().join(self.name).join("PORTING.md");
        fs::read_to_string(path).expect("the guide is there")
    }

    /// Every public item that has C names, with these.
    fn items_with_c_names(&self) -> io::Result<BTreeMap<String, BTreeSet<String>>> {
        let mut items = sources_of(self.name)?;
        for name in self.above {
            let prefix = name.replace('-', "_");
            let named = sources_of(name)?.into_iter();
            items.extend(named.map(|(item, aliases)| (format!("{prefix}::{item}"), aliases)));
        }
        Ok(items)
    }

    /// Expects that the tables have each C name once, and no other.
    pub(crate) fn expect_every_name(&self) {
        let mut expected = BTreeSet::new();
        for name in spelled_out(self.names) {
            assert!(
                expected.insert(name.clone()),
                "{name} stands in the list twice"
            );
        }
        let mut seen = BTreeSet::new();
        for row in rows(&self.text()) {
            assert!(expected.contains(&row.name), "{} is no C name", row.name);
            assert!(seen.insert(row.name.clone()), "{} is there twice", row.name);
        }
        let missing: Vec<_> = expected.difference(&seen).collect();
        assert!(
            missing.is_empty(),
            "not in {}/PORTING.md: {missing:?}",
            self.name
        );
    }

    /// Expects that each item of the tables is found by the C name, and that each has a meaning or a
    /// reason.
    pub(crate) fn expect_items_to_carry_their_names(&self) -> io::Result<()> {
        let known = self.items_with_c_names()?;
        for Row {
            name,
            items,
            reason,
        } in rows(&self.text())
        {
            assert!(!reason.is_empty(), "{name}: what does it mean, or why not?");
            for item in items {
                // An item may be named with the module that it is in.
                let short = item.strip_prefix("pdu::").unwrap_or(&item);
                let aliases = known.get(short);
                assert!(aliases.is_some(), "{name}: there is no `{item}`");
                assert!(
                    aliases.is_some_and(|aliases| aliases.contains(&name)),
                    "give `{item}` the attribute #[doc(alias = \"{name}\")]"
                );
            }
        }
        Ok(())
    }

    /// Expects that each item which is found by a C name stands in that name's row.
    pub(crate) fn expect_names_to_have_their_items(&self) -> io::Result<()> {
        let rows = rows(&self.text());
        for (item, aliases) in self.items_with_c_names()? {
            for row in rows.iter().filter(|row| aliases.contains(&row.name)) {
                let is_there = |named: &String| named == &item || *named == format!("pdu::{item}");
                assert!(
                    row.items.iter().any(is_there),
                    "`{item}` is found as {}, but its row in {}/PORTING.md does not say so",
                    row.name,
                    self.name
                );
            }
        }
        Ok(())
    }

    /// Expects that each difference names a test or a clause that there is.
    pub(crate) fn expect_differences_to_have_tests(&self) {
        let text = self.text();
        let (_, rest) = text
            .split_once("## What behaves differently")
            .expect("the differences have a heading");
        let table = rest.split("\n## ").next().unwrap_or_default();
        let differences: Vec<_> = table.lines().filter_map(cells).skip(2).collect();
        assert!(differences.len() > 10);
        for difference in differences {
            let test = difference.last().expect("a line has cells");
            let test = test.trim_matches('`');
            assert!(
                is_a_test(test) || is_a_clause(test),
                "there is no test {test}"
            );
        }
    }

    /// How many names the tables have.
    pub(crate) fn row_count(&self, is_counted: impl Fn(&str) -> bool) -> usize {
        let rows = rows(&self.text());
        rows.iter().filter(|row| is_counted(&row.reason)).count()
    }
}

/// Whether `clause` (`contract::stream::bytes::…`) is one of a contract suite.
fn is_a_clause(clause: &str) -> bool {
    let Some((module, function)) = clause.rsplit_once("::") else {
        return false;
    };
    let path = format!("tsocket/src/{}.rs", module.replace("::", "/"));
    let source = fs::read_to_string(workspace().join(path));
    module.starts_with("contract::")
        && source.is_ok_and(|source| source.contains(&format!("\npub(super) fn {function}(")))
}

fn workspace() -> &'static Path {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests
        .parent()
        .expect("the tests are a folder of the workspace")
}

/// The cells of a table's line, without the space around them.
fn cells(line: &str) -> Option<Vec<&str>> {
    let inner = line.strip_prefix('|')?.strip_suffix('|')?;
    Some(inner.split('|').map(str::trim).collect())
}

fn rows(guide: &str) -> Vec<Row> {
    let (_, tables) = guide
        .split_once("## Every name")
        .expect("the tables have a heading");
    let row = |line| {
        let cells = cells(line)?;
        let name = cells[0].strip_prefix('`')?.strip_suffix('`')?;
        assert_eq!(cells.len(), 3, "{line}");
        let spans = cells[1].split('`').skip(1).step_by(2);
        let items = spans.map(|item| item.trim_end_matches("()").to_owned());
        Some(Row {
            name: name.to_owned(),
            items: items.collect(),
            reason: cells[2].to_owned(),
        })
    };
    tables.lines().filter_map(row).collect()
}

fn sources_of(name: &str) -> io::Result<BTreeMap<String, BTreeSet<String>>> {
    let mut items = BTreeMap::new();
    let mut folders = vec![workspace().join(name).join("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                collect(&fs::read_to_string(path)?, &mut items);
            }
        }
    }
    Ok(items)
}

/// Relies on what rustfmt makes of a source: one item to a line, blocks closed in the first column.
fn collect(source: &str, items: &mut BTreeMap<String, BTreeSet<String>>) {
    let mut owner = None;
    let mut aliases: BTreeSet<String> = BTreeSet::new();
    for line in source.lines() {
        let code = line.trim_start();
        if let Some(alias) = code.strip_prefix("#[doc(alias = \"") {
            let (alias, _) = alias.split_once('"').expect("a string has an end");
            aliases.insert(alias.to_owned());
        } else if line.starts_with("impl") {
            owner = Some(implemented_for(line));
        } else if line == "}" {
            owner = None;
            aliases.clear();
        } else if let Some(name) = declared(code) {
            let path = match &owner {
                Some(owner) => format!("{owner}::{name}"),
                None => name.to_owned(),
            };
            if line.starts_with("pub ") && line.ends_with('{') {
                owner = Some(name.to_owned()); // of its fields
            }
            let known: &mut BTreeSet<String> = items.entry(path).or_default();
            known.append(&mut aliases);
        }
    }
}

/// The name of the public item or field that a line declares.
fn declared(code: &str) -> Option<&str> {
    let rest = code.strip_prefix("pub ")?;
    let (first, others) = rest.split_once(' ')?;
    if let Some(field) = first.strip_suffix(':') {
        return Some(field);
    }
    let rest = others.strip_prefix("fn ").unwrap_or(others); // an async or const one
    let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_')?;
    Some(&rest[..end])
}

/// The type that `impl<T> Trait<T> for Type<T> {` or `impl<T> Type<T> {` is for.
fn implemented_for(line: &str) -> String {
    let rest = line.split_once(" for ").map_or_else(
        || {
            let mut depth = 0_u32;
            let is_over = |c: char| {
                depth += u32::from(c == '<');
                depth -= u32::from(c == '>');
                c == ' ' && depth == 0
            };
            let start = line.find(is_over).expect("an impl is of something");
            &line[start + 1..]
        },
        |(_, rest)| rest,
    );
    let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_');
    rest[..end.unwrap_or(rest.len())].to_owned()
}
