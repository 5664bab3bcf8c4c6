//! [`Acceptor`], which accepts from one listener for as long as its server lets it.

use std::cell::{Cell, OnceCell, RefCell};
use std::fmt::Display;
use std::io;
use std::rc::{Rc, Weak};
use std::time::Duration;

use rustix::io::Errno;
use tevent::{Request, Timer};

use super::{Inner, Outcome, ServeError};
use crate::slot::holds;
use crate::{Address, Listener, Stream};

/// How long accepting rests when the system has no descriptor or memory left: ten attempts a second
/// cost nothing, and nobody waits noticeably longer than the shortage lasts.
const REST: Duration = Duration::from_millis(100);

/// What is done with a connection whose number the server knows already.
type Handler = Box<dyn FnMut(&Rc<Inner>, u64, Stream, Address)>;

/// One listener, and the accept that is outstanding on it.
pub(super) struct Acceptor {
    server: Weak<Inner>,
    listener: Listener,
    accept: Cell<Option<Request<(Stream, Address)>>>,
    rest: OnceCell<Timer>,
    // Whether the last accept has failed, so that a shortage is told of once.
    is_failing: Cell<bool>,
    handler: RefCell<Handler>,
}

impl Acceptor {
    pub(super) fn new<T: Outcome, E: Display + 'static>(
        server: &Rc<Inner>,
        listener: Listener,
        mut handler: impl FnMut(Stream, Address) -> Request<T, E> + 'static,
    ) -> Rc<Self> {
        let handler = move |server: &Rc<Inner>, number, stream, peer| {
            let weak = Rc::downgrade(server);
            let request = handler(stream, peer).on_done(move |result| {
                if let Some(server) = weak.upgrade() {
                    server.done(number, result.error());
                }
            });
            server.keep(number, Rc::new(request));
        };
        Rc::new(Self {
            server: Rc::downgrade(server),
            listener,
            accept: Cell::new(None),
            rest: OnceCell::new(),
            is_failing: Cell::new(false),
            handler: RefCell::new(Box::new(handler)),
        })
    }

    /// Accepts the next connection, unless that is going on or the server has no room.
    pub(super) fn accept(self: &Rc<Self>) {
        let Some(server) = self.server.upgrade() else {
            return;
        };
        if !server.has_room() || holds(&self.accept) || self.is_resting() {
            return;
        }
        let weak = Rc::downgrade(self);
        let accept = self.listener.accept().on_done(move |accepted| {
            if let Some(acceptor) = weak.upgrade() {
                acceptor.accepted(accepted);
            }
        });
        self.accept.set(Some(accept));
    }

    /// Accepts nobody until it is asked to again; who was accepted already is served.
    pub(super) fn pause(&self) {
        let accept = self.accept.take();
        self.accept.set(accept.filter(Request::is_finished));
    }

    fn is_resting(&self) -> bool {
        self.rest
            .get()
            .is_some_and(|rest| rest.deadline().is_some())
    }

    fn accepted(self: &Rc<Self>, accepted: io::Result<(Stream, Address)>) {
        drop(self.accept.take());
        let Some(server) = &self.server.upgrade() else {
            return;
        };
        match accepted {
            Ok((stream, peer)) => {
                self.is_failing.set(false);
                let admitted = server.admit(&stream, &peer);
                // Before anybody's code runs: a panic there leaves this one accepting.
                self.accept();
                match admitted {
                    Ok(admission) => {
                        let number = admission.number;
                        (self.handler.borrow_mut())(server, number, stream, peer);
                        admission.keep();
                    }
                    Err(limit) => {
                        drop(stream);
                        server.tell(&ServeError::Refused { peer: &peer, limit });
                    }
                }
            }
            Err(error) => self.failed(server, &error),
        }
    }

    fn failed(self: &Rc<Self>, server: &Rc<Inner>, error: &io::Error) {
        let is_over = is_closed(error);
        if is_over {
            server.forget(self);
        } else {
            self.rest();
        }
        if is_over || !self.is_failing.replace(true) {
            server.tell(&ServeError::Accept { error, is_over });
        }
    }

    /// Accepts again after a while.
    fn rest(self: &Rc<Self>) {
        let Some(ctx) = self
            .server
            .upgrade()
            .and_then(|server| server.ctx.upgrade())
        else {
            return;
        };
        let weak = Rc::downgrade(self);
        let timer = self.rest.get_or_init(|| {
            Timer::new(&ctx, move || {
                if let Some(acceptor) = weak.upgrade() {
                    acceptor.accept();
                }
            })
        });
        timer.arm_after(REST);
    }
}

/// Whether nothing can be accepted any more. All else ends with the connection or the shortage that it
/// belongs to: `accept(2)` fails with whatever the network has to say of the next connection.
fn is_closed(error: &io::Error) -> bool {
    let closed = [
        Errno::BADF,
        Errno::CONNABORTED,
        Errno::INVAL,
        Errno::NOTCONN,
        Errno::NOTSOCK,
        Errno::OPNOTSUPP,
        Errno::SHUTDOWN,
    ];
    closed
        .map(Errno::raw_os_error)
        .map(Some)
        .contains(&error.raw_os_error())
}
