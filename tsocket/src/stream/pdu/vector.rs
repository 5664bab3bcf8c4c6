//! Reading a PDU into buffers of the caller's, chosen as it arrives.

use std::fmt;
use std::io;
use std::rc::Rc;

use tevent::{Completer, Queue, Request, Work};

use super::super::read::{PendingRead, Read};
use super::super::source::Source;
use super::super::{Stream, check_extent};
use crate::buffers::{PartsMut, ReadBuffers};
use crate::{Failed, errors, queued};

/// A PDU that is read into buffers of its own, one vector of them after the other.
///
/// The [`ReadBuffers`] part of it says which buffers are filled now: whatever
/// [`parts_mut`](ReadBuffers::parts_mut) adds, one or several, from wherever they come.
/// [`next_vector`](Self::next_vector) moves on to the next ones.
///
/// What memory it reserves for a length that its peer only claims is its own choice: take the body in
/// pieces if the largest one is more than a connection may cost.
///
/// # Examples
/// A line protocol without a header takes whatever is [pending](VectorProgress::pending_bytes) until
/// it ends with the end of a line:
/// ```
/// use std::io;
/// use tevent::Context;
/// use tsocket::pdu::{NextVector, VectorProgress};
/// use tsocket::{Buffers, Failed, PartsMut, ReadBuffers, memory};
///
/// #[derive(Debug, Default)]
/// struct Lines {
///     text: Vec<u8>,
///     // Where the bytes begin that are asked for now.
///     asked: usize,
/// }
///
/// impl Buffers for Lines {
///     fn empty() -> Self {
///         Self::default()
///     }
/// }
///
/// impl ReadBuffers for Lines {
///     fn parts_mut<'a>(&'a mut self, parts: &mut PartsMut<'a>) {
///         if self.asked < self.text.len() {
///             parts.push(&mut self.text[self.asked..]);
///         }
///     }
/// }
///
/// impl NextVector for Lines {
///     fn next_vector(&mut self, progress: &VectorProgress<'_>) -> io::Result<()> {
///         self.asked = self.text.len();
///         if self.text.ends_with(b"\n") {
///             return Ok(()); // no buffers: this is all
///         }
///         if self.text.len() >= 1000 {
///             return Err(io::ErrorKind::InvalidData.into());
///         }
///         // One byte if nothing is there, which waits for more.
///         let more = progress.pending_bytes()?.clamp(1, 1000 - self.asked);
///         self.text.resize(self.asked + more, 0);
///         Ok(())
///     }
/// }
///
/// # fn main() -> io::Result<()> {
/// let ctx = Context::new()?;
/// let (client, server) = memory::stream_pair(&ctx);
/// let lines = ctx.block_on(async {
///     client.writev(&b"HELO there\nMAIL FR"[..]).await?;
///     let reading = server.read_pdu_into(Lines::default());
///     client.writev(&b"OM me\n"[..]).await?;
///     Ok::<_, io::Error>(reading.await?)
/// })??;
/// assert_eq!(lines.text, b"HELO there\nMAIL FROM me\n");
/// # Ok(())
/// # }
/// ```
#[doc(alias = "tstream_readv_pdu_next_vector_t")]
pub trait NextVector: ReadBuffers {
    /// Chooses the buffers that are filled next, now that those before are full; none if the PDU is
    /// complete.
    ///
    /// Is first called before anything is read.
    ///
    /// # Errors
    /// An error ends the request with it.
    fn next_vector(&mut self, progress: &VectorProgress<'_>) -> io::Result<()>;
}

/// How far the reading of a PDU has come.
pub struct VectorProgress<'a> {
    source: &'a Source<'a>,
    transferred: usize,
}

impl VectorProgress<'_> {
    /// How many bytes of the PDU have arrived, in all of its vectors.
    #[must_use]
    pub fn transferred(&self) -> usize {
        self.transferred
    }

    /// How many bytes a read would give without waiting; 0 says nothing about the end of the stream.
    ///
    /// # Errors
    /// As [`Stream::pending_bytes`].
    pub fn pending_bytes(&self) -> io::Result<usize> {
        self.source.pending_bytes()
    }
}

impl fmt::Debug for VectorProgress<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VectorProgress")
            .field("transferred", &self.transferred)
            .finish_non_exhaustive()
    }
}

impl Stream {
    /// Reads one PDU into buffers of its own: `pdu` chooses which are filled next, until there are
    /// none, and comes back.
    ///
    /// The buffers of one vector are filled in order, as by [`readv`](Self::readv). A PDU that wants
    /// nothing at first is complete at once.
    ///
    /// # Cancellation
    /// A deadline or a cancel returns the PDU and how many bytes had arrived. Dropping the request loses
    /// them.
    ///
    /// # Errors
    /// With the PDU: whatever [`next_vector`](NextVector::next_vector) fails with; `EINVAL` if its
    /// buffers have no bytes; `EMSGSIZE` if they are more than
    /// [`MAX_BUFFER_COUNT`](crate::MAX_BUFFER_COUNT) or their sum or that of all vectors overflows;
    /// `EPIPE` if the peer closes first, with 0 bytes transferred if that is between two PDUs; else as
    /// [`Stream`] lists them.
    ///
    /// # Examples
    /// See [`NextVector`].
    ///
    /// # Source
    /// `tstream_readv_pdu_send()`. Differs: an error is an error, and the buffers are owned.
    #[doc(alias = "tstream_readv_pdu_send")]
    #[doc(alias = "tstream_readv_pdu_recv")]
    #[track_caller]
    pub fn read_pdu_into<P: NextVector>(&self, pdu: P) -> Request<P, Failed<P>> {
        let (request, completer) = Request::pair(&self.core.ctx, "read pdu into");
        self.read_pdu_into_with(pdu, completer);
        request
    }

    /// As [`read_pdu_into`](Self::read_pdu_into), when it is its turn in `queue`, which it holds until it
    /// is done.
    ///
    /// # Errors
    /// `ECANCELED`, with the PDU, if the queue is dropped first; else as for
    /// [`read_pdu_into`](Self::read_pdu_into).
    #[doc(alias = "tstream_readv_pdu_queue_send")]
    #[doc(alias = "tstream_readv_pdu_queue_recv")]
    #[track_caller]
    pub fn read_pdu_into_queued<P: NextVector>(
        &self,
        queue: &Queue,
        pdu: P,
    ) -> Request<P, Failed<P>> {
        let (request, completer) = Request::pair(&self.core.ctx, "read pdu into queued");
        let stream = self.clone();
        queued::wait_for_turn(queue, completer, move |turn, completer| match turn {
            Ok(turn) => {
                queued::hold(&completer, (turn, stream.clone()));
                stream.read_pdu_into_with(pdu, completer);
            }
            Err(error) => completer.error(Failed {
                error,
                buffers: pdu,
                transferred: 0,
            }),
        });
        request
    }

    fn read_pdu_into_with<P: NextVector>(&self, pdu: P, completer: Completer<P, Failed<P>>) {
        match self.core.check_read() {
            Ok(()) => {
                let read = ReadVectors {
                    pdu,
                    wanted: 0,
                    read: 0,
                    transferred: 0,
                    is_complete: false,
                    completer,
                };
                self.core.begin_read(PendingRead::Other(Box::new(read)));
            }
            Err(error) => completer.error(Failed {
                error,
                buffers: pdu,
                transferred: 0,
            }),
        }
    }
}

struct ReadVectors<P: NextVector> {
    pdu: P,
    // Of the vector that is being filled.
    wanted: usize,
    read: usize,
    // Of all vectors.
    transferred: usize,
    is_complete: bool,
    completer: Completer<P, Failed<P>>,
}

impl<P: NextVector> ReadVectors<P> {
    fn ask_next(&mut self, source: &Source<'_>) -> io::Result<()> {
        let progress = VectorProgress {
            source,
            transferred: self.transferred,
        };
        let extent = source.unless_it_unwinds(|| {
            self.pdu.next_vector(&progress)?;
            let mut parts = PartsMut::skipping(0);
            self.pdu.parts_mut(&mut parts);
            Ok::<_, io::Error>(parts.extent())
        })?;
        if self.completer.is_moot() {
            // `next_vector` has dropped its own request: the bytes behind are the next read's.
            return Err(errors::would_block());
        }
        self.is_complete = extent.0 == 0;
        self.read = 0;
        self.wanted = if self.is_complete {
            0
        } else {
            check_extent(extent)?
        };
        let all = self.transferred.checked_add(self.wanted);
        all.map(drop).ok_or_else(errors::too_large)
    }
}

impl<P: NextVector> Read for ReadVectors<P> {
    fn begin(&mut self, source: &mut Source<'_>) -> io::Result<()> {
        self.ask_next(source)
    }

    fn attempt(&mut self, source: &mut Source<'_>) -> io::Result<()> {
        while !self.is_complete {
            if self.read == self.wanted {
                self.ask_next(source)?;
                continue;
            }
            let mut parts = PartsMut::skipping(self.read);
            self.pdu.parts_mut(&mut parts);
            match source.try_fill(parts, self.wanted - self.read)? {
                0 => return Err(errors::broken_pipe()),
                read => {
                    self.read += read;
                    self.transferred += read;
                }
            }
        }
        Ok(())
    }

    fn finish(self: Box<Self>, result: io::Result<()>) {
        let Self {
            pdu,
            transferred,
            completer,
            ..
        } = *self;
        completer.finish(match result {
            Ok(()) => Ok(pdu),
            Err(error) => Err(Failed {
                error,
                buffers: pdu,
                transferred,
            }),
        });
    }

    fn is_moot(&self) -> bool {
        self.completer.is_moot()
    }

    fn set_work(&self, work: Rc<dyn Work>, slot: usize) {
        self.completer.set_work(work, slot);
    }
}
