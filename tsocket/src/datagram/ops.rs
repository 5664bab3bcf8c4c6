//! [`DatagramOps`], what an implementation of datagrams owes the [`Datagram`](crate::Datagram) in
//! front.

use std::io;

use tevent::Readiness;

use crate::Address;

/// One datagram that an implementation has received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// Bytes placed in the buffer.
    pub len: usize,
    /// Bytes that the datagram had; more than `len` if it was truncated.
    pub full_len: usize,
    /// Who sent it; an unnamed unix peer has an unnamed address.
    pub from: Address,
}

/// What a kind of datagram socket has to provide: attempts that answer at once.
///
/// The contract is that of [`StreamOps`](crate::StreamOps): an attempt never blocks, `WouldBlock`
/// promises that the [`Ready`](crate::Ready) handle will be told, dropping closes at once. Unlike a
/// stream's, errors are not sticky.
#[doc(alias = "tdgram_context_ops")]
pub trait DatagramOps: 'static {
    /// Receives one datagram into `buffer`.
    ///
    /// # Errors
    /// `WouldBlock` if none has arrived; anything else belongs to this attempt alone.
    fn try_recv_from(&mut self, buffer: &mut [u8]) -> io::Result<Received>;

    /// Sends `bytes` as one datagram to `to`, or to the connected peer.
    ///
    /// # Errors
    /// `WouldBlock` if there is no room; anything else belongs to this attempt alone.
    fn try_send_to(&mut self, bytes: &[u8], to: Option<&Address>) -> io::Result<()>;

    /// The address of this end.
    ///
    /// # Errors
    /// Whatever the system says of the descriptor.
    fn local_address(&self) -> io::Result<Address>;

    /// The address of the connected peer.
    ///
    /// # Errors
    /// `ENOTCONN` if there is none.
    fn peer_address(&self) -> io::Result<Address>;

    /// As [`StreamOps::told`](crate::StreamOps::told).
    fn told(&mut self, readiness: Readiness) -> Readiness;

    /// As [`StreamOps::unwanted`](crate::StreamOps::unwanted).
    fn unwanted(&mut self, readiness: Readiness);
}
