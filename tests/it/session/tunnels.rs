//! Tunnels: what a session whose other side is bytes adds to the stream below.
#![expect(
    clippy::unwrap_used,
    reason = "what several tests do is a test in all but its attribute"
)]

use std::io::{self, IoSlice, IoSliceMut, Read as _};

use rustix::io::Errno;
use tevent::{Context, Request};
use tevent_tests::contract::{
    self, done, expect_nothing_left, expect_rest, fails, gives_back, pattern, seal, unseal,
};
use tevent_tests::security_layer::{TOKEN_MAX, security_layer};
use tevent_tests::settle;
use tsocket::session::{self, Closed, Io, Limits, Session, Tunnel};
use tsocket::{Stream, memory};

fn sealed(ctx: &Context) -> (Stream, Stream) {
    let (near, far) = memory::stream_pair(ctx);
    let near = security_layer(ctx, near, seal(), unseal()).unwrap();
    (near, far)
}

fn token(bytes: &[u8]) -> Vec<u8> {
    let token = seal()(bytes).unwrap();
    let len = u32::try_from(token.len()).unwrap();
    [&len.to_be_bytes()[..], &token].concat()
}

#[test]
fn a_token_too_long_is_refused_before_it_has_come() {
    let ctx = Context::new().unwrap();
    let (near, far) = sealed(&ctx);
    done(&ctx, far.writev(token(b"before")));
    done(&ctx, far.writev(u32::MAX.to_be_bytes().to_vec()));
    assert_eq!(done(&ctx, near.readv(vec![0; 6])), b"before");
    fails(&ctx, near.read(1), Errno::MSGSIZE);
    gives_back(&ctx, near.writev(vec![1]), Errno::MSGSIZE);
    // The first length that is too much.
    let (near, far) = sealed(&ctx);
    let len = u32::try_from(TOKEN_MAX).unwrap() + 1;
    done(&ctx, far.writev(len.to_be_bytes().to_vec()));
    fails(&ctx, near.read(1), Errno::MSGSIZE);
}

#[test]
fn a_token_that_was_tampered_with_ends_the_connection() {
    let ctx = Context::new().unwrap();
    let (near, far) = sealed(&ctx);
    let mut bad = token(b"hello");
    *bad.last_mut().unwrap() ^= 1;
    done(&ctx, far.writev(bad));
    fails(&ctx, near.read(1), Errno::BADMSG);
    fails(&ctx, near.read(1), Errno::BADMSG);
    gives_back(&ctx, near.writev(vec![1]), Errno::BADMSG);
    expect_rest(&ctx);
}

#[test]
fn a_token_that_breaks_off_is_an_error_and_not_the_end() {
    let ctx = Context::new().unwrap();
    let (near, far) = sealed(&ctx);
    let whole = token(b"hello");
    done(&ctx, far.writev(whole.clone()));
    done(&ctx, far.writev(whole[..7].to_vec()));
    drop(far);
    assert_eq!(&*done(&ctx, near.read(100)), b"hello");
    fails(&ctx, near.read(100), Errno::PIPE);
}

#[test]
fn tokens_arrive_byte_by_byte_and_by_the_hundred() {
    let ctx = Context::new().unwrap();
    let (near, far) = sealed(&ctx);
    for byte in token(b"slow") {
        done(&ctx, far.writev(vec![byte]));
        settle(&ctx);
    }
    assert_eq!(&*done(&ctx, near.read(100)), b"slow");
    let many: Vec<u8> = (0..300)
        .flat_map(|at| token(&pattern(100 * at, 100)))
        .collect();
    done(&ctx, far.writev(many));
    assert!(done(&ctx, near.readv(vec![0; 30_000])) == pattern(0, 30_000));
}

#[test]
fn empty_tokens_are_nothing_and_keep_nobody_busy() {
    let ctx = Context::new().unwrap();
    let (near, far) = sealed(&ctx);
    let read = near.read(10);
    for _ in 0..100 {
        done(&ctx, far.writev(token(b"")));
        settle(&ctx);
    }
    assert!(!read.is_finished());
    expect_rest(&ctx);
    done(&ctx, far.writev(token(b"x")));
    assert_eq!(&*done(&ctx, read), b"x");
}

#[test]
fn what_nobody_reads_is_bounded() {
    let ctx = Context::new().unwrap();
    let (near, far) = sealed(&ctx);
    let all: Vec<u8> = (0..64)
        .flat_map(|at| token(&pattern(at * 30_000, 30_000)))
        .collect();
    let write = far.writev(all);
    settle(&ctx);
    assert!(!write.is_finished());
    expect_rest(&ctx);
    assert!(near.pending_bytes().unwrap() < 4 * TOKEN_MAX);
    assert!(done(&ctx, near.readv(vec![0; 64 * 30_000])) == pattern(0, 64 * 30_000));
    done(&ctx, write);
}

#[test]
fn a_tunnel_over_messages_keeps_to_their_length() {
    let ctx = Context::new().unwrap();
    let (near, far) = (contract::MESSAGE_OVER_UNIX.connect)(&ctx).unwrap();
    let near = security_layer(&ctx, near, seal(), unseal()).unwrap();
    let far = security_layer(&ctx, far, seal(), unseal()).unwrap();
    let write = near.writev(pattern(0, 1 << 20));
    assert!(done(&ctx, far.readv(vec![0; 1 << 20])) == pattern(0, 1 << 20));
    done(&ctx, write);
    fails(&ctx, near.shutdown(), Errno::OPNOTSUPP);
    done(&ctx, near.writev(&b"goes on"[..]));
    assert_eq!(done(&ctx, far.readv(vec![0; 7])), b"goes on");
    drop(near);
    assert!(done(&ctx, far.read(1)).is_empty());
    drop(far);
    expect_nothing_left(&ctx);
}

#[test]
fn tunnels_can_be_stacked() {
    let ctx = Context::new().unwrap();
    let (near, far) = (contract::SECURITY_LAYER_OVER_MEMORY.connect)(&ctx).unwrap();
    let near = security_layer(&ctx, near, seal(), unseal()).unwrap();
    let far = security_layer(&ctx, far, seal(), unseal()).unwrap();
    let write = near.writev(pattern(0, 300_000));
    assert!(done(&ctx, far.readv(vec![0; 300_000])) == pattern(0, 300_000));
    done(&ctx, write);
    assert_eq!(near.local_address().unwrap().to_string(), "unix:");
}

#[test]
fn a_stream_in_use_is_not_taken() {
    let ctx = Context::new().unwrap();
    let (near, _far) = memory::stream_pair(&ctx);
    let other = near.clone();
    let refused = security_layer(&ctx, near, seal(), unseal()).unwrap_err();
    assert_eq!(
        refused.error.raw_os_error(),
        Some(Errno::BUSY.raw_os_error())
    );
    drop(other);
}

/// Each side says a letter and waits for one; from then on bytes travel as they are.
#[derive(Default)]
struct Greeting {
    heard: Option<u8>,
    opened: Vec<u8>,
    ended: bool,
}

impl Session for Greeting {
    fn receive(&mut self, bytes: &mut [u8], _: &Io) -> io::Result<usize> {
        let (greeting, rest) = match self.heard {
            None => bytes.split_at(1),
            Some(_) => (&[][..], &*bytes),
        };
        if let Some(letter) = greeting.first() {
            if !letter.is_ascii_uppercase() {
                return Err(Errno::PROTO.into());
            }
            self.heard = Some(*letter);
        }
        self.opened.extend_from_slice(rest);
        Ok(bytes.len())
    }

    fn closed(&mut self, _: Closed<'_>) {
        self.ended = true;
    }
}

impl Tunnel for Greeting {
    fn read(&mut self, buffers: &mut [IoSliceMut<'_>]) -> usize {
        let mut opened = &self.opened[..];
        let read = opened.read_vectored(buffers).unwrap();
        self.opened.drain(..read);
        read
    }

    fn pending(&self) -> usize {
        self.opened.len()
    }

    fn end(&self) -> Option<io::Result<()>> {
        self.ended.then_some(Ok(()))
    }

    fn write(&mut self, buffers: &[IoSlice<'_>], io: &Io) -> io::Result<usize> {
        io.send(&*buffers[0])?;
        Ok(buffers[0].len())
    }

    fn is_negotiating(&self) -> bool {
        self.heard.is_none()
    }
}

fn greet(ctx: &Context, stream: Stream, letter: u8) -> Request<(Stream, Option<u8>)> {
    let make = |io: &Io| {
        io.send([letter]).unwrap();
        Greeting::default()
    };
    session::negotiate(
        ctx,
        stream,
        "greeting",
        Limits::default(),
        make,
        |greeting| greeting.heard,
    )
}

#[test]
fn a_stream_is_given_once_both_sides_agree() {
    let ctx = Context::new().unwrap();
    let (near, far) = memory::stream_pair(&ctx);
    let near = greet(&ctx, near, b'N');
    settle(&ctx);
    assert!(!near.is_finished());
    assert!(ctx.dump().to_string().contains("greeting"));
    let (far, heard) = done(&ctx, greet(&ctx, far, b'F'));
    assert_eq!(heard, Some(b'N'));
    done(&ctx, far.writev(&b"right behind it"[..]));
    let (near, heard) = done(&ctx, near);
    assert_eq!(heard, Some(b'F'));
    assert_eq!(&*done(&ctx, near.read(100)), b"right behind it");
    done(&ctx, near.writev(vec![b"and ".to_vec(), b"back".to_vec()]));
    assert_eq!(done(&ctx, far.readv(vec![0; 8])), b"and back");
    drop(far);
    assert!(done(&ctx, near.read(1)).is_empty());
    drop(near);
    expect_nothing_left(&ctx);
}

#[test]
fn sides_that_do_not_agree_are_closed() {
    let ctx = Context::new().unwrap();
    let (near, far) = memory::stream_pair(&ctx);
    done(&ctx, far.writev(&b"what?"[..]));
    fails(&ctx, greet(&ctx, near, b'N'), Errno::PROTO);
    assert_eq!(&*done(&ctx, far.read(10)), b"N");
    assert!(done(&ctx, far.read(10)).is_empty());

    let (near, far) = memory::stream_pair(&ctx);
    drop(far);
    fails(&ctx, greet(&ctx, near, b'N'), Errno::PIPE);

    let (near, far) = memory::stream_pair(&ctx);
    let late = greet(&ctx, near, b'N');
    late.set_timeout(std::time::Duration::from_millis(1));
    fails(&ctx, late, Errno::TIMEDOUT);
    assert_eq!(done(&ctx, far.readv(vec![0; 1])), b"N");
    assert!(done(&ctx, far.read(10)).is_empty());
    expect_nothing_left(&ctx);
}

#[test]
fn a_tunnel_moves_with_its_stream() {
    let (here, there) = (Context::new().unwrap(), Context::new().unwrap());
    let (near, far) = sealed(&here);
    let far = far.move_to(&there).unwrap();
    done(&there, far.writev(token(b"before")));
    let near = near.move_to(&there).unwrap();
    let read = near.readv(vec![0; 11]);
    done(&there, far.writev(token(b"after")));
    assert_eq!(done(&there, read), b"beforeafter");
    let monitored = near.monitor();
    settle(&there);
    assert!(!monitored.is_finished());
    drop(far);
    done(&there, monitored);
    expect_nothing_left(&here);
}
