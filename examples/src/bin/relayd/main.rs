//! `relayd` relays connections to another server: it teaches connecting, and copying between streams.

mod options;

use std::io;
use std::process::ExitCode;
use std::rc::{Rc, Weak};
use std::time::Duration;

use tevent::{Context, Request};
use tevent_examples::{Daemon, Opened, announce, announce_listening};
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
    let common = &options.common;
    let daemon = Daemon::new("relayd", common.is_verbose, common.limits())?;
    let opened = Opened::for_one_thread(&common.listen)?;
    let target = Rc::new(options.connect);
    for socket in opened.shares.into_iter().flatten() {
        let (weak, target) = (Rc::downgrade(&daemon), target.clone());
        let accepting = daemon.serve(socket, move |client, peer| {
            let daemon = weak.upgrade().expect("it runs this");
            let connection = connection(weak.clone(), target.clone(), client, peer);
            daemon.context().spawn(connection)
        });
        accepting.map_err(|error| format!("cannot accept connections: {error}"))?;
    }
    announce_listening(&opened.listening);
    daemon.run()
}

/// Relays one connection, and says what became of it.
async fn connection(
    daemon: Weak<Daemon>,
    target: Rc<Target>,
    client: Stream,
    peer: Address,
) -> io::Result<()> {
    let ctx = || {
        let daemon = daemon.upgrade().expect("it owns this");
        daemon.context().clone()
    };
    let connecting = connect_to(&ctx(), &target);
    connecting.set_timeout(CONNECT_TIME);
    let server = connecting.await.map_err(|error| {
        io::Error::new(error.kind(), format!("cannot connect to {target}: {error}"))
    })?;
    let relaying = relay(&ctx(), &client, &server);
    let copied = relaying.await?;
    if let Some(daemon) = daemon.upgrade() {
        let (there, back) = (copied.there, copied.back);
        daemon.tell(format_args!(
            "{peer}: {there} bytes to {target}, {back} back"
        ));
    }
    Ok(())
}

fn connect_to(ctx: &Context, target: &Target) -> Request<Stream> {
    let options = ConnectOptions::default();
    match target {
        Target::Address(address) => connect(ctx, &address.address, &options),
        Target::Host(host) => connect_host(ctx, host, &options),
    }
}
