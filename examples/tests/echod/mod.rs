//! `echod` as its users meet it: a process with a command line, sockets and signals.
//!
//! The clients share no code with the libraries under test, so they are a second opinion on what a
//! socket shows. Figures about the process come from Linux's `/proc`.
//!
//! The environment: `TEVENT_SCALE=full` runs the heavy counts, `SEED=…` repeats a random run.

mod abuse;
mod arguments;
mod bad_input;
mod bombs;
mod datagrams;
mod figures;
mod flow;
mod frames;
mod limits;
mod modes;
mod stopping;
mod streams;
mod threads;
mod verbose;

use crate::rig::{client, daemon, patience, pattern};
