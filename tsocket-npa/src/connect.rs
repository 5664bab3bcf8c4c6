//! [`connect`], the client's side of the handshake.

use std::path::{Path, PathBuf};

use tevent::{Context, Request, Step, Steps, WeakContext};
use tsocket::{Address, Buffers, Parts, Stream, WriteBuffers};
use tsocket_bsd::ConnectOptions;

use crate::codec::{Incoming, Level, NtStatus, Reply, Secret};
use crate::handshake::read_packet;
use crate::{HandshakeError, Identity, Pipe, PipeMode, PipeName, errors};

/// At which level to ask.
///
/// A service of Samba speaks one level, that of its release ([`Level`] has the table), and closes when
/// asked at another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Levels {
    /// The newest first, then the others, each on a connection of its own, until one is answered.
    #[default]
    Any,
    /// This one.
    Only(Level),
}

/// A pipe that a server has opened for us.
#[derive(Debug)]
#[doc(alias = "tstream_npa_connect_recv")]
pub struct Opened {
    /// The pipe.
    pub pipe: Pipe,
    /// The level that the server speaks.
    pub level: Level,
}

/// Opens the pipe `name` in the directory `directory` for the user `identity`.
///
/// Waits as long as the server does: set a deadline.
///
/// # Cancellation
/// Dropping the request, cancelling it or its deadline closes the connection.
///
/// # Errors
/// - [`Io`](HandshakeError::Io) if the socket cannot be connected to: `ENOENT` if nobody offers the pipe,
///   `ECONNREFUSED` if nobody does any more, `EACCES` if this process may not enter the directory.
/// - [`Closed`](HandshakeError::Closed) if the server closes without an answer at every level that is
///   asked.
/// - Else as [`connect_over`].
///
/// # Examples
/// ```no_run
/// use tsocket_npa::{Identity, Levels, PipeName, connect};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let ctx = tevent::Context::new()?;
/// let name = PipeName::new("srvsvc")?;
/// let pipe = connect(&ctx, "/run/samba/ncalrpc/np", &name, &Identity::system(), Levels::Any);
/// pipe.set_timeout(std::time::Duration::from_secs(5));
/// let opened = ctx.run_until(pipe)??;
/// println!("{name} speaks {}", opened.level);
/// # Ok(())
/// # }
/// ```
///
/// # Source
/// `tstream_npa_connect_send()`. Differs: any level, and the identity is typed.
#[doc(alias = "tstream_npa_connect_send")]
#[doc(alias = "tstream_npa_connect_recv")]
#[track_caller]
pub fn connect(
    ctx: &Context,
    directory: impl AsRef<Path>,
    name: &PipeName,
    identity: &Identity,
    levels: Levels,
) -> Request<Opened, HandshakeError> {
    let left = match levels {
        Levels::Only(level) => vec![level],
        Levels::Any => Level::ALL.to_vec(),
    };
    let connecting = Connecting {
        ctx: ctx.downgrade(),
        path: directory.as_ref().join(name.as_str()),
        identity: identity.clone(),
        left,
    };
    Steps::start(ctx, "npa connect", connecting, ask_next)
}

struct Connecting {
    ctx: WeakContext,
    path: PathBuf,
    identity: Identity,
    /// The levels that are left to be tried, the next one last.
    left: Vec<Level>,
}

type Asking<'a> = Step<'a, Connecting, Opened, HandshakeError>;

/// Asks at the next level, on a fresh connection.
fn ask_next(step: &mut Asking<'_>) -> Result<(), HandshakeError> {
    let level = step.state_mut().left.pop().ok_or(HandshakeError::Closed)?;
    let state = step.state();
    let ctx = state.ctx.upgrade().ok_or_else(errors::context_gone)?;
    let address = Address::unix(&state.path)?;
    let connect = tsocket_bsd::connect(&ctx, &address, &ConnectOptions::default());
    step.then(connect, move |step, stream| {
        let opening = connect_over(&ctx, stream?, &step.state().identity, level);
        step.then(opening, |step, opened| match opened {
            Ok(opened) => step.done(opened),
            Err(HandshakeError::Closed) => ask_next(step),
            Err(error) => Err(error),
        })
    })
}

/// Opens a pipe over `stream`, which it takes over and at whose other end a server waits, for the user
/// `identity` at `level`; `ctx` is the context of `stream`.
///
/// # Cancellation
/// Dropping the request closes `stream`; so do its end from outside and every error.
///
/// # Errors
/// - [`Packet`](HandshakeError::Packet) if a text of `identity` has a NUL inside, and if the reply is
///   none.
/// - [`Closed`](HandshakeError::Closed) if the server closes without an answer: it is no server of
///   pipes, or one of another level.
/// - [`Refused`](HandshakeError::Refused) if it refuses the user.
/// - [`LevelDiffers`](HandshakeError::LevelDiffers) if it answers at another level.
/// - [`Io`](HandshakeError::Io) if the transport fails.
#[doc(alias = "tstream_npa_connect_send")]
#[track_caller]
pub fn connect_over(
    ctx: &Context,
    stream: Stream,
    identity: &Identity,
    level: Level,
) -> Request<Opened, HandshakeError> {
    let opening = Opening {
        ctx: ctx.downgrade(),
        stream: Some(stream),
        level,
    };
    let packet = identity.request(level).encode();
    Steps::start(ctx, "npa open", opening, |step| {
        let write = step.state().stream().writev(Packet(packet?));
        step.then(write, request_written)
    })
}

struct Opening {
    ctx: WeakContext,
    // Taken by the last step, to become the pipe.
    stream: Option<Stream>,
    level: Level,
}

type Stepping<'a> = Step<'a, Opening, Opened, HandshakeError>;

impl Opening {
    fn stream(&self) -> &Stream {
        let stream = self.stream.as_ref();
        stream.expect("only the last step takes it")
    }
}

/// An encoded request as the buffer of a write: wiped when it has been written.
struct Packet(Secret);

impl Buffers for Packet {
    fn empty() -> Self {
        Self(Secret::default())
    }
}

impl WriteBuffers for Packet {
    fn parts<'a>(&'a self, parts: &mut Parts<'a>) {
        parts.push(self.0.expose());
    }
}

fn request_written(
    step: &mut Stepping<'_>,
    written: Result<Packet, tsocket::Failed<Packet>>,
) -> Result<(), HandshakeError> {
    // A server that is not asked nicely closes before it has read everything.
    written.map_err(|failed| HandshakeError::from_transport(failed.error))?;
    let ctx = step
        .state()
        .ctx
        .upgrade()
        .ok_or_else(errors::context_gone)?;
    let read = read_packet(&ctx, step.state().stream().clone(), Reply::LEN);
    step.then(read, move |step, packet| reply_read(&ctx, step, packet))
}

fn reply_read(
    ctx: &Context,
    step: &mut Stepping<'_>,
    packet: Result<Incoming, HandshakeError>,
) -> Result<(), HandshakeError> {
    let reply = Reply::decode(packet?.bytes())?;
    let asked = step.state().level;
    if reply.level != asked {
        let answered = reply.level;
        return Err(HandshakeError::LevelDiffers { asked, answered });
    }
    let (status, file_type) = (reply.status, reply.file_type);
    let mode = PipeMode::from_wire(file_type).filter(|_| status == NtStatus::OK);
    let mode = mode.ok_or(HandshakeError::Refused { status, file_type })?;
    let stream = step.state_mut().stream.take();
    let stream = stream.expect("it is taken once");
    let pipe = Pipe::over(ctx, stream, mode, reply.device_state, reply.allocation_size);
    step.done(Opened {
        pipe: pipe.map_err(|refused| refused.error)?,
        level: asked,
    })
}
