//! Stories that cross the crates.

mod deps;
mod tidy;
