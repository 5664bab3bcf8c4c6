//! `relayd` relays connections to another server: it teaches connecting, TLS at either
//! end, and copying between streams.

mod options;

use std::fmt::Display;
use std::io;
use std::process::ExitCode;
use std::rc::{Rc, Weak};
use std::time::Duration;

use tevent::{Context, Request};
use tevent_examples::{Daemon, Kind, Opened, TlsClient, TlsServer, announce, announce_listening};
use tsocket::{Address, Stream, relay};
use tsocket_bsd::{ConnectOptions, connect, connect_host};

use crate::options::{Options, Place, Target};

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
    let way = Rc::new(Way {
        server: options.server,
        target: options.connect,
        client: options.client,
    });
    for (kind, socket) in opened.shares.into_iter().flatten() {
        let (weak, way) = (Rc::downgrade(&daemon), way.clone());
        let accepting = daemon.serve(socket, move |client, peer| {
            let daemon = weak.upgrade().expect("it runs this");
            let connection = connection(weak.clone(), way.clone(), kind, client, peer);
            daemon.context().spawn(connection)
        });
        accepting.map_err(|error| format!("cannot accept connections: {error}"))?;
    }
    announce_listening(&opened.listening);
    daemon.run()
}

/// What lies between a client and its server.
struct Way {
    server: Option<TlsServer>,
    target: Target,
    client: Option<TlsClient>,
}

/// Relays one connection, to a socket of this kind, and says what became of it.
async fn connection(
    daemon: Weak<Daemon>,
    way: Rc<Way>,
    kind: Kind,
    mut client: Stream,
    peer: Address,
) -> io::Result<()> {
    let ctx = || {
        let daemon = daemon.upgrade().expect("it owns this");
        daemon.context().clone()
    };
    let target = &way.target;
    if let Some(tls) = way.server.as_ref().filter(|_| kind == Kind::Tls) {
        let accepting = tls.accept(&ctx(), client);
        (client, _) = accepting
            .await
            .map_err(|error| named("TLS handshake", &error))?;
    }
    let connecting = connect_to(&ctx(), target);
    connecting.set_timeout(CONNECT_TIME);
    let connected = connecting.await;
    let refused = |error| named(format_args!("cannot connect to {target}"), &error);
    let mut server = connected.map_err(refused)?;
    if let Some(tls) = &way.client {
        let agreeing = tls.connect(&ctx(), server);
        (server, _) = agreeing.await.map_err(refused)?;
    }
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

/// `error`, with what it was that went wrong.
fn named(what: impl Display, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{what}: {error}"))
}

fn connect_to(ctx: &Context, target: &Target) -> Request<Stream> {
    let options = ConnectOptions::default();
    match &target.place {
        Place::Address(address) => connect(ctx, address, &options),
        Place::Host(host) => connect_host(ctx, host, &options),
    }
}
