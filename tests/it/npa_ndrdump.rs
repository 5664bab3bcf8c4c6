//! What Samba's own decoder says of generated requests.

use std::fs;
use std::io::{self, Write};
use std::num::NonZero;
use std::path::Path;
use std::process::Command;
use std::thread;

use arbtest::arbitrary::Unstructured;
use tevent_tests::npa::{any_request, vectors};
use tevent_tests::{Random, scaled};
use tsocket_npa::codec::{FileType, Level, NtStatus, Reply, Request};

/// What a generated request is made of.
const SOURCE_LEN: usize = 3000;

const REQUEST: &str = "named_pipe_auth_req";
const REPLY: &str = "named_pipe_auth_rep";

/// What is wrong with `packet` in the eyes of `ndrdump`, which decodes it, encodes it again and compares.
fn complaint(structure: &str, packet: &[u8], file: &Path) -> Option<String> {
    fs::write(file, packet).expect("there is room for a file");
    let mut ndrdump = Command::new("ndrdump");
    // A machine without Samba's configuration has this much of one.
    ndrdump.args(["--configfile=/dev/null", "--quiet", "--validate"]);
    ndrdump.args(["named_pipe_auth", structure, "struct"]);
    let output = ndrdump.arg(file).output().expect("it is there");
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    let agrees = output.status.success() && said.contains("dump OK") && !said.contains("WARNING");
    (!agrees).then_some(said)
}

/// The level that this release of Samba speaks.
fn level_of_ndrdump(file: &Path) -> Level {
    let vector = &vectors("req-l8-system")[0];
    let mut request = Request::decode(&vector.bytes).expect("it is a request");
    let mut newest_first = Level::ALL.iter().rev().copied();
    let spoken = newest_first.find(|&level| {
        request.level = level;
        let packet = request.encode().expect("it was decoded");
        complaint(REQUEST, packet.expose(), file).is_none()
    });
    spoken.expect("ndrdump speaks one of the levels")
}

/// Has `ndrdump` look at `count` generated requests.
fn compare(count: usize, level: Level, file: &Path) {
    let mut random = Random::seeded();
    for _ in 0..count {
        let source: Vec<u8> = (0..SOURCE_LEN)
            .map(|_| u8::try_from(random.below(256)).expect("it is below 256"))
            .collect();
        let request =
            any_request(&mut Unstructured::new(&source), level).expect("no source is too short");
        let packet = request.encode().expect("it is not too long");
        if let Some(said) = complaint(REQUEST, packet.expose(), file) {
            panic!("{said}\nof {request:#?}");
        }
    }
}

#[test]
fn ndrdump_reads_what_we_write_and_writes_the_same() {
    if Command::new("ndrdump").arg("--version").output().is_err() {
        writeln!(
            io::stderr(),
            "skipped: there is no ndrdump (Debian: samba-testsuite)"
        )
        .ok();
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    let level = level_of_ndrdump(&file("level"));
    for reply in [
        Reply::accept(level, FileType::BYTE_MODE),
        Reply::accept(level, FileType::MESSAGE_MODE),
        Reply::refuse(level, NtStatus::ACCESS_DENIED),
    ] {
        let complaint = complaint(REPLY, &reply.encode(), &file("reply"));
        assert_eq!(complaint, None, "{reply:?}");
    }
    let total = scaled(300, 10_000);
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    thread::scope(|scope| {
        for index in 0..threads {
            let file = file(&index.to_string());
            scope.spawn(move || compare(total.div_ceil(threads), level, &file));
        }
    });
}
