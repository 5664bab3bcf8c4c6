//! Bytes from one stream to another: all of them, in order, with their end, and no more than there is room for.

use std::cell::Cell;
use std::rc::Rc;

use rustix::io::Errno;
use tevent::{Context, Request};
use tevent_tests::contract::{
    self, Ends, Kind, Subject, done, end_of, expect_nothing_left, expect_rest, pattern,
};
use tevent_tests::{on_every_backend, settle};
use tsocket::{COPY_BYTES, CopyFailed, Relayed, Stream, copy, memory, relay};

/// The kinds between which a relay may stand.
const BETWEEN: [(Kind, Kind); 5] = [
    (contract::MEMORY, contract::MEMORY),
    (contract::TCP4, contract::UNIX),
    (contract::SOCKETPAIR, contract::MEMORY),
    (contract::UNIX, contract::MESSAGE_OVER_UNIX),
    (contract::BYTE_OVER_MEMORY, contract::TCP4),
];

/// A client, the two streams between which a relay stands, and a server.
struct Chain {
    client: Stream,
    a: Stream,
    b: Stream,
    server: Stream,
}

fn chain(ctx: &Context, (near, far): (Kind, Kind)) -> Chain {
    let Ends {
        near: client,
        far: a,
        ..
    } = near.ends(ctx);
    let Ends {
        near: b,
        far: server,
        ..
    } = far.ends(ctx);
    Chain {
        client,
        a,
        b,
        server,
    }
}

#[track_caller]
fn fails<C>(ctx: &Context, request: Request<C, CopyFailed<C>>, errno: Errno) -> C {
    let Err(failed) = end_of(ctx, request) else {
        panic!("expected {errno:?}, but it went well");
    };
    assert_eq!(failed.error.raw_os_error(), Some(errno.raw_os_error()));
    failed.copied
}

const LEN: usize = 500_000;

#[test]
fn a_relay_carries_both_directions_to_their_ends() {
    on_every_backend(|ctx| {
        for between in BETWEEN {
            let Chain {
                client,
                a,
                b,
                server,
            } = chain(ctx, between);
            let relayed = relay(ctx, &a, &b);
            drop((a, b));
            let step = 50_000;
            let talk = |stream: Stream| async move {
                for at in (0..LEN).step_by(step) {
                    stream.writev(pattern(at, step)).await?;
                }
                std::io::Result::Ok(stream)
            };
            let asked = ctx.spawn(talk(client.clone()));
            let answered = ctx.spawn(talk(server.clone()));
            let question = server.readv(vec![0; LEN]);
            let answer = client.readv(vec![0; LEN]);
            assert!(done(ctx, question) == pattern(0, LEN));
            assert!(done(ctx, answer) == pattern(0, LEN));
            done(ctx, asked).unwrap();
            done(ctx, answered).unwrap();
            drop(client);
            assert!(done(ctx, server.read(1)).is_empty(), "the end is passed on");
            drop(server);
            let len = u64::try_from(LEN).unwrap();
            let counts = done(ctx, relayed);
            assert_eq!(
                counts,
                Relayed {
                    there: len,
                    back: len
                }
            );
            expect_nothing_left(ctx);
        }
    });
}

#[test]
fn one_direction_ends_and_the_other_answers() {
    on_every_backend(|ctx| {
        let Chain {
            client,
            a,
            b,
            server,
        } = chain(ctx, (contract::TCP4, contract::UNIX));
        let relayed = relay(ctx, &a, &b);
        done(ctx, client.writev(&b"question"[..]));
        done(ctx, client.shutdown());
        assert_eq!(done(ctx, server.readv(vec![0; 8])), b"question");
        assert!(done(ctx, server.read(1)).is_empty());
        expect_rest(ctx);
        done(ctx, server.writev(&b"answer"[..]));
        done(ctx, server.shutdown());
        assert_eq!(done(ctx, client.readv(vec![0; 6])), b"answer");
        assert!(done(ctx, client.read(1)).is_empty());
        assert_eq!(done(ctx, relayed), Relayed { there: 8, back: 6 });
    });
}

#[test]
fn an_end_that_cannot_be_passed_on_ends_the_relay() {
    on_every_backend(|ctx| {
        let Chain {
            client,
            a,
            b,
            server,
        } = chain(ctx, (contract::UNIX, contract::BYTE_OVER_UNIX));
        let relayed = relay(ctx, &a, &b);
        drop((a, b));
        done(ctx, client.writev(&b"all"[..]));
        done(ctx, client.shutdown());
        assert_eq!(done(ctx, relayed), Relayed { there: 3, back: 0 });
        assert_eq!(done(ctx, server.readv(vec![0; 3])), b"all");
        assert!(
            done(ctx, server.read(1)).is_empty(),
            "closed with its last handle"
        );
    });
}

#[test]
fn a_receiver_that_does_not_read_stops_the_sender() {
    let ctx = Context::new().unwrap();
    let (client, from) = memory::stream_pair(&ctx);
    let (to, server) = memory::stream_pair(&ctx);
    let copied = copy(&ctx, &from, &to);
    let mut taken = 0;
    let waiting = loop {
        let write = client.writev(pattern(taken, 1_000));
        settle(&ctx);
        if !write.is_finished() {
            break write;
        }
        done(&ctx, write);
        taken += 1_000;
    };
    // Both pairs, and the one buffer that was read and waits to be written.
    let bound = 2 * memory::CAPACITY + COPY_BYTES;
    assert!(taken <= bound, "{taken} bytes");
    expect_rest(&ctx);
    assert!(done(&ctx, server.readv(vec![0; taken + 1_000])) == pattern(0, taken + 1_000));
    done(&ctx, waiting);
    drop(client);
    assert_eq!(done(&ctx, copied), u64::try_from(taken + 1_000).unwrap());
    assert!(done(&ctx, server.read(1)).is_empty());
}

#[test]
fn errors_say_how_much_was_carried() {
    on_every_backend(|ctx| {
        let Chain {
            client,
            a,
            b,
            server,
        } = chain(ctx, (contract::UNIX, contract::UNIX));
        let relayed = relay(ctx, &a, &b);
        done(ctx, client.writev(&b"first"[..]));
        assert_eq!(done(ctx, server.readv(vec![0; 5])), b"first");
        // The server is gone: its end is passed on, and what is written to it is in vain.
        drop(server);
        assert!(done(ctx, client.read(1)).is_empty());
        done(ctx, client.writev(&b"second"[..]));
        assert_eq!(
            fails(ctx, relayed, Errno::PIPE),
            Relayed { there: 5, back: 0 }
        );

        let Chain {
            client,
            a,
            b,
            server,
        } = chain(ctx, (contract::MEMORY, contract::MEMORY));
        let reading = a.read(1);
        assert_eq!(fails(ctx, copy(ctx, &a, &b), Errno::BUSY), 0);
        drop(reading);
        let copied = copy(ctx, &a, &b);
        done(ctx, client.writev(&b"four"[..]));
        assert_eq!(done(ctx, server.readv(vec![0; 4])), b"four");
        b.abort();
        done(ctx, client.writev(&b"in vain"[..]));
        assert_eq!(fails(ctx, copied, Errno::NOTCONN), 4);
        assert_eq!(
            fails(ctx, relay(ctx, &a, &b), Errno::NOTCONN),
            Relayed::default()
        );
    });
}

#[test]
fn a_copy_that_is_given_up_leaves_the_streams_to_their_owner() {
    let ctx = Context::new().unwrap();
    let Chain {
        client,
        a,
        b,
        server,
    } = chain(&ctx, (contract::MEMORY, contract::SOCKETPAIR));
    drop(copy(&ctx, &a, &b));
    let relayed = relay(&ctx, &a, &b);
    settle(&ctx);
    done(&ctx, client.writev(&b"carried"[..]));
    settle(&ctx);
    drop(relayed);
    done(&ctx, client.writev(&b"kept"[..]));
    assert_eq!(&*done(&ctx, a.read(100)), b"kept");
    done(&ctx, b.writev(&b" by hand"[..]));
    assert_eq!(done(&ctx, server.readv(vec![0; 15])), b"carried by hand");
    let ended = relay(&ctx, &a, &b);
    ended.cancel();
    fails(&ctx, ended, Errno::CANCELED);
    done(&ctx, b.writev(&b"!"[..]));
    drop((a, b, client, server));
    expect_nothing_left(&ctx);
}

#[test]
fn a_copy_tells_how_far_it_has_come() {
    let ctx = Context::new().unwrap();
    let Chain {
        client,
        a,
        b,
        server,
    } = chain(&ctx, (contract::MEMORY, contract::MEMORY));
    let told = Rc::new(Cell::new(0));
    let copied = copy(&ctx, &a, &b).on_notify({
        let told = told.clone();
        move |progress| told.set(progress.done)
    });
    done(&ctx, client.writev(&b"twelve bytes"[..]));
    settle(&ctx);
    assert_eq!(told.get(), 12);
    drop((copied, server));
}
