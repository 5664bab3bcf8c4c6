//! Servers: what they accept, which limits they keep, and how they stop.

mod abuse;
mod limits;
mod stopping;

use std::cell::RefCell;
use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;

use tevent::{Context, ManualClock};
use tevent_tests::contract::{done, end_of};
use tevent_tests::{kernel_backends, run_to, settle, within_limit};
use tsocket::{Address, Family, Limits, Server, Stream};
use tsocket_bsd::{ConnectOptions, ListenOptions, connect, listen};

/// A server under test, its clock, and what it has told.
struct World {
    ctx: Context,
    clock: ManualClock,
    at: Address,
    server: Server,
    told: Rc<RefCell<Vec<String>>>,
}

/// Tells `story` of a server on each back end, with a clock that stands still; `serve` is what it does
/// with a connection.
#[track_caller]
fn told<F: Future<Output = io::Result<()>> + 'static>(
    limits: &Limits,
    serve: fn(Stream) -> F,
    story: fn(&World),
) {
    for backend in kernel_backends() {
        let limits = limits.clone();
        within_limit(move || {
            let clock = ManualClock::new();
            let ctx = Context::builder()
                .backend(backend)
                .manual_clock(&clock)
                .build()
                .expect("a listed back end can be made");
            story(&World::new(ctx, clock, limits, serve));
        });
    }
}

impl World {
    fn new<F: Future<Output = io::Result<()>> + 'static>(
        ctx: Context,
        clock: ManualClock,
        limits: Limits,
        serve: fn(Stream) -> F,
    ) -> Self {
        let listener =
            listen(&ctx, &localhost(), &ListenOptions::default()).expect("a port is free");
        let at = listener.local_address().expect("it listens");
        let weak = ctx.downgrade();
        let server = listener.serve(limits, move |stream, _| {
            weak.upgrade().expect("it runs this").spawn(serve(stream))
        });
        let told: Rc<RefCell<Vec<String>>> = Rc::default();
        server.on_error({
            let told = told.clone();
            // A port is another one each time.
            move |error| {
                let line = error.to_string().replace(char::is_numeric, "");
                told.borrow_mut().push(line);
            }
        });
        Self {
            ctx,
            clock,
            at,
            server,
            told,
        }
    }

    fn connect(&self) -> Stream {
        done(
            &self.ctx,
            connect(&self.ctx, &self.at, &ConnectOptions::default()),
        )
    }

    fn connect_from(&self, last: u8) -> Stream {
        let local = SocketAddr::from((Ipv4Addr::new(127, 0, 0, last), 0)).into();
        let options = ConnectOptions::default().local_address(local);
        done(&self.ctx, connect(&self.ctx, &self.at, &options))
    }

    /// Expects an answer to what `client` says.
    #[track_caller]
    fn expect_echo(&self, client: &Stream) {
        done(&self.ctx, client.writev(&b"hello"[..]));
        assert_eq!(done(&self.ctx, client.readv(vec![0; 5])), b"hello");
    }

    /// Expects that the server has closed the connection of `client`.
    #[track_caller]
    fn expect_closed(&self, client: &Stream) {
        let end = end_of(&self.ctx, client.read(1));
        assert!(
            end.as_ref().map_or(true, |chunk| chunk.is_empty()),
            "{end:?}"
        );
    }

    /// Runs until the server has `active` connections.
    #[track_caller]
    fn expect_active(&self, active: usize) {
        run_to(&self.ctx, || self.server.counts().active == active);
    }

    /// Lets `time` pass, and whatever it makes due happen.
    fn pass(&self, time: std::time::Duration) {
        self.clock.advance(time);
        settle(&self.ctx);
    }

    #[track_caller]
    fn expect_told(&self, expected: &[&str]) {
        assert_eq!(self.told.take(), expected);
    }
}

fn localhost() -> Address {
    Address::from_strings(Family::Ipv4, Some("127.0.0.1"), 0).expect("that is an address")
}

async fn echo(stream: Stream) -> io::Result<()> {
    loop {
        let chunk = stream.read(4096).await?;
        if chunk.is_empty() {
            return stream.disconnect().await;
        }
        stream.writev(chunk).await?;
    }
}

/// Reads a byte, then writes without end.
async fn flood(stream: Stream) -> io::Result<()> {
    stream.read(1).await?;
    loop {
        stream.writev(vec![7; 64 * 1024]).await?;
    }
}
