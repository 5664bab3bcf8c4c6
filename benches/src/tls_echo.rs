//! TLS echo beside tokio-rustls: the same rustls, the same provider, the same client, in turns.
//!
//! `cargo run --release --manifest-path benches/Cargo.toml --bin tls_echo`

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use rustls::{ClientConnection, StreamOwned};
use tevent::Context;
use tevent_tests::tls::{client, localhost, server};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::TlsAcceptor;
use tsocket::{Address, Family, tls};
use tsocket_bsd::{ListenOptions, listen};

/// How often each server has its turn.
const ROUNDS: usize = 15;

/// How long a message is, and how many are echoed in one turn.
const WORK: [(usize, usize); 4] = [
    (64, 10_000),
    (1 << 10, 10_000),
    (16 << 10, 4_000),
    (256 << 10, 400),
];

/// How much a server reads at once.
const READ_LEN: usize = 64 << 10;

async fn echo_here(ctx: Context, stream: tsocket::Stream) -> io::Result<()> {
    let (stream, _) = tls::accept(&ctx, stream, server()).await?;
    loop {
        let chunk = stream.read(READ_LEN).await?;
        if chunk.is_empty() {
            return stream.disconnect().await;
        }
        stream.writev(chunk).await?;
    }
}

fn ours() -> SocketAddr {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || -> io::Result<()> {
        let ctx = Context::new()?;
        let any = Address::from_strings(Family::Ip, Some("127.0.0.1"), 0)?;
        let listener = listen(&ctx, &any, &ListenOptions::default())?;
        sender.send(listener.local_address()?.port()?).ok();
        loop {
            let (stream, _) = ctx.run_until(listener.accept())??;
            ctx.spawn(echo_here(ctx.clone(), stream)).detach();
        }
    });
    at(&receiver)
}

fn tokios() -> SocketAddr {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || -> io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
            sender.send(listener.local_addr()?.port()).ok();
            let acceptor = TlsAcceptor::from(server());
            loop {
                let (stream, _) = listener.accept().await?;
                stream.set_nodelay(true)?;
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let mut stream = acceptor.accept(stream).await?;
                    let mut buffer = vec![0; READ_LEN];
                    loop {
                        let read = stream.read(&mut buffer).await?;
                        if read == 0 {
                            return stream.shutdown().await;
                        }
                        stream.write_all(&buffer[..read]).await?;
                        stream.flush().await?;
                    }
                });
            }
        })
    });
    at(&receiver)
}

fn at(port: &mpsc::Receiver<u16>) -> SocketAddr {
    let port = port.recv().expect("the server listens");
    SocketAddr::from(([127, 0, 0, 1], port))
}

type Client = StreamOwned<ClientConnection, TcpStream>;

fn connect(to: SocketAddr) -> io::Result<Client> {
    let stream = TcpStream::connect(to)?;
    stream.set_nodelay(true)?;
    let connection = ClientConnection::new(client(), localhost()).map_err(io::Error::other)?;
    Ok(StreamOwned::new(connection, stream))
}

/// Has `count` messages of `len` bytes echoed, one after the other.
fn turn(client: &mut Client, len: usize, count: usize) -> io::Result<Duration> {
    let message = vec![7; len];
    let mut back = vec![0; len];
    let start = Instant::now();
    for _ in 0..count {
        client.write_all(&message)?;
        client.flush()?;
        client.read_exact(&mut back)?;
    }
    Ok(start.elapsed())
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort();
    times[times.len() / 2].as_secs_f64()
}

fn main() -> io::Result<()> {
    let mut here = connect(ours())?;
    let mut there = connect(tokios())?;
    let mut out = io::stdout();
    writeln!(
        out,
        "| message | tsocket | tokio-rustls | ratio of times |\n|---|---|---|---|"
    )?;
    for (len, count) in WORK {
        let mut times = (Vec::new(), Vec::new());
        turn(&mut here, len, count / 10)?;
        turn(&mut there, len, count / 10)?;
        for _ in 0..ROUNDS {
            times.0.push(turn(&mut here, len, count)?);
            times.1.push(turn(&mut there, len, count)?);
        }
        let (ours, theirs) = (median(times.0), median(times.1));
        let figures = |seconds: f64| {
            let each = seconds / count as f64;
            let mib = len as f64 / each / f64::from(1 << 20);
            format!("{:.1} µs, {mib:.0} MiB/s each way", each * 1e6)
        };
        let ratio = ours / theirs;
        writeln!(
            out,
            "| {len} B | {} | {} | {ratio:.2} |",
            figures(ours),
            figures(theirs)
        )?;
    }
    Ok(())
}
