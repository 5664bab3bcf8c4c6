//! What the libraries rest on: each dependency by name, and nothing beside.
#![cfg(target_os = "linux")] // Elsewhere the packages of a Linux build may not be downloaded.

use std::collections::BTreeSet;
use std::env;
use std::path::Path;
use std::process::Command;

const LIBRARIES: [&str; 4] = ["tevent", "tsocket", "tsocket-bsd", "tsocket-npa"];

/// Every third-party crate that a user of all four libraries builds on Linux with default features.
const THIRD_PARTY: [&str; 12] = [
    "bitflags",
    "cfg-if",
    "crossbeam-channel",
    "crossbeam-utils",
    "errno",
    "libc",
    "linux-raw-sys",
    "polling",
    "rustix",
    "signal-hook-registry",
    "slab",
    "zeroize",
];

/// The crates that each library asks for itself, and for what.
const DIRECT: [(&str, &[&str]); 4] = [
    (
        "tevent",
        &[
            "crossbeam-channel",    // work from other threads
            "libc",                 // sys.rs
            "polling",              // registration, and the wait where there is no epoll
            "rustix",               // safe system calls
            "signal-hook-registry", // other libraries' handlers keep working
            "slab",                 // tables behind generation-checked tokens
        ],
    ),
    ("tsocket", &["rustix", "tevent"]),
    (
        "tsocket-bsd",
        &[
            "libc",   // sys.rs
            "rustix", // safe system calls
            "tevent", "tsocket",
        ],
    ),
    (
        "tsocket-npa",
        &[
            "rustix", // error numbers, users
            "tevent",
            "tsocket",
            "tsocket-bsd", // connecting and listening
            "zeroize",     // session keys leave nothing behind
        ],
    ),
];

/// What the daemons ask for beside the libraries.
const DAEMONS: [&str; 4] = ["httparse", "httpdate", "lexopt", "percent-encoding"];

/// The features that users choose, and the crates that each brings with it.
const OPTIONAL: [(&str, &str, &[&str]); 5] = [
    ("tsocket", "bytes", &["bytes"]),
    ("tsocket", "contract-tests", &[]),
    ("tsocket", "futures-io", &["futures-io"]),
    (
        "tsocket",
        "rustls",
        &[
            "once_cell",
            "rustls",
            "rustls-pki-types",
            "rustls-webpki",
            "subtle",
            "untrusted",
            "zeroize",
        ],
    ),
    (
        "tevent-examples",
        "tls",
        &[
            "getrandom", // of ring
            "once_cell", // of rustls
            "openssl-probe",
            "ring",
            "rustls",
            "rustls-native-certs", // which authorities the system trusts
            "rustls-pki-types",
            "rustls-webpki",
            "subtle",
            "untrusted",
        ],
    ),
];

/// Crates that one already here replaces, that expand code at build time, or that build or read C.
const UNWANTED: [&str; 15] = [
    "anyhow",
    "bindgen",
    "cc",
    "clap",
    "cmake",
    "nix",
    "pkg-config",
    "proc-macro2",
    "quote",
    "serde",
    "socket2",
    "syn",
    "thiserror",
    "tokio",
    "uuid",
];

/// The lines of `cargo tree` for `packages`, one crate each.
#[track_caller]
fn tree(packages: &[&str], edges: &str, more: &[&str]) -> Vec<String> {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.toml");
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args([
        "tree",
        "--offline",
        "--locked",
        "--color",
        "never",
        "--prefix",
        "none",
    ]);
    cargo
        .args(["--target", "x86_64-unknown-linux-gnu", "--edges", edges])
        .args(more);
    cargo.arg("--manifest-path").arg(manifest);
    for package in packages {
        cargo.args(["-p", package]);
    }
    let output = cargo.output().expect("cargo runs: it runs this test");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{cargo:?} failed:\n{errors}");
    let text = String::from_utf8(output.stdout).expect("names of crates are plain text");
    text.lines()
        .filter(|line| !line.trim().is_empty())
        .map(str::to_owned)
        .collect()
}

/// The names in `lines`, without the libraries' own.
fn third_party(lines: &[String]) -> BTreeSet<&str> {
    let names = lines.iter().filter_map(|line| line.split(' ').next());
    names.filter(|name| !LIBRARIES.contains(name)).collect()
}

#[test]
fn the_default_graph_is_exactly_this() {
    let lines = tree(&LIBRARIES, "normal", &[]);
    let graph = third_party(&lines);
    assert_eq!(
        graph.into_iter().collect::<Vec<_>>(),
        THIRD_PARTY,
        "a new dependency is a new arrow: argue for it in ARCHITECTURE.md, then count it here"
    );
}

#[test]
fn the_daemons_add_a_few_parsers() {
    let lines = tree(&["tevent-examples"], "normal,build", &[]);
    let mut graph = third_party(&lines);
    graph.remove("tevent-examples");
    let wanted: BTreeSet<_> = THIRD_PARTY.into_iter().chain(DAEMONS).collect();
    assert_eq!(graph, wanted, "what is heavy goes behind a feature");
}

#[test]
fn each_library_asks_for_what_it_uses() {
    for (library, wanted) in DIRECT {
        let lines = tree(&[library], "normal", &["--depth", "1"]);
        let names = lines.iter().filter_map(|line| line.split(' ').next());
        let direct: BTreeSet<_> = names.filter(|name| *name != library).collect();
        assert_eq!(direct.into_iter().collect::<Vec<_>>(), wanted, "{library}");
    }
}

#[test]
fn each_feature_brings_what_it_is_for() {
    for (library, feature, wanted) in OPTIONAL {
        let usual = tree(&[library], "normal", &[]);
        let usual = third_party(&usual);
        let lines = tree(&[library], "normal", &["--features", feature]);
        let graph = third_party(&lines);
        let brought: Vec<_> = graph.difference(&usual).copied().collect();
        assert_eq!(brought, wanted, "{library} with {feature}");
    }
}

#[test]
fn nothing_expands_code_or_builds_c() {
    let lines = tree(&LIBRARIES, "normal,build", &[]);
    let graph = third_party(&lines);
    for unwanted in UNWANTED {
        assert!(
            !graph.contains(unwanted),
            "{unwanted} is in the libraries' graph: {lines:#?}"
        );
    }
    let macros: Vec<_> = lines
        .iter()
        .filter(|line| line.contains("(proc-macro)"))
        .collect();
    assert!(
        macros.is_empty(),
        "{macros:?} run at build time: write the code out"
    );
}
