//! Stories that cross the crates.

mod deps;
mod dump;
mod fd_events;
mod futures;
mod groups;
mod handlers;
mod immediates;
mod loop_order;
mod memory;
mod npa;
mod pdu;
mod queue;
mod queue_model;
mod queued;
mod remote;
mod requests;
mod requests_ended;
mod signals;
mod steps;
mod stream_calls;
mod stream_contract;
mod stream_ends;
mod tidy;
mod timers;
mod types;
