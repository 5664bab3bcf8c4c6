//! Level 8.
