//! The contract of listeners: what [`ListenerOps`](crate::ListenerOps) owe, seen through [`Listener`].
//!
//! # Examples
//! One test for each clause, of a kind of one's own:
//! ```
//! mod my_listener {
//!     use tsocket::contract::listener::{Kind, Listening};
//!     use tsocket::{Address, memory};
//!
//!     // Here the listeners in memory stand for one's own.
//!     const KIND: Kind = Kind::new(
//!         "mine",
//!         |ctx| {
//!             let address = Address::custom(memory::Name("door".to_owned()));
//!             let listener = memory::listen(ctx, &address)?;
//!             let keep = Box::new(());
//!             Ok(Listening { listener, keep })
//!         },
//!         memory::connect,
//!     );
//!
//!     tsocket::listener_contract!(KIND);
//! }
//! ```

mod clauses;

use std::any::Any;
use std::fmt;
use std::io;

use tevent::{Context, Request};

use super::{Clause, Subject};
use crate::{Address, Listener, Stream};

/// A kind of listener, by what may be expected of it.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    /// What it is called where a clause fails.
    pub name: &'static str,
    /// Makes a listener on a context, with room for five connections that wait.
    pub listen: fn(&Context) -> io::Result<Listening>,
    /// Connects to one.
    pub connect: fn(&Context, &Address) -> Request<Stream>,
    /// Whether this machine has what the kind needs; if not, every clause passes unheard.
    pub is_here: fn() -> bool,
}

/// A listener, and what it stands on.
pub struct Listening {
    /// The listener.
    pub listener: Listener,
    /// What has to live as long as it does, such as a directory.
    pub keep: Box<dyn Any>,
}

/// A listener, and the context it is on.
pub struct Ends {
    /// Where it lives.
    pub ctx: Context,
    /// The listener.
    pub listener: Listener,
    /// What kind it is.
    pub kind: Kind,
    _keep: Box<dyn Any>,
}

impl Kind {
    /// A kind that this machine has.
    #[must_use]
    pub const fn new(
        name: &'static str,
        listen: fn(&Context) -> io::Result<Listening>,
        connect: fn(&Context, &Address) -> Request<Stream>,
    ) -> Self {
        Self {
            name,
            listen,
            connect,
            is_here: || true,
        }
    }
}

impl Ends {
    /// A connection to the listener that is being made.
    ///
    /// # Panics
    /// If the listener does not know its address.
    pub fn connect(&self) -> Request<Stream> {
        let at = self.listener.local_address().unwrap();
        (self.kind.connect)(&self.ctx, &at)
    }
}

impl fmt::Debug for Listening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listening")
            .field("listener", &self.listener)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Ends {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ends")
            .field("listener", &self.listener)
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

/// Makes one test for each clause of the contract of listeners, of the given [`Kind`].
///
/// The tests are called like the clauses, so each kind wants a module of its own; see
/// [`contract::listener`](crate::contract::listener).
#[macro_export]
macro_rules! listener_contract {
    ($kind:expr) => {
        $crate::listener_contract! { @clauses tests ($kind) }
    };
    (@clauses $form:ident $with:tt) => {
        $crate::contract_clauses! { $form $with
            clauses::connections_are_accepted_in_the_order_in_which_they_came,
            clauses::what_was_written_before_the_accept_arrives,
            clauses::a_second_accept_is_refused_and_disturbs_nothing,
            clauses::an_accept_that_is_given_up_loses_no_connection,
            clauses::connections_that_nobody_accepts_let_the_loop_rest,
            clauses::an_accept_that_waits_lets_the_loop_rest,
            clauses::closing_ends_the_outstanding_accept_and_all_that_come_later,
            clauses::nobody_connects_to_a_listener_that_was_closed,
            clauses::accepted_streams_outlive_their_listener,
            clauses::a_listener_lives_as_long_as_a_handle_of_it,
        }
    };
}

impl Subject for Kind {
    type Ends = Ends;

    const CLAUSES: &'static [Clause<Ends>] = listener_contract! { @clauses table () };

    fn is_present(&self) -> bool {
        (self.is_here)()
    }

    #[track_caller]
    fn ends(&self, ctx: &Context) -> Ends {
        let Listening { listener, keep } = match (self.listen)(ctx) {
            Ok(made) => made,
            Err(error) => panic!("{}: a listener cannot be made: {error}", self.name),
        };
        Ends {
            ctx: ctx.clone(),
            listener,
            kind: *self,
            _keep: keep,
        }
    }
}
