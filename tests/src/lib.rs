//! Shared verbs of the tests.

pub mod contract;
