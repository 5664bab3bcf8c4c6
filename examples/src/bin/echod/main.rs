//! `echod` echoes what it receives: it teaches listening, reading, writing and stopping.

mod connection;
mod datagrams;
mod options;
mod server;

use std::io;
use std::process::ExitCode;
use std::rc::Rc;

use tevent::{Context, Signal};
use tevent_examples::{Kind, ListenAddress, announce, complain, raise_descriptor_limit};
use tsocket_bsd::{DatagramOptions, ListenOptions};

use crate::options::Options;
use crate::server::Server;

fn main() -> ExitCode {
    tevent_examples::run("echod", serve)
}

fn serve() -> Result<(), String> {
    let Some(options) = Options::from_command_line(raise_descriptor_limit())? else {
        announce(Options::HELP);
        return Ok(());
    };
    let ctx = Context::new().map_err(|error| format!("cannot start a loop: {error}"))?;
    let server = Server::new(&ctx, &options);
    let listening: Result<Vec<String>, String> = options
        .listen
        .iter()
        .map(|address| listen(&ctx, &server, address))
        .collect();
    let listening = listening?;
    // Before the first line is out: whoever reads it may send a signal at once.
    let _signals =
        handle_signals(&ctx, &server).map_err(|error| format!("cannot handle signals: {error}"))?;
    for address in listening {
        announce(format_args!("listening on {address}"));
    }
    if options.is_default {
        announce("try it: nc 127.0.0.1 7777, then type; --help shows what else there is");
    }
    let stopped = ctx.run_until(server.stopped()).and_then(|stopped| stopped);
    stopped.map_err(|error| format!("the loop failed: {error}"))
}

/// Opens one address, and returns it with its port resolved.
fn listen(ctx: &Context, server: &Rc<Server>, address: &ListenAddress) -> Result<String, String> {
    let open = || -> io::Result<String> {
        let local = match address.kind {
            Kind::Tcp | Kind::Unix => {
                let options = ListenOptions::default();
                let listener = tsocket_bsd::listen(ctx, &address.address, &options)?;
                let local = listener.local_address()?;
                server.accept_from(address.kind, listener);
                local
            }
            Kind::Udp | Kind::UnixDatagram => {
                let options = DatagramOptions::default();
                let datagram = tsocket_bsd::datagram(ctx, &address.address, &options)?;
                let local = datagram.local_address()?;
                server.answer(datagram);
                local
            }
        };
        address.kind.display(&local)
    };
    open().map_err(|error| format!("cannot listen on {address}: {error}"))
}

/// Has SIGTERM and SIGINT drain the server, and SIGUSR1 print what is outstanding.
fn handle_signals(ctx: &Context, server: &Rc<Server>) -> io::Result<[Signal; 3]> {
    let drain = || {
        let server = Rc::downgrade(server);
        move |_| {
            if let Some(server) = server.upgrade() {
                server.drain();
            }
        }
    };
    let dump = {
        let ctx = ctx.downgrade();
        move |_| {
            if let Some(ctx) = ctx.upgrade() {
                complain(format_args!("{}\nend of dump", ctx.dump()));
            }
        }
    };
    Ok([
        Signal::new(ctx, Signal::TERM, drain())?,
        Signal::new(ctx, Signal::INT, drain())?,
        Signal::new(ctx, Signal::USR1, dump)?,
    ])
}
