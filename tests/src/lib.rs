//! Shared verbs of the tests.

/// The code in the README.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct Readme;
