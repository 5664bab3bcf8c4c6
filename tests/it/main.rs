//! Stories that cross the crates.

mod deps;
mod dump;
mod fd_events;
mod futures;
mod groups;
mod handlers;
mod immediates;
mod loop_order;
mod pool;
mod queue;
mod queue_model;
mod remote;
mod requests;
mod requests_ended;
mod signals;
mod steps;
mod tidy;
mod timers;
mod types;
