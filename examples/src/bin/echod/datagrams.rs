//! A datagram socket: each message goes back to whoever sent it.

use std::cell::Cell;
use std::io;
use std::rc::{Rc, Weak};
use std::time::Duration;

use tevent::{Completer, Context, End, Ended, Request, Work};
use tsocket::{Address, Chunk, Datagram, Failed};

/// How long it has to be quiet while the daemon stops: what was sent before is in the kernel already, so
/// this is long enough for any of it.
const DRAIN_QUIET: Duration = Duration::from_millis(100);

/// How long an answer waits for a receiver that has no room, before it is dropped: datagrams are not
/// promised, and everybody else waits behind it.
const SEND_PATIENCE: Duration = Duration::from_secs(1);

type Received = (Chunk, Address);

/// A socket that answers, owned by the request that stands for it.
pub(crate) struct Answerer {
    datagram: Datagram,
    completer: Cell<Option<Completer<()>>>,
    receive: Cell<Option<Request<Received>>>,
    send: Cell<Option<Request<Chunk, Failed<Chunk>>>>,
    is_draining: Cell<bool>,
}

impl Answerer {
    /// Answers what comes to `datagram`, for as long as the request lives.
    pub(crate) fn start(ctx: &Context, datagram: Datagram) -> (Weak<Self>, Request<()>) {
        let (request, completer) = Request::pair(ctx, "datagrams");
        let answerer = Rc::new(Self {
            datagram,
            completer: Cell::new(None),
            receive: Cell::new(None),
            send: Cell::new(None),
            is_draining: Cell::new(false),
        });
        completer.set_work(answerer.clone(), 0);
        answerer.completer.set(Some(completer));
        answerer.receive();
        (Rc::downgrade(&answerer), request)
    }

    fn receive(self: &Rc<Self>) {
        let weak = Rc::downgrade(self);
        let receive = self.datagram.recv_from().on_done(move |result| {
            if let Some(answerer) = weak.upgrade() {
                answerer.received(result);
            }
        });
        if self.is_draining.get() {
            receive.set_timeout(DRAIN_QUIET);
        }
        self.receive.set(Some(receive));
    }

    fn received(self: &Rc<Self>, result: io::Result<Received>) {
        let is_over = |error: &io::Error| {
            let timed_out = io::Error::from(Ended::TimedOut).kind();
            self.is_draining.get() && error.kind() == timed_out
        };
        match result {
            Ok((chunk, from)) => self.answer(chunk, &from),
            Err(error) if is_over(&error) => self.end(),
            // What came of an earlier answer, such as ECONNREFUSED: nobody is waiting for that one. The
            // next error has to be told by the kernel first, so this does not spin.
            Err(_) if self.datagram.local_address().is_ok() => self.receive(),
            // Closed: the next receive would fail at once, and for ever.
            Err(_) => self.end(),
        }
    }

    fn answer(self: &Rc<Self>, chunk: Chunk, to: &Address) {
        // Answered or not (a sender without a name, or gone): the next one counts.
        let send = self.datagram.send_to(chunk, Some(to));
        if send.is_finished() {
            return self.receive();
        }
        let weak = Rc::downgrade(self);
        let send = send.on_done(move |_| {
            if let Some(answerer) = weak.upgrade() {
                answerer.receive();
            }
        });
        send.set_timeout(SEND_PATIENCE);
        self.send.set(Some(send));
    }

    /// Answers what has arrived, and ends once it is quiet.
    pub(crate) fn drain(&self) {
        self.is_draining.set(true);
        if let Some(receive) = self.receive.take() {
            receive.set_timeout(DRAIN_QUIET);
            self.receive.set(Some(receive));
        }
    }

    fn end(&self) {
        self.datagram.abort();
        if let Some(completer) = self.completer.take() {
            completer.done(());
        }
    }
}

impl Work for Answerer {
    /// The drain time is over.
    fn stopped(self: Rc<Self>, _: usize, _: End) {
        self.datagram.abort();
    }
}
