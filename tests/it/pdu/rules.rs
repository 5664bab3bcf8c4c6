//! The ready-made rules: prefixes, headers and delimiters, whatever pieces they come in.

use std::io;

use rustix::io::Errno;
use tevent::Context;
use tevent_tests::contract::{done, fails};
use tevent_tests::settle;
use tsocket::{Stream, memory, pdu};

type Rule = Box<dyn FnMut(&[u8]) -> io::Result<usize>>;

fn pair() -> (Context, Stream, Stream) {
    let ctx = Context::new().expect("there is a loop");
    let (near, far) = memory::stream_pair(&ctx);
    (ctx, near, far)
}

/// Sends `bytes` twice, at once and byte by byte, and expects the PDU `whole` in front of them.
#[track_caller]
fn reads(rule: impl Fn() -> Rule, bytes: &[u8], whole: &[u8]) {
    let (ctx, near, far) = pair();
    done(&ctx, near.writev(bytes.to_vec()));
    assert_eq!(&*done(&ctx, far.read_pdu(rule())), whole);
    let rest = &bytes[whole.len()..];
    if !rest.is_empty() {
        assert_eq!(&*done(&ctx, far.read(100)), rest);
    }
    let read = far.read_pdu(rule());
    for byte in whole {
        assert!(!read.is_finished());
        done(&ctx, near.writev(vec![*byte]));
        settle(&ctx);
    }
    assert_eq!(&*done(&ctx, read), whole);
}

/// Sends `bytes`, and expects that a PDU which begins like this is refused.
#[track_caller]
fn refuses(rule: Rule, bytes: &[u8], errno: Errno) {
    let (ctx, near, far) = pair();
    done(&ctx, near.writev(bytes.to_vec()));
    fails(&ctx, far.read_pdu(rule), errno);
}

#[test]
fn a_prefix_counts_what_follows_it_in_either_order() {
    reads(|| Box::new(pdu::u8(3)), b"\x03abcde", b"\x03abc");
    reads(|| Box::new(pdu::u16_be(3)), b"\0\x03abcde", b"\0\x03abc");
    reads(|| Box::new(pdu::u16_le(3)), b"\x03\0abcde", b"\x03\0abc");
    reads(
        || Box::new(pdu::u32_be(3)),
        b"\0\0\0\x03abcde",
        b"\0\0\0\x03abc",
    );
    reads(
        || Box::new(pdu::u32_le(3)),
        b"\x03\0\0\0abcde",
        b"\x03\0\0\0abc",
    );
    reads(|| Box::new(pdu::u8(3)), b"\0abc", b"\0");
}

#[test]
fn a_prefix_above_the_limit_is_refused() {
    refuses(Box::new(pdu::u8(3)), b"\x04abcd", Errno::MSGSIZE);
    refuses(Box::new(pdu::u16_be(3)), b"\x04\0", Errno::MSGSIZE);
    refuses(Box::new(pdu::u16_le(3)), b"\0\x04", Errno::MSGSIZE);
    refuses(
        Box::new(pdu::u32_be(3)),
        b"\xff\xff\xff\xff",
        Errno::MSGSIZE,
    );
    refuses(Box::new(pdu::u32_le(3)), b"\0\0\0\x80", Errno::MSGSIZE);
}

/// A header of three bytes, the second of which is the length of the whole.
fn by_header(max_len: usize) -> Rule {
    Box::new(pdu::header(3, max_len, |header| match header {
        [b'!', ..] => Err(Errno::PROTO.into()),
        _ => Ok(usize::from(header[1])),
    }))
}

#[test]
fn a_header_counts_itself() {
    reads(|| by_header(7), b"a\x07bcdefgh", b"a\x07bcdef");
    reads(|| by_header(7), b"a\x03bc", b"a\x03b");
}

#[test]
fn a_header_that_cannot_be_is_refused() {
    refuses(by_header(7), b"a\x08b", Errno::MSGSIZE);
    refuses(by_header(7), b"a\x02b", Errno::MSGSIZE);
    refuses(by_header(7), b"!\x03b", Errno::PROTO);
}

#[test]
fn a_delimiter_ends_a_pdu_wherever_it_comes() {
    let lines = || -> Rule { Box::new(pdu::delimited(b"\r\n", 10)) };
    reads(lines, b"one\r\ntwo", b"one\r\n");
    reads(lines, b"\r\nrest", b"\r\n");
    reads(lines, b"\r\r\n", b"\r\r\n");
    reads(lines, b"a\nb\rc\r\n", b"a\nb\rc\r\n");
    reads(lines, b"12345678\r\n", b"12345678\r\n");
    let heads = || -> Rule { Box::new(pdu::delimited(b"abab!", 20)) };
    reads(heads, b"ababab!rest", b"ababab!");
}

#[test]
fn what_has_no_delimiter_within_the_limit_is_refused() {
    let lines = || -> Rule { Box::new(pdu::delimited(b"\r\n", 10)) };
    refuses(lines(), b"123456789\r\n", Errno::MSGSIZE);
    refuses(lines(), &[b'x'; 100], Errno::MSGSIZE);
    refuses(Box::new(pdu::delimited(b"", 10)), b"x", Errno::INVAL);
}
