//! One connection: read, write the same back, until there is a reason to end.

use std::cell::{Cell, OnceCell};
use std::fmt;
use std::io;
use std::rc::{Rc, Weak};
use std::time::Instant;

use tevent::{Completer, End, Request, Timer, Work};
use tsocket::{Chunk, Failed, Stream, pdu};

use crate::options::Mode;
use crate::server::Server;

/// How much one read brings at most, in bytes.
const READ_LEN: usize = 64 * 1024;

/// The longest body of a frame, in bytes; a claim above it ends the connection.
const MAX_FRAME_LEN: usize = 16 << 20;

/// A connection, owned by the request that stands for it. Its own requests only know it weakly: each
/// other way round they would keep it alive for ever.
pub(crate) struct Connection {
    server: Weak<Server>,
    number: u64,
    peer: String,
    stream: Stream,
    completer: Cell<Option<Completer<()>>>,
    read: Cell<Option<Request<Chunk>>>,
    write: Cell<Option<Request<Chunk, Failed<Chunk>>>>,
    disconnect: Cell<Option<Request<()>>>,
    timer: OnceCell<Timer>,
    last_active: Cell<Instant>,
    echoed: Cell<u64>,
    // Why it ends; the first reason counts.
    reason: OnceCell<String>,
}

impl Connection {
    pub(crate) fn start(
        server: &Rc<Server>,
        number: u64,
        peer: String,
        stream: Stream,
        completer: Completer<()>,
    ) -> Rc<Self> {
        let connection = Rc::new(Self {
            server: Rc::downgrade(server),
            number,
            peer,
            stream,
            completer: Cell::new(None),
            read: Cell::new(None),
            write: Cell::new(None),
            disconnect: Cell::new(None),
            timer: OnceCell::new(),
            last_active: Cell::new(server.now()),
            echoed: Cell::new(0),
            reason: OnceCell::new(),
        });
        completer.set_work(connection.clone(), 0);
        connection.completer.set(Some(completer));
        connection.watch(server);
        connection.read(server);
        connection
    }

    fn read(self: &Rc<Self>, server: &Server) {
        let read = match server.mode {
            Mode::Echo => self.stream.read(READ_LEN),
            Mode::Frame => self.stream.read_pdu(pdu::u32_be(MAX_FRAME_LEN)),
        };
        let weak = Rc::downgrade(self);
        self.read.set(Some(read.on_done(move |result| {
            if let Some(connection) = weak.upgrade() {
                connection.read_done(result);
            }
        })));
    }

    fn read_done(self: &Rc<Self>, result: io::Result<Chunk>) {
        drop(self.read.take());
        match result {
            Ok(chunk) if chunk.is_empty() => self.end("the peer has ended"),
            Ok(chunk) => self.write(chunk),
            Err(error) => self.end(&error),
        }
    }

    fn write(self: &Rc<Self>, chunk: Chunk) {
        self.echoed.set(self.echoed.get() + chunk.len() as u64);
        let weak = Rc::downgrade(self);
        self.write
            .set(Some(self.stream.writev(chunk).on_done(move |result| {
                if let Some(connection) = weak.upgrade() {
                    connection.write_done(result);
                }
            })));
    }

    fn write_done(self: &Rc<Self>, result: Result<Chunk, Failed<Chunk>>) {
        drop(self.write.take());
        let Some(server) = self.server.upgrade() else {
            return;
        };
        match result {
            Ok(_) => {
                self.note_activity(&server);
                self.read(&server);
            }
            Err(failed) => self.end(&failed.error),
        }
    }

    /// Ends in an orderly way: what was written arrives.
    fn end(self: &Rc<Self>, reason: &(impl fmt::Display + ?Sized)) {
        self.reason.get_or_init(|| reason.to_string());
        let weak = Rc::downgrade(self);
        self.disconnect
            .set(Some(self.stream.disconnect().on_done(move |_| {
                // Closed is closed: an error here would only say that it was closed before.
                if let Some(connection) = weak.upgrade() {
                    connection.ended();
                }
            })));
    }

    fn ended(&self) {
        let reason = self.reason.get().map_or("", String::as_str);
        if let Some(server) = self.server.upgrade() {
            let (peer, echoed) = (&self.peer, self.echoed.get());
            server.ended(
                self.number,
                &format_args!("{peer}: {reason}; {echoed} bytes echoed"),
            );
        }
        if let Some(completer) = self.completer.take() {
            completer.done(());
        }
    }

    /// Ends it soon if it stays quiet: the server is stopping.
    pub(crate) fn drain(self: &Rc<Self>) {
        let Some(server) = self.server.upgrade() else {
            return;
        };
        self.last_active.set(server.now());
        self.watch(&server);
    }

    fn note_activity(&self, server: &Server) {
        if server.idle_timeout.is_some() || server.is_draining() {
            self.last_active.set(server.now());
        }
    }

    /// Looks again when the time that it may be quiet is over.
    fn watch(self: &Rc<Self>, server: &Server) {
        let Some(patience) = server.patience() else {
            return;
        };
        let weak = Rc::downgrade(self);
        let timer = self.timer.get_or_init(|| {
            server.timer(move || {
                if let Some(connection) = weak.upgrade() {
                    connection.check_activity();
                }
            })
        });
        timer.arm(self.last_active.get() + patience);
    }

    fn check_activity(self: &Rc<Self>) {
        let Some(server) = self.server.upgrade() else {
            return;
        };
        let Some(patience) = server.patience() else {
            return;
        };
        if server.now() < self.last_active.get() + patience {
            self.watch(&server);
        } else if let Some(read) = self.read.take() {
            drop(read);
            let is_draining = server.is_draining();
            self.end(if is_draining {
                "the server stops"
            } else {
                "nothing moved for too long"
            });
        } else if !server.is_draining() && self.reason.get().is_none() {
            // It waits for a peer that does not read; the write ends with an error.
            self.reason
                .get_or_init(|| "the peer read nothing for too long".to_owned());
            self.stream.abort();
        }
    }
}

impl Work for Connection {
    /// The drain time is over.
    fn stopped(self: Rc<Self>, _: usize, _: End) {
        self.stream.abort();
    }
}
