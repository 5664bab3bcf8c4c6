//! Contract suites: what each implementation owes its user, for whoever writes one.
//!
//! This module exists with the feature `contract-tests` and belongs into `[dev-dependencies]`:
//!
//! ```toml
//! [dev-dependencies]
//! tsocket = { version = "0.1", features = ["contract-tests"] }
//! ```
//!
//! [`stream`] is the suite of [`StreamOps`](crate::StreamOps), [`datagram`] that of
//! [`DatagramOps`](crate::DatagramOps), [`listener`] that of [`ListenerOps`](crate::ListenerOps). Each is
//! told of a kind, such as [`stream::Kind`], which says how two connected ends are made and what they
//! can do, and tells its clauses of fresh ends on each back end of the platform. A clause that is broken
//! panics, as a test does. The functions of this module are what the clauses are written with, and serve
//! in tests of one's own.
#![expect(
    clippy::unwrap_used,
    reason = "a clause is a test in all but its attribute"
)]

pub mod datagram;
pub mod listener;
pub mod stream;
mod suite;
mod verbs;

use std::panic::{self, AssertUnwindSafe};
use std::time::Duration;

use tevent::Context;

pub use suite::{Clause, Subject, check, tell};
pub use verbs::{
    done, end_of, expect_errno, expect_nothing_left, expect_rest, fails, gives_back, pattern,
    settle,
};

/// How long a story may take on one back end before it counts as hung.
pub const STORY_LIMIT: Duration = Duration::from_secs(120);

/// The back ends that watch no descriptors and pass no time: they have no kernel.
const WITHOUT_KERNEL: [&str; 1] = ["sim"];

/// Tells `story` once on each back end of this platform that has a kernel, in a thread of its own.
///
/// # Panics
/// If a story does, or does not end within [`STORY_LIMIT`].
///
/// # Examples
/// ```
/// use tsocket::contract::{done, on_every_backend};
/// use tsocket::memory;
///
/// on_every_backend(|ctx| {
///     let (near, far) = memory::stream_pair(ctx);
///     done(ctx, near.writev(&b"hi"[..]));
///     assert_eq!(done(ctx, far.readv(vec![0; 2])), b"hi");
/// });
/// ```
#[track_caller]
pub fn on_every_backend(story: impl Fn(&Context) + Clone + Send + 'static) {
    let all = Context::backend_list().iter();
    for backend in all.filter(|name| !WITHOUT_KERNEL.contains(name)) {
        let story = story.clone();
        within_limit(move || story(&Context::with_backend(backend).unwrap()));
    }
}

#[track_caller]
fn within_limit(story: impl FnOnce() + Send + 'static) {
    let ctx = Context::new().unwrap();
    let told = ctx.offload(|| panic::catch_unwind(AssertUnwindSafe(story)));
    told.set_timeout(STORY_LIMIT);
    match ctx.run_until(told).unwrap() {
        Ok(ended) => ended.unwrap_or_else(|panic| panic::resume_unwind(panic)),
        Err(error) => panic!("the story did not end within {STORY_LIMIT:?}: {error}"),
    }
}
