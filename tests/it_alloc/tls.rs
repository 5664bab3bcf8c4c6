//! What an idle TLS stream holds.

use std::cell::RefCell;

use tevent::Context;
use tevent_tests::contract::{SOCKETPAIR, done, pattern};
use tevent_tests::settle;
use tevent_tests::tls::{client, handshake, server};

use crate::sys::bytes_kept_by;

/// The most that both ends of an idle connection hold: nearly all is of rustls, which keeps the room of
/// one record at each end, its keys, and the tickets of the session.
const PAIR_MAX: usize = 96 << 10;

#[test]
fn an_idle_tls_stream_holds_little_of_what_it_has_carried() {
    let ctx = Context::new().unwrap();
    let (client, server) = (client(), server());
    let pairs = RefCell::new(Vec::with_capacity(2));
    let connect = || {
        let pair = (SOCKETPAIR.connect)(&ctx).unwrap();
        let ((near, _), (far, _)) = handshake(&ctx, pair, client.clone(), server.clone()).unwrap();
        for (from, to) in [(&near, &far), (&far, &near)] {
            let write = from.writev(pattern(0, 300_000));
            drop(done(&ctx, to.readv(vec![0; 300_000])));
            done(&ctx, write);
        }
        settle(&ctx);
        pairs.borrow_mut().push((near, far));
    };
    // What is made once, for the first.
    connect();
    let kept = bytes_kept_by(connect);
    assert!(kept <= PAIR_MAX, "{kept} bytes");
}
