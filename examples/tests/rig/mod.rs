//! What the tests of all daemons share: running one, talking to it, and waiting with a limit.

pub(crate) mod client;
pub(crate) mod counterpart;
pub(crate) mod daemon;
pub(crate) mod patience;
pub(crate) mod pattern;
