//! Clients that are slow, hasty or gone, and files that change.

use std::fs;
use std::io::Read as _;
use std::time::Duration;

use super::{Response, Site, large};
use crate::rig::patience::scale;

#[test]
fn a_file_that_becomes_shorter_ends_its_connection_early() {
    let site = Site::new();
    let mut client = site.connect();
    let path = site.root.path().join("shrinks.bin");
    let file = fs::File::create(&path).expect("a file can be made");
    // More than the system buffers for a client that does not read.
    file.set_len(256 << 20).expect("a file can have a hole");
    client.send(b"GET /shrinks.bin HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut start = [0; 1000];
    client.read_exact(&mut start).expect("it begins");
    file.set_len(0).expect("a file can be truncated");
    let mut rest = Vec::new();
    // Whether the end is a reset does not matter; that it comes does.
    client.read_to_end(&mut rest).ok();
    assert!(rest.len() < 256 << 20);
}

#[test]
fn a_client_that_does_not_read_does_not_delay_the_others() {
    let site = Site::new();
    let file = fs::File::create(site.root.path().join("huge.bin")).expect("a file can be made");
    file.set_len(256 << 20).expect("a file can have a hole");
    let stuck: Vec<_> = (0..8)
        .map(|_| {
            let mut client = site.connect();
            client.send(b"GET /huge.bin HTTP/1.1\r\nHost: a\r\n\r\n");
            client
        })
        .collect();
    for _ in 0..50 {
        assert_eq!(site.ask("GET", "/sub/a%20b.txt", "").content, b"0123456789");
    }
    drop(stuck);
}

#[test]
fn a_request_that_comes_too_slowly_is_refused() {
    let site = Site::with_options(&["--request-time", "1"]);
    let (mut slow, mut idle) = (site.connect(), site.connect());
    let request = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    idle.send(request);
    assert_eq!(Response::read(&mut idle, false).status, 200);
    slow.send(request);
    slow.send(b"GET / HTTP/1.1\r\nX: ");
    assert_eq!(Response::read(&mut slow, false).status, 200);
    // Each byte is sent in time, and the time is that of the whole request.
    while !slow.is_readable_within(Duration::from_millis(100)) {
        slow.send(b"x");
    }
    assert_eq!(Response::read(&mut slow, false).status, 408);
    idle.send(request);
    assert_eq!(Response::read(&mut idle, false).status, 200);
}

#[test]
fn hundreds_of_requests_in_one_write_are_all_answered_in_order() {
    let site = Site::new();
    let count = scale(500, 10_000);
    let mut client = site.connect();
    let mut requests = client.another();
    let one = |number: usize| {
        let name = if number % 2 == 0 {
            "sub/"
        } else {
            "sub/a%20b.txt"
        };
        format!("GET /{name} HTTP/1.1\r\nHost: a\r\n\r\n")
    };
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let all: String = (0..count).map(one).collect();
            requests.send(all.as_bytes());
            // What was asked for comes, though nothing more is asked for.
            requests.half_close();
        });
        for number in 0..count {
            let expected: &[u8] = if number % 2 == 0 {
                b"sub\n"
            } else {
                b"0123456789"
            };
            let response = Response::read(&mut client, false);
            assert_eq!((response.status, &*response.content), (200, expected));
        }
        client.expect_end();
    });
}

#[test]
fn clients_that_go_at_any_point_leave_the_others_alone() {
    let site = Site::new();
    let request = b"GET /large.bin HTTP/1.1\r\nHost: a\r\n\r\n";
    for taken in [0, 1, 500, 100_000] {
        for is_reset in [false, true] {
            let mut client = site.connect();
            client.send(request);
            client.read_exact(&mut vec![0; taken]).expect("it comes");
            if is_reset {
                client.reset();
            }
        }
    }
    let mut half = site.connect();
    half.send_with_end(request);
    let response = Response::read(&mut half, false);
    assert!(response.content == large(), "all of it comes");
    half.expect_end();
}
