//! Stories that cross the crates.
