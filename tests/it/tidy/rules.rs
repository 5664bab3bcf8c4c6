//! The house rules, each a function from one source file to what is wrong in it.

use std::collections::BTreeSet;
use std::fmt;

use super::lexer::{Path, Token, is_word, paths};
use super::sources::Source;

/// The loop's files, and what is in their folders.
const LOOP: &[&str] = &[
    "clock",
    "context",
    "dump",
    "error",
    "fd",
    "immediate",
    "interest",
    "list",
    "poller",
    "remote",
    "run_queue",
    "signal",
    "stats",
    "sys",
    "timer",
    "token",
    "trace",
    "wake",
];

/// The files of requests, which know the loop and are not known by it.
const REQUESTS: &[&str] = &[
    "combine", "group", "interval", "pool", "profile", "queue", "request", "run", "steps", "task",
    "wakeup",
];

/// Names of requests that the loop must not say, whatever file they are in.
const REQUEST_NAMES: &[&str] = &["Completer", "Group", "Request", "Steps"];

const SOCKET_WORDS: &[&str] = &[
    "datagram",
    "listener",
    "socket",
    "socketpair",
    "sockets",
    "stream",
    "streams",
    "tsocket",
];

/// The files of `tsocket-npa` that may know there are BSD sockets.
const NPA_CONNECTS: &[&str] = &["accept", "connect", "listen"];

const LINES_MAX: usize = 500;

/// What is wrong, where, and what to do instead.
#[derive(Debug)]
pub(super) struct Offence {
    pub(super) rule: &'static str,
    pub(super) path: String,
    pub(super) line: usize,
    pub(super) what: String,
}

impl fmt::Display for Offence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}:{}: [{}] {}",
            self.path, self.line, self.rule, self.what
        )
    }
}

/// What a rule needs to know of the other files.
#[derive(Debug, Default)]
pub(super) struct Survey {
    /// The public types of the request files.
    request_types: BTreeSet<String>,
}

impl Survey {
    pub(super) fn of(sources: &[Source]) -> Self {
        let mut request_types = BTreeSet::new();
        for source in sources.iter().filter(|source| is_request(source)) {
            let code = source.code_without_tests();
            request_types.extend(public_types(&code).into_iter().map(str::to_owned));
        }
        Self { request_types }
    }
}

/// The rooms' modules that no file of `tevent` is any more.
pub(super) fn empty_rooms(sources: &[Source]) -> Vec<&'static str> {
    let modules: BTreeSet<_> = sources
        .iter()
        .filter(|source| source.member == "tevent")
        .map(Source::module)
        .collect();
    LOOP.iter()
        .chain(REQUESTS)
        .copied()
        .filter(|module| !modules.contains(module))
        .collect()
}

/// All that is wrong in `source`.
pub(super) fn check(source: &Source, survey: &Survey) -> Vec<Offence> {
    let mut report = Report {
        source,
        offences: Vec::new(),
    };
    header(&mut report);
    length(&mut report);
    let all = source.code();
    kernel(&mut report, &paths(&all));
    let code = source.code_without_tests();
    let names = paths(&code);
    if source.is_library() {
        seams(&mut report, &names);
        if source.path != "src/lib.rs" {
            quiet(&mut report, &code, &names);
        }
    }
    if !source.may_name_anything() {
        room(&mut report);
        loop_names_no_request(&mut report, &names, survey);
        requests_name_no_socket(&mut report, &names);
        sockets_name_no_pipe(&mut report, &names);
        one_way_between_crates(&mut report, &names);
    }
    report.offences
}

struct Report<'a> {
    source: &'a Source,
    offences: Vec<Offence>,
}

impl Report<'_> {
    fn add(&mut self, rule: &'static str, line: usize, what: String) {
        self.offences.push(Offence {
            rule,
            path: self.source.full_path(),
            line,
            what,
        });
    }
}

fn is_loop(source: &Source) -> bool {
    source.member == "tevent" && LOOP.contains(&source.module())
}

fn is_request(source: &Source) -> bool {
    source.member == "tevent" && is_request_module(source.module())
}

fn is_request_module(module: &str) -> bool {
    REQUESTS.contains(&module) || module.starts_with("request")
}

fn header(report: &mut Report<'_>) {
    let first = report.source.text.lines().next().unwrap_or("");
    if first
        .strip_prefix("//! ")
        .is_none_or(|sentence| sentence.trim().is_empty())
    {
        let what = "the first line is not `//! …`: say in one sentence what the file is for; if that \
                    needs an \"and\", make it two files";
        report.add("header", 1, what.to_owned());
    }
}

fn length(report: &mut Report<'_>) {
    let count = report.source.text.lines().count();
    if count > LINES_MAX {
        let what = format!(
            "{count} lines, at most {LINES_MAX} are read with pleasure: move the tests to a sibling \
             `tests.rs`, or a part that has a name of its own to a file of that name"
        );
        report.add("length", count, what);
    }
}

/// Only `sys.rs` has unsafe code and numbers of the C library.
fn kernel(report: &mut Report<'_>, names: &[Path<'_>]) {
    if report.source.file_name() == "sys.rs" {
        return;
    }
    for name in names {
        if name.segments.contains(&"unsafe") {
            let what = "`unsafe` outside sys.rs: move the call there behind a safe function that says \
                        why it is sound, or find the safe call in rustix";
            report.add("unsafe", name.line, what.to_owned());
        }
        if name.segments.contains(&"libc") {
            let what =
                "`libc` outside sys.rs: use rustix, or give sys.rs a safe function or a constant";
            report.add("libc", name.line, what.to_owned());
        }
    }
}

/// Only one file reads the clock, and only one starts threads.
fn seams(report: &mut Report<'_>, names: &[Path<'_>]) {
    for name in names {
        let reads_clock = has(name, &["Instant", "now"])
            || has(name, &["SystemTime", "now"])
            || has(name, &["clock_gettime"]);
        if reads_clock && report.source.file_name() != "clock.rs" {
            let what = "the time is read outside clock.rs, where a test cannot move it: ask \
                        `Context::now`";
            report.add("clock", name.line, what.to_owned());
        }
        let starts_thread = ["spawn", "scope", "Builder"]
            .iter()
            .any(|verb| has(name, &["thread", verb]));
        if starts_thread && report.source.file_name() != "pool.rs" {
            let what = "a thread is started outside pool.rs: hand the blocking work to the pool, which \
                        bounds the number of threads";
            report.add("threads", name.line, what.to_owned());
        }
    }
}

/// A library does not print, and does not end its caller's process.
fn quiet(report: &mut Report<'_>, code: &[Token<'_>], names: &[Path<'_>]) {
    for window in code.windows(3) {
        let [name, bang, open] = window else { continue };
        let prints = ["print", "println", "eprint", "eprintln", "dbg"].contains(&name.text);
        if prints && bang.text == "!" && ["(", "[", "{"].contains(&open.text) {
            let what = format!(
                "a library prints with `{}!`: return an error, or tell a hook that the program sets",
                name.text
            );
            report.add("print", name.line, what);
        }
    }
    for name in names {
        if has(name, &["io", "stdout"]) || has(name, &["io", "stderr"]) {
            let what = "a library writes to the program's output: take an `impl Write`, or return a \
                        value with `Display`";
            report.add("print", name.line, what.to_owned());
        }
        if has(name, &["process", "exit"]) || has(name, &["process", "abort"]) {
            let what =
                "a library ends the process: return an error, only a program knows when to end";
            report.add("exit", name.line, what.to_owned());
        }
    }
}

/// Every file of `tevent` is in one of the two lists, so that no file escapes the rules below.
fn room(report: &mut Report<'_>) {
    let source = report.source;
    if source.member == "tevent" && is_loop(source) == is_request(source) {
        let what = format!(
            "say which room it belongs to: add `{}` to LOOP or to REQUESTS in tests/it/tidy/rules.rs",
            source.module()
        );
        report.add("room", 1, what);
    }
}

fn loop_names_no_request(report: &mut Report<'_>, names: &[Path<'_>], survey: &Survey) {
    if !is_loop(report.source) {
        return;
    }
    for name in names {
        // A type of the loop may be called like one of a request: only the way to it tells.
        let from_root = from_root(name, report.source.depth());
        let into_request = from_root.is_some_and(|way| {
            let is_type = |segment: &&str| survey.request_types.contains(*segment);
            way.first().is_some_and(|module| is_request_module(module)) || way.iter().any(is_type)
        });
        let by_name = name
            .segments
            .iter()
            .any(|segment| REQUEST_NAMES.contains(segment));
        if into_request || by_name {
            let what = format!(
                "the loop names a request: `{}`. Requests are guests of the loop: offer a trait or take a \
                 closure here, and let the request's file know it",
                name.segments.join("::")
            );
            report.add("loop", name.line, what);
        }
        if from_root == Some(&["*"]) {
            let what = "everything of the crate is imported, requests too: name what is meant";
            report.add("loop", name.line, what.to_owned());
        }
    }
}

fn requests_name_no_socket(report: &mut Report<'_>, names: &[Path<'_>]) {
    if !is_request(report.source) {
        return;
    }
    for name in names {
        let says = |segment: &&str| {
            words(segment)
                .iter()
                .any(|w| SOCKET_WORDS.contains(&w.as_str()))
        };
        if name.segments.iter().any(says) {
            let what = format!(
                "a request names a socket: `{}`. A request is any computation with one result: what is \
                 about sockets goes to tsocket",
                name.segments.join("::")
            );
            report.add("request", name.line, what);
        }
    }
}

fn sockets_name_no_pipe(report: &mut Report<'_>, names: &[Path<'_>]) {
    if !["tevent", "tsocket", "tsocket-bsd"].contains(&report.source.member.as_str()) {
        return;
    }
    for name in names {
        let says = |segment: &&str| {
            let words = words(segment);
            words.iter().any(|w| w == "npa") || words.windows(2).any(|w| w == ["named", "pipe"])
        };
        if name.segments.iter().any(says) {
            let what = format!(
                "a socket names a pipe: `{}`. Named pipes are one user of the stream seam: what only \
                 they need goes to tsocket-npa",
                name.segments.join("::")
            );
            report.add("pipe", name.line, what);
        }
    }
}

fn one_way_between_crates(report: &mut Report<'_>, names: &[Path<'_>]) {
    let source = report.source;
    let may = match source.member.as_str() {
        "tevent" | "tsocket" => false,
        "tsocket-npa" => NPA_CONNECTS.contains(&source.module()),
        _ => true,
    };
    if may {
        return;
    }
    for name in names
        .iter()
        .filter(|name| name.segments.contains(&"tsocket_bsd"))
    {
        let what = "`tsocket_bsd` is named below it: take any `Stream`, `Datagram` or `Listener`; in \
                    tsocket-npa only connecting and listening may know BSD sockets";
        report.add("bsd", name.line, what.to_owned());
    }
}

/// Whether `wanted` stands in `name`, in one piece.
fn has(name: &Path<'_>, wanted: &[&str]) -> bool {
    name.segments
        .windows(wanted.len())
        .any(|window| window == wanted)
}

/// The way that `name` goes from the root of the crate, seen from a file `depth` below it.
fn from_root<'a, 'b>(name: &'b Path<'a>, depth: usize) -> Option<&'b [&'a str]> {
    let supers = name
        .segments
        .iter()
        .take_while(|segment| **segment == "super")
        .count();
    if name.segments[0] == "crate" {
        Some(&name.segments[1..])
    } else if supers == depth {
        Some(&name.segments[supers..])
    } else {
        None
    }
}

/// The types that `code` lets anybody name.
fn public_types<'a>(code: &[Token<'a>]) -> Vec<&'a str> {
    let is_type = |word: &str| ["struct", "enum", "trait", "type", "union"].contains(&word);
    code.windows(3)
        .filter(|window| {
            window[0].text == "pub" && is_type(window[1].text) && is_word(window[2].text)
        })
        .map(|window| window[2].text)
        .collect()
}

/// The words of a name, in small letters: `NamedPipe`, `named_pipe` and `NAMED_PIPE` have the same.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut after_small = false;
    for c in name.chars() {
        if c == '_' || (c.is_uppercase() && after_small) {
            words.push(String::new());
        }
        if c != '_' {
            words
                .last_mut()
                .expect("never empty")
                .extend(c.to_lowercase());
        }
        after_small = c.is_lowercase() || c.is_numeric();
    }
    words
}
