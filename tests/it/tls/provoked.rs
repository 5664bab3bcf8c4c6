//! What a peer provokes goes out by itself: nobody reads, nobody writes.
#![expect(
    clippy::unwrap_used,
    reason = "what several tests do is a test in all but its attribute"
)]

use std::io::{Read as _, Write as _};
use std::time::Duration;

use rustls::{Connection, ServerConnection};
use tevent::{Context, wakeup};
use tevent_tests::contract::{done, end_of, expect_nothing_left, expect_rest, pattern};
use tevent_tests::settle;
use tevent_tests::tls::{client, localhost, server};
use tsocket::{Chaos, Stream, chaos, memory, tls};

/// A server whose every step is ours.
struct Server {
    ctx: Context,
    connection: Connection,
    raw: Stream,
}

impl Server {
    fn send(&mut self) {
        let mut records = Vec::new();
        while self.connection.wants_write() {
            self.connection.write_tls(&mut records).unwrap();
        }
        if !records.is_empty() {
            done(&self.ctx, self.raw.writev(records));
        }
    }

    /// Takes what has come; returns how many bytes that were.
    fn receive(&mut self) -> usize {
        settle(&self.ctx);
        let mut received = 0;
        while self.raw.pending_bytes().unwrap() > 0 {
            let chunk = done(&self.ctx, self.raw.read(1 << 16));
            received += chunk.len();
            let mut bytes = &chunk[..];
            while !bytes.is_empty() {
                self.connection.read_tls(&mut bytes).unwrap();
                self.connection.process_new_packets().unwrap();
            }
        }
        received
    }
}

fn connected() -> (Server, Stream) {
    let ctx = Context::new().unwrap();
    let (near, raw) = memory::stream_pair(&ctx);
    let connecting = tls::connect(&ctx, near, client(), localhost());
    let connection = ServerConnection::new(server()).unwrap();
    let mut server = Server {
        ctx,
        connection: Connection::Server(connection),
        raw,
    };
    while server.connection.is_handshaking() {
        server.receive();
        server.send();
    }
    let (near, _) = done(&server.ctx, connecting);
    (server, near)
}

#[test]
fn a_change_of_keys_is_answered_while_nobody_reads_or_writes() {
    let (mut server, near) = connected();
    assert_eq!(server.receive(), 0);
    for _ in 0..3 {
        // rustls sends it with the next thing that is written.
        server.connection.refresh_traffic_keys().unwrap();
        assert_eq!(server.connection.writer().write(&[]).unwrap(), 0);
        server.send();
        let answered = server.receive();
        assert_eq!(answered, 5 + 5 + 1 + 16, "one sealed key update");
    }
    // Both have new keys now.
    done(&server.ctx, near.writev(&b"under new keys"[..]));
    server.receive();
    let mut read = [0; 14];
    server.connection.reader().read_exact(&mut read).unwrap();
    assert_eq!(&read, b"under new keys");
    server
        .connection
        .writer()
        .write_all(b"here as well")
        .unwrap();
    server.send();
    assert_eq!(done(&server.ctx, near.readv(vec![0; 12])), b"here as well");
}

#[test]
fn a_change_of_keys_behind_what_was_read_is_answered_while_nobody_reads() {
    let (mut server, near) = connected();
    let ctx = server.ctx.clone();
    // More than is opened at once, so that the change has come with what is not opened yet.
    let bytes = pattern(0, 50_000);
    server.connection.writer().write_all(&bytes).unwrap();
    server.send();
    server.connection.refresh_traffic_keys().unwrap();
    assert_eq!(server.connection.writer().write(&[]).unwrap(), 0);
    server.send();
    settle(&ctx);
    assert!(done(&ctx, near.readv(vec![0; 50_000])) == pattern(0, 50_000));
    assert_eq!(server.receive(), 5 + 5 + 1 + 16, "one sealed key update");
    // And one that comes after it.
    server.connection.refresh_traffic_keys().unwrap();
    assert_eq!(server.connection.writer().write(&[]).unwrap(), 0);
    server.send();
    assert_eq!(server.receive(), 5 + 5 + 1 + 16, "one sealed key update");
}

#[test]
fn changes_of_keys_without_end_are_refused() {
    let (mut server, near) = connected();
    let mut changes = 0;
    let error = loop {
        server.connection.refresh_traffic_keys().unwrap();
        assert_eq!(server.connection.writer().write(&[]).unwrap(), 0);
        server.send();
        settle(&server.ctx);
        // The answers are not taken, and nobody waits for room for them.
        changes += 1;
        assert!(changes < 1_000, "somebody has to lose patience");
        let read = near.read(1);
        settle(&server.ctx);
        if read.is_finished() {
            break end_of(&server.ctx, read).unwrap_err();
        }
    };
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidData, "{error}");
}

#[test]
fn an_alert_is_noticed_while_nobody_reads() {
    let (mut server, near) = connected();
    server.connection.send_close_notify();
    server.send();
    settle(&server.ctx);
    expect_rest(&server.ctx);
    assert!(done(&server.ctx, near.read(1)).is_empty());
    done(&server.ctx, near.writev(&b"goes on"[..]));
    assert!(server.receive() > 7);
}

#[test]
fn what_nobody_reads_is_bounded() {
    let (mut server, near) = connected();
    let ctx = server.ctx.clone();
    let mut records = Vec::new();
    for at in 0..40 {
        let bytes = pattern(at * 50_000, 50_000);
        server.connection.writer().write_all(&bytes).unwrap();
        while server.connection.wants_write() {
            server.connection.write_tls(&mut records).unwrap();
        }
    }
    let write = server.raw.writev(records);
    settle(&ctx);
    assert!(!write.is_finished());
    expect_rest(&ctx);
    assert!(near.pending_bytes().unwrap() <= 64 << 10);
    assert!(done(&ctx, near.readv(vec![0; 2_000_000])) == pattern(0, 2_000_000));
    done(&ctx, write);
}

#[test]
fn a_stream_that_stalls_is_no_reason_to_spin() {
    let ctx = Context::new().unwrap();
    let (near, far) = memory::stream_pair(&ctx);
    let stalls = Chaos {
        stalls_reads_within: Some(0),
        ..Chaos::default()
    };
    let near = chaos(&ctx, near, 1, stalls).unwrap();
    let connecting = tls::connect(&ctx, near, client(), localhost());
    let accepting = tls::accept(&ctx, far, server());
    expect_rest(&ctx);
    connecting.set_timeout(Duration::from_millis(1));
    assert!(end_of(&ctx, connecting).is_err());
    assert!(end_of(&ctx, accepting).is_err());
    done(&ctx, wakeup(&ctx, ctx.now()));
    expect_nothing_left(&ctx);
}
