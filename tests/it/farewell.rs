//! An orderly end loses nothing: not a byte in many runs, with a request that was read by half.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread;

use tevent::Context;
use tevent_tests::contract::{done, expect_nothing_left, pattern};
use tevent_tests::{kernel_backends, scaled, within_limit};
use tsocket_bsd::stream_from_fd;

/// More than is received ahead, so that closing at once would reset the connection.
const REQUEST_LEN: usize = 100_000;
const REPLY_LEN: usize = 200_000;

trait Socket: Read + Write + Send {}
impl<S: Read + Write + Send> Socket for S {}

fn tcp() -> (OwnedFd, Box<dyn Socket>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("there is a loopback");
    let address = listener.local_addr().expect("it is bound");
    let client = TcpStream::connect(address).expect("somebody listens");
    let (server, _) = listener.accept().expect("somebody has connected");
    (server.into(), Box::new(client))
}

fn unix() -> (OwnedFd, Box<dyn Socket>) {
    let (server, client) = UnixStream::pair().expect("the system has a socket pair");
    (server.into(), Box::new(client))
}

/// A client that sends all of its request before it reads; returns what it got.
fn ask(mut socket: impl Read + Write, request: &[u8]) -> Vec<u8> {
    socket.write_all(request).expect("the server is there");
    let mut reply = Vec::with_capacity(REPLY_LEN);
    socket.read_to_end(&mut reply).expect("it ends in order");
    reply
}

fn run(backend: &str, runs: usize) {
    let ctx = Context::with_backend(backend).expect("it is listed");
    let request: Arc<[u8]> = pattern(0, REQUEST_LEN).into();
    let reply: Arc<[u8]> = pattern(REQUEST_LEN, REPLY_LEN).into();
    let (clients, sockets) = mpsc::channel::<Box<dyn Socket>>();
    let asking = {
        let (request, reply) = (request.clone(), reply.clone());
        thread::spawn(move || {
            for (run, socket) in sockets.iter().enumerate() {
                assert!(ask(socket, &request) == *reply, "run {run}");
            }
        })
    };
    for run in 0..runs {
        let (server, client) = if run % 2 == 0 { tcp() } else { unix() };
        clients.send(client).expect("every run before went well");
        let stream = stream_from_fd(&ctx, server).expect("it is connected");
        let half = done(&ctx, stream.readv(vec![0; REQUEST_LEN / 2]));
        assert!(half == request[..REQUEST_LEN / 2]);
        done(&ctx, stream.writev(reply.clone()));
        done(&ctx, stream.disconnect());
    }
    drop(clients);
    asking.join().expect("every reply was whole");
    expect_nothing_left(&ctx);
}

#[test]
fn a_reply_to_a_request_that_was_read_by_half_arrives_whole() {
    let runs = scaled(500, 10_000) / kernel_backends().count();
    for backend in kernel_backends() {
        within_limit(move || run(backend, runs));
    }
}
