//! `echod` echoes what it receives: it teaches listening, reading, writing and stopping.

mod connection;
mod datagrams;
mod options;

use std::io;
use std::process::ExitCode;
use std::rc::Rc;

use tevent_examples::{
    Daemon, Kind, ListenAddress, Opened, Share, Threads, announce, announce_listening,
};
use tsocket_bsd::DatagramOptions;

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
    let is_default = options.common.listen.is_empty();
    if is_default {
        options.common.listen.push("tcp:127.0.0.1:7777".parse()?);
    }
    let daemon = start(&options)?;
    let addresses = &options.common.listen;
    let (streams, datagrams): (Vec<_>, Vec<_>) = addresses
        .iter()
        .partition(|address| matches!(address.kind, Kind::Tcp | Kind::Unix));
    let mut opened = Opened::open(streams, options.threads)?;
    for address in datagrams {
        opened.listening.push(answer(&daemon, address)?);
    }
    let mut shares = opened.shares.into_iter();
    accept(&daemon, &options, shares.next().unwrap_or_default())?;
    let threads = Threads::start(shares, move |share, started| {
        let daemon = start(&options)?;
        accept(&daemon, &options, share)?;
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

/// Serves whoever connects to the sockets of a thread.
fn accept(daemon: &Rc<Daemon>, options: &Options, share: Share) -> Result<(), String> {
    let mode = options.mode;
    for socket in share {
        let weak = Rc::downgrade(daemon);
        let accepting = daemon.serve(socket, move |stream, peer| {
            let daemon = weak.upgrade().expect("it runs this");
            Connection::start(&daemon, mode, stream, peer)
        });
        accepting.map_err(|error| format!("cannot accept connections: {error}"))?;
    }
    Ok(())
}

/// Answers the datagrams that come to `address`, and returns it with its port resolved.
fn answer(daemon: &Rc<Daemon>, address: &ListenAddress) -> Result<String, String> {
    let open = || -> io::Result<String> {
        let options = DatagramOptions::default();
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
