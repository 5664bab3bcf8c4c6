//! What is put back, who watches for the end, and streams that move to another context.

use rustix::io::Errno;
use tevent::Context;

use super::Ends;
use crate::contract::{done, expect_errno, expect_nothing_left, fails, pattern, settle};

pub(super) fn what_is_put_back_is_read_first(ends: &Ends) {
    let Ends { ctx, near, far, .. } = ends;
    done(ctx, far.writev(&b"header body"[..]));
    let header = done(ctx, near.readv(vec![0; 7]));
    near.unread(header).unwrap();
    assert!(near.pending_bytes().unwrap() >= 7);
    assert_eq!(done(ctx, near.readv(vec![0; 11])), b"header body");
    let read = near.read(1);
    expect_errno(near.unread(vec![0]), Errno::BUSY);
    drop(read);
    near.unread(b"from nowhere".to_vec()).unwrap();
    assert_eq!(done(ctx, near.readv(vec![0; 12])), b"from nowhere");
}

pub(super) fn a_monitor_disturbs_nobody_and_is_told_of_the_end(ends: &Ends) {
    let Ends { ctx, near, far, .. } = ends;
    drop(near.monitor());
    let monitor = near.monitor();
    fails(ctx, near.monitor(), Errno::BUSY);
    for _ in 0..3 {
        done(ctx, far.writev(&b"question"[..]));
        assert_eq!(done(ctx, near.readv(vec![0; 8])), b"question");
        done(ctx, near.writev(&b"answer"[..]));
        assert_eq!(done(ctx, far.readv(vec![0; 6])), b"answer");
        assert!(!monitor.is_finished(), "the peer is there");
    }
    done(ctx, far.writev(&b"last words"[..]));
    let leaving = far.disconnect();
    // One that cannot look ahead learns of it when the end is read.
    assert_eq!(done(ctx, near.readv(vec![0; 10])), b"last words");
    assert!(done(ctx, near.read(1)).is_empty());
    done(ctx, monitor);
    done(ctx, near.monitor());
    near.abort();
    done(ctx, leaving);
}

pub(super) fn a_monitor_ends_with_its_stream(ends: &Ends) {
    let Ends { ctx, near, .. } = ends;
    let monitor = near.monitor();
    near.abort();
    fails(ctx, monitor, Errno::CONNABORTED);
    fails(ctx, near.monitor(), Errno::NOTCONN);
}

pub(super) fn one_that_moves_takes_what_has_arrived_with_it(ends: &Ends) {
    let Ends { ctx, kind, .. } = ends;
    let there = Context::with_backend(ctx.backend()).unwrap();
    let Ends { near, far, .. } = kind.ends(ctx);
    done(ctx, far.writev(pattern(0, 1000)));
    assert!(done(ctx, near.readv(vec![0; 100])) == pattern(0, 100));
    let near = match near.move_to(&there) {
        Ok(moved) => moved,
        Err(refused) => {
            // Whoever cannot move stays, and is as good as before.
            let errno = refused.error.raw_os_error();
            assert_eq!(errno, Some(Errno::OPNOTSUPP.raw_os_error()));
            assert!(done(ctx, refused.stream.readv(vec![0; 900])) == pattern(100, 900));
            return;
        }
    };
    assert!(done(&there, near.readv(vec![0; 900])) == pattern(100, 900));
    let read = near.readv(vec![0; 5]);
    settle(&there);
    done(ctx, far.writev(&b"hello"[..]));
    assert_eq!(done(&there, read), b"hello");
    done(&there, near.writev(&b"from there"[..]));
    assert_eq!(done(ctx, far.readv(vec![0; 10])), b"from there");
    drop((near, far));
    expect_nothing_left(&there);
}
