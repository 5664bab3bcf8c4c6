//! The porting guide: every C name is in it, and every item it names carries that name.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::upstream::is_a_test;

/// The functions of `tevent.h`, with the part that each line's names have in common in front.
const FUNCTIONS: &[(&str, &str)] = &[
    (
        "tevent_context_",
        "init init_byname init_ops set_wait_timeout",
    ),
    (
        "tevent_context_", // deprecated
        "wrapper_create is_wrapper push_use pop_use same_loop",
    ),
    (
        "tevent_",
        "backend_list set_default_backend register_backend find_ops_byname",
    ),
    (
        "tevent_",
        "loop_once loop_wait re_initialise set_abort_fn cached_getpid",
    ),
    ("tevent_loop_", "until allow_nesting set_nesting_hook"), // deprecated
    ("tevent_", "add_fd add_timer update_timer add_signal"),
    (
        "tevent_fd_",
        "set_flags get_flags set_close_fn set_auto_close set_tag get_tag",
    ),
    ("tevent_timer_", "set_tag get_tag"),
    (
        "tevent_",
        "create_immediate schedule_immediate reset_immediate",
    ),
    ("tevent_immediate_", "set_tag get_tag"),
    ("tevent_", "signal_support num_signals sa_info_queue_count"),
    ("tevent_signal_", "set_tag get_tag"),
    ("tevent_set_", "debug max_debug_level debug_stderr"),
    (
        "tevent_set_trace_",
        "callback fd_callback timer_callback signal_callback immediate_callback queue_callback",
    ),
    (
        "tevent_get_trace_",
        "callback fd_callback timer_callback signal_callback immediate_callback queue_callback",
    ),
    (
        "tevent_req_",
        "create set_callback callback_data callback_data_void data",
    ),
    (
        "tevent_req_",
        "done error nomem oom post defer_callback notify_callback",
    ),
    ("tevent_req_", "is_in_progress is_error poll received"),
    (
        "tevent_req_",
        "set_cleanup_fn set_cancel_fn cancel set_endtime reset_endtime",
    ),
    ("tevent_req_", "set_print_fn print default_print"),
    ("tevent_req_", "set_profile get_profile move_profile"),
    (
        "tevent_req_profile_",
        "get_name get_start get_stop get_status get_subprofiles next",
    ),
    (
        "tevent_req_profile_",
        "create set_name set_start set_stop set_status append_sub",
    ),
    ("tevent_wakeup_", "send recv"),
    (
        "tevent_timeval_",
        "compare zero current set until is_zero add current_ofs",
    ),
    ("tevent_thread_call_depth_", "set_callback reset_from_req"),
    ("tevent_thread_call_depth_", "activate deactivate start"), // deprecated
    (
        "tevent_queue_",
        "create add add_entry add_optimize_empty entry_untrigger",
    ),
    (
        "tevent_queue_",
        "start stop length running wait_send wait_recv",
    ),
    ("tevent_queue_entry_", "set_tag get_tag"),
    ("tevent_thread_proxy_", "create schedule"),
    ("tevent_threaded_", "context_create schedule_immediate"),
];

/// The macros that change one flag of a descriptor, and the memory under it all.
const OTHERS: &[(&str, &str)] = &[
    (
        "TEVENT_FD_",
        "READABLE NOT_READABLE WRITEABLE NOT_WRITEABLE WANTERROR NOT_WANTERROR",
    ),
    ("", "talloc mem_ctx"),
];

const DEPRECATED_COUNT: usize = 11;

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

fn guide() -> String {
    fs::read_to_string(source_root().join("../PORTING.md")).expect("the guide is there")
}

fn source_root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tevent/src")
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
        let items = cells[1].split("[`").skip(1).map(|rest| {
            let (item, _) = rest.split_once("`]").expect("a link has an end");
            item.trim_end_matches("()").to_owned()
        });
        Some(Row {
            name: name.to_owned(),
            items: items.collect(),
            reason: cells[2].to_owned(),
        })
    };
    tables.lines().filter_map(row).collect()
}

/// Every public item of the crate that has C names, with these.
fn items_with_c_names() -> io::Result<BTreeMap<String, BTreeSet<String>>> {
    let mut items = BTreeMap::new();
    let mut folders = vec![source_root()];
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

#[test]
fn every_c_name_is_in_the_guide_once() {
    let functions = spelled_out(FUNCTIONS);
    assert_eq!(functions.len(), 129);
    let expected: BTreeSet<_> = functions.into_iter().chain(spelled_out(OTHERS)).collect();
    assert_eq!(expected.len(), 129 + 6 + 2, "no name stands here twice");
    let mut seen = BTreeSet::new();
    for row in rows(&guide()) {
        assert!(expected.contains(&row.name), "{} is no C name", row.name);
        assert!(seen.insert(row.name.clone()), "{} is there twice", row.name);
    }
    let missing: Vec<_> = expected.difference(&seen).collect();
    assert!(missing.is_empty(), "not in tevent/PORTING.md: {missing:?}");
}

#[test]
fn what_is_deprecated_in_c_says_so() {
    let rows = rows(&guide());
    let deprecated = rows
        .iter()
        .filter(|row| row.reason.contains("(deprecated in C)"));
    assert_eq!(deprecated.count(), DEPRECATED_COUNT);
}

#[test]
fn every_item_in_the_guide_carries_the_c_name() -> io::Result<()> {
    let items = items_with_c_names()?;
    for Row {
        name,
        items: named,
        reason,
    } in rows(&guide())
    {
        assert!(!reason.is_empty(), "{name}: what does it mean, or why not?");
        for item in named {
            let aliases = items.get(&item);
            assert!(aliases.is_some(), "{name}: there is no `{item}`");
            assert!(
                aliases.is_some_and(|aliases| aliases.contains(&name)),
                "give `{item}` the attribute #[doc(alias = \"{name}\")]"
            );
        }
    }
    Ok(())
}

#[test]
fn every_c_function_that_an_item_carries_is_in_its_row() -> io::Result<()> {
    let rows = rows(&guide());
    for (item, aliases) in items_with_c_names()? {
        for row in rows.iter().filter(|row| aliases.contains(&row.name)) {
            assert!(
                row.items.contains(&item),
                "`{item}` is found as {}, but its row in tevent/PORTING.md does not say so",
                row.name
            );
        }
    }
    Ok(())
}

#[test]
fn every_difference_in_the_guide_has_its_test() {
    let guide = guide();
    let (_, rest) = guide
        .split_once("## What behaves differently")
        .expect("the differences have a heading");
    let (table, _) = rest
        .split_once("\n## ")
        .expect("another chapter comes after them");
    let differences: Vec<_> = table.lines().filter_map(cells).skip(2).collect();
    assert!(differences.len() > 10);
    for difference in differences {
        let test = difference
            .last()
            .expect("a line has cells")
            .trim_matches('`');
        assert!(is_a_test(test), "there is no test {test}");
    }
}
