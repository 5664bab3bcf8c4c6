//! The contract of datagrams: what [`DatagramOps`](crate::DatagramOps) owe, seen through [`Datagram`].
//!
//! # Examples
//! One test for each clause, of a kind of one's own:
//! ```
//! mod my_datagrams {
//!     use tsocket::contract::datagram::Kind;
//!     # use tsocket::contract::datagram::Pair;
//!     # fn make(_: &tevent::Context) -> std::io::Result<Pair> { unimplemented!() }
//!
//!     const KIND: Kind = Kind::new("mine", make);
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

use super::expect_nothing_left;
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

/// One clause of the contract.
#[derive(Clone, Copy, Debug)]
pub struct Clause {
    name: &'static str,
    story: fn(&Ends),
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

    /// Two endpoints of this kind on `ctx`.
    ///
    /// # Panics
    /// If they cannot be made.
    #[must_use]
    #[track_caller]
    pub fn ends(&self, ctx: &Context) -> Ends {
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

impl Clause {
    /// What it is called: a sentence about what every kind does, behind the chapter it belongs to.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }
}

/// Tells `story` of two endpoints of `kind`, once on each back end, and expects that nothing is left
/// behind.
///
/// # Panics
/// If the story does, does not end, or leaves something.
#[track_caller]
pub fn on_every_backend(kind: Kind, story: fn(&Ends)) {
    if (kind.is_here)() {
        super::on_every_backend(move |ctx| {
            story(&kind.ends(ctx));
            expect_nothing_left(ctx);
        });
    }
}

/// Holds `kind` to the clause `name`, on each back end.
///
/// # Panics
/// If the clause is broken, or there is none of that name.
#[track_caller]
pub fn check(kind: Kind, name: &str) {
    let clause = CLAUSES.iter().find(|clause| clause.name == name);
    let clause = clause.unwrap_or_else(|| panic!("there is no clause {name}"));
    on_every_backend(kind, clause.story);
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
    (@tests ($kind:expr) $($chapter:ident::$clause:ident,)*) => {
        $(
            #[test]
            fn $clause() {
                let name = concat!(stringify!($chapter), "::", stringify!($clause));
                $crate::contract::datagram::check($kind, name);
            }
        )*
    };
    (@table () $($chapter:ident::$clause:ident,)*) => {
        &[$(Clause {
            name: concat!(stringify!($chapter), "::", stringify!($clause)),
            story: $chapter::$clause,
        },)*]
    };
    (@clauses $form:ident $with:tt) => {
        $crate::datagram_contract! { @$form $with
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

/// Every clause of the contract.
pub const CLAUSES: &[Clause] = datagram_contract! { @clauses table () };
