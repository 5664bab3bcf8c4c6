//! Stories that cross the crates.

mod deps;
mod memory;
mod npa;
mod pdu;
mod queued;
mod stream_calls;
mod stream_contract;
mod stream_ends;
mod tidy;
