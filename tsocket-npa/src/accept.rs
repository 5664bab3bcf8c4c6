//! [`accept`], the server's side of the handshake over any stream.

use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use tevent::{Context, Request, Step, Steps, WeakContext};
use tsocket::Stream;

use crate::codec::{self, Caller, Incoming, Level, NpaFlags, NtStatus, Reply};
use crate::handshake::read_packet;
use crate::{HandshakeError, PeerPolicy, Pipe, PipeMode, errors};

/// How long a handshake may take: smbd sends its request at once, and waits for the reply with
/// everything else that its client does.
const TIMEOUT_DEFAULT: Duration = Duration::from_secs(10);

/// The largest request that is taken, in bytes: a user in ten thousand groups needs a quarter of it.
const REQUEST_LEN_DEFAULT: usize = 1 << 20;

/// How a pipe is opened to those who ask; the default suits most services.
///
/// # Examples
/// ```
/// use tsocket_npa::{AcceptOptions, PipeMode};
/// use tsocket_npa::codec::NtStatus;
///
/// let members_only = AcceptOptions::default()
///     .mode(PipeMode::Message)
///     .admit(|caller| match caller.is_anonymous() {
///         true => Err(NtStatus::ACCESS_DENIED),
///         false => Ok(()),
///     });
/// ```
#[derive(Clone)]
#[must_use]
pub struct AcceptOptions {
    peers: PeerPolicy,
    mode: PipeMode,
    device_state: Option<u16>,
    allocation_size: u64,
    timeout: Duration,
    max_request_len: usize,
    admit: Rc<Admit>,
}

type Admit = dyn Fn(&Caller) -> Result<(), NtStatus>;

/// A pipe that was opened, and by whom.
#[derive(Debug)]
#[doc(alias = "tstream_npa_accept_existing_recv")]
pub struct Accepted {
    /// The pipe.
    pub pipe: Pipe,
    /// Who has opened it.
    pub caller: Caller,
    /// The level that the peer speaks.
    pub level: Level,
}

impl Default for AcceptOptions {
    fn default() -> Self {
        Self {
            peers: PeerPolicy::default(),
            mode: PipeMode::default(),
            device_state: None,
            allocation_size: Reply::ALLOCATION_SIZE,
            timeout: TIMEOUT_DEFAULT,
            max_request_len: REQUEST_LEN_DEFAULT,
            admit: Rc::new(|_| Ok(())),
        }
    }
}

impl AcceptOptions {
    /// Which peers are believed when they say who the user is: root and this process's own user by
    /// default.
    pub fn peers(mut self, peers: PeerPolicy) -> Self {
        self.peers = peers;
        self
    }

    /// How the bytes of the pipe are to be read: as messages by default.
    pub fn mode(mut self, mode: PipeMode) -> Self {
        self.mode = mode;
        self
    }

    /// The device state that SMB clients are told; without it, that which Samba's services tell.
    pub fn device_state(mut self, bits: u16) -> Self {
        self.device_state = Some(bits);
        self
    }

    /// The allocation size that SMB clients are told: 4,096 bytes by default, as Samba's services do.
    pub fn allocation_size(mut self, len: u64) -> Self {
        self.allocation_size = len;
        self
    }

    /// How long a handshake may take, 10 seconds by default.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The largest request that is taken, in bytes with its length: 1 MiB by default, which is room for
    /// forty thousand groups. No request takes memory that has not arrived of it.
    pub fn max_request_len(mut self, len: usize) -> Self {
        self.max_request_len = len;
        self
    }

    /// Decides whether a user may enter, by default everybody; an error is what the SMB side is told.
    ///
    /// It is asked before the reply, for which the client and all its other pipes are kept waiting: it
    /// has to answer at once.
    pub fn admit(mut self, admit: impl Fn(&Caller) -> Result<(), NtStatus> + 'static) -> Self {
        self.admit = Rc::new(admit);
        self
    }
}

/// Opens a pipe over `stream`, which it takes over, to whoever asks for it there; `ctx` is the context
/// of `stream`.
///
/// Checks the peer, reads one request, answers at the level that it was asked, and gives the pipe with
/// the user. Bytes that the peer sent behind the request are the first of the pipe.
///
/// The request, which has the session key, is read into one buffer that is wiped; if `stream` has read
/// ahead before, it has copies.
///
/// # Cancellation
/// Dropping the request closes `stream`; so do its end from outside and every error.
///
/// # Errors
/// As [`HandshakeError`] lists them. A packet that cannot be read is not answered; a request that makes
/// no sense or is denied is answered with a file type of 0 and the status, because smbd looks at the
/// first and other clients at the second.
///
/// # Examples
/// Both sides, over memory:
/// ```
/// use tevent::Context;
/// use tsocket::memory;
/// use tsocket_npa::codec::Level;
/// use tsocket_npa::{AcceptOptions, Identity, PeerPolicy, accept, connect_over};
///
/// # fn main() -> std::io::Result<()> {
/// let ctx = Context::new()?;
/// let (near, far) = memory::stream_pair(&ctx);
/// let options = AcceptOptions::default().peers(PeerPolicy::Trusted);
/// let accepted = accept(&ctx, far, &options);
/// let client = connect_over(&ctx, near, &Identity::anonymous(), Level::L8);
/// let client = ctx.run_until(client)??;
/// let accepted = ctx.run_until(accepted)??;
/// assert!(accepted.caller.is_anonymous());
/// assert_eq!(accepted.pipe.mode(), client.pipe.mode());
/// # Ok(())
/// # }
/// ```
///
/// # Source
/// `tstream_npa_accept_existing_send()`. Differs: the stream below is owned; the peer is checked; a
/// request without a session is refused.
#[doc(alias = "tstream_npa_accept_existing_send")]
#[doc(alias = "tstream_npa_accept_existing_recv")]
#[track_caller]
pub fn accept(
    ctx: &Context,
    stream: Stream,
    options: &AcceptOptions,
) -> Request<Accepted, HandshakeError> {
    let accepting = Accepting {
        ctx: ctx.downgrade(),
        stream: Some(stream),
        options: options.clone(),
    };
    let request = Steps::start(ctx, "npa accept", accepting, |step| {
        let (stream, options) = (step.state().stream(), &step.state().options);
        options.peers.check(stream)?;
        stream.set_read_ahead(false);
        let read = read_packet(ctx, stream.clone(), options.max_request_len);
        step.then(read, request_read)
    });
    request.set_timeout(options.timeout);
    request
}

struct Accepting {
    ctx: WeakContext,
    // Taken by the last step, to become the pipe.
    stream: Option<Stream>,
    options: AcceptOptions,
}

type Stepping<'a> = Step<'a, Accepting, Accepted, HandshakeError>;

impl Accepting {
    fn stream(&self) -> &Stream {
        let stream = self.stream.as_ref();
        stream.expect("only the last step takes it")
    }
}

impl AcceptOptions {
    /// Says who the caller is, or with which status it is refused and why.
    fn judge(&self, request: codec::Request) -> Result<Caller, (HandshakeError, NtStatus)> {
        let caller = Caller::from_request(request)
            .map_err(|error| (HandshakeError::Nobody(error), error.status()))?;
        (self.admit)(&caller).map_err(|status| (HandshakeError::Denied(status), status))?;
        Ok(caller)
    }

    fn device_state_or_usual(&self) -> u16 {
        self.device_state.unwrap_or(self.mode.device_state())
    }

    fn reply(&self, level: Level) -> Reply {
        Reply {
            level,
            file_type: self.mode.file_type(),
            device_state: self.device_state_or_usual(),
            allocation_size: self.allocation_size,
            status: NtStatus::OK,
        }
    }
}

fn request_read(
    step: &mut Stepping<'_>,
    packet: Result<Incoming, HandshakeError>,
) -> Result<(), HandshakeError> {
    let packet = packet?;
    let request = codec::Request::decode(packet.bytes())?;
    // Wiped as soon as nobody needs it.
    drop(packet);
    let level = request.level;
    let reply = step.state().options.reply(level);
    match step.state().options.judge(request) {
        Ok(caller) if caller.flags.contains(NpaFlags::PROBE) => {
            answer_and_close(step, reply, HandshakeError::Probe)
        }
        Ok(caller) => {
            let write = step.state().stream().writev(reply.encode().to_vec());
            step.then(write, move |step, written| {
                written?;
                open(step, caller, level)
            })
        }
        Err((error, status)) => answer_and_close(step, Reply::refuse(level, status), error),
    }
}

fn open(step: &mut Stepping<'_>, caller: Caller, level: Level) -> Result<(), HandshakeError> {
    let ctx = step
        .state()
        .ctx
        .upgrade()
        .ok_or_else(errors::context_gone)?;
    let options = step.state().options.clone();
    let stream = step.state_mut().stream.take();
    let stream = stream.expect("it is taken once");
    stream.set_read_ahead(true);
    let (state, size) = (options.device_state_or_usual(), options.allocation_size);
    let pipe = Pipe::over(&ctx, stream, options.mode, state, size);
    step.done(Accepted {
        pipe: pipe.map_err(|refused| refused.error)?,
        caller,
        level,
    })
}

/// Answers with `reply`, closes so that it arrives, and fails with `error`.
fn answer_and_close(
    step: &mut Stepping<'_>,
    reply: Reply,
    error: HandshakeError,
) -> Result<(), HandshakeError> {
    let write = step.state().stream().writev(reply.encode().to_vec());
    step.then(write, move |step, written| {
        written?;
        let disconnect = step.state().stream().disconnect();
        step.then(disconnect, move |_, _| Err(error))
    })
}

impl fmt::Debug for AcceptOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AcceptOptions")
            .field("peers", &self.peers)
            .field("mode", &self.mode)
            .field("timeout", &self.timeout)
            .field("max_request_len", &self.max_request_len)
            .finish_non_exhaustive()
    }
}
