//! A stream as `AsyncRead` and `AsyncWrite`: nothing lost, nobody woken for nothing.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context as TaskContext, Poll, Wake, Waker};

use futures_io::{AsyncRead, AsyncWrite};
use rustix::io::Errno;
use tevent::Context;
use tevent_tests::contract::{
    Ends, Kind, MEMORY, MESSAGE_OVER_UNIX, SOCKETPAIR, Subject, TCP4, done, end_of, expect_rest,
    fails, pattern, tell,
};
use tevent_tests::{expect_errno, settle};
use tsocket::async_io::{AsyncStream, MAX_WRITE_LEN};

async fn read(io: &mut AsyncStream, max: usize) -> io::Result<Vec<u8>> {
    let mut buffer = vec![0; max];
    let len = poll_fn(|cx| Pin::new(&mut *io).poll_read(cx, &mut buffer)).await?;
    buffer.truncate(len);
    Ok(buffer)
}

async fn write_all(io: &mut AsyncStream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let len = poll_fn(|cx| Pin::new(&mut *io).poll_write(cx, bytes)).await?;
        assert!((1..=MAX_WRITE_LEN).contains(&len));
        bytes = &bytes[len..];
    }
    Ok(())
}

async fn close(io: &mut AsyncStream) -> io::Result<()> {
    poll_fn(|cx| Pin::new(&mut *io).poll_close(cx)).await
}

/// Counts how often it is woken.
#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[track_caller]
fn pending<T>(poll: Poll<T>) {
    assert!(poll.is_pending());
}

fn is_copied_to_its_end(ends: &Ends) {
    let Ends { ctx, near, far, .. } = ends;
    let total = 1_000_000;
    let (mut from, mut to) = (
        AsyncStream::new(near.clone()),
        AsyncStream::from(far.clone()),
    );
    let written = ctx.spawn(async move {
        for at in (0..total).step_by(100_000) {
            write_all(&mut from, &pattern(at, 100_000)).await?;
        }
        close(&mut from).await?;
        close(&mut from).await?;
        // Closing ends one direction only, where there are two.
        read(&mut from, 10).await
    });
    let has_half_close = ends.kind.has_half_close;
    let copied = ctx.spawn(async move {
        let mut copied = Vec::new();
        loop {
            match read(&mut to, 33_333).await? {
                bytes if bytes.is_empty() => break,
                bytes => copied.extend(bytes),
            }
        }
        if has_half_close {
            write_all(&mut to, b"thanks").await?;
        }
        close(&mut to).await?;
        Ok::<_, io::Error>(copied)
    });
    assert!(done(ctx, copied).expect("it is copied") == pattern(0, total));
    let answer = done(ctx, written);
    if has_half_close {
        assert_eq!(answer.expect("it is read"), b"thanks");
    } else {
        expect_errno(answer, Errno::NOTCONN);
    }
}

#[test]
fn a_stream_is_copied_to_its_end() {
    for kind in [MEMORY, SOCKETPAIR, TCP4, MESSAGE_OVER_UNIX] {
        tell(kind, is_copied_to_its_end);
    }
}

#[test]
fn a_read_that_is_given_up_loses_nothing() {
    tell(SOCKETPAIR, |ends| {
        let Ends { ctx, near, far, .. } = ends;
        let mut io = AsyncStream::new(far.clone());
        let mut task = TaskContext::from_waker(Waker::noop());
        pending(pin!(read(&mut io, 100)).poll(&mut task));
        fails(ctx, far.read(1), Errno::BUSY);
        done(ctx, near.writev(&b"0123456789"[..]));
        settle(ctx);
        // A smaller buffer than the one that was given up.
        let pieces = ctx.block_on(async { (read(&mut io, 4).await, read(&mut io, 4).await) });
        let (first, second) = pieces.unwrap();
        assert_eq!(
            (&first.unwrap()[..], &second.unwrap()[..]),
            (&b"0123"[..], &b"4567"[..])
        );
        let (stream, rest) = io.into_parts();
        assert_eq!(&*rest, b"89");

        let mut io = AsyncStream::new(stream);
        pending(pin!(read(&mut io, 100)).poll(&mut task));
        done(ctx, near.writev(&b"arrived"[..]));
        settle(ctx);
        assert_eq!(&*io.into_parts().1, b"arrived");
    });
}

#[test]
fn a_write_is_taken_over_and_flushing_waits_for_it() {
    tell(SOCKETPAIR, |ends| {
        let Ends { ctx, near, far, .. } = ends;
        let mut io = AsyncStream::new(near.clone());
        let count = Arc::new(Count::default());
        let waker = Waker::from(count.clone());
        let mut task = TaskContext::from_waker(&waker);
        let mut total = 0;
        while let Poll::Ready(len) =
            Pin::new(&mut io).poll_write(&mut task, &pattern(total, 50_000))
        {
            total += len.unwrap();
        }
        pending(Pin::new(&mut io).poll_flush(&mut task));
        expect_rest(ctx);
        assert_eq!(count.0.load(Ordering::Relaxed), 0, "nothing has happened");
        assert!(done(ctx, far.readv(vec![0; total])) == pattern(0, total));
        settle(ctx);
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
        assert!(Pin::new(&mut io).poll_flush(&mut task).is_ready());
        let both = [
            IoSlice::new(b"two "),
            IoSlice::new(b""),
            IoSlice::new(b"pieces"),
        ];
        let written = Pin::new(&mut io).poll_write_vectored(&mut task, &both);
        assert!(matches!(written, Poll::Ready(Ok(10))));
        let nothing = Pin::new(&mut io).poll_write(&mut task, b"");
        assert!(matches!(nothing, Poll::Ready(Ok(0))));
        assert_eq!(&*done(ctx, far.read(100)), b"two pieces");
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
    });
}

#[test]
fn an_error_of_what_was_taken_over_comes_with_the_next_call() {
    tell(SOCKETPAIR, |ends| {
        let Ends { ctx, near, far, .. } = ends;
        let mut io = AsyncStream::new(near.clone());
        let mut task = TaskContext::from_waker(Waker::noop());
        while Pin::new(&mut io)
            .poll_write(&mut task, &[0; 50_000])
            .is_ready()
        {}
        far.abort();
        settle(ctx);
        let closed = ctx.block_on(close(&mut io)).unwrap();
        let errno = closed.unwrap_err().raw_os_error();
        let gone = [Errno::PIPE, Errno::CONNRESET].map(|errno| Some(errno.raw_os_error()));
        assert!(gone.contains(&errno));
        let written = ctx.block_on(write_all(&mut io, b"more")).unwrap();
        assert_eq!(written.unwrap_err().raw_os_error(), errno, "it stays");
        io.stream().abort();
        expect_errno(ctx.block_on(read(&mut io, 1)).unwrap(), Errno::NOTCONN);
        expect_errno(
            ctx.block_on(write_all(&mut io, b"x")).unwrap(),
            Errno::NOTCONN,
        );
    });
}

#[test]
fn a_stream_without_half_close_is_closed_under_its_reader() {
    tell(MESSAGE_OVER_UNIX, |ends| {
        let Ends { ctx, near, far, .. } = ends;
        let mut io = AsyncStream::new(near.clone());
        let mut task = TaskContext::from_waker(Waker::noop());
        pending(pin!(read(&mut io, 1)).poll(&mut task));
        ctx.block_on(close(&mut io)).unwrap().unwrap();
        assert!(done(ctx, far.read(1)).is_empty());
        fails(ctx, near.read(1), Errno::NOTCONN);
    });
}

#[test]
fn an_adapter_that_is_dropped_frees_its_stream() {
    let ctx = Context::new().unwrap();
    let Ends { near, far, .. } = Kind::ends(&MEMORY, &ctx);
    let mut io = AsyncStream::new(near.clone());
    pending(pin!(read(&mut io, 1)).poll(&mut TaskContext::from_waker(Waker::noop())));
    drop(io);
    let read = near.read(10);
    done(&ctx, far.writev(&b"for you"[..]));
    assert_eq!(&*end_of(&ctx, read).unwrap(), b"for you");
}

#[test]
fn both_directions_go_on_at_the_same_time() {
    let ctx = Context::new().unwrap();
    let Ends { near, far, .. } = MEMORY.ends(&ctx);
    let io = Rc::new(RefCell::new(AsyncStream::new(near)));
    let reader = io.clone();
    let read = ctx.spawn(async move {
        let mut buffer = [0; 10];
        let poll = poll_fn(|cx| Pin::new(&mut *reader.borrow_mut()).poll_read(cx, &mut buffer));
        let len = poll.await.unwrap();
        buffer[..len].to_vec()
    });
    settle(&ctx);
    let written = ctx.spawn(async move {
        poll_fn(|cx| Pin::new(&mut *io.borrow_mut()).poll_write(cx, b"ping")).await
    });
    assert_eq!(done(&ctx, written).unwrap(), 4);
    done(&ctx, far.writev(&b"pong"[..]));
    assert_eq!(done(&ctx, read), b"pong");
    assert_eq!(&*done(&ctx, far.read(10)), b"ping");
}
