//! The porting table of named pipes: every C name, items that carry it, differences with their tests.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::upstream::is_a_test;

/// The functions of `npa_tstream.h`.
const FUNCTIONS: [&str; 6] = [
    "tstream_npa_accept_existing_recv",
    "tstream_npa_accept_existing_send",
    "tstream_npa_connect_recv",
    "tstream_npa_connect_send",
    "tstream_npa_existing_socket",
    "tstream_npa_existing_stream",
];

fn crate_root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tsocket-npa")
}

/// The cells of the lines of the table below `heading`, without its head.
fn table(heading: &str) -> Vec<Vec<String>> {
    let guide = fs::read_to_string(crate_root().join("PORTING.md")).expect("the guide is there");
    let (_, below) = guide.split_once(heading).expect("the heading is there");
    let lines = below.lines().skip_while(|line| !line.starts_with('|'));
    let rows = lines.take_while(|line| line.starts_with('|')).skip(2);
    let cells = rows.map(|line| line.trim_matches('|').split(" | ").map(str::trim));
    cells.map(|row| row.map(str::to_owned).collect()).collect()
}

/// Whether an item called `name` is declared below an alias `alias` in the crate.
fn carries(name: &str, alias: &str) -> bool {
    let name = name.rsplit("::").next().unwrap_or(name);
    let attribute = format!("#[doc(alias = \"{alias}\")]");
    let declares = |line: &str| {
        let words: Vec<_> = line
            .split(|c: char| !c.is_alphanumeric() && c != '_')
            .collect();
        line.trim_start().starts_with("pub ") && words.contains(&name)
    };
    let sources = fs::read_dir(crate_root().join("src")).expect("the sources are there");
    sources.flatten().any(|entry| {
        let source = fs::read_to_string(entry.path()).unwrap_or_default();
        let mut pieces = source.split(&attribute).skip(1);
        pieces.any(|piece| {
            let item = piece.lines().map(str::trim).find(|line| {
                !line.is_empty() && !line.starts_with("#[") && !line.starts_with("//")
            });
            item.is_some_and(declares)
        })
    })
}

#[test]
fn every_c_name_is_there_and_every_item_carries_it() {
    let mut seen = BTreeSet::new();
    for row in table("## Every name") {
        let [name, items, meaning] = &row[..] else {
            panic!("a line has three cells: {row:?}");
        };
        let name = name.trim_matches('`').to_owned();
        assert!(!meaning.is_empty());
        for item in items.split(", ") {
            let item = item.trim_matches(['[', ']', '`']).trim_end_matches("()");
            assert!(carries(item, &name), "give `{item}` the alias {name}");
        }
        assert!(seen.insert(name));
    }
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), FUNCTIONS);
}

#[test]
fn every_difference_has_its_test() {
    let differences = table("## What behaves differently");
    assert!(differences.len() > 10);
    for difference in differences {
        let test = difference.last().expect("a line has cells");
        let test = test.trim_matches('`');
        assert!(is_a_test(test), "there is no test {test}");
    }
}
