//! `httpd` serves static files over HTTP/1.1: it teaches servers written with `.await`, and blocking jobs
//! on the pool.

mod answer;
mod connection;
mod files;
mod options;
mod range;
mod request;
mod response;

use std::io;
use std::process::ExitCode;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Duration;

use tevent_examples::{Daemon, Opened, announce, announce_listening};
use tsocket::{Address, Stream};

use crate::connection::Connection;
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
    let request_time = options.request_time;
    let common = &options.common;
    let daemon = Daemon::new("httpd", common.is_verbose, common.limits())?;
    let opened = Opened::for_one_thread(&common.listen)?;
    for (_, socket) in opened.shares.into_iter().flatten() {
        let (weak, root) = (Rc::downgrade(&daemon), root.clone());
        let accepting = daemon.serve(socket, move |stream, peer| {
            let daemon = weak.upgrade().expect("it runs this");
            let connection = connection(weak.clone(), root.clone(), request_time, stream, peer);
            daemon.context().spawn(connection)
        });
        accepting.map_err(|error| format!("cannot accept connections: {error}"))?;
    }
    announce_listening(&opened.listening);
    daemon.run()
}

/// Serves one connection, and says what became of it.
async fn connection(
    daemon: Weak<Daemon>,
    root: Arc<Root>,
    request_time: Duration,
    stream: Stream,
    peer: Address,
) -> io::Result<()> {
    let Some(ctx) = daemon.upgrade().map(|daemon| daemon.context().downgrade()) else {
        return Ok(());
    };
    let connection = Connection {
        ctx,
        root,
        stream,
        request_time,
    };
    let served = connection.serve().await?;
    if let Some(daemon) = daemon.upgrade() {
        daemon.tell(format_args!("{peer}: {served} requests"));
    }
    Ok(())
}
