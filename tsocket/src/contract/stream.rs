//! The contract of streams: what [`StreamOps`](crate::StreamOps) owe, seen through [`Stream`].
//!
//! # Examples
//! One test for each clause, of a kind of one's own:
//! ```
//! mod my_stream {
//!     use tsocket::contract::stream::Kind;
//!     use tsocket::memory;
//!
//!     // Here the streams in memory stand for one's own.
//!     const KIND: Kind = Kind::new("mine", |ctx| Ok(memory::stream_pair(ctx)));
//!
//!     tsocket::stream_contract!(KIND);
//! }
//! ```
//! Or all of them in one go:
//! ```
//! use tsocket::contract::stream::Kind;
//! use tsocket::contract::{Subject, check};
//! use tsocket::memory;
//!
//! let kind = Kind {
//!     byte_count: 100_000,
//!     ..Kind::new("mine", |ctx| Ok(memory::stream_pair(ctx)))
//! };
//! for clause in Kind::CLAUSES {
//!     check(kind, clause.name());
//! }
//! ```

mod bytes;
mod ends;
mod flow;
mod given_up;
mod leaving;
mod misuse;
mod pdus;
mod queues;

use std::io;

use tevent::Context;

use super::{Clause, Subject, done};
use crate::{Chunk, Stream};

/// The largest write that every kind has to take, in bytes: a message of the smallest length field
/// that is in use.
pub const MAX_WRITE: usize = 65_535;

/// A kind of stream, by what may be expected of it.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    /// What it is called where a clause fails.
    pub name: &'static str,
    /// Makes two connected ends on a context.
    pub connect: fn(&Context) -> io::Result<(Stream, Stream)>,
    /// Whether this machine has what the kind needs; if not, every clause passes unheard.
    pub is_here: fn() -> bool,
    /// Whether one direction can end before the other.
    pub has_half_close: bool,
    /// Whether each write is a message, so that no read brings bytes of two.
    pub is_message_mode: bool,
    /// Whether a read may give less than there is, at its own choice.
    pub reads_short: bool,
    /// How many bytes the longest clause sends in each direction.
    pub byte_count: usize,
}

/// Two connected ends, and the context they are on.
#[derive(Debug)]
pub struct Ends {
    /// Where both live.
    pub ctx: Context,
    /// One end.
    pub near: Stream,
    /// The other.
    pub far: Stream,
    /// What kind they are.
    pub kind: Kind,
}

impl Ends {
    /// Expects `stream` to read `bytes`, asked for `max`; in one read unless the kind reads short.
    #[track_caller]
    fn expect_read(&self, stream: &Stream, max: usize, bytes: &[u8]) {
        self.expect_more(done(&self.ctx, stream.read(max)), stream, bytes);
    }

    /// Expects `first`, which was read from `stream`, to be `bytes`, or the beginning of it if the kind reads
    /// short.
    #[track_caller]
    fn expect_more(&self, first: Chunk, stream: &Stream, bytes: &[u8]) {
        let mut read = first.to_vec();
        while self.kind.reads_short && read.len() < bytes.len() {
            let left = bytes.len() - read.len();
            read.extend_from_slice(&done(&self.ctx, stream.read(left)));
        }
        assert_eq!(read, bytes);
    }
}

impl Kind {
    /// A kind of bytes with a half-close, which this machine has.
    #[must_use]
    pub const fn new(
        name: &'static str,
        connect: fn(&Context) -> io::Result<(Stream, Stream)>,
    ) -> Self {
        Self {
            name,
            connect,
            is_here: || true,
            has_half_close: true,
            is_message_mode: false,
            reads_short: false,
            byte_count: 3 << 20,
        }
    }
}

/// Makes one test for each clause of the contract of streams, of the given [`Kind`].
///
/// The tests are called like the clauses, so each kind wants a module of its own; see
/// [`contract::stream`](crate::contract::stream).
#[macro_export]
macro_rules! stream_contract {
    ($kind:expr) => {
        $crate::stream_contract! { @clauses tests ($kind) }
    };
    (@clauses $form:ident $with:tt) => {
        $crate::contract_clauses! { $form $with
            bytes::they_arrive_in_order_in_both_directions_at_once,
            bytes::buffers_may_be_empty_in_between,
            bytes::a_readv_may_be_larger_than_what_the_kernel_holds,
            bytes::a_read_gives_what_there_is,
            bytes::as_many_buffers_as_allowed_are_taken,
            bytes::pending_bytes_are_what_a_read_would_give,
            misuse::a_second_read_is_refused_and_disturbs_nothing,
            misuse::a_second_write_is_refused_and_disturbs_nothing,
            misuse::nothing_to_transfer_is_invalid,
            misuse::too_many_buffers_are_refused,
            misuse::an_aborted_stream_is_not_connected,
            misuse::an_abort_hands_back_what_is_outstanding,
            misuse::the_last_handle_takes_what_is_outstanding_with_it,
            misuse::a_disconnect_excludes_everything_else,
            misuse::a_stream_in_use_is_not_taken_apart,
            given_up::a_deadline_returns_the_buffers_and_frees_the_slot,
            given_up::a_cancel_returns_the_buffers_and_frees_the_slot,
            given_up::a_dropped_request_frees_the_slot_at_once,
            given_up::only_a_write_that_was_taken_in_part_ends_the_write_side,
            given_up::a_dropped_partial_write_ends_the_write_side,
            flow::a_write_is_done_when_the_layer_below_has_taken_it,
            flow::a_disconnect_delivers_everything_written_before,
            flow::a_disconnect_with_input_unread_loses_nothing,
            flow::a_disconnect_behind_a_slow_write_does_not_spin,
            flow::a_shutdown_waits_for_the_write_before_it,
            ends::the_end_comes_after_the_data_and_again_and_again,
            ends::readv_that_meets_the_end_says_what_had_arrived,
            ends::one_direction_ends_and_the_other_goes_on,
            ends::the_data_of_a_peer_that_is_gone_can_be_read,
            ends::a_writer_learns_that_the_peer_is_gone,
            ends::nobody_is_woken_by_what_nobody_reads,
            ends::clones_are_the_same_stream,
            leaving::what_is_put_back_is_read_first,
            leaving::a_monitor_disturbs_nobody_and_is_told_of_the_end,
            leaving::a_monitor_ends_with_its_stream,
            leaving::one_that_moves_takes_what_has_arrived_with_it,
            pdus::one_that_comes_in_one_piece,
            pdus::one_that_comes_byte_by_byte,
            pdus::several_that_come_at_once,
            pdus::one_that_is_larger_than_any_buffer,
            pdus::one_above_the_limit_is_refused,
            pdus::a_peer_that_closes_inside_one,
            pdus::the_end_between_two_is_an_empty_chunk,
            pdus::one_that_chooses_its_buffers,
            pdus::ones_that_end_with_a_delimiter,
            queues::writes_keep_their_order,
            queues::reads_keep_their_order,
            queues::a_dropped_write_leaves_the_queue,
            queues::a_write_given_up_in_the_queue_returns_its_buffers,
        }
    };
}

impl Subject for Kind {
    type Ends = Ends;

    const CLAUSES: &'static [Clause<Ends>] = stream_contract! { @clauses table () };

    fn is_present(&self) -> bool {
        (self.is_here)()
    }

    #[track_caller]
    fn ends(&self, ctx: &Context) -> Ends {
        let (near, far) = match (self.connect)(ctx) {
            Ok(ends) => ends,
            Err(error) => panic!("{}: two ends cannot be made: {error}", self.name),
        };
        Ends {
            ctx: ctx.clone(),
            near,
            far,
            kind: *self,
        }
    }
}
