//! Who a peer is, through layers and in memory.

use rustix::io::Errno;
use tevent::Context;
use tevent_tests::expect_errno;
use tsocket::{Credentials, memory};
use tsocket_bsd::socketpair;
use tsocket_npa::{byte_mode, message_mode};

#[test]
fn a_layered_stream_says_what_the_one_below_it_says() {
    let ctx = Context::new().unwrap();
    let (near, far) = socketpair(&ctx).unwrap();
    let ours: Credentials = near.peer_credentials().unwrap();
    assert_eq!(ours.uid, rustix::process::geteuid().as_raw());
    let bytes = byte_mode(&ctx, near).unwrap();
    assert_eq!(bytes.peer_credentials().unwrap(), ours);
    let messages = message_mode(&ctx, far).unwrap();
    assert_eq!(messages.peer_credentials().unwrap(), ours);
}

#[test]
fn nobody_vouches_for_a_peer_in_memory() {
    let ctx = Context::new().unwrap();
    let (near, _far) = memory::stream_pair(&ctx);
    expect_errno(near.peer_credentials(), Errno::OPNOTSUPP);
    near.abort();
    expect_errno(near.peer_credentials(), Errno::NOTCONN);
}
