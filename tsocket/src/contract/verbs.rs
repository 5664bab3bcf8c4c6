//! What the clauses are written with: run until something has come about, and expect it.

use std::fmt::Debug;
use std::io;
use std::time::Duration;

use rustix::io::Errno;
use tevent::{Context, Request, wakeup};

use crate::Failed;

/// Lets everything happen that is ready now: a few rounds, none of which waits.
///
/// # Panics
/// If the loop fails.
#[track_caller]
pub fn settle(ctx: &Context) {
    // A round looks at timers before descriptors, so the first one alone would see no descriptor.
    for _ in 0..3 {
        ctx.run_until(wakeup(ctx, ctx.now()))
            .expect("the loop runs")
            .expect("a wake-up does not fail");
    }
}

/// Expects that no request is outstanding and nothing keeps the loop going.
///
/// # Panics
/// If something does; a loop that goes on for ever meets the time limit.
#[track_caller]
pub fn expect_nothing_left(ctx: &Context) {
    ctx.run().expect("the loop runs");
    let dump = ctx.dump();
    assert!(dump.entries().is_empty(), "left behind: {dump}");
}

/// Expects the loop to sleep for a while: a handful of waits, where one that spins makes thousands.
///
/// # Panics
/// If it does not.
#[track_caller]
pub fn expect_rest(ctx: &Context) {
    settle(ctx);
    let before = ctx.stats();
    done(ctx, wakeup(ctx, ctx.now() + Duration::from_millis(10)));
    let waits = ctx.stats().since(&before).waits;
    assert!(waits <= 20, "{waits} waits with nothing to wait for");
}

/// Runs until `request` ends and returns what it ends with.
///
/// # Errors
/// Those of the request.
///
/// # Panics
/// If the loop fails or has nothing left that could end it.
#[track_caller]
pub fn end_of<T, E>(ctx: &Context, request: Request<T, E>) -> Result<T, E> {
    ctx.run_until(request)
        .expect("the loop runs until the request has ended")
}

/// Runs until `request` is done and returns its value.
///
/// # Panics
/// If it fails.
#[track_caller]
pub fn done<T, E: Debug>(ctx: &Context, request: Request<T, E>) -> T {
    match end_of(ctx, request) {
        Ok(value) => value,
        Err(error) => panic!("the request failed: {error:?}"),
    }
}

/// Expects `request` to fail with `errno`.
///
/// # Panics
/// If it does not.
#[track_caller]
pub fn fails<T>(ctx: &Context, request: Request<T>, errno: Errno) {
    expect_errno(end_of(ctx, request), errno);
}

/// Expects `request` to fail with `errno`, and returns the buffers and the count of bytes with them.
///
/// # Panics
/// If it does not.
#[track_caller]
pub fn gives_back<B>(ctx: &Context, request: Request<B, Failed<B>>, errno: Errno) -> (B, usize) {
    let Err(failed) = end_of(ctx, request) else {
        panic!("expected {errno:?}, but it went well");
    };
    assert_eq!(
        failed.error.raw_os_error(),
        Some(errno.raw_os_error()),
        "{failed}"
    );
    (failed.buffers, failed.transferred)
}

/// Expects a failure with the error number `errno`.
///
/// # Panics
/// If there is none, or another one.
#[track_caller]
pub fn expect_errno<T>(result: io::Result<T>, errno: Errno) {
    let Err(error) = result else {
        panic!("expected {errno:?}, but it went well");
    };
    assert_eq!(error.raw_os_error(), Some(errno.raw_os_error()), "{error}");
}

/// The `len` bytes at `offset` of a stream of bytes in which no piece repeats soon.
#[must_use]
pub fn pattern(offset: usize, len: usize) -> Vec<u8> {
    (offset..offset + len)
        .map(|at| (at.wrapping_mul(0x9e37_79b9) >> 13).to_le_bytes()[0])
        .collect()
}
