//! Stories that cross the crates.

mod tidy;
