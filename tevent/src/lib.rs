//! A small single-threaded reactor.

mod interest;

pub use interest::{Interest, Readiness};
