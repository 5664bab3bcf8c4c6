//! `Bytes` and `BytesMut`: written and filled as they are, and made of chunks.

use bytes::{Bytes, BytesMut};
use rustix::io::Errno;
use tevent::Context;
use tevent_tests::contract::{done, gives_back, pattern};
use tsocket::{Chunk, memory};

#[test]
fn they_are_written_without_copying_and_come_back() {
    let ctx = Context::new().unwrap();
    let (near, far) = memory::stream_pair(&ctx);
    let payload = Bytes::from(b"payload".to_vec());
    let returned = done(&ctx, near.writev((payload.clone(), payload.slice(3..))));
    assert_eq!(returned.0.as_ptr(), payload.as_ptr());
    let mut text = BytesMut::from(&b" and more"[..]);
    text.reserve(1000);
    let returned = done(&ctx, near.writev(text));
    assert!(returned.capacity() >= 1000);
    assert_eq!(&*done(&ctx, far.read(100)), b"payloadload and more");
    near.abort();
    assert_eq!(
        gives_back(&ctx, near.writev(payload), Errno::NOTCONN).0,
        "payload"
    );
}

#[test]
fn bytes_that_can_be_changed_are_filled() {
    let ctx = Context::new().unwrap();
    let (near, far) = memory::stream_pair(&ctx);
    done(&ctx, near.writev(&b"0123456789"[..]));
    assert_eq!(done(&ctx, far.readv(BytesMut::zeroed(4))), "0123");
}

#[test]
fn a_chunk_becomes_bytes() {
    let ctx = Context::new().unwrap();
    let (near, far) = memory::stream_pair(&ctx);
    assert_eq!(Bytes::from(Chunk::default()), "");

    done(&ctx, near.writev(pattern(0, 60_000)));
    let mut large = done(&ctx, far.read(60_000));
    large.advance(10);
    assert_eq!(Bytes::from(large), pattern(10, 59_990));

    let vector = b"mine".to_vec();
    let address = vector.as_ptr();
    assert_eq!(Bytes::from(Chunk::from(vector)).as_ptr(), address);

    // A few bytes do not keep a buffer that could hold many.
    done(&ctx, near.writev(&b"small"[..]));
    let small = done(&ctx, far.read(60_000));
    let (address, small) = (small.as_ptr(), Bytes::from(small));
    assert_eq!(small, "small");
    assert_ne!(small.as_ptr(), address);
}
