//! `httpd` as its users meet it: by hand, with curl, and under wrk's load.

mod abuse;

use std::fs;
use std::io::Read as _;
use std::path::Path;
use std::process::Command;

use rustix::process::Signal;
use tempfile::TempDir;

use crate::rig::client::Client;
use crate::rig::counterpart;
use crate::rig::daemon::{Daemon, Kind, Program, temporary_directory};
use crate::rig::patience::{LIMIT, scale, tell};
use crate::rig::pattern::Random;

pub(crate) const HTTPD: Program = Program {
    name: "httpd",
    path: env!("CARGO_BIN_EXE_httpd"),
};

/// A site with a few files, and the daemon that serves it.
struct Site {
    root: TempDir,
    daemon: Daemon,
}

impl Site {
    fn new() -> Self {
        Self::with_options(&[])
    }

    fn with_options(options: &[&str]) -> Self {
        let root = temporary_directory();
        let write = |name: &str, bytes: &[u8]| {
            fs::write(root.path().join(name), bytes).expect("a file can be written");
        };
        fs::create_dir_all(root.path().join("sub/deep")).expect("a directory can be made");
        write("index.html", b"<h1>hello</h1>\n");
        write("sub/index.html", b"sub\n");
        write("sub/a b.txt", b"0123456789");
        write("large.bin", &large());
        write("empty.css", b"");
        let text = root.path().to_str().expect("the path is text").to_owned();
        let mut arguments = vec!["--root", &text];
        arguments.extend(options);
        let daemon = Daemon::of(HTTPD, &[Kind::Tcp], &arguments);
        Self { root, daemon }
    }

    fn connect(&self) -> Client {
        Client::connect(&self.daemon, Kind::Tcp)
    }

    fn url(&self, target: &str) -> String {
        format!("http://{}{target}", self.daemon.inet_address(Kind::Tcp))
    }

    /// Asks for `target` on a connection of its own, with more header lines.
    #[track_caller]
    fn ask(&self, method: &str, target: &str, headers: &str) -> Response {
        let mut client = self.connect();
        let head = format!("{method} {target} HTTP/1.1\r\nHost: a\r\n{headers}\r\n");
        client.send(head.as_bytes());
        Response::read(&mut client, method == "HEAD")
    }
}

/// Three megabytes that do not repeat.
fn large() -> Vec<u8> {
    let mut random = Random::new(1);
    (0..375_000)
        .flat_map(|_| random.next().to_le_bytes())
        .collect()
}

struct Response {
    status: u16,
    head: String,
    content: Vec<u8>,
}

impl Response {
    #[track_caller]
    fn read(client: &mut Client, is_head: bool) -> Self {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            client.read_exact(&mut byte).expect("a head comes");
            head.extend(byte);
        }
        let head = String::from_utf8(head).expect("a head is ASCII");
        let mut response = Self {
            status: head[9..12].parse().expect("a status is a number"),
            content: Vec::new(),
            head,
        };
        if !is_head && response.status != 304 {
            let len = response.header("Content-Length").expect("a length");
            response.content = vec![0; len.parse().expect("a number")];
            client
                .read_exact(&mut response.content)
                .expect("all of the content comes");
        }
        response
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.head
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

#[test]
fn files_come_with_their_type_length_and_date() {
    let site = Site::new();
    for (target, media_type, content) in [
        ("/", "text/html; charset=utf-8", &b"<h1>hello</h1>\n"[..]),
        (
            "/index.html?x=y",
            "text/html; charset=utf-8",
            b"<h1>hello</h1>\n",
        ),
        ("/sub/", "text/html; charset=utf-8", b"sub\n"),
        ("/sub/a%20b.txt", "text/plain; charset=utf-8", b"0123456789"),
        (
            "//sub/.//a%20b.txt",
            "text/plain; charset=utf-8",
            b"0123456789",
        ),
        ("/empty.css", "text/css; charset=utf-8", b""),
        ("/large.bin", "application/octet-stream", &large()),
    ] {
        let response = site.ask("GET", target, "");
        assert_eq!(response.status, 200, "{target}: {}", response.head);
        assert_eq!(
            response.header("Content-Type"),
            Some(media_type),
            "{target}"
        );
        assert!(response.content == content, "{target} came changed");
        let date = response.header("Last-Modified").expect("a date");
        assert!(date.ends_with(" GMT"), "{date}");
        assert!(response.header("Date").is_some());
    }
}

#[test]
fn head_says_the_same_without_the_content() {
    let site = Site::new();
    let mut client = site.connect();
    client.send(b"HEAD /large.bin HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let head = Response::read(&mut client, true);
    assert_eq!(head.header("Content-Length"), Some("3000000"));
    assert_eq!(
        Response::read(&mut client, false).content,
        b"<h1>hello</h1>\n"
    );
}

#[test]
fn requests_that_come_together_are_answered_in_order() {
    let site = Site::new();
    let mut client = site.connect();
    let one = |target| format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n");
    let together = [one("/large.bin"), one("/nothing"), one("/sub/a%20b.txt")].concat();
    client.send(together.repeat(20).as_bytes());
    for _ in 0..20 {
        assert!(Response::read(&mut client, false).content == large());
        assert_eq!(Response::read(&mut client, false).status, 404);
        assert_eq!(Response::read(&mut client, false).content, b"0123456789");
    }
    client.half_close();
    client.expect_end();
}

#[test]
fn a_request_may_come_byte_by_byte() {
    let site = Site::new();
    let mut client = site.connect();
    for byte in b"GET /sub/a%20b.txt HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc" {
        client.send(&[*byte]);
    }
    assert_eq!(Response::read(&mut client, false).content, b"0123456789");
}

#[test]
fn a_connection_ends_when_its_client_wants_that() {
    let site = Site::new();
    for request in [
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        "GET / HTTP/1.0\r\n\r\n",
    ] {
        let mut client = site.connect();
        client.send(request.as_bytes());
        let response = Response::read(&mut client, false);
        assert_eq!(response.header("Connection"), Some("close"));
        client.expect_end();
    }
}

#[test]
fn a_range_is_a_part_of_the_file() {
    let site = Site::new();
    let ask = |range: &str| site.ask("GET", "/sub/a%20b.txt", &format!("Range: {range}\r\n"));
    for (range, shown, content) in [
        ("bytes=2-4", "bytes 2-4/10", &b"234"[..]),
        ("bytes=7-", "bytes 7-9/10", b"789"),
        ("bytes=-2", "bytes 8-9/10", b"89"),
    ] {
        let response = ask(range);
        assert_eq!(response.status, 206, "{range}");
        assert_eq!(response.header("Content-Range"), Some(shown));
        assert_eq!(response.content, content);
    }
    let beyond = ask("bytes=10-");
    assert_eq!(beyond.status, 416);
    assert_eq!(beyond.header("Content-Range"), Some("bytes */10"));
    assert_eq!(ask("bytes=0-1,3-4").status, 200);

    let part = site.ask("GET", "/large.bin", "Range: bytes=262143-2621440\r\n");
    assert!(part.content == large()[262_143..=2_621_440]);
}

#[test]
fn an_unchanged_file_is_not_sent_again() {
    let site = Site::new();
    let first = site.ask("GET", "/sub/a%20b.txt", "");
    let date = first.header("Last-Modified").expect("a date");
    let since = |date: &str| {
        site.ask(
            "GET",
            "/sub/a%20b.txt",
            &format!("If-Modified-Since: {date}\r\n"),
        )
    };
    assert_eq!(since(date).status, 304);
    assert_eq!(since("Thu, 01 Jan 1970 00:00:01 GMT").status, 200);
    assert_eq!(since("yesterday").status, 200);

    let if_range = |date: &str| {
        let headers = format!("Range: bytes=0-0\r\nIf-Range: {date}\r\n");
        site.ask("GET", "/sub/a%20b.txt", &headers).status
    };
    assert_eq!(if_range(date), 206);
    assert_eq!(if_range("Thu, 01 Jan 1970 00:00:01 GMT"), 200);
}

#[test]
fn nothing_outside_the_root_is_served() {
    let site = Site::new();
    let outside = temporary_directory();
    let secret = outside.path().join("secret.txt");
    fs::write(&secret, "secret").expect("a file can be written");
    let link = |to: &Path, name: &str| {
        std::os::unix::fs::symlink(to, site.root.path().join(name)).expect("a link can be made");
    };
    link(&secret, "link.txt");
    link(outside.path(), "out");
    for target in [
        "/link.txt",
        "/out/secret.txt",
        "/out",
        "/../secret.txt",
        "/sub/../../secret.txt",
        "/%2e%2e/secret.txt",
        "/..%2fsecret.txt",
        "/sub/%00",
        "/index.html/x",
        "/nothing",
        "/sub/deep/",
    ] {
        let response = site.ask("GET", target, "");
        assert_eq!(response.status, 404, "{target}");
        assert_eq!(response.content, b"404 Not Found\n");
    }
    assert_eq!(
        site.ask("GET", &secret.display().to_string(), "").status,
        404
    );
}

#[test]
fn only_plain_files_are_served() {
    let site = Site::new();
    let fifo = site.root.path().join("fifo");
    let mode = rustix::fs::Mode::from_raw_mode(0o644);
    rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, mode).expect("a FIFO can be made");
    assert_eq!(site.ask("GET", "/fifo", "").status, 403);
    let moved = site.ask("GET", "/sub", "");
    assert_eq!(
        (moved.status, moved.header("Location")),
        (301, Some("/sub/"))
    );
    // Not `//sub/`, which would be another host.
    assert_eq!(
        site.ask("GET", "//sub", "").header("Location"),
        Some("/sub/")
    );
}

#[test]
fn what_is_no_request_for_a_file_is_refused_and_ends_only_its_connection() {
    let site = Site::new();
    let mut neighbour = site.connect();
    for (request, status) in [
        (
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
            405,
        ),
        ("BREW / HTTP/1.1\r\nHost: a\r\n\r\n", 501),
        ("GET / HTTP/1.1\r\n\r\n", 400),
        ("\x16\x03\x01\x02\0\x01\0\x01\r\n\r\n", 400),
        (
            "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
            501,
        ),
        (
            "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\n\r\n",
            413,
        ),
    ] {
        let mut client = site.connect();
        client.send(request.as_bytes());
        assert_eq!(
            Response::read(&mut client, false).status,
            status,
            "{request}"
        );
        client.expect_end();
    }
    let mut client = site.connect();
    client.send(format!("GET / HTTP/1.1\r\nX: {}", "x".repeat(20_000)).as_bytes());
    assert_eq!(Response::read(&mut client, false).status, 431);
    neighbour.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(Response::read(&mut neighbour, false).status, 200);
}

#[test]
fn it_ends_when_asked_to() {
    let mut site = Site::new();
    let mut client = site.connect();
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(Response::read(&mut client, false).status, 200);
    site.daemon.signal(Signal::TERM);
    client.expect_end();
    assert!(site.daemon.expect_exit(LIMIT).success());
}

#[test]
fn a_root_that_cannot_be_served_is_named() {
    for (arguments, expected) in [
        (&["--root", "/nowhere/at/all"][..], "/nowhere/at/all"),
        (&[][..], "--root"),
    ] {
        let (status, _, complaints) = Daemon::run(HTTPD, arguments);
        assert_eq!(status.code(), Some(1));
        assert_eq!(complaints.len(), 1, "{complaints:?}");
        assert!(complaints[0].contains(expected), "{complaints:?}");
    }
}

#[test]
fn curl_gets_what_it_asks_for() {
    let Some(curl) = counterpart::find("curl") else {
        return;
    };
    let (site, directory) = (Site::new(), temporary_directory());
    let get = |arguments: &[&str], target: &str| {
        let output = directory.path().join("output");
        let mut command = Command::new(&curl);
        command.args(["--silent", "--show-error", "--noproxy", "*", "--output"]);
        command.arg(&output).args(["--write-out", "%{http_code}"]);
        let said = counterpart::run(command.args(arguments).arg(site.url(target)));
        let content = fs::read(&output).unwrap_or_default();
        fs::remove_file(&output).ok();
        (String::from_utf8_lossy(&said.stdout).into_owned(), content)
    };
    let large = large();
    assert!(get(&[], "/large.bin") == ("200".to_owned(), large.clone()));
    assert!(
        get(&["--range", "1000-1999999"], "/large.bin")
            == ("206".to_owned(), large[1000..2_000_000].to_vec())
    );
    assert_eq!(get(&["--head"], "/large.bin").0, "200");
    assert_eq!(get(&["--http1.0"], "/").1, b"<h1>hello</h1>\n");
    assert_eq!(get(&["--location"], "/sub").1, b"sub\n");
    assert_eq!(get(&["--path-as-is"], "/../../etc/passwd").0, "404");
    assert_eq!(get(&["--data", "x=y"], "/").0, "405");
    let dated = site.root.path().join("index.html");
    let dated = dated.to_str().expect("the path is text");
    assert_eq!(get(&["--time-cond", dated], "/").0, "304");
}

#[test]
fn it_stands_wrk() {
    let Some(wrk) = counterpart::find("wrk") else {
        return;
    };
    let site = Site::new();
    let seconds = scale("1s", "10s");
    let output = counterpart::run(Command::new(wrk).args([
        "--threads",
        "2",
        "--connections",
        "100",
        "--duration",
        seconds,
        &site.url("/sub/a%20b.txt"),
    ]));
    let report = String::from_utf8_lossy(&output.stdout);
    tell(&report);
    assert!(report.contains("Requests/sec"), "{report}");
    for complaint in ["Socket errors", "Non-2xx"] {
        assert!(!report.contains(complaint), "{report}");
    }
}
