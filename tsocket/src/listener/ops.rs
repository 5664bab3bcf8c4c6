//! [`ListenerOps`], what an implementation of a listener owes the [`Listener`](crate::Listener) in
//! front.

use std::io;

use tevent::Context;

use crate::{Address, Stream};

/// What a kind of listener has to provide: attempts that answer at once.
///
/// The contract is that of [`StreamOps`](crate::StreamOps): an attempt never blocks, `WouldBlock`
/// promises that the [`Ready`](crate::Ready) handle will be told, dropping closes at once. Errors are
/// not sticky.
pub trait ListenerOps: 'static {
    /// Accepts one connection as a stream of `ctx`, with the address of its peer.
    ///
    /// # Errors
    /// `WouldBlock` if nobody has connected; anything else belongs to this attempt alone
    /// (`ECONNABORTED`, `EMFILE`).
    fn try_accept(&mut self, ctx: &Context) -> io::Result<(Stream, Address)>;

    /// The address that is listened on, its port resolved.
    ///
    /// # Errors
    /// Whatever the system says of the descriptor.
    fn local_address(&self) -> io::Result<Address>;

    /// Is told that nobody accepts for now: the descriptor is disarmed until the next attempt.
    fn unwanted(&mut self);
}
