//! Reading PDUs: what the function that knows their length sees, and what it may say.

mod rules;
mod vectors;

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;

use rustix::io::Errno;
use tevent::{Context, Request};
use tevent_tests::contract::{Ends, MEMORY, SOCKETPAIR, Subject, done, expect_nothing_left, fails};
use tevent_tests::{expect_panic, settle};
use tsocket::{Chunk, memory};

#[test]
fn the_length_may_be_learnt_in_several_steps() {
    let ctx = Context::new().unwrap();
    let (near, far) = memory::stream_pair(&ctx);
    let seen = Rc::new(RefCell::new(Vec::new()));
    // One byte says how long a second length is, which says how much follows.
    let next = {
        let seen = seen.clone();
        move |arrived: &[u8]| {
            seen.borrow_mut().push(arrived.to_vec());
            Ok(match arrived {
                [] => 1,
                [len] => usize::from(*len),
                [1, body_len] => usize::from(*body_len),
                _ => 0,
            })
        }
    };
    done(&ctx, near.writev(&b"\x01\x03abc and more"[..]));
    assert_eq!(&*done(&ctx, far.read_pdu(next)), b"\x01\x03abc");
    assert_eq!(
        *seen.borrow(),
        [&b""[..], b"\x01", b"\x01\x03", b"\x01\x03abc"]
    );
    assert_eq!(&*done(&ctx, far.read(100)), b" and more");
}

#[test]
fn its_error_is_the_error_of_the_read() {
    let ctx = Context::new().unwrap();
    let (near, far) = memory::stream_pair(&ctx);
    done(&ctx, near.writev(&b"bad, good"[..]));
    let next = |arrived: &[u8]| match arrived {
        [] => Ok(5),
        _ => Err(io::Error::from(Errno::PROTO)),
    };
    fails(&ctx, far.read_pdu(next), Errno::PROTO);
    assert_eq!(&*done(&ctx, far.read(100)), b"good", "the stream goes on");
}

#[test]
fn memory_is_not_reserved_for_what_is_only_claimed() {
    let ctx = Context::new().unwrap();
    let (near, far) = memory::stream_pair(&ctx);
    let read = far.read_pdu(|arrived| Ok(if arrived.is_empty() { 1 } else { 1 << 60 }));
    done(&ctx, near.writev(&b"!everything there is"[..]));
    settle(&ctx);
    assert!(!read.is_finished());
    near.abort();
    fails(&ctx, read, Errno::PIPE);
}

#[test]
fn one_that_is_given_up_loses_what_had_arrived_of_it() {
    let ctx = Context::new().unwrap();
    let (near, far) = memory::stream_pair(&ctx);
    let read = far.read_pdu(|arrived| Ok(10 - arrived.len()));
    done(&ctx, near.writev(&b"half"[..]));
    settle(&ctx);
    read.cancel();
    fails(&ctx, read, Errno::CANCELED);
    done(&ctx, near.writev(&b"next"[..]));
    assert_eq!(&*done(&ctx, far.read(100)), b"next");
}

#[test]
fn one_that_its_own_function_drops_takes_no_more_bytes() {
    let ctx = Context::new().unwrap();
    for kind in [MEMORY, SOCKETPAIR] {
        let Ends { near, far, .. } = kind.ends(&ctx);
        let slot: Rc<Cell<Option<Request<Chunk>>>> = Rc::default();
        let own = slot.clone();
        let read = far.read_pdu(move |arrived| {
            if !arrived.is_empty() {
                drop(own.take());
            }
            Ok(4)
        });
        slot.set(Some(read));
        done(&ctx, near.writev(&b"headnext"[..]));
        settle(&ctx);
        assert!(slot.take().is_none());
        assert_eq!(&*done(&ctx, far.read(100)), b"next");
    }
    expect_nothing_left(&ctx);
}

#[test]
fn a_panic_of_its_function_leaves_a_stream_that_can_be_read() {
    let ctx = Context::new().unwrap();
    let (near, far) = memory::stream_pair(&ctx);
    expect_panic(|| far.read_pdu(|_| panic!("at once")));
    let read = far.read_pdu(|arrived| match arrived {
        [] => Ok(1),
        _ => panic!("on the way"),
    });
    done(&ctx, near.writev(&b"!next"[..]));
    expect_panic(|| settle(&ctx));
    fails(&ctx, read, Errno::IO);
    assert_eq!(&*done(&ctx, far.read(100)), b"next");
}
