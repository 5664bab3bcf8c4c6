//! `echod` echoes what it receives: it teaches listening, reading, writing and stopping.

mod connection;
mod datagrams;
mod options;

use std::io;
use std::process::ExitCode;
use std::rc::Rc;

use tevent_examples::{
    Daemon, Kind, ListenAddress, Opened, Share, Threads, TlsServer, announce, announce_listening,
};
use tsocket_bsd::{DatagramOptions, SocketOptions};

use crate::connection::Connection;
use crate::datagrams::Answerer;
use crate::options::Options;

fn main() -> ExitCode {
    tevent_examples::run("echod", serve)
}

fn serve() -> Result<(), String> {
    let Some(mut options) = Options::from_command_line()? else {
        announce(Options::help());
        return Ok(());
    };
    let mut opened = Opened::new(options.threads);
    if options.common.listen.is_empty() {
        opened.inherit()?;
    }
    let is_default = options.common.listen.is_empty() && opened.listening.is_empty();
    if is_default {
        options.common.listen.push("tcp:127.0.0.1:7777".parse()?);
    }
    let tls = options.certificate.server(&options.common.listen)?;
    let daemon = start(&options)?;
    let is_shared = options.threads > 1;
    let mut udp = Vec::new();
    for address in &options.common.listen {
        match address.kind {
            Kind::Tcp | Kind::Tls | Kind::Unix => opened.open(address)?,
            Kind::Udp | Kind::UnixDatagram => {
                let local = answer(&daemon, address, is_shared)?;
                if address.kind == Kind::Udp {
                    udp.push(local.parse::<ListenAddress>()?);
                }
                opened.listening.push(local);
            }
        }
    }
    let mut shares = opened.shares.into_iter();
    accept(&daemon, &options, &tls, shares.next().unwrap_or_default())?;
    let threads = Threads::start(shares, move |share, started| {
        let daemon = start(&options)?;
        accept(&daemon, &options, &tls, share)?;
        for address in &udp {
            answer(&daemon, address, is_shared)?;
        }
        started.tell();
        daemon.run()
    })?;
    announce_listening(&opened.listening);
    if is_default {
        announce("try it: nc 127.0.0.1 7777, then type; --help shows what else there is");
    }
    daemon.run()?;
    threads.join()
}

fn start(options: &Options) -> Result<Rc<Daemon>, String> {
    Daemon::new("echod", options.common.is_verbose, options.limits())
}

/// Serves whoever connects to the sockets of a thread, those for TLS with `tls`.
fn accept(
    daemon: &Rc<Daemon>,
    options: &Options,
    tls: &Option<TlsServer>,
    share: Share,
) -> Result<(), String> {
    let mode = options.mode;
    for (kind, socket) in share {
        let weak = Rc::downgrade(daemon);
        let tls = tls.clone().filter(|_| kind == Kind::Tls);
        let accepting = daemon.serve(socket, move |stream, peer| {
            let daemon = weak.upgrade().expect("it runs this");
            Connection::start(&daemon, mode, &tls, stream, peer)
        });
        accepting.map_err(|error| format!("cannot accept connections: {error}"))?;
    }
    Ok(())
}

/// Answers the datagrams that come to `address`, which threads may share, and returns it with its port
/// resolved.
fn answer(daemon: &Rc<Daemon>, address: &ListenAddress, is_shared: bool) -> Result<String, String> {
    let open = || -> io::Result<String> {
        let has_port = address.kind == Kind::Udp;
        let socket = SocketOptions::default().reuse_port(is_shared && has_port);
        let options = DatagramOptions::default().socket(socket);
        let datagram = tsocket_bsd::datagram(daemon.context(), &address.address, &options)?;
        let local = datagram.local_address()?;
        let (answerer, request) = Answerer::start(daemon.context(), datagram);
        daemon.add(request);
        daemon.on_stop(move || {
            if let Some(answerer) = answerer.upgrade() {
                answerer.drain();
            }
        });
        address.kind.display(&local)
    };
    open().map_err(|error| format!("cannot listen on {address}: {error}"))
}
