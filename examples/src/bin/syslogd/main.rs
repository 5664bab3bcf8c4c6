//! `syslogd` writes syslog messages to a file: it teaches datagrams, batches and signals.

mod log;
mod message;
mod options;
mod output;
mod receiver;

use std::process::ExitCode;
use std::rc::Rc;

use tevent::{Context, Group, Signal};
use tevent_examples::{Daemon, ListenAddress, announce, announce_listening};
use tsocket_bsd::DatagramOptions;

use crate::log::Log;
use crate::options::{HELP, Options};
use crate::output::Output;
use crate::receiver::Receiver;

fn main() -> ExitCode {
    tevent_examples::run("syslogd", serve)
}

fn serve() -> Result<(), String> {
    let Some(options) = Options::from_command_line()? else {
        announce(HELP);
        return Ok(());
    };
    let shown = options.out.clone().unwrap_or_default();
    let output =
        Output::open(options.out).map_err(|error| format!("--out {}: {error}", shown.display()))?;
    let daemon = Daemon::new(
        "syslogd",
        options.common.is_verbose,
        options.common.limits(),
    )?;
    let ctx = daemon.context();
    let log = Log::new(ctx);
    let receivers = Group::new(ctx);
    let mut listening = Vec::new();
    for address in &options.common.listen {
        let (local, receiver) = listen(ctx, address, &log)?;
        listening.push(local);
        receivers.add(ctx.spawn(receiver.clone().run()));
        daemon.on_stop(move || receiver.stop());
    }
    let hangup = {
        let log = log.clone();
        Signal::new(ctx, Signal::HUP, move |_| log.reopen())
    };
    let _hangup = hangup.map_err(|error| format!("cannot handle signals: {error}"))?;
    let writer = log.clone();
    daemon.add(ctx.spawn(async move { writer.write_to(output).await }));
    // The writer ends behind the last receiver.
    daemon.add(receivers.finished().on_done(move |_| log.close()));
    announce_listening(&listening);
    daemon.run()
}

fn listen(
    ctx: &Context,
    address: &ListenAddress,
    log: &Rc<Log>,
) -> Result<(String, Rc<Receiver>), String> {
    let opened = tsocket_bsd::datagram(ctx, &address.address, &DatagramOptions::default())
        .and_then(|datagram| Ok((address.kind.display(&datagram.local_address()?)?, datagram)));
    let (local, datagram) =
        opened.map_err(|error| format!("cannot listen on {address}: {error}"))?;
    Ok((local, Receiver::new(datagram, log.clone())))
}
