//! `npad` echoes on named pipes behind smbd: it teaches opening a pipe to SMB clients.

use std::io;
use std::process::ExitCode;

use tevent_examples::{PipeOptions, announce, serve_pipes};
use tsocket_npa::{Accepted, MessageHeader};

const USAGE: &str = "\
usage: npad --np-dir DIR --pipe NAME... [OPTION]...
Echoes what SMB clients write to named pipes, until SIGTERM.
";

fn main() -> ExitCode {
    tevent_examples::run("npad", || match PipeOptions::from_command_line()? {
        Some(options) => serve_pipes("npad", &options, echo),
        None => {
            announce(PipeOptions::help(USAGE));
            Ok(())
        }
    })
}

/// Writes back what comes: in message mode a read is one message, and a write is one.
async fn echo(accepted: Accepted) -> io::Result<String> {
    let pipe = accepted.pipe.stream();
    let mut echoed = 0;
    loop {
        let chunk = pipe.read(MessageHeader::MAX_PAYLOAD_LEN).await?;
        if chunk.is_empty() {
            return Ok(format!("the peer has ended; {echoed} bytes echoed"));
        }
        echoed += chunk.len();
        pipe.writev(chunk).await?;
    }
}
