//! Level 7.
