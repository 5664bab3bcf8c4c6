//! `relayd` relays connections to another server: it teaches connecting, and copying between streams.

mod options;

use std::process::ExitCode;
use std::rc::{Rc, Weak};
use std::time::Duration;

use tevent::{Context, Request};
use tevent_examples::{Daemon, announce, open};
use tsocket::{Address, Stream, relay};
use tsocket_bsd::{ConnectOptions, connect, connect_host};

use crate::options::{Options, Target};

/// How long connecting may take, names included.
const CONNECT_TIME: Duration = Duration::from_secs(10);

fn main() -> ExitCode {
    tevent_examples::run("relayd", serve)
}

fn serve() -> Result<(), String> {
    let Some(options) = Options::from_command_line()? else {
        announce(Options::help());
        return Ok(());
    };
    let daemon = Daemon::new("relayd", options.common.is_verbose, options.common.limits())?;
    let opened = open(&options.common.listen, 1)?;
    let target = Rc::new(options.connect);
    for (_, socket) in opened.shares.into_iter().flat_map(|share| share.sockets) {
        let (daemon, target) = (Rc::downgrade(&daemon), target.clone());
        let handler = move |client: Stream, peer: Address| {
            let connection = Connection {
                daemon: daemon.clone(),
                target: target.clone(),
                peer,
            };
            let daemon = daemon.upgrade().expect("the daemon runs this");
            daemon.context().spawn(connection.run(client))
        };
        let served = daemon.serve(socket, handler);
        served.map_err(|error| format!("cannot listen: {error}"))?;
    }
    daemon.run(&opened.listening)
}
