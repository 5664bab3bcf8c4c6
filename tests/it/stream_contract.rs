//! What every kind of stream owes its user: one suite, told of each kind on each back end.
#![expect(
    clippy::unwrap_used,
    reason = "a clause is a test in all but its attribute"
)]

mod bytes;
mod ends;
mod flow;
mod given_up;
mod misuse;
mod pdus;
mod queues;

use tevent_tests::contract::{Kind, on_every_backend};

/// Makes a module of tests for each kind, one test for each clause of the contract.
macro_rules! contract {
    ($($module:ident: $kind:ident,)*) => {
        $(
            mod $module {
                use super::{Kind, bytes, ends, flow, given_up, misuse, on_every_backend, pdus, queues};

                contract! { @clauses $kind
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
                    pdus::one_that_comes_in_one_piece,
                    pdus::one_that_comes_byte_by_byte,
                    pdus::several_that_come_at_once,
                    pdus::one_that_is_larger_than_any_buffer,
                    pdus::one_above_the_limit_is_refused,
                    pdus::a_peer_that_closes_inside_one,
                    pdus::the_end_between_two_is_an_empty_chunk,
                    queues::writes_keep_their_order,
                    queues::reads_keep_their_order,
                    queues::a_dropped_write_leaves_the_queue,
                    queues::a_write_given_up_in_the_queue_returns_its_buffers,
                }
            }
        )*
    };
    (@clauses $kind:ident $($file:ident::$clause:ident,)*) => {
        $(
            #[test]
            fn $clause() {
                on_every_backend(Kind::$kind, $file::$clause);
            }
        )*
    };
}

contract! {
    memory: MEMORY,
    socketpair: SOCKETPAIR,
    unix: UNIX,
    tcp4: TCP4,
    tcp6: TCP6,
    message_over_memory: MESSAGE_OVER_MEMORY,
    byte_over_memory: BYTE_OVER_MEMORY,
    message_over_unix: MESSAGE_OVER_UNIX,
    byte_over_unix: BYTE_OVER_UNIX,
}
