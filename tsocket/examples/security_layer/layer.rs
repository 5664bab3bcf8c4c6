//! A SASL security layer (RFC 4422, section 3.7) as a stream: what follows once both sides agree on
//! keys.

use std::collections::VecDeque;
use std::io::{self, IoSlice, IoSliceMut};

use rustix::io::Errno;
use tevent::Context;
use tsocket::session::{Closed, Io, Limits, Session, Tunnel, tunnel};
use tsocket::{Refused, Stream};

/// In front of each sealed token: its length, big endian.
const HEADER_LEN: usize = 4;

/// The longest token that is accepted. SASL has the two sides agree on a number; a peer that claims
/// more is refused before any memory is reserved.
pub const TOKEN_MAX: usize = 64 << 10;

/// The most that is sealed as one token; what sealing adds has to fit as well.
const SEALED_MAX: usize = 48 << 10;

/// What a mechanism does with a token: `gss_wrap` and `gss_unwrap`, for one.
pub type Mechanism = Box<dyn FnMut(&[u8]) -> io::Result<Vec<u8>>>;

/// Everything that is written to the stream goes through `wrap` and then through `stream`, and back
/// through `unwrap`.
///
/// # Errors
/// Those of [`tunnel`]. Reading fails with what `unwrap` says, with `EMSGSIZE` if a token is longer
/// than [`TOKEN_MAX`], and with `EPIPE` if the peer breaks off inside one; all of them end the connection.
pub fn security_layer(
    ctx: &Context,
    stream: Stream,
    wrap: Mechanism,
    unwrap: Mechanism,
) -> Result<Stream, Refused> {
    let limits = Limits {
        unconsumed: HEADER_LEN + TOKEN_MAX,
        ..Limits::default()
    };
    tunnel(ctx, stream, limits, |_| SecurityLayer {
        wrap,
        unwrap,
        opened: VecDeque::new(),
        ended: None,
    })
}

struct SecurityLayer {
    wrap: Mechanism,
    unwrap: Mechanism,
    opened: VecDeque<u8>,
    // Whether the end came inside a token.
    ended: Option<bool>,
}

impl Session for SecurityLayer {
    fn receive(&mut self, bytes: &mut [u8], _: &Io) -> io::Result<usize> {
        let mut consumed = 0;
        // The rest is offered again when this was read.
        while self.opened.len() < TOKEN_MAX {
            let Some((header, rest)) = bytes[consumed..].split_first_chunk::<HEADER_LEN>() else {
                break;
            };
            let len = usize::try_from(u32::from_be_bytes(*header)).unwrap_or(usize::MAX);
            if len > TOKEN_MAX {
                return Err(Errno::MSGSIZE.into());
            }
            let Some(token) = rest.get(..len) else {
                break;
            };
            self.opened.extend((self.unwrap)(token)?);
            consumed += HEADER_LEN + len;
        }
        Ok(consumed)
    }

    fn closed(&mut self, closed: Closed<'_>) {
        self.ended = Some(!closed.unconsumed.is_empty());
    }
}

impl Tunnel for SecurityLayer {
    fn read(&mut self, buffers: &mut [IoSliceMut<'_>]) -> usize {
        let before = self.opened.len();
        for buffer in buffers {
            let len = buffer.len().min(self.opened.len());
            for (place, byte) in buffer.iter_mut().zip(self.opened.drain(..len)) {
                *place = byte;
            }
        }
        before - self.opened.len()
    }

    fn pending(&self) -> usize {
        self.opened.len()
    }

    fn end(&self) -> Option<io::Result<()>> {
        match self.ended? {
            false => Some(Ok(())),
            true => Some(Err(Errno::PIPE.into())),
        }
    }

    fn write(&mut self, buffers: &[IoSlice<'_>], io: &Io) -> io::Result<usize> {
        let mut plain = Vec::new();
        for buffer in buffers {
            let room = SEALED_MAX - plain.len();
            plain.extend_from_slice(&buffer[..buffer.len().min(room)]);
        }
        let token = (self.wrap)(&plain)?;
        let len = u32::try_from(token.len()).map_err(|_| Errno::MSGSIZE)?;
        io.send(len.to_be_bytes())?;
        io.send(token)?;
        Ok(plain.len())
    }
}
