//! Level 5.
