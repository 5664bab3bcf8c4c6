//! Echo daemon.
fn main() {}
