//! `httpd` serves static files over HTTP/1.1: it teaches servers written with `.await`, and blocking jobs
//! on the pool.

mod answer;
mod connection;
mod files;
mod options;
mod range;
mod request;
mod response;

use std::process::ExitCode;
use std::rc::Rc;
use std::sync::Arc;

use tevent_examples::{Daemon, Kind, announce, open};
use tsocket::{Address, Stream};

use crate::files::Root;
use crate::options::Options;

fn main() -> ExitCode {
    tevent_examples::run("httpd", serve)
}

fn serve() -> Result<(), String> {
    let Some(options) = Options::from_command_line()? else {
        announce(Options::help());
        return Ok(());
    };
    let root = Root::open(&options.root)
        .map_err(|error| format!("--root {}: {error}", options.root.display()))?;
    let root = Arc::new(root);
    let daemon = Daemon::new("httpd", options.common.is_verbose, options.common.limits())?;
    let opened = open(&options.common.listen, 1)?;
    for (kind, socket) in opened.shares.into_iter().flat_map(|share| share.sockets) {
        let (weak, root) = (Rc::downgrade(&daemon), root.clone());
        let handler = move |stream: Stream, peer: Address| {
            let daemon = weak.upgrade().expect("the daemon runs this");
            let ctx = daemon.context().clone();
            ctx.spawn(connection(Rc::downgrade(&daemon), root.clone(), stream, kind, peer))
        };
        let served = daemon.serve(socket, handler);
        served.map_err(|error| format!("cannot listen: {error}"))?;
    }
    daemon.run(&opened.listening)
}
