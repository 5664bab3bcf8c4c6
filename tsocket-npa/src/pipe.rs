//! [`Pipe`], a stream that knows whether it has messages.

use std::fmt;

use rustix::io::Errno;
use tevent::{Context, Request, WeakContext};
use tsocket::{Chunk, Failed, Refused, Stream, WriteBuffers};

use crate::codec::{FileType, Reply};
use crate::{MessageHeader, byte_mode, message_mode};

/// How the bytes of a pipe are to be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum PipeMode {
    /// As a stream of bytes.
    #[doc(alias = "FILE_TYPE_BYTE_MODE_PIPE")]
    Byte,
    /// As messages: each write is one, and each read at most one.
    #[doc(alias = "FILE_TYPE_MESSAGE_MODE_PIPE")]
    #[default]
    Message,
}

/// An open pipe: a [`Stream`], and what was agreed on when it was opened.
///
/// It is a handle, like the stream: clones are the same pipe.
///
/// # Examples
/// ```
/// use tevent::Context;
/// use tsocket::memory;
/// use tsocket_npa::{Pipe, PipeMode};
///
/// # fn main() -> std::io::Result<()> {
/// let ctx = Context::new()?;
/// let (client, server) = memory::stream_pair(&ctx);
/// let client = Pipe::new(&ctx, client, PipeMode::Message)?;
/// let server = Pipe::new(&ctx, server, PipeMode::Message)?;
/// ctx.block_on(async {
///     client.write_message(&b"one"[..]).await?;
///     client.write_message(&b"another"[..]).await?;
///     assert_eq!(&*server.read_message().await?, b"one");
///     assert_eq!(&*server.stream().read(4).await?, b"anot");
///     assert_eq!(server.stream().pending_bytes()?, 3);
///     assert_eq!(&*server.read_message().await?, b"her");
///     Ok::<_, std::io::Error>(())
/// })??;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Pipe {
    ctx: WeakContext,
    stream: Stream,
    mode: PipeMode,
    device_state: u16,
    allocation_size: u64,
}

impl Pipe {
    /// A pipe over `stream`, which it takes over, without a handshake; `ctx` is the context of `stream`.
    ///
    /// Its device state and allocation size are those that Samba's services give. A descriptor becomes a
    /// pipe by way of `tsocket_bsd::stream_from_fd`.
    ///
    /// # Errors
    /// `stream` comes back, as [`message_mode`] says.
    ///
    /// # Source
    /// `tstream_npa_existing_stream()` and `tstream_npa_existing_socket()`.
    #[doc(alias = "tstream_npa_existing_stream")]
    #[doc(alias = "tstream_npa_existing_socket")]
    pub fn new(ctx: &Context, stream: Stream, mode: PipeMode) -> Result<Self, Refused> {
        Self::over(
            ctx,
            stream,
            mode,
            mode.device_state(),
            Reply::ALLOCATION_SIZE,
        )
    }

    pub(crate) fn over(
        ctx: &Context,
        stream: Stream,
        mode: PipeMode,
        device_state: u16,
        allocation_size: u64,
    ) -> Result<Self, Refused> {
        let stream = match mode {
            PipeMode::Byte => byte_mode(ctx, stream)?,
            PipeMode::Message => message_mode(ctx, stream)?,
        };
        Ok(Self {
            ctx: ctx.downgrade(),
            stream,
            mode,
            device_state,
            allocation_size,
        })
    }

    /// Reads one message, or the rest of one that was read in part; no bytes are the end of the pipe.
    ///
    /// # Cancellation
    /// Nothing is lost: the message stays for the next read.
    ///
    /// # Errors
    /// `EOPNOTSUPP` in byte mode; else those of [`Stream::read`] and [`message_mode`].
    #[track_caller]
    pub fn read_message(&self) -> Request<Chunk> {
        match self.mode {
            PipeMode::Message => self.stream.read(MessageHeader::MAX_PAYLOAD_LEN),
            PipeMode::Byte => {
                let error = Err(Errno::OPNOTSUPP.into());
                Request::finished(self.ctx.clone(), "read message", error)
            }
        }
    }

    /// Writes one message, and returns its buffers when the layer below has taken it.
    ///
    /// # Cancellation
    /// As for [`Stream::writev`].
    ///
    /// # Errors
    /// With the buffers: `EOPNOTSUPP` in byte mode; `EINVAL` if the message has no bytes; `EMSGSIZE` if
    /// it has more than [`MessageHeader::MAX_PAYLOAD_LEN`]; else those of [`Stream::writev`].
    #[track_caller]
    pub fn write_message<B: WriteBuffers>(&self, buffers: B) -> Request<B, Failed<B>> {
        match self.mode {
            PipeMode::Message => self.stream.writev(buffers),
            PipeMode::Byte => {
                let failed = Failed {
                    error: Errno::OPNOTSUPP.into(),
                    buffers,
                    transferred: 0,
                };
                Request::finished(self.ctx.clone(), "write message", Err(failed))
            }
        }
    }

    /// The stream, for everything that is not about messages.
    #[must_use]
    pub fn stream(&self) -> &Stream {
        &self.stream
    }

    /// The stream alone.
    #[must_use]
    pub fn into_stream(self) -> Stream {
        self.stream
    }

    /// How the bytes are to be read.
    #[must_use]
    pub fn mode(&self) -> PipeMode {
        self.mode
    }

    /// The state of the pipe as SMB clients see it, a bit mask: its mode, and how many instances there
    /// may be.
    #[must_use]
    pub fn device_state(&self) -> u16 {
        self.device_state
    }

    /// How much room the pipe claims to have, in bytes.
    #[must_use]
    pub fn allocation_size(&self) -> u64 {
        self.allocation_size
    }
}

impl PipeMode {
    /// What Samba's services send for this mode: any number of instances, and read as written.
    pub(crate) fn device_state(self) -> u16 {
        match self {
            Self::Byte => 0x00ff,
            Self::Message => 0x05ff,
        }
    }

    /// The mode that a reply names, unless it is a refusal.
    pub(crate) fn from_wire(file_type: FileType) -> Option<Self> {
        match file_type {
            FileType::BYTE_MODE => Some(Self::Byte),
            FileType::MESSAGE_MODE => Some(Self::Message),
            _ => None,
        }
    }

    pub(crate) fn file_type(self) -> FileType {
        match self {
            Self::Byte => FileType::BYTE_MODE,
            Self::Message => FileType::MESSAGE_MODE,
        }
    }
}

impl fmt::Debug for Pipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pipe")
            .field("stream", &self.stream)
            .field("mode", &self.mode)
            .finish_non_exhaustive()
    }
}
