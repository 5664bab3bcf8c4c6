//! The house rules that a test can keep: it reads the sources and says what to do instead.

mod lexer;
mod rules;
mod samples;
mod sources;

use std::io;

use self::sources::Source;

/// A rule that one file breaks on purpose.
struct Exception {
    rule: &'static str,
    path: &'static str,
    reason: &'static str,
}

/// This list may only shrink: an entry that excuses nothing fails the test as well.
const EXCEPTIONS: &[Exception] = &[];

/// What is wrong in `sources` and not excused, and every excuse that nothing needs, one line each.
fn complaints(sources: &[Source], exceptions: &[Exception]) -> Vec<String> {
    let survey = rules::Survey::of(sources);
    let mut complaints = Vec::new();
    let mut needed = vec![false; exceptions.len()];
    for offence in sources
        .iter()
        .flat_map(|source| rules::check(source, &survey))
    {
        let excuse = exceptions
            .iter()
            .position(|entry| entry.rule == offence.rule && entry.path == offence.path);
        match excuse {
            Some(index) => needed[index] = true,
            None => complaints.push(offence.to_string()),
        }
    }
    let unneeded = exceptions.iter().zip(needed).filter(|(_, needed)| !needed);
    complaints.extend(unneeded.map(|(entry, _)| {
        format!(
            "{}: [{}] nothing needs this exception any more ({}): remove it",
            entry.path, entry.rule, entry.reason
        )
    }));
    complaints
}

#[test]
fn the_sources_keep_the_house_rules() -> io::Result<()> {
    let complaints = complaints(&sources::read_all()?, EXCEPTIONS);
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
    Ok(())
}

#[test]
fn no_room_lists_a_file_that_is_gone() -> io::Result<()> {
    let gone = rules::empty_rooms(&sources::read_all()?);
    assert!(
        gone.is_empty(),
        "{gone:?}: take them out of LOOP or REQUESTS in tests/it/tidy/rules.rs"
    );
    Ok(())
}

#[test]
fn an_exception_excuses_its_rule_in_its_file_until_nothing_needs_it() {
    let exceptions = [Exception {
        rule: "libc",
        path: "tevent/src/fd.rs",
        reason: "it is a sample",
    }];
    let file = |path| Source::sample("tevent", path, "//! A sample.\nuse libc::c_int;");
    assert_eq!(complaints(&[file("src/fd.rs")], &exceptions), [""; 0]);

    let elsewhere = complaints(&[file("src/timer.rs")], &exceptions);
    assert_eq!(elsewhere.len(), 2, "{elsewhere:?}");
    assert!(
        elsewhere[0].starts_with("tevent/src/timer.rs:2: [libc] "),
        "{elsewhere:?}"
    );
    assert!(
        elsewhere[1].contains("(it is a sample): remove it"),
        "{elsewhere:?}"
    );
}
