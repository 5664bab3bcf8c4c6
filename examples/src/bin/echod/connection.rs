//! One connection: TLS if it is for that, then read, write the same back, until there is a reason to end.

use std::cell::{Cell, OnceCell};
use std::fmt;
use std::io;
use std::rc::{Rc, Weak};

use tevent::{Completer, Context, End, Request, Work};
use tevent_examples::{Daemon, Handshake, TlsServer};
use tsocket::{Address, Chunk, Failed, Stream, pdu};

use crate::options::Mode;

/// How much one read brings at most, in bytes.
const READ_LEN: usize = 64 * 1024;

/// The longest body of a frame, in bytes; a claim above it ends the connection.
const MAX_FRAME_LEN: usize = 16 << 20;

/// What a source sends over and over.
static SOURCE: [u8; 64 * 1024] = [b'.'; 64 * 1024];

/// A connection, owned by the request that stands for it. Its own requests only know it weakly: each
/// other way round they would keep it alive for ever.
pub(crate) struct Connection {
    daemon: Weak<Daemon>,
    mode: Mode,
    peer: Address,
    // None before the TLS handshake is over.
    stream: OnceCell<Stream>,
    handshake: Cell<Option<Handshake>>,
    completer: Cell<Option<Completer<()>>>,
    read: Cell<Option<Request<Chunk>>>,
    write: Cell<Option<Writing>>,
    disconnect: Cell<Option<Request<()>>>,
    moved: Cell<u64>,
    // Why it ends; the first reason counts.
    reason: OnceCell<String>,
    // What runs after each read.
    on_read: Rc<dyn Fn(io::Result<Chunk>)>,
}

/// The write that is outstanding, held until it is done.
enum Writing {
    Chunk(#[expect(dead_code, reason = "it is held")] Request<Chunk, Failed<Chunk>>),
    Source(
        #[expect(dead_code, reason = "it is held")] Request<&'static [u8], Failed<&'static [u8]>>,
    ),
}

impl Connection {
    pub(crate) fn start(
        daemon: &Rc<Daemon>,
        mode: Mode,
        tls: &Option<TlsServer>,
        stream: Stream,
        peer: Address,
    ) -> Request<()> {
        let (request, completer) = Request::pair(daemon.context(), "connection");
        let connection = Rc::new_cyclic(|weak: &Weak<Self>| Self {
            daemon: Rc::downgrade(daemon),
            mode,
            peer,
            stream: OnceCell::new(),
            handshake: Cell::new(None),
            completer: Cell::new(None),
            read: Cell::new(None),
            write: Cell::new(None),
            disconnect: Cell::new(None),
            moved: Cell::new(0),
            reason: OnceCell::new(),
            on_read: Rc::new({
                let weak = weak.clone();
                move |result| {
                    if let Some(connection) = weak.upgrade() {
                        connection.read_done(result);
                    }
                }
            }),
        });
        let weak = Rc::downgrade(&connection);
        completer.on_cancel(move || {
            if let Some(connection) = weak.upgrade() {
                connection.end("the server stops");
            }
        });
        completer.set_work(connection.clone(), 0);
        connection.completer.set(Some(completer));
        match tls {
            Some(tls) => connection.shake_hands(daemon.context(), tls, stream),
            None => connection.begin(stream),
        }
        request
    }

    fn shake_hands(self: &Rc<Self>, ctx: &Context, tls: &TlsServer, stream: Stream) {
        let weak = Rc::downgrade(self);
        let handshake = tls.accept(ctx, stream).on_done(move |result| {
            let Some(connection) = weak.upgrade() else {
                return;
            };
            drop(connection.handshake.take());
            match result {
                Ok((stream, _)) => connection.begin(stream),
                Err(error) => connection.end(&format_args!("TLS handshake: {error}")),
            }
        });
        self.handshake.set(Some(handshake));
    }

    fn begin(self: &Rc<Self>, stream: Stream) {
        self.stream.get_or_init(|| stream);
        match self.mode {
            Mode::Source => self.write_source(),
            Mode::Echo | Mode::Frame | Mode::Sink => self.read(),
        }
    }

    fn stream(&self) -> &Stream {
        let stream = self.stream.get();
        stream.expect("nothing is read or written before the handshake is over")
    }

    fn read(self: &Rc<Self>) {
        let read = match self.mode {
            Mode::Frame => self.stream().read_pdu(pdu::u32_be(MAX_FRAME_LEN)),
            Mode::Echo | Mode::Sink | Mode::Source => self.stream().read(READ_LEN),
        };
        self.read.set(Some(read.on_done_shared(&self.on_read)));
    }

    fn read_done(self: &Rc<Self>, result: io::Result<Chunk>) {
        drop(self.read.take());
        match result {
            Ok(chunk) if chunk.is_empty() => self.end("the peer has ended"),
            Ok(chunk) if self.mode == Mode::Sink => {
                self.count(chunk.len());
                self.read();
            }
            Ok(chunk) => self.write(chunk),
            Err(error) => self.end(&error),
        }
    }

    fn write(self: &Rc<Self>, chunk: Chunk) {
        self.count(chunk.len());
        // What is written at once needs no turn of the loop.
        let write = match self.stream().writev_now(chunk) {
            Ok(result) => return self.write_done(result),
            Err(write) => write,
        };
        let weak = Rc::downgrade(self);
        let write = write.on_done(move |result| {
            if let Some(connection) = weak.upgrade() {
                connection.write_done(result);
            }
        });
        self.write.set(Some(Writing::Chunk(write)));
    }

    fn write_source(self: &Rc<Self>) {
        self.count(SOURCE.len());
        let weak = Rc::downgrade(self);
        let write = self.stream().writev(&SOURCE[..]).on_done(move |result| {
            if let Some(connection) = weak.upgrade() {
                connection.write_done(result);
            }
        });
        self.write.set(Some(Writing::Source(write)));
    }

    fn write_done<B>(self: &Rc<Self>, result: Result<B, Failed<B>>) {
        drop(self.write.take());
        match result {
            Err(failed) => self.end(&failed.error),
            Ok(_) if self.mode != Mode::Source => self.read(),
            // It never waits for its peer to say something, so that nobody else asks it to end.
            Ok(_) if self.is_stopping() => self.end("the server stops"),
            Ok(_) => self.write_source(),
        }
    }

    fn is_stopping(&self) -> bool {
        self.daemon
            .upgrade()
            .is_none_or(|daemon| daemon.is_stopping())
    }

    fn count(&self, len: usize) {
        self.moved.set(self.moved.get() + len as u64);
    }

    /// Ends in an orderly way: what was written arrives.
    fn end(self: &Rc<Self>, reason: &(impl fmt::Display + ?Sized)) {
        self.reason.get_or_init(|| reason.to_string());
        drop(self.read.take());
        let Some(stream) = self.stream.get() else {
            drop(self.handshake.take());
            self.ended();
            return;
        };
        let weak = Rc::downgrade(self);
        let disconnect = stream.disconnect().on_done(move |_| {
            // Closed is closed: an error here would only say that it was closed before.
            if let Some(connection) = weak.upgrade() {
                connection.ended();
            }
        });
        self.disconnect.set(Some(disconnect));
    }

    fn ended(&self) {
        if let Some(daemon) = self.daemon.upgrade() {
            let reason = self.reason.get().map_or("", String::as_str);
            let done = match self.mode {
                Mode::Echo | Mode::Frame => "echoed",
                Mode::Sink => "taken",
                Mode::Source => "sent",
            };
            let (peer, moved) = (&self.peer, self.moved.get());
            daemon.tell(format_args!("{peer}: {reason}; {moved} bytes {done}"));
        }
        if let Some(completer) = self.completer.take() {
            completer.done(());
        }
    }
}

impl Work for Connection {
    /// A limit has ended it, or the drain time is over.
    fn stopped(self: Rc<Self>, _: usize, _: End) {
        drop(self.handshake.take());
        if let Some(stream) = self.stream.get() {
            stream.abort();
        }
    }
}
