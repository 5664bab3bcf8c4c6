//! Shared verbs of the tests.
