//! A kind of stream as somebody outside of this project writes it, held to the contract.

use std::io::{self, IoSlice, IoSliceMut, Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;

use rustix::io::ioctl_fionread;
use tevent::{Context, FdEvent, Interest, Readiness};
use tsocket::contract::stream::Kind;
use tsocket::{Address, Ready, Stream, StreamOps};

/// A socket of the standard library, watched by an event of the loop.
struct Plain {
    event: FdEvent<UnixStream>,
    ready: Ready,
}

impl Plain {
    fn stream(ctx: &Context, socket: UnixStream) -> io::Result<Stream> {
        socket.set_nonblocking(true)?;
        Stream::new(ctx, |ready| {
            Ok(Box::new(Self {
                event: watch(ctx, socket, &ready)?,
                ready,
            }))
        })
    }

    /// Passes on what the system said of an attempt; it will be told when there is more to say.
    fn or_wait<T>(&self, tried: io::Result<T>, interest: Interest) -> io::Result<T> {
        if matches!(&tried, Err(error) if error.kind() == io::ErrorKind::WouldBlock) {
            self.event.set_interest(self.event.interest() | interest)?;
        }
        tried
    }
}

fn watch(ctx: &Context, socket: UnixStream, ready: &Ready) -> io::Result<FdEvent<UnixStream>> {
    let ready = ready.clone();
    let told = move |readiness| ready.notify(readiness);
    FdEvent::new(ctx, socket, Interest::NONE, told).map_err(io::Error::from)
}

impl StreamOps for Plain {
    fn try_readv(&mut self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        let read = self.event.get_ref().read_vectored(buffers);
        self.or_wait(read, Interest::READ)
    }

    fn try_writev(&mut self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        let written = self.event.get_ref().write_vectored(buffers);
        // An error has to end a write that waits.
        self.or_wait(written, Interest::WRITE | Interest::ERROR)
    }

    fn pending_bytes(&mut self) -> io::Result<usize> {
        let len = ioctl_fionread(self.event.get_ref())?;
        Ok(usize::try_from(len).unwrap_or(usize::MAX))
    }

    fn try_shutdown(&mut self) -> io::Result<()> {
        self.event.get_ref().shutdown(Shutdown::Write)
    }

    fn local_address(&self) -> io::Result<Address> {
        Ok(Address::unix_unnamed())
    }

    fn peer_address(&self) -> io::Result<Address> {
        Ok(Address::unix_unnamed())
    }

    fn move_to(&mut self, ctx: &Context) -> io::Result<()> {
        let socket = self.event.get_ref().try_clone()?;
        self.event = watch(ctx, socket, &self.ready)?;
        Ok(())
    }

    fn told(&mut self, readiness: Readiness) -> Readiness {
        readiness
    }

    fn unwanted(&mut self, readiness: Readiness) {
        // Asking for less cannot fail.
        self.event
            .set_interest(self.event.interest() - Interest::from(readiness))
            .ok();
    }
}

const PLAIN: Kind = Kind::new("a socket of the standard library", |ctx| {
    let (near, far) = UnixStream::pair()?;
    Ok((Plain::stream(ctx, near)?, Plain::stream(ctx, far)?))
});

tsocket::stream_contract!(PLAIN);
