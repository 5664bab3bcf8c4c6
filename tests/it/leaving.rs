//! Streams that leave their context: to another one, to another thread, or taken apart.

use std::io::{self, IoSlice, IoSliceMut, Write as _};
use std::os::unix::net::UnixStream;
use std::thread;

use rustix::io::Errno;
use tevent::{Context, Readiness};
use tevent_tests::contract::{
    self, Ends, Kind, Subject, done, expect_nothing_left, fails, gives_back, pattern,
};
use tevent_tests::{expect_errno, expect_panic, on_every_backend, settle};
use tsocket::{Address, Refused, Stream, StreamOps, memory};
use tsocket_bsd::{socketpair, stream_from_fd};
use tsocket_npa::byte_mode;

/// Those that can move, which are all that are made here.
const KINDS: [Kind; 7] = [
    contract::MEMORY,
    contract::SOCKETPAIR,
    contract::UNIX,
    contract::TCP4,
    contract::MESSAGE_OVER_MEMORY,
    contract::MESSAGE_OVER_UNIX,
    contract::BYTE_OVER_UNIX,
];

fn for_every_kind(story: fn(Ends, &Context)) {
    on_every_backend(move |ctx| {
        for kind in KINDS {
            let there = Context::with_backend(ctx.backend()).expect("it is listed");
            story(kind.ends(ctx), &there);
            expect_nothing_left(ctx);
            expect_nothing_left(&there);
        }
    });
}

#[track_caller]
fn expect_refused<T>(result: Result<T, Refused>, errno: Errno) -> Stream {
    let Err(refused) = result else {
        panic!("expected {errno:?}, but it went well");
    };
    let raw = refused.error.raw_os_error();
    assert_eq!(raw, Some(errno.raw_os_error()), "{refused}");
    refused.stream
}

#[test]
fn a_stream_goes_on_in_another_context() {
    for_every_kind(|ends, there| {
        let Ends { ctx, near, far, .. } = ends;
        done(&ctx, near.writev(&b"first second"[..]));
        // It then has something watched, told and received ahead.
        assert_eq!(done(&ctx, far.readv(vec![0; 5])), b"first");
        let far = far.move_to(there).unwrap();
        assert_eq!(done(there, far.readv(vec![0; 7])), b" second");
        let waiting = far.read(100);
        settle(there);
        done(&ctx, near.writev(&b"third"[..]));
        assert_eq!(&*done(there, waiting), b"third");
        // Written here until the other end has to read before it goes on.
        let write = far.writev(pattern(0, 60_000));
        let read = near.readv(vec![0; 60_000]);
        settle(there);
        assert!(done(&ctx, read) == pattern(0, 60_000));
        done(there, write);
        far.abort();
        assert!(done(&ctx, near.read(1)).is_empty());
    });
}

#[test]
fn what_is_known_of_the_ends_goes_along() {
    for_every_kind(|ends, there| {
        let Ends {
            ctx,
            near,
            far,
            kind,
        } = ends;
        done(&ctx, near.writev(&b"last"[..]));
        drop(near);
        assert_eq!(done(&ctx, far.readv(vec![0; 4])), b"last");
        assert!(done(&ctx, far.read(1)).is_empty());
        if kind.has_half_close {
            done(&ctx, far.shutdown());
        }
        let far = far.move_to(there).unwrap();
        assert!(done(there, far.read(1)).is_empty());
        if kind.has_half_close {
            gives_back(there, far.writev(vec![1]), Errno::PIPE);
        }
        let far = far.move_to(&ctx).unwrap();
        assert!(done(&ctx, far.read(1)).is_empty());
    });
}

#[test]
fn a_stream_in_use_stays_where_it_is() {
    for_every_kind(|ends, there| {
        let Ends { ctx, near, far, .. } = ends;
        let read = near.read(10);
        let near = expect_refused(near.move_to(there), Errno::BUSY);
        let near = expect_refused(near.into_parts(), Errno::BUSY);
        done(&ctx, far.writev(&b"undisturbed"[..]));
        assert_eq!(&*done(&ctx, read), b"undisturbe");
        let clone = near.clone();
        let near = expect_refused(near.move_to(there), Errno::BUSY);
        let near = expect_refused(near.into_parts(), Errno::BUSY);
        drop(clone);
        let near = near.move_to(there).unwrap();
        assert_eq!(&*done(there, near.read(10)), b"d");
        near.abort();
        let near = expect_refused(near.move_to(there), Errno::NOTCONN);
        expect_refused(near.into_parts(), Errno::NOTCONN);
    });
}

#[test]
fn what_was_told_on_the_way_is_told_there() {
    let (here, there) = (Context::new().unwrap(), Context::new().unwrap());
    let (near, far) = memory::stream_pair(&here);
    let read = far.read(100);
    read.set_timeout(std::time::Duration::ZERO);
    fails(&here, read, Errno::TIMEDOUT);
    // Tells the far end soon, which by then is elsewhere.
    let written = near.writev(&b"on the way"[..]);
    let far = far.move_to(&there).unwrap();
    drop(here);
    assert_eq!(&*done(&there, far.read(100)), b"on the way");
    drop(written);
}

/// A kind that knows nothing but what it has to.
struct Bare;

impl StreamOps for Bare {
    fn try_readv(&mut self, _: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        Ok(0)
    }
    fn try_writev(&mut self, _: &[IoSlice<'_>]) -> io::Result<usize> {
        Err(Errno::PIPE.into())
    }
    fn pending_bytes(&mut self) -> io::Result<usize> {
        Ok(0)
    }
    fn try_shutdown(&mut self) -> io::Result<()> {
        Err(Errno::OPNOTSUPP.into())
    }
    fn local_address(&self) -> io::Result<Address> {
        Ok(Address::unix_unnamed())
    }
    fn peer_address(&self) -> io::Result<Address> {
        Ok(Address::unix_unnamed())
    }
    fn told(&mut self, readiness: Readiness) -> Readiness {
        readiness
    }
    fn unwanted(&mut self, _: Readiness) {}
}

#[test]
fn a_kind_that_cannot_leave_says_so() {
    let (here, there) = (Context::new().unwrap(), Context::new().unwrap());
    let bare = Stream::new(&here, |_| Ok(Box::new(Bare))).unwrap();
    let bare = expect_refused(bare.move_to(&there), Errno::OPNOTSUPP);
    let bare = expect_refused(bare.into_parts(), Errno::OPNOTSUPP);
    assert!(done(&here, bare.read(1)).is_empty(), "it can still be used");
    expect_errno(bare.peer_credentials(), Errno::OPNOTSUPP);

    let (memory, _) = memory::stream_pair(&here);
    expect_refused(memory.into_parts(), Errno::OPNOTSUPP);
    let (near, _far) = socketpair(&here).unwrap();
    let layered = byte_mode(&here, near).unwrap();
    expect_refused(layered.into_parts(), Errno::OPNOTSUPP);
}

#[test]
fn a_stream_goes_to_another_thread_and_back() {
    on_every_backend(|ctx| {
        let (stream, mut peer) = UnixStream::pair().unwrap();
        let stream = stream_from_fd(ctx, stream.into()).unwrap();
        peer.write_all(&pattern(0, 10_000)).unwrap();
        assert!(done(ctx, stream.readv(vec![0; 100])) == pattern(0, 100));
        let (fd, ahead) = stream.into_parts().unwrap();
        assert!(
            ahead == pattern(100, 9_900),
            "what came with the first bytes"
        );
        let elsewhere = thread::spawn(move || {
            let ctx = Context::new().unwrap();
            let stream = stream_from_fd(&ctx, fd).unwrap();
            stream.unread(ahead).unwrap();
            assert_eq!(stream.pending_bytes().unwrap(), 9_900);
            assert!(done(&ctx, stream.readv(vec![0; 5_000])) == pattern(100, 5_000));
            done(&ctx, stream.writev(&b"from elsewhere"[..]));
            stream.into_parts().unwrap()
        });
        let (fd, ahead) = elsewhere.join().unwrap();
        let stream = stream_from_fd(ctx, fd).unwrap();
        stream.unread(ahead).unwrap();
        assert!(done(ctx, stream.readv(vec![0; 4_900])) == pattern(5_100, 4_900));
        let peer = stream_from_fd(ctx, peer.into()).unwrap();
        assert_eq!(&*done(ctx, peer.read(100)), b"from elsewhere");
        done(ctx, peer.writev(&b"again"[..]));
        assert_eq!(done(ctx, stream.readv(vec![0; 5])), b"again");
    });
}

#[test]
fn a_write_side_that_was_given_up_is_nothing_to_hand_over() {
    let ctx = Context::new().unwrap();
    let (near, _far) = socketpair(&ctx).unwrap();
    let write = near.writev(pattern(0, 16 << 20));
    settle(&ctx);
    drop(write);
    expect_refused(near.into_parts(), Errno::PIPE);
}

#[test]
fn unread_bytes_come_first() {
    let ctx = Context::new().unwrap();
    let (near, far) = memory::stream_pair(&ctx);
    done(&ctx, near.writev(&b"c"[..]));
    far.unread(b"b".to_vec()).unwrap();
    far.unread(b"a".to_vec()).unwrap();
    far.unread(Vec::new()).unwrap();
    assert_eq!(far.pending_bytes().unwrap(), 3);
    assert_eq!(done(&ctx, far.readv(vec![0; 3])), b"abc");
    let read = far.read(10);
    expect_errno(far.unread(b"late".to_vec()), Errno::BUSY);
    drop(read);
    far.abort();
    expect_errno(far.unread(b"late".to_vec()), Errno::NOTCONN);
}

#[test]
fn a_layer_of_another_context_is_a_mistake() {
    let (here, there) = (Context::new().unwrap(), Context::new().unwrap());
    let (near, _far) = memory::stream_pair(&here);
    let text = expect_panic(|| byte_mode(&there, near));
    assert!(text.contains("the same context"), "{text}");
}
