//! Learning that the peer is gone, and what that ends with fail-first and without.

use std::io::Write as _;
use std::os::unix::net::UnixStream;

use rustix::io::Errno;
use tevent::Context;
use tevent_tests::contract::{
    self, Ends, Kind, Subject, done, end_of, expect_nothing_left, expect_rest, fails, gives_back,
    pattern,
};
use tevent_tests::{on_every_backend, settle};
use tsocket::{Stream, memory};
use tsocket_bsd::{socketpair, stream_from_fd};

const KINDS: [Kind; 7] = [
    contract::MEMORY,
    contract::SOCKETPAIR,
    contract::UNIX,
    contract::TCP4,
    contract::MESSAGE_OVER_MEMORY,
    contract::MESSAGE_OVER_UNIX,
    contract::BYTE_OVER_UNIX,
];

/// Bytes of which this kind takes only some at once.
fn large(kind: &Kind) -> Vec<u8> {
    let len = if kind.name == contract::TCP4.name {
        16 << 20
    } else {
        1 << 20
    };
    vec![7; len]
}

/// As much as is received ahead.
const AHEAD: usize = 16 * 1024;

fn for_every_kind(story: fn(Ends)) {
    on_every_backend(move |ctx| {
        for kind in KINDS {
            story(kind.ends(ctx));
            expect_nothing_left(ctx);
        }
    });
}

#[test]
fn the_end_of_the_peer_is_heard_behind_what_it_has_sent() {
    for_every_kind(|Ends { ctx, near, far, .. }| {
        let gone = near.monitor();
        done(&ctx, far.writev(&b"goodbye"[..]));
        expect_rest(&ctx);
        assert!(!gone.is_finished());
        drop(far);
        done(&ctx, gone);
        assert_eq!(done(&ctx, near.readv(vec![0; 4])), b"good");
        // Known already.
        done(&ctx, near.monitor());
        assert_eq!(done(&ctx, near.readv(vec![0; 3])), b"bye");
        assert!(done(&ctx, near.read(1)).is_empty());
        done(&ctx, near.monitor());
    });
}

#[test]
fn a_peer_that_closes_one_direction_is_reported_and_still_served() {
    for_every_kind(
        |Ends {
             ctx,
             near,
             far,
             kind,
         }| {
            if !kind.has_half_close {
                return;
            }
            let gone = near.monitor();
            settle(&ctx);
            done(&ctx, far.shutdown());
            done(&ctx, gone);
            expect_rest(&ctx);
            let write = near.writev(pattern(0, 1 << 20));
            assert!(done(&ctx, far.readv(vec![0; 1 << 20])) == pattern(0, 1 << 20));
            done(&ctx, write);
        },
    );
}

#[test]
fn reads_beside_a_monitor_get_every_byte_once() {
    for_every_kind(
        |Ends {
             ctx,
             near,
             far,
             kind,
         }| {
            let gone = near.monitor();
            let len = if kind.is_message_mode {
                60_000
            } else {
                300_000
            };
            let write = far.writev(pattern(0, len));
            expect_rest(&ctx);
            let mut read = Vec::new();
            while read.len() < len {
                let max = 1 + read.len() % 5_000;
                read.extend_from_slice(&done(&ctx, near.read(max)));
            }
            assert!(read == pattern(0, len));
            done(&ctx, write);
            let waiting = near.read(100);
            settle(&ctx);
            assert!(!gone.is_finished());
            drop(far);
            done(&ctx, gone);
            assert!(done(&ctx, waiting).is_empty());
        },
    );
}

#[test]
fn an_end_behind_more_than_is_received_ahead_is_heard_once_there_is_room() {
    on_every_backend(|ctx| {
        for kind in [contract::SOCKETPAIR, contract::TCP4] {
            let Ends { near, far, .. } = kind.ends(ctx);
            let gone = near.monitor();
            done(ctx, far.writev(pattern(0, 3 * AHEAD)));
            done(ctx, far.shutdown());
            expect_rest(ctx);
            assert!(!gone.is_finished());
            assert_eq!(near.pending_bytes().unwrap(), 3 * AHEAD);
            assert!(done(ctx, near.readv(vec![0; AHEAD])) == pattern(0, AHEAD));
            expect_rest(ctx);
            assert!(!gone.is_finished(), "there is more than fits");
            assert!(done(ctx, near.readv(vec![0; AHEAD + 1])) == pattern(AHEAD, AHEAD + 1));
            done(ctx, gone);
            let rest = done(ctx, near.readv(vec![0; AHEAD - 1]));
            assert!(rest == pattern(2 * AHEAD + 1, AHEAD - 1));
            assert!(done(ctx, near.read(1)).is_empty());

            // The end of both directions is heard at once.
            let Ends { near, far, .. } = kind.ends(ctx);
            done(ctx, far.writev(pattern(0, 3 * AHEAD)));
            done(ctx, near.shutdown());
            let gone = near.monitor();
            expect_rest(ctx);
            drop(far);
            end_of(ctx, gone).ok();
            expect_rest(ctx);
            assert!(done(ctx, near.readv(vec![0; AHEAD])) == pattern(0, AHEAD));
        }
    });
}

#[test]
fn a_failure_is_reported_and_hides_nothing() {
    on_every_backend(|ctx| {
        let (stream, peer) = crate::stream_ends::connected(ctx);
        (&peer).write_all(b"last words").unwrap();
        let gone = stream.monitor();
        settle(ctx);
        crate::stream_ends::reset(peer);
        fails(ctx, gone, Errno::CONNRESET);
        fails(ctx, stream.monitor(), Errno::CONNRESET);
        expect_rest(ctx);
        assert_eq!(done(ctx, stream.readv(vec![0; 10])), b"last words");
        fails(ctx, stream.read(1), Errno::CONNRESET);
        gives_back(ctx, stream.writev(vec![1]), Errno::CONNRESET);
    });
}

#[test]
fn there_is_one_monitor_and_it_is_in_nobodys_way() {
    for_every_kind(
        |Ends {
             ctx,
             near,
             far,
             kind,
         }| {
            let gone = near.monitor();
            fails(&ctx, near.monitor(), Errno::BUSY);
            drop(gone);
            let gone = near.monitor();
            gone.cancel();
            fails(&ctx, gone, Errno::CANCELED);
            done(&ctx, far.writev(&b"unheard"[..]));
            expect_rest(&ctx);
            let there = Context::new().unwrap();
            let gone = near.monitor();
            let refused = near.move_to(&there).unwrap_err();
            assert_eq!(
                refused.error.raw_os_error(),
                Some(Errno::BUSY.raw_os_error())
            );
            let near = refused.stream;
            assert_eq!(&*done(&ctx, near.read(100)), b"unheard");
            // Ends with the disconnect, and does not hold it up.
            let ended = near.disconnect();
            if kind.has_half_close {
                fails(&ctx, near.monitor(), Errno::CONNABORTED);
            }
            fails(&ctx, gone, Errno::CONNABORTED);
            drop(far);
            done(&ctx, ended);
            fails(&ctx, near.monitor(), Errno::NOTCONN);
        },
    );
}

#[test]
fn a_stream_that_is_closed_ends_its_monitor() {
    for_every_kind(
        |Ends {
             ctx,
             near,
             far,
             kind,
         }| {
            let gone = near.monitor();
            near.abort();
            fails(&ctx, gone, Errno::CONNABORTED);
            drop(far);
            let Ends { near, far, .. } = kind.ends(&ctx);
            let gone = near.monitor();
            drop(near);
            fails(&ctx, gone, Errno::CONNABORTED);
            drop(far);
        },
    );
}

#[test]
fn fail_first_gives_up_what_has_arrived() {
    for_every_kind(
        |Ends {
             ctx,
             near,
             far,
             kind,
         }| {
            near.set_fail_first(true);
            done(&ctx, far.writev(&b"a request"[..]));
            assert_eq!(done(&ctx, near.readv(vec![0; 2])), b"a ");
            let waiting = near.readv(vec![0; 100]);
            settle(&ctx);
            drop(far);
            let (_, transferred) = gives_back(&ctx, waiting, Errno::CONNRESET);
            assert!(transferred == 7 || kind.is_message_mode, "{transferred}");
            fails(&ctx, near.read(1), Errno::CONNRESET);
            gives_back(&ctx, near.writev(vec![1]), Errno::CONNRESET);
            fails(&ctx, near.monitor(), Errno::CONNRESET);
            done(&ctx, near.disconnect());
        },
    );
}

/// A write that waits for a peer that has closed its side.
fn half_closed(ctx: &Context, kind: Kind, fail_first: bool) -> Option<(Stream, Stream)> {
    kind.has_half_close.then(|| {
        let Ends { near, far, .. } = kind.ends(ctx);
        near.set_fail_first(fail_first);
        done(ctx, far.writev(&b"unread"[..]));
        done(ctx, far.shutdown());
        (near, far)
    })
}

#[test]
fn fail_first_ends_a_write_for_a_peer_that_has_closed_its_side() {
    for_every_kind(|Ends { ctx, kind, .. }| {
        let Some((near, far)) = half_closed(&ctx, kind, true) else {
            return;
        };
        let (buffer, _) = gives_back(&ctx, near.writev(large(&kind)), Errno::CONNRESET);
        assert_eq!(buffer.len(), large(&kind).len());
        fails(&ctx, near.read(1), Errno::CONNRESET);
        drop(far);

        let Some((near, far)) = half_closed(&ctx, kind, false) else {
            return;
        };
        let write = near.writev(large(&kind));
        expect_rest(&ctx);
        assert!(!write.is_finished());
        assert_eq!(done(&ctx, near.readv(vec![0; 6])), b"unread");
        let read = done(&ctx, far.readv(vec![0; large(&kind).len()]));
        assert!(read == done(&ctx, write));
    });
}

#[test]
fn fail_first_can_be_turned_on_while_a_write_waits() {
    for_every_kind(|Ends { ctx, kind, .. }| {
        let Some((near, _far)) = half_closed(&ctx, kind, false) else {
            return;
        };
        let write = near.writev(large(&kind));
        settle(&ctx);
        near.set_fail_first(true);
        gives_back(&ctx, write, Errno::CONNRESET);
    });
}

#[test]
fn what_a_monitor_received_ahead_goes_along() {
    let ctx = Context::new().unwrap();
    let (near, mut far) = UnixStream::pair().unwrap();
    let near = stream_from_fd(&ctx, near.into()).unwrap();
    far.write_all(b"ahead").unwrap();
    let gone = near.monitor();
    settle(&ctx);
    drop(gone);
    let (_fd, ahead) = near.into_parts().unwrap();
    assert_eq!(ahead, b"ahead");
}

#[test]
fn small_reads_beside_a_monitor_hold_no_more_than_stated() {
    let ctx = Context::new().unwrap();
    let (near, far) = socketpair(&ctx).unwrap();
    let gone = near.monitor();
    for round in 0..2_000 {
        done(&ctx, far.writev(pattern(100 * round, 100)));
        settle(&ctx);
        let read = done(&ctx, near.readv(vec![0; 99]));
        assert!(read == pattern(99 * round, 99), "round {round}");
    }
    drop((gone, memory::stream_pair(&ctx)));
}

#[test]
fn fail_first_changes_nothing_while_the_peer_is_there() {
    for_every_kind(|Ends { ctx, near, far, .. }| {
        near.set_fail_first(true);
        far.set_fail_first(true);
        for round in 0..5 {
            let sent = near.writev(pattern(round, 60_000));
            let back = far.writev(pattern(round + 7, 60_000));
            let (read, answer) = (far.readv(vec![0; 60_000]), near.readv(vec![0; 50_000]));
            assert!(done(&ctx, read) == pattern(round, 60_000));
            assert!(done(&ctx, answer) == pattern(round + 7, 50_000));
            done(&ctx, sent);
            let mut rest = Vec::new();
            while rest.len() < 10_000 {
                rest.extend_from_slice(&done(&ctx, near.read(3_000)));
            }
            assert!(rest == pattern(round + 7 + 50_000, 10_000));
            done(&ctx, back);
        }
        expect_rest(&ctx);
    });
}
