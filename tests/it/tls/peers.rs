//! Real peers: openssl and curl, with both versions of the protocol.
#![expect(
    clippy::unwrap_used,
    reason = "what several tests do is a test in all but its attribute"
)]

use std::io::{self, Read, Write};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::io::Errno;
use tevent::{Context, wakeup};
use tevent_tests::contract::{done, end_of, fails, pattern};
use tevent_tests::tls::{
    DIRECTORY, VERSIONS, certificate, client_with, localhost, server_with, strict_server,
};
use tevent_tests::{scaled, within_limit};
use tsocket::tls::{TlsInfo, accept, connect};
use tsocket::{Address, Family, Listener, Stream};
use tsocket_bsd::{ConnectOptions, ListenOptions, connect as connect_tcp, listen};

/// A child that does not outlive its test.
struct Peer(Child);

impl Drop for Peer {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

impl Peer {
    /// Starts `program`, unless this machine has none.
    fn start(program: &str, arguments: &[&str]) -> Option<Self> {
        let child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        match child {
            Ok(child) => Some(Self(child)),
            Err(_) => {
                writeln!(io::stdout(), "skipped: this machine has no {program}").ok();
                None
            }
        }
    }

    /// Feeds it `total` bytes of the pattern; it goes on until they are taken.
    fn feed(&mut self, total: usize) -> JoinHandle<io::Result<std::process::ChildStdin>> {
        let mut input = self.0.stdin.take().unwrap();
        thread::spawn(move || {
            let block = block();
            let mut left = total;
            while left > 0 {
                let len = left.min(block.len());
                input.write_all(&block[..len])?;
                left -= len;
            }
            input.flush()?;
            Ok(input)
        })
    }

    /// Reads `total` bytes of what it says; whether they are the pattern.
    fn hear(&mut self, total: usize) -> JoinHandle<io::Result<bool>> {
        let mut output = self.0.stdout.take().unwrap();
        thread::spawn(move || {
            let block = block();
            let mut piece = vec![0; block.len()];
            let mut left = total;
            while left > 0 {
                let len = left.min(piece.len());
                output.read_exact(&mut piece[..len])?;
                if piece[..len] != block[..len] {
                    return Ok(false);
                }
                left -= len;
            }
            Ok(output.read(&mut [0])? == 0)
        })
    }
}

/// What is sent, over and over; no multiple of a record or a page.
fn block() -> Vec<u8> {
    pattern(0, 99_991)
}

fn listener(ctx: &Context) -> (Listener, String) {
    let any = Address::from_strings(Family::Ip, Some("127.0.0.1"), 0).unwrap();
    let listener = listen(ctx, &any, &ListenOptions::default()).unwrap();
    let port = listener.local_address().unwrap().port().unwrap();
    (listener, port.to_string())
}

fn flag(version: &rustls::SupportedProtocolVersion) -> &'static str {
    match version.version {
        rustls::ProtocolVersion::TLSv1_2 => "-tls1_2",
        _ => "-tls1_3",
    }
}

fn file(name: &str) -> String {
    format!("{DIRECTORY}/{name}")
}

/// Bytes each way.
fn total() -> usize {
    scaled(4 << 20, 256 << 20)
}

async fn echo(stream: Stream, total: usize) -> io::Result<()> {
    let mut left = total;
    while left > 0 {
        let chunk = stream.read(1 << 16).await?;
        assert!(!chunk.is_empty(), "{left} bytes are missing");
        left -= chunk.len();
        stream.writev(chunk).await?;
    }
    stream.disconnect().await
}

#[test]
fn s_client_talks_to_our_server() {
    for version in VERSIONS {
        within_limit(move || {
            let ctx = Context::new().unwrap();
            let (listener, port) = listener(&ctx);
            let (address, ca) = (format!("127.0.0.1:{port}"), file("ca.pem"));
            let (cert, key) = (file("client.pem"), file("client.key"));
            let mut arguments = vec!["s_client", "-quiet", "-connect", &address, flag(version)];
            arguments.extend(["-servername", "localhost", "-CAfile", &ca]);
            arguments.extend(["-verify_return_error", "-cert", &cert, "-key", &key]);
            arguments.extend(["-alpn", "echo"]);
            let Some(mut peer) = Peer::start("openssl", &arguments) else {
                return;
            };
            let (fed, heard) = (peer.feed(total()), peer.hear(total()));
            let (plain, _) = done(&ctx, listener.accept());
            let mut config = strict_server(rustls::ALL_VERSIONS);
            config.alpn_protocols = vec![b"echo".to_vec()];
            let (stream, info) = done(&ctx, accept(&ctx, plain, Arc::new(config)));
            assert_eq!(info.protocol_version(), Some(version.version));
            assert_eq!(info.alpn_protocol(), Some(&b"echo"[..]));
            assert_eq!(info.server_name(), Some("localhost"));
            assert_eq!(
                info.peer_certificates().first(),
                Some(&certificate("client"))
            );
            done(&ctx, ctx.spawn(echo(stream, total()))).unwrap();
            let input = fed.join().unwrap().unwrap();
            assert!(heard.join().unwrap().unwrap(), "byte for byte");
            drop(input);
        });
    }
}

/// Connects to a server that is only just starting; nothing if it ends instead.
fn reach(ctx: &Context, peer: &mut Peer, port: &str) -> Option<Stream> {
    let port = port.parse().unwrap();
    let address = Address::from_strings(Family::Ip, Some("127.0.0.1"), port).unwrap();
    while peer.0.try_wait().unwrap().is_none() {
        match end_of(ctx, connect_tcp(ctx, &address, &ConnectOptions::default())) {
            Ok(stream) => return Some(stream),
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused, "{error}"),
        }
        done(ctx, wakeup(ctx, ctx.now() + Duration::from_millis(10)));
    }
    None
}

/// A port that nobody listens on, for now.
fn free_port() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port().to_string()
}

/// Connects a client to a new `openssl s_server`.
fn with_s_server(
    ctx: &Context,
    version: &'static rustls::SupportedProtocolVersion,
) -> Option<(Peer, Stream, TlsInfo)> {
    let (cert, key) = (file("server.pem"), file("server.key"));
    for _ in 0..10 {
        let port = free_port();
        let mut arguments = vec!["s_server", "-quiet", "-accept", &port, "-naccept", "1"];
        arguments.extend(["-cert", &cert, "-key", &key]);
        let mut peer = Peer::start("openssl", &arguments)?;
        // Another test may have been given the port meanwhile.
        let Some(plain) = reach(ctx, &mut peer, &port) else {
            continue;
        };
        let config = Arc::new(client_with(None, &[version]));
        let (stream, info) = done(ctx, connect(ctx, plain, config, localhost()));
        return Some((peer, stream, info));
    }
    panic!("the server does not start");
}

#[test]
fn our_client_talks_to_s_server() {
    for version in VERSIONS {
        within_limit(move || {
            let ctx = Context::new().unwrap();
            let Some((mut peer, stream, info)) = with_s_server(&ctx, version) else {
                return;
            };
            assert_eq!(info.protocol_version(), Some(version.version));
            // It does not read while it writes, so each way has its turn.
            let heard = peer.hear(total());
            done(&ctx, ctx.spawn(say(stream.clone(), total()))).unwrap();
            let fed = peer.feed(total());
            done(&ctx, ctx.spawn(listen_to(stream.clone(), total()))).unwrap();
            done(&ctx, stream.disconnect());
            let input = fed.join().unwrap().unwrap();
            assert!(heard.join().unwrap().unwrap(), "byte for byte");
            drop(input);
        });
    }
}

async fn say(stream: Stream, total: usize) -> io::Result<()> {
    let block: Arc<[u8]> = block().into();
    for _ in 0..total / block.len() {
        stream.writev(block.clone()).await?;
    }
    stream.writev(block[..total % block.len()].to_vec()).await?;
    Ok(())
}

async fn listen_to(stream: Stream, total: usize) -> io::Result<()> {
    let block = block();
    let mut left = total;
    while left > 0 {
        let piece = stream.readv(vec![0; left.min(block.len())]).await?;
        assert!(piece[..] == block[..piece.len()], "{left} bytes were left");
        left -= piece.len();
    }
    Ok(())
}

#[test]
fn a_server_that_dies_has_not_ended_in_good_order() {
    for version in VERSIONS {
        within_limit(move || {
            let ctx = Context::new().unwrap();
            let Some((mut peer, stream, _)) = with_s_server(&ctx, version) else {
                return;
            };
            let input = peer.feed(10).join().unwrap().unwrap();
            assert_eq!(done(&ctx, stream.readv(vec![0; 10])), pattern(0, 10));
            peer.0.kill().unwrap();
            fails(&ctx, stream.read(1), Errno::CONNRESET);
            drop(input);
        });
    }
}

#[test]
fn curl_fetches_from_our_server() {
    for (version, flags) in [
        (VERSIONS[0], ["--tlsv1.2", "--tls-max", "1.2"]),
        (VERSIONS[1], ["--tlsv1.3", "--tls-max", "1.3"]),
    ] {
        within_limit(move || {
            let ctx = Context::new().unwrap();
            let (listener, port) = listener(&ctx);
            let ca = file("ca.pem");
            let resolve = format!("localhost:{port}:127.0.0.1");
            let url = format!("https://localhost:{port}/");
            let mut arguments = vec!["--silent", "--http1.1", "--noproxy", "*", "--cacert", &ca];
            arguments.extend(["--resolve", &resolve]);
            arguments.extend(flags);
            arguments.push(&url);
            let Some(mut peer) = Peer::start("curl", &arguments) else {
                return;
            };
            let heard = peer.hear(block().len());
            let (plain, _) = done(&ctx, listener.accept());
            let mut config = server_with("server", rustls::ALL_VERSIONS);
            config.alpn_protocols = vec![b"http/1.1".to_vec()];
            let (stream, info) = done(&ctx, accept(&ctx, plain, Arc::new(config)));
            assert_eq!(info.protocol_version(), Some(version.version));
            assert_eq!(info.alpn_protocol(), Some(&b"http/1.1"[..]));
            let mut asked = Vec::new();
            while !asked.ends_with(b"\r\n\r\n") {
                asked.extend_from_slice(&done(&ctx, stream.read(1000)));
            }
            assert!(asked.starts_with(b"GET / HTTP/1.1\r\n"));
            // Without a length: the body ends with the connection, which has to end in good order.
            let head = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n".to_vec();
            done(&ctx, stream.writev(vec![head, block()]));
            done(&ctx, stream.disconnect());
            assert!(heard.join().unwrap().unwrap());
            assert!(peer.0.wait().unwrap().success());
        });
    }
}
