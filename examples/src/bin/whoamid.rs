//! `whoamid` tells SMB clients who they are: it teaches what a pipe knows of its user.

use std::fmt::Write as _;
use std::io;
use std::process::ExitCode;

use tevent_examples::{PipeOptions, announce, serve_pipes};
use tsocket_npa::codec::Caller;
use tsocket_npa::{Accepted, MessageHeader};

const USAGE: &str = "\
usage: whoamid --np-dir DIR --pipe NAME... [OPTION]...
Answers whatever SMB clients write to named pipes with who they are, until SIGTERM.
";

/// A question and its answer are one message each.
const LONGEST: usize = MessageHeader::MAX_PAYLOAD_LEN;

/// The last line where there is no room for all.
const CUT: &str = "...\n";

fn main() -> ExitCode {
    tevent_examples::run("whoamid", || match PipeOptions::from_command_line()? {
        Some(options) => serve_pipes("whoamid", &options, answer),
        None => {
            announce(PipeOptions::help(USAGE));
            Ok(())
        }
    })
}

async fn answer(accepted: Accepted) -> io::Result<String> {
    let Accepted { pipe, caller, .. } = accepted;
    let portrait = portrait(&caller);
    let mut answers = 0;
    while !pipe.stream().read(LONGEST).await?.is_empty() {
        pipe.stream().writev(portrait.clone().into_bytes()).await?;
        answers += 1;
    }
    Ok(format!("the peer has ended; {answers} answers"))
}

/// Who somebody is, one thing a line.
fn portrait(caller: &Caller) -> String {
    let kind = match () {
        () if caller.is_system() => "the system",
        () if caller.is_authenticated() => "a user",
        () => "anonymous",
    };
    let mut text = format!("{}\\{}, {kind}\n", caller.domain(), caller.account());
    for sid in &caller.token.sids {
        writeln!(text, "sid {sid}").expect("a string takes everything");
    }
    if let Some(unix) = &caller.unix_token {
        let (uid, gid, groups) = (unix.uid, unix.gid, &unix.groups);
        writeln!(text, "unix uid {uid}, gid {gid}, groups {groups:?}")
            .expect("a string takes everything");
    }
    let (client, server) = (caller.client_address, caller.server_address);
    writeln!(text, "from {client} at {server} over {}", caller.transport)
        .expect("a string takes everything");
    fitting(text)
}

/// As many lines of `text` as one message has room for: a user may be in thousands of groups.
fn fitting(mut text: String) -> String {
    if text.len() > LONGEST {
        let room = &text.as_bytes()[..LONGEST - CUT.len()];
        let end = room.iter().rposition(|byte| *byte == b'\n');
        text.truncate(end.map_or(0, |end| end + 1));
        text.push_str(CUT);
    }
    text
}
