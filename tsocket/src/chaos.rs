//! [`chaos()`], a stream that misbehaves on purpose, the same way again from the same seed.

use std::io::{self, IoSlice, IoSliceMut};

use tevent::{Context, Readiness};

use crate::buffers::{Parts, PartsMut};
use crate::ready::Ready;
use crate::stream::{Refused, Stream, StreamOps, Transport};
use crate::{Address, Credentials, errors};

/// In which ways a [`chaos()`] stream misbehaves.
///
/// The first two are what every stream may do at any time, and whoever uses one must not notice. The others break
/// the connection, once each, after a number of bytes that the seed chooses from zero to the one given here.
///
/// # Examples
/// ```
/// use tsocket::Chaos;
///
/// let rough = Chaos { reset_within: Some(10_000), ..Chaos::HARMLESS };
/// assert!(rough.splits && rough.delays);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Chaos {
    /// Attempts take any part of what could be read or written, often a single byte.
    pub splits: bool,
    /// Attempts wait for some turns of the loop, though they need not.
    pub delays: bool,
    /// Reading stands still after so many bytes read, and nothing ever comes.
    pub stalls_reads_within: Option<usize>,
    /// Writing stands still after so many bytes written, as if the peer took no more.
    pub stalls_writes_within: Option<usize>,
    /// The stream fails with `ECONNRESET` after so many bytes read and written; the peer sees it close.
    pub reset_within: Option<usize>,
    /// The write side ends after so many bytes written: the peer reads the end, writes fail with `EPIPE`, and reading
    /// goes on.
    pub ends_writes_within: Option<usize>,
}

impl Chaos {
    /// Everything that does not break the connection.
    pub const HARMLESS: Self = Self {
        splits: true,
        delays: true,
        stalls_reads_within: None,
        stalls_writes_within: None,
        reset_within: None,
        ends_writes_within: None,
    };
}

/// A stream that misbehaves over `stream`, which it takes over; `ctx` is the context of `stream`.
///
/// Whatever a program does over a well-behaved stream, it has to do over this one, or fail with an error that it
/// expects. The same seed misbehaves in the same way, as long as the same is done with the stream. Delays are turns of the loop and
/// take no time.
///
/// What is a message below is written in one piece. All else is that of `stream`.
///
/// # Errors
/// `stream` comes back, with `EBUSY` if it has other handles or operations outstanding; with
/// `ENOTCONN` if it was closed; with the error of its write side if that has failed.
///
/// # Panics
/// If `stream` is of another context.
///
/// # Examples
/// ```
/// use tsocket::{Chaos, chaos, memory};
///
/// # fn main() -> std::io::Result<()> {
/// let ctx = tevent::Context::new()?;
/// let (near, far) = memory::stream_pair(&ctx);
/// let rough = chaos(&ctx, near, 7, Chaos::HARMLESS)?;
/// let written = rough.writev(&b"in pieces, and late"[..]);
/// assert_eq!(ctx.run_until(far.readv(vec![0; 19]))??, b"in pieces, and late");
/// # drop(written);
/// # Ok(())
/// # }
/// ```
pub fn chaos(ctx: &Context, stream: Stream, seed: u64, how: Chaos) -> Result<Stream, Refused> {
    let transport = stream.into_transport()?;
    Ok(Stream::layered(ctx, transport, |transport| {
        Box::new(Rough::new(transport, seed, how))
    }))
}

struct Rough {
    // Gone after a reset.
    transport: Option<Transport>,
    ready: Ready,
    random: Random,
    how: Chaos,
    read_delay: Delay,
    write_delay: Delay,
    // How many bytes are left until each fault.
    stalls_reads: Option<usize>,
    stalls_writes: Option<usize>,
    reset: Option<usize>,
    ends_writes: Option<usize>,
}

/// How many more turns of the loop an attempt waits; nothing if it has not been decided.
type Delay = Option<usize>;

/// The most turns that an attempt waits.
const DELAY_MAX: usize = 3;

impl Rough {
    fn new(transport: Transport, seed: u64, how: Chaos) -> Self {
        let mut random = Random::new(seed);
        let mut within =
            |most: Option<usize>| most.map(|most| random.below(most.saturating_add(1)));
        let stalls_reads = within(how.stalls_reads_within);
        let stalls_writes = within(how.stalls_writes_within);
        let reset = within(how.reset_within);
        let ends_writes = within(how.ends_writes_within);
        Self {
            ready: transport.ready(),
            transport: Some(transport),
            random,
            how,
            read_delay: None,
            write_delay: None,
            stalls_reads,
            stalls_writes,
            reset,
            ends_writes,
        }
    }

    fn transport(&mut self) -> io::Result<&mut Transport> {
        self.transport.as_mut().ok_or_else(errors::reset)
    }

    /// Decides what becomes of an attempt in one direction: how many of `len` bytes it may take.
    fn decide(&mut self, direction: Readiness, len: usize) -> io::Result<usize> {
        if self.reset == Some(0) {
            // Whoever waits for the other direction has to hear of it.
            self.ready.schedule(Readiness::READ | Readiness::WRITE);
            self.reset = None;
            self.transport = None;
        }
        if self.transport.is_none() {
            return Err(errors::reset());
        }
        let is_read = direction == Readiness::READ;
        let (stall, delay) = match is_read {
            true => (self.stalls_reads, &mut self.read_delay),
            false => (self.stalls_writes, &mut self.write_delay),
        };
        if stall == Some(0) {
            return Err(errors::would_block());
        }
        if !is_read && self.ends_writes == Some(0) {
            self.transport()?.try_shutdown().ok();
            return Err(errors::broken_pipe());
        }
        if self.how.delays {
            let random = &mut self.random;
            match delay.get_or_insert_with(|| random.below(2) * random.below(DELAY_MAX + 1)) {
                0 => *delay = None,
                turns => {
                    *turns -= 1;
                    self.ready.schedule(direction);
                    return Err(errors::would_block());
                }
            }
        }
        let ends = if is_read { None } else { self.ends_writes };
        let faults = [stall, self.reset, ends].into_iter().flatten();
        let len = faults.fold(len, usize::min);
        Ok(if self.how.splits {
            self.part_of(len)
        } else {
            len
        })
    }

    fn part_of(&mut self, len: usize) -> usize {
        match self.random.below(3) {
            0 => 1,
            1 => 1 + self.random.below(len),
            _ => len,
        }
    }

    fn has_read(&mut self, len: usize) {
        for fault in [&mut self.stalls_reads, &mut self.reset] {
            *fault = fault.map(|left| left.saturating_sub(len));
        }
    }

    fn has_written(&mut self, len: usize) {
        for fault in [
            &mut self.stalls_writes,
            &mut self.reset,
            &mut self.ends_writes,
        ] {
            *fault = fault.map(|left| left.saturating_sub(len));
        }
    }

    /// The directions that stand still.
    fn stalled(&self) -> Readiness {
        let reads = (self.stalls_reads == Some(0)).then_some(Readiness::READ);
        let writes = (self.stalls_writes == Some(0)).then_some(Readiness::WRITE);
        reads.unwrap_or(Readiness::NONE) | writes.unwrap_or(Readiness::NONE)
    }
}

impl StreamOps for Rough {
    fn try_readv(&mut self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        let room = buffers.iter().map(|buffer| buffer.len()).sum();
        let mut left = self.decide(Readiness::READ, room)?;
        let mut parts = PartsMut::skipping(0);
        for buffer in buffers {
            let len = buffer.len().min(left);
            parts.push(&mut buffer[..len]);
            left -= len;
        }
        let read = self.transport()?.try_readv(parts.slices())?;
        self.has_read(read);
        Ok(read)
    }

    fn try_writev(&mut self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        let all = buffers.iter().map(|buffer| buffer.len()).sum();
        let mut left = self.decide(Readiness::WRITE, all)?;
        if self.transport()?.max_write_len() < usize::MAX {
            left = all;
        }
        let mut parts = Parts::skipping(0);
        for buffer in buffers {
            let len = buffer.len().min(left);
            parts.push(&buffer[..len]);
            left -= len;
        }
        let written = self.transport()?.try_writev(parts.slices())?;
        self.has_written(written);
        Ok(written)
    }

    fn pending_bytes(&mut self) -> io::Result<usize> {
        self.transport()?.pending_bytes()
    }

    fn try_shutdown(&mut self) -> io::Result<()> {
        self.transport()?.try_shutdown()
    }

    fn local_address(&self) -> io::Result<Address> {
        let transport = self.transport.as_ref().ok_or_else(errors::closed)?;
        transport.local_address()
    }

    fn peer_address(&self) -> io::Result<Address> {
        let transport = self.transport.as_ref().ok_or_else(errors::closed)?;
        transport.peer_address()
    }

    fn peer_credentials(&self) -> io::Result<Credentials> {
        let transport = self.transport.as_ref().ok_or_else(errors::closed)?;
        transport.peer_credentials()
    }

    fn move_to(&mut self, ctx: &Context) -> io::Result<()> {
        self.transport()?.move_to(ctx)
    }

    fn try_monitor(&mut self) -> io::Result<()> {
        match self.stalls_reads {
            Some(0) => Err(errors::would_block()),
            _ => self.transport()?.try_monitor(),
        }
    }

    fn told(&mut self, readiness: Readiness) -> Readiness {
        let stalled = self.stalled();
        let Some(transport) = &mut self.transport else {
            return readiness;
        };
        let told = transport.told(readiness);
        if told.intersects(stalled) {
            transport.unwanted(stalled);
        }
        told - stalled
    }

    fn unwanted(&mut self, readiness: Readiness) {
        if let Some(transport) = &mut self.transport {
            transport.unwanted(readiness);
        }
    }

    fn max_write_len(&self) -> usize {
        let transport = self.transport.as_ref();
        transport.map_or(usize::MAX, Transport::max_write_len)
    }

    fn is_mid_write(&self) -> bool {
        self.transport.as_ref().is_some_and(Transport::is_mid_write)
    }
}

/// Numbers that are the same again from the same seed (xorshift64).
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        // Neighbouring seeds shall have nothing in common, and zero would stay zero.
        Self(seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number from zero up to `bound`, which is excluded; zero if there is none.
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        let number = usize::try_from(self.0 >> 33).unwrap_or(usize::MAX);
        number % bound.max(1)
    }
}
