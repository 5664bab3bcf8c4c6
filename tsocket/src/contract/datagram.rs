//! The contract of datagrams: what [`DatagramOps`](crate::DatagramOps) owe, seen through [`Datagram`].
//!
//! # Examples
//! One test for each clause, of a kind of one's own:
//! ```
//! mod my_datagrams {
//!     use tsocket::contract::datagram::{Kind, Pair};
//!     use tsocket::memory;
//!
//!     // Here the datagrams in memory stand for one's own.
//!     const KIND: Kind = Kind {
//!         is_connected: true,
//!         ..Kind::new("mine", |ctx| {
//!             let (near, far) = memory::datagram_pair(ctx);
//!             let keep = Box::new(());
//!             Ok(Pair { near, far, keep })
//!         })
//!     };
//!
//!     tsocket::datagram_contract!(KIND);
//! }
//! ```

mod bytes;
mod ends;
mod misuse;

use std::any::Any;
use std::fmt;
use std::io;

use tevent::Context;

use super::{Clause, Subject};
use crate::{Address, Datagram};

/// A kind of datagram endpoint, by what may be expected of it.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    /// What it is called where a clause fails.
    pub name: &'static str,
    /// Makes two endpoints on a context that can reach each other.
    pub make: fn(&Context) -> io::Result<Pair>,
    /// Whether this machine has what the kind needs; if not, every clause passes unheard.
    pub is_here: fn() -> bool,
    /// Whether the endpoints are connected with each other, so that no address is given.
    pub is_connected: bool,
    /// The longest datagram that it has to carry, in bytes.
    pub len_max: usize,
}

/// Two endpoints that can reach each other.
pub struct Pair {
    /// One endpoint.
    pub near: Datagram,
    /// The other.
    pub far: Datagram,
    /// What has to live as long as they do, such as a directory.
    pub keep: Box<dyn Any>,
}

/// Two endpoints, and the context they are on.
#[derive(Debug)]
pub struct Ends {
    /// Where both live.
    pub ctx: Context,
    /// One endpoint.
    pub near: Datagram,
    /// The other.
    pub far: Datagram,
    /// What kind they are.
    pub kind: Kind,
    _keep: Box<dyn Any>,
}

impl Kind {
    /// A kind that is not connected, which this machine has.
    #[must_use]
    pub const fn new(name: &'static str, make: fn(&Context) -> io::Result<Pair>) -> Self {
        Self {
            name,
            make,
            is_here: || true,
            is_connected: false,
            len_max: 60_000,
        }
    }
}

impl fmt::Debug for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pair")
            .field("near", &self.near)
            .field("far", &self.far)
            .finish_non_exhaustive()
    }
}

impl Ends {
    /// Where the near end sends to in order to reach the far one.
    ///
    /// # Panics
    /// If the far end does not know its address.
    #[must_use]
    pub fn to_far(&self) -> Option<Address> {
        (!self.kind.is_connected).then(|| self.far.local_address().unwrap())
    }
}

/// Makes one test for each clause of the contract of datagrams, of the given [`Kind`].
///
/// The tests are called like the clauses, so each kind wants a module of its own; see
/// [`contract::datagram`](crate::contract::datagram).
#[macro_export]
macro_rules! datagram_contract {
    ($kind:expr) => {
        $crate::datagram_contract! { @clauses tests ($kind) }
    };
    (@clauses $form:ident $with:tt) => {
        $crate::contract_clauses! { $form $with
            bytes::they_arrive_whole_with_the_address_of_their_sender,
            bytes::the_parts_of_one_send_are_one_datagram,
            bytes::many_arrive_in_both_directions_in_order,
            bytes::empty_ones_are_not_sent,
            bytes::empty_ones_are_skipped_and_counted,
            bytes::empty_ones_arrive_if_they_may,
            misuse::a_second_receive_is_refused_and_disturbs_nothing,
            misuse::what_is_too_large_comes_back,
            misuse::closing_ends_what_is_outstanding_and_all_that_comes_later,
            misuse::a_disconnect_waits_for_nobody,
            ends::a_receive_that_is_given_up_loses_nothing,
            ends::what_was_sent_arrives_after_the_sender_is_gone,
            ends::the_last_handle_takes_what_is_outstanding_with_it,
            ends::nobody_is_woken_by_what_nobody_receives,
            ends::queued_sends_keep_their_order_and_one_that_is_dropped_is_not_sent,
            ends::the_end_of_the_queue_returns_the_buffers,
        }
    };
}

impl Subject for Kind {
    type Ends = Ends;

    const CLAUSES: &'static [Clause<Ends>] = datagram_contract! { @clauses table () };

    fn is_present(&self) -> bool {
        (self.is_here)()
    }

    #[track_caller]
    fn ends(&self, ctx: &Context) -> Ends {
        let Pair { near, far, keep } = match (self.make)(ctx) {
            Ok(pair) => pair,
            Err(error) => panic!("{}: two endpoints cannot be made: {error}", self.name),
        };
        Ends {
            ctx: ctx.clone(),
            near,
            far,
            kind: *self,
            _keep: keep,
        }
    }
}
