//! What an idle TLS stream holds.

use tevent::Context;
use tevent_tests::contract::{done, pattern};
use tevent_tests::tls::{client, handshake, server};
use tevent_tests::settle;
use tsocket::memory;

use crate::sys::bytes_kept_by;

/// The most that both ends of an idle connection hold, what rustls holds included.
const PAIR_MAX: usize = 64 << 10;

#[test]
fn an_idle_tls_stream_holds_no_buffers_of_what_it_has_carried() {
    let ctx = Context::new().unwrap();
    let (client, server) = (client(), server());
    let mut connect = || {
        let pair = memory::stream_pair(&ctx);
        let ((near, _), (far, _)) = handshake(&ctx, pair, client.clone(), server.clone()).unwrap();
        for (from, to) in [(&near, &far), (&far, &near)] {
            let write = from.writev(pattern(0, 300_000));
            drop(done(&ctx, to.readv(vec![0; 300_000])));
            done(&ctx, write);
        }
        settle(&ctx);
        (near, far)
    };
    // What is made once, for the first.
    drop(connect());
    let (pair, kept) = bytes_kept_by(&mut connect);
    let held_below = 2 * memory::CAPACITY;
    println!("kept {kept}");
    assert!(kept <= PAIR_MAX + 2 * held_below, "{kept} bytes");
    drop(pair);
}
