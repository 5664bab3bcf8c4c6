//! [`run()`], a session carried over a stream.

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::{Rc, Weak};

use tevent::{Completer, Context, End, Immediate, Request, Work};

use super::{Driver, Io, Limits, Session};
use crate::slot::holds;
use crate::stream::Stream;
use crate::{Chunk, Failed, errors};

/// The most that is read at once, in bytes.
const READ_LEN: usize = 64 << 10;

/// Runs the session that `make` makes over `stream`, which it takes over; `ctx` is the context of
/// `stream`. The request owns both.
///
/// The session is called from the loop only, and never from inside a call of its [`Io`]. Reading stops while [`Limits`] are
/// reached, and while as much was sent as half of what may wait. Over a stream of messages, their borders
/// are not those of [`Io::send`].
///
/// # Completion
/// With the session, once it has [closed](Io::close), what it had sent has gone out and the stream was
/// [disconnected](Stream::disconnect); or once the peer has ended the stream, the session was told, and
/// what it had sent before has gone out. Neither waits for a peer that takes nothing: that is what a
/// deadline of the request is for.
///
/// # Cancellation
/// Dropping the request, also from inside the session, closes the stream at once and drops the session, which is told nothing.
///
/// # Errors
/// That of [`Session::receive`], after which the stream was disconnected; `EINVAL` if the session used
/// more than it was offered; the error of the stream, as [`Stream`] lists them, after the session was told. If only
/// writing has failed, what the peer has sent is still received.
///
/// # Panics
/// A panic of the session passes through the loop; the stream is then closed.
///
/// # Examples
/// ```
/// use std::io;
/// use tsocket::memory;
/// use tsocket::session::{self, Closed, Io, Limits, Session};
///
/// struct Shout;
///
/// impl Session for Shout {
///     fn receive(&mut self, bytes: &mut [u8], io: &Io) -> io::Result<usize> {
///         io.send(bytes.to_ascii_uppercase())?;
///         Ok(bytes.len())
///     }
///
///     fn closed(&mut self, _: Closed<'_>) {}
/// }
///
/// # fn main() -> io::Result<()> {
/// let ctx = tevent::Context::new()?;
/// let (near, far) = memory::stream_pair(&ctx);
/// let running = session::run(&ctx, near, Limits::default(), |_| Shout);
/// ctx.run_until(far.writev(&b"hello"[..]))??;
/// assert_eq!(ctx.run_until(far.readv(vec![0; 5]))??, b"HELLO");
/// drop(far);
/// ctx.run_until(running)??;
/// # Ok(())
/// # }
/// ```
#[doc(alias = "session_create")]
#[track_caller]
pub fn run<S: Session>(
    ctx: &Context,
    stream: Stream,
    limits: Limits,
    make: impl FnOnce(&Io) -> S,
) -> Request<S> {
    let (request, completer) = Request::pair(ctx, "session");
    let driver = Driver::new(limits, make);
    let io = driver.io().clone();
    let runner = Rc::new_cyclic(|weak| {
        let again = weak.clone();
        Runner {
            stream,
            io: io.clone(),
            driver: Cell::new(Some(driver)),
            completer: Cell::new(None),
            again: Immediate::new(ctx, move || {
                if let Some(runner) = Weak::<Runner<S>>::upgrade(&again) {
                    runner.resume();
                }
            }),
            reading: Cell::new(None),
            writing: Cell::new(None),
            disconnecting: Cell::new(None),
            write_error: RefCell::new(None),
            input_end: Cell::new(None),
            ending: RefCell::new(None),
        }
    });
    let weak = Rc::downgrade(&runner);
    io.set_carrier(Rc::new(move || {
        if let Some(runner) = weak.upgrade() {
            runner.advance();
        }
    }));
    completer.set_work(runner.clone(), 0);
    runner.completer.set(Some(completer));
    runner.advance();
    request
}

/// What one write takes.
type Pieces = Vec<Vec<u8>>;

/// A session, its stream, and what is outstanding between them.
// Invariant: while the session runs, the driver is out of its cell, and nothing else is begun.
struct Runner<S: 'static> {
    stream: Stream,
    io: Io,
    driver: Cell<Option<Driver<S>>>,
    completer: Cell<Option<Completer<S>>>,
    again: Immediate,
    reading: Cell<Option<Request<Chunk>>>,
    writing: Cell<Option<Request<Pieces, Failed<Pieces>>>>,
    disconnecting: Cell<Option<Request<()>>>,
    write_error: RefCell<Option<io::Error>>,
    // How the stream has ended, until the session is told.
    input_end: Cell<Option<Option<io::Error>>>,
    // What the request ends with, once everything has gone out.
    ending: RefCell<Option<io::Result<()>>>,
}

impl<S: Session> Runner<S> {
    /// Has the session do `turn`, and then begins whatever can be begun.
    fn with_driver(self: &Rc<Self>, turn: impl FnOnce(&mut Driver<S>) -> io::Result<()>) {
        let Some(mut driver) = self.driver.take() else {
            return;
        };
        let mut guard = Guard(Some(&**self));
        let result = turn(&mut driver);
        guard.0 = None;
        if !self.is_wanted() {
            return;
        }
        if let Err(error) = result {
            self.ending.replace(Some(Err(error)));
        }
        self.driver.set(Some(driver));
        self.advance();
    }

    /// Whether the request is there still.
    fn is_wanted(&self) -> bool {
        holds(&self.completer)
    }

    /// Begins whatever can be begun.
    fn advance(self: &Rc<Self>) {
        let Some(driver) = self.driver.take() else {
            return;
        };
        let (room, is_over) = (driver.room(), driver.is_over());
        let wants_resume = driver.wants_resume();
        self.driver.set(Some(driver));
        self.write();
        if is_over {
            self.end();
            return;
        }
        // What was asked for comes first: the stream may end meanwhile.
        if wants_resume {
            self.again.schedule();
        } else if let Some(error) = self.input_end.take() {
            self.with_driver(|driver| {
                driver.close(error.as_ref());
                error.map_or(Ok(()), Err)
            });
        } else if room > 0 && !self.io.is_congested() && !holds(&self.reading) {
            self.read(room.min(READ_LEN));
        }
    }

    fn read(self: &Rc<Self>, max: usize) {
        let weak = Rc::downgrade(self);
        let request = self.stream.read(max).on_done(move |result| {
            if let Some(runner) = weak.upgrade() {
                drop(runner.reading.take());
                runner.has_read(result);
            }
        });
        self.reading.set(Some(request));
    }

    fn has_read(self: &Rc<Self>, result: io::Result<Chunk>) {
        let error = match result {
            Ok(mut chunk) if !chunk.is_empty() => {
                self.with_driver(|driver| driver.receive(&mut chunk));
                return;
            }
            Ok(_) => self.write_error.borrow().as_ref().map(errors::again),
            Err(error) => Some(error),
        };
        self.input_end.set(Some(error));
        self.advance();
    }

    fn resume(self: &Rc<Self>) {
        self.with_driver(|driver| driver.resume().map(drop));
    }

    fn write(self: &Rc<Self>) {
        if let Some(error) = &*self.write_error.borrow() {
            // Nothing goes out any more; a reader may still have something to say.
            drop(self.io.take_all());
            if self.io.is_closed() {
                let mut ending = self.ending.borrow_mut();
                ending.get_or_insert_with(|| Err(errors::again(error)));
            }
            return;
        }
        if holds(&self.writing) || !self.io.has_waiting() {
            return;
        }
        let weak = Rc::downgrade(self);
        // A stream that was closed takes nothing, and says so.
        let max = self.stream.max_write_len().max(1);
        let batch = self.io.take_batch(max);
        let request = self.stream.writev(batch).on_done(move |result| {
            if let Some(runner) = weak.upgrade() {
                drop(runner.writing.take());
                runner.io.batch_done();
                if let Err(failed) = result {
                    runner.write_error.replace(Some(failed.error));
                }
                runner.advance();
            }
        });
        self.writing.set(Some(request));
    }

    /// Disconnects once nothing is left to go out; after an error, what cannot go at once stays.
    fn end(self: &Rc<Self>) {
        if holds(&self.disconnecting) {
            return;
        }
        drop(self.reading.take());
        let has_failed = matches!(&*self.ending.borrow(), Some(Err(_)));
        if let Some(writing) = self.writing.take() {
            let is_finished = writing.is_finished();
            self.writing.set(Some(writing));
            if is_finished || !has_failed {
                return;
            }
            self.finish();
            return;
        }
        if self.io.has_waiting() {
            return;
        }
        let weak = Rc::downgrade(self);
        let request = self.stream.disconnect().on_done(move |_| {
            if let Some(runner) = weak.upgrade() {
                runner.finish();
            }
        });
        self.disconnecting.set(Some(request));
    }

    fn finish(&self) {
        self.stream.abort();
        let ending = self.ending.take().unwrap_or(Ok(()));
        if let (Some(completer), Some(driver)) = (self.completer.take(), self.driver.take()) {
            completer.finish(ending.map(|()| driver.into_session()));
        }
    }
}

impl<S: 'static> Runner<S> {
    /// Closes at once; what is outstanding is given up.
    fn stop(&self) -> (Option<Completer<S>>, Option<Driver<S>>) {
        self.io.shut();
        drop((
            self.reading.take(),
            self.writing.take(),
            self.disconnecting.take(),
        ));
        self.again.cancel();
        self.stream.abort();
        (self.completer.take(), self.driver.take())
    }
}

impl<S: Session> Work for Runner<S> {
    fn stopped(self: Rc<Self>, _: usize, end: End) {
        let (completer, driver) = self.stop();
        if let (Some(completer), true) = (completer, end != End::Dropped) {
            completer.error(end.into());
        }
        drop(driver);
    }
}

/// Closes the stream of a session that panics.
struct Guard<'a, S: 'static>(Option<&'a Runner<S>>);

impl<S: 'static> Drop for Guard<'_, S> {
    fn drop(&mut self) {
        if let Some(runner) = self.0 {
            drop(runner.stop());
        }
    }
}
