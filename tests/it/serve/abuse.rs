//! Peers that send without end or never read, beside others.

use std::cell::Cell;
use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use tevent::Context;
use tevent_tests::{on_every_backend, run_to, scaled, settle};
use tsocket::{Address, Limits, Server, Stream};
use tsocket_bsd::{ListenOptions, listen};

use super::localhost;

/// How many events one wait brings, at least.
const EVENTS: usize = 256;

/// Why clients can connect, and talk.
const LISTENS: &str = "the server listens";
const CONNECTED: &str = "it is connected";

/// Why an address has a number and a port.
const INET: &str = "it is one of IPv4";

/// What a client asks with to be written to without end.
const SOURCE: &[u8] = b"!";

/// Answers each byte with one, and counts the answers; or writes without end to whoever asks for that.
async fn answer(
    stream: Stream,
    answers: Rc<Cell<usize>>,
    flooded: Rc<Cell<usize>>,
) -> io::Result<()> {
    loop {
        let chunk = stream.read(64 * 1024).await?;
        if chunk.is_empty() {
            return Ok(());
        }
        if *chunk == *SOURCE {
            loop {
                let written = stream.writev(vec![7; 64 * 1024]).await?;
                flooded.set(flooded.get() + written.len());
            }
        }
        flooded.set(flooded.get() + chunk.len());
        if chunk.len() == 1 {
            stream.writev(chunk).await?;
            answers.set(answers.get() + 1);
        }
    }
}

fn answering(
    ctx: &Context,
    answers: &Rc<Cell<usize>>,
    flooded: &Rc<Cell<usize>>,
) -> (Server, SocketAddr) {
    let listener = listen(ctx, &localhost(), &ListenOptions::default()).expect("a port is free");
    let at = listener.local_address().expect("it listens");
    let weak = ctx.downgrade();
    let (answers, flooded) = (answers.clone(), flooded.clone());
    let server = listener.serve(Limits::default(), move |stream, _: Address| {
        let ctx = weak.upgrade().expect("it runs this");
        ctx.spawn(answer(stream, answers.clone(), flooded.clone()))
    });
    (
        server,
        SocketAddr::new(at.ip().expect(INET), at.port().expect(INET)),
    )
}

/// Has clients served beside `flood`, which goes on until it is told to stop, and expects that each of
/// them has its turn in every round, and the flood no more than `share_max` bytes.
fn expect_fair(ctx: &Context, share_max: usize, flood: fn(TcpStream, &AtomicBool)) {
    let count = scaled(150, 999);
    let (answers, flooded) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
    let (server, at) = answering(ctx, &answers, &flooded);
    let mut clients: Vec<_> = (0..count)
        .map(|_| {
            let client = TcpStream::connect(at).expect(LISTENS);
            client.set_nodelay(true).expect("a socket can do that");
            settle(ctx);
            client
        })
        .collect();
    let is_over = Arc::new(AtomicBool::new(false));
    let peer = TcpStream::connect(at).expect(LISTENS);
    let closing = peer.try_clone().expect("a descriptor is left");
    let flooding = {
        let is_over = is_over.clone();
        thread::spawn(move || flood(peer, &is_over))
    };
    run_to(ctx, || {
        server.counts().active == count + 1 && flooded.get() > 1 << 20
    });
    let mut rounds = Vec::new();
    let start = (ctx.stats().waits, flooded.get());
    for turn in 1..=4 {
        for client in &mut clients {
            client.write_all(b"?").expect(CONNECTED);
        }
        let before = ctx.stats().waits;
        run_to(ctx, || answers.get() == turn * count);
        rounds.push(ctx.stats().waits - before);
        for client in &mut clients {
            client.read_exact(&mut [0]).expect(CONNECTED);
        }
    }
    let waits = usize::try_from(ctx.stats().waits - start.0).expect("not so many");
    let share = (flooded.get() - start.1) / (waits + 1);
    is_over.store(true, Ordering::Relaxed);
    drop(server);
    closing.shutdown(Shutdown::Both).ok();
    flooding.join().expect("it does not panic");
    // The wait that finds them, one more for each answer that did not fit, and one that had begun.
    let most = u64::try_from(2 + count / EVENTS).expect("not so many");
    assert!(rounds.iter().all(|round| *round <= most), "{rounds:?}");
    assert!(
        share <= share_max,
        "{share} bytes of the flood in each round"
    );
}

#[test]
fn beside_a_flood_everybody_else_is_served_once_per_round() {
    on_every_backend(|ctx| {
        // What one read brings, and what was read ahead.
        expect_fair(ctx, 80 * 1024, |mut peer, is_over| {
            let bytes = vec![7; 1 << 20];
            while !is_over.load(Ordering::Relaxed) && peer.write_all(&bytes).is_ok() {}
        });
    });
}

#[test]
fn beside_a_peer_that_takes_without_end_everybody_else_is_served_once_per_round() {
    on_every_backend(|ctx| {
        // As many writes as a round lets go on; each brings what the peer takes meanwhile.
        expect_fair(ctx, Context::RUN_BUDGET * 64 * 1024, |mut peer, is_over| {
            peer.write_all(SOURCE).unwrap();
            let mut room = vec![0; 1 << 20];
            while !is_over.load(Ordering::Relaxed) && matches!(peer.read(&mut room), Ok(1..)) {}
        });
    });
}

#[test]
fn clients_that_never_read_hold_what_the_handler_holds_and_no_more() {
    on_every_backend(|ctx| {
        let count = scaled(10, 400);
        let held = Rc::new(Cell::new(0));
        let listener = listen(ctx, &localhost(), &ListenOptions::default()).unwrap();
        let at = listener.local_address().unwrap();
        let at = SocketAddr::new(at.ip().unwrap(), at.port().unwrap());
        let (weak, most) = (ctx.downgrade(), Rc::new(Cell::new(0_usize)));
        let server = listener.serve(Limits::default(), {
            let (held, most) = (held.clone(), most.clone());
            move |stream, _| {
                let (held, most) = (held.clone(), most.clone());
                let ctx = weak.upgrade().expect("it runs this");
                ctx.spawn(echo_counted(stream, held, most))
            }
        });
        let mut clients: Vec<_> = (0..count)
            .map(|_| {
                let client = TcpStream::connect(at).unwrap();
                client.set_nonblocking(true).unwrap();
                client
            })
            .collect();
        let bytes = vec![7; 64 << 10];
        let mut is_moving = true;
        while is_moving {
            is_moving = false;
            for client in &mut clients {
                is_moving |= client.write(&bytes).is_ok();
            }
            settle(ctx);
        }
        assert_eq!(server.counts().active, count);
        assert!(held.get() <= count * (64 << 10), "{}", held.get());
        assert!(most.get() <= count * (64 << 10), "{}", most.get());
        assert!(held.get() > 0, "they are stuck");
        drop(server);
        assert_eq!(held.get(), 0);
    });
}

/// Bytes that are held, until it is dropped.
struct Held {
    all: Rc<Cell<usize>>,
    len: usize,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.all.set(self.all.get() - self.len);
    }
}

async fn echo_counted(
    stream: Stream,
    all: Rc<Cell<usize>>,
    most: Rc<Cell<usize>>,
) -> io::Result<()> {
    loop {
        let chunk = stream.read(64 << 10).await?;
        if chunk.is_empty() {
            return Ok(());
        }
        all.set(all.get() + chunk.len());
        most.set(most.get().max(all.get()));
        let held = Held {
            all: all.clone(),
            len: chunk.len(),
        };
        stream.writev(chunk).await?;
        drop(held);
    }
}
