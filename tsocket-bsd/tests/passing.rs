//! Descriptors that travel with the bytes of unix streams: each arrives once, none is left behind.
#![cfg(target_os = "linux")] // Descriptors are counted in /proc.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use std::fs::{self, File};
use std::io::{IoSlice, Read as _, Write as _};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::io::{Errno, FdFlags, fcntl_getfd};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use tevent::{Context, Request};
use tsocket::{Stream, pdu};
use tsocket_bsd::{FDS_MAX, FdPassing, socketpair};

use common::{expect, expect_errno};

/// One test at a time: they count descriptors.
static ALONE: Mutex<()> = Mutex::new(());

struct Counted {
    before: usize,
    ctx: Context,
    _alone: MutexGuard<'static, ()>,
}

impl Counted {
    fn start() -> Self {
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let ctx = Context::new().unwrap();
        Self {
            before: open_descriptors(),
            ctx,
            _alone: alone,
        }
    }

    #[track_caller]
    fn expect(&self, more: usize) {
        assert_eq!(open_descriptors(), self.before + more);
    }
}

fn open_descriptors() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

fn pair(ctx: &Context) -> (FdPassing, FdPassing) {
    let (near, far) = socketpair(ctx).unwrap();
    let adopt = |stream: Stream| FdPassing::new(ctx, stream.into_parts().unwrap().0).unwrap();
    (adopt(near), adopt(far))
}

/// As many ends of pipes, to be told apart by what comes out of them.
fn pipes(count: u8) -> (Vec<File>, Vec<OwnedFd>) {
    let pipes = (0..count).map(|_| rustix::pipe::pipe().unwrap());
    let (read, write): (Vec<OwnedFd>, Vec<OwnedFd>) = pipes.unzip();
    (read.into_iter().map(File::from).collect(), write)
}

/// Settles what is ready, without waiting.
fn settle(ctx: &Context) {
    for _ in 0..3 {
        expect(ctx, tevent::wakeup(ctx, ctx.now()));
    }
}

#[test]
fn they_arrive_in_order_with_their_bytes_and_closed_on_exec() {
    let counted = Counted::start();
    let ctx = &counted.ctx;
    let (near, far) = pair(ctx);
    let (mut read, write) = pipes(3);
    expect(ctx, near.writev(&b"three"[..], write));
    counted.expect(2 + 3);
    expect(ctx, near.stream().writev(&b" none"[..]));
    let (mut more, write) = pipes(1);
    expect(ctx, near.writev(&b" one"[..], write));

    assert_eq!(far.take_fds().len(), 0, "nothing was read");
    assert_eq!(expect(ctx, far.stream().readv(vec![0; 2])), b"th");
    let came = far.take_fds();
    assert_eq!(came.len(), 3);
    for (index, fd) in came.into_iter().enumerate() {
        assert!(fcntl_getfd(&fd).unwrap().contains(FdFlags::CLOEXEC));
        let text = [u8::try_from(index).unwrap()];
        File::from(fd).write_all(&text).unwrap();
        let mut told = Vec::new();
        read[index].read_to_end(&mut told).unwrap();
        assert_eq!(told, text);
    }
    assert_eq!(expect(ctx, far.stream().readv(vec![0; 8])), b"ree none");
    assert_eq!(far.take_fds().len(), 0);
    assert_eq!(&*expect(ctx, far.stream().read(100)), b" one");
    File::from(far.take_fds().remove(0))
        .write_all(b"!")
        .unwrap();
    let mut told = String::new();
    more[0].read_to_string(&mut told).unwrap();
    assert_eq!(told, "!");
    drop((near, far, read, more));
    counted.expect(0);
}

#[test]
fn one_comes_with_its_pdu() {
    let counted = Counted::start();
    let ctx = &counted.ctx;
    let (near, far) = pair(ctx);
    for round in 0..20 {
        let (read, write) = pipes(1);
        let fds = if round % 2 == 0 { write } else { Vec::new() };
        expect(ctx, near.writev(&b"\0\0\0\x05hello"[..], fds));
        let body = expect(ctx, far.stream().read_pdu(pdu::u32_be(100)));
        assert_eq!(&body[4..], b"hello");
        assert_eq!(far.take_fds().len(), (round + 1) % 2);
        drop(read);
    }
    drop((near, far));
    counted.expect(0);
}

/// Sends more than is taken, as somebody else would.
fn send_raw(socket: &UnixStream, fds: &[BorrowedFd<'_>]) {
    let mut space = vec![MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(250))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    assert!(control.push(SendAncillaryMessage::ScmRights(fds)));
    let bytes = [IoSlice::new(b"many")];
    sendmsg(socket, &bytes, &mut control, SendFlags::NOSIGNAL).unwrap();
}

#[test]
fn more_than_the_limit_end_the_connection_and_are_closed() {
    let counted = Counted::start();
    let ctx = &counted.ctx;
    let null = File::open("/dev/null").unwrap();
    for count in [FDS_MAX, FDS_MAX + 1, FDS_MAX + 2, 250] {
        let (near, far) = UnixStream::pair().unwrap();
        let far = FdPassing::new(ctx, far.into()).unwrap();
        send_raw(&near, &vec![null.as_fd(); count]);
        if count == FDS_MAX {
            assert_eq!(&*expect(ctx, far.stream().read(100)), b"many");
            // Not taken, so that one more is too many.
            send_raw(&near, &[null.as_fd()]);
            expect_errno(ctx, far.stream().read(100), Errno::MSGSIZE);
            counted.expect(3 + FDS_MAX);
            assert_eq!(far.take_fds().len(), FDS_MAX);
        } else {
            expect_errno(ctx, far.stream().read(100), Errno::MSGSIZE);
        }
        counted.expect(3);
        expect_errno(ctx, far.stream().read(100), Errno::MSGSIZE);
        expect_errno(ctx, far.stream().writev(&b"!"[..]), Errno::MSGSIZE);
    }
    counted.expect(1);

    let (near, far) = pair(ctx);
    let fds = (0..=FDS_MAX).map(|_| null.try_clone().unwrap().into());
    expect_errno(
        ctx,
        near.writev(&b"too many"[..], fds.collect()),
        Errno::MSGSIZE,
    );
    counted.expect(3);
    let fds = (0..FDS_MAX).map(|_| null.try_clone().unwrap().into());
    expect(ctx, near.writev(&b"as many as may"[..], fds.collect()));
    assert_eq!(
        expect(ctx, far.stream().readv(vec![0; 14])),
        b"as many as may"
    );
    assert_eq!(far.take_fds().len(), FDS_MAX);
    drop((near, far));
    counted.expect(1);
}

/// A stream that takes no more, and how much it has taken.
fn filled(ctx: &Context) -> (FdPassing, FdPassing, usize) {
    let (near, far) = pair(ctx);
    let mut taken = 0;
    loop {
        let write = near.stream().writev(vec![0; 1000]);
        settle(ctx);
        if !write.is_finished() {
            return (near, far, taken);
        }
        expect(ctx, write);
        taken += 1000;
    }
}

#[test]
fn one_that_waits_arrives_later_and_never_with_other_bytes() {
    let counted = Counted::start();
    let ctx = &counted.ctx;
    let (near, far, taken) = filled(ctx);
    let (_read, write) = pipes(1);
    let sent = near.writev(&b"later"[..], write);
    assert!(!sent.is_finished());
    let (_other, write) = pipes(1);
    expect_errno(ctx, near.writev(&b"refused"[..], write), Errno::BUSY);
    expect(ctx, far.stream().readv(vec![0; taken]));
    assert_eq!(far.take_fds().len(), 0);
    assert_eq!(&*expect(ctx, far.stream().read(100)), b"later");
    expect(ctx, sent);
    assert_eq!(far.take_fds().len(), 1);

    for end in [Request::cancel, |_: &Request<_, _>| {}] {
        let (near, far, taken) = filled(ctx);
        let (read, write) = pipes(1);
        let sent = near.writev(&b"given up"[..], write);
        end(&sent);
        drop(sent);
        expect_errno(ctx, near.stream().writev(&b"other"[..]), Errno::PIPE);
        expect(ctx, far.stream().readv(vec![0; taken]));
        drop((near, read));
        assert!(expect(ctx, far.stream().read(100)).is_empty());
        assert_eq!(far.take_fds().len(), 0);
    }
    drop((near, far, _read, _other));
    counted.expect(0);
}

#[test]
fn none_is_left_where_a_stream_ends_on_the_way() {
    let counted = Counted::start();
    let ctx = &counted.ctx;
    let (near, far, _) = filled(ctx);
    let (read, write) = pipes(2);
    let sent = near.writev(&b"never"[..], write);
    near.stream().abort();
    expect_errno(ctx, sent, Errno::CONNABORTED);
    drop(read);
    counted.expect(1);
    drop((near, far));

    let (near, far) = pair(ctx);
    let (read, write) = pipes(2);
    expect(ctx, near.writev(&b"unread"[..], write));
    drop((near, far, read));
    counted.expect(0);

    let (near, far) = pair(ctx);
    drop(far);
    let (read, write) = pipes(2);
    expect_errno(ctx, near.writev(&b"nobody"[..], write), Errno::PIPE);
    drop((near, read));
    counted.expect(0);
}

#[test]
fn a_monitor_beside_unread_bytes_does_not_spin() {
    let counted = Counted::start();
    let ctx = &counted.ctx;
    let (near, far) = pair(ctx);
    let gone = far.stream().monitor();
    expect(ctx, near.stream().writev(&b"unread"[..]));
    let before = ctx.stats();
    let pause = ctx.now() + std::time::Duration::from_millis(10);
    expect(ctx, tevent::wakeup(ctx, pause));
    let waits = ctx.stats().since(&before).waits;
    assert!(waits <= 10, "{waits} waits");
    drop(near);
    assert_eq!(&*expect(ctx, far.stream().read(100)), b"unread");
    assert!(expect(ctx, far.stream().read(100)).is_empty());
    expect(ctx, gone);
}

#[test]
fn only_unix_streams_carry_them() {
    let counted = Counted::start();
    let ctx = &counted.ctx;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let tcp = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let number = tcp.as_raw_fd();
    let refused = FdPassing::new(ctx, tcp.into()).unwrap_err();
    assert_eq!(
        refused.error.raw_os_error(),
        Some(Errno::AFNOSUPPORT.raw_os_error())
    );
    assert_eq!(refused.fd.as_raw_fd(), number);
    let refused = FdPassing::new(ctx, UnixDatagram::pair().unwrap().0.into()).unwrap_err();
    assert_eq!(
        refused.error.raw_os_error(),
        Some(Errno::PROTOTYPE.raw_os_error())
    );
}
