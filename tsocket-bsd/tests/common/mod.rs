//! What the socket tests share: a time limit for every request, and errno expectations.
#![allow(
    dead_code,
    clippy::allow_attributes,
    clippy::unwrap_used,
    reason = "no test file uses all of it; these are tests"
)]

use std::fmt;
use std::io;
use std::net::{Ipv6Addr, TcpListener};
use std::time::Duration;

use rustix::io::Errno;
use tevent::{Context, Request};
use tsocket::{Address, Family};

/// How long anything here may take.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);

fn result<T, E>(ctx: &Context, request: Request<T, E>) -> io::Result<T>
where
    io::Error: From<E>,
{
    request.set_timeout(LIMIT);
    ctx.run_until(request)
        .expect("the loop can run")
        .map_err(io::Error::from)
}

/// What `request` ends with.
#[track_caller]
pub(crate) fn expect<T, E>(ctx: &Context, request: Request<T, E>) -> T
where
    io::Error: From<E>,
{
    match result(ctx, request) {
        Ok(value) => value,
        Err(err) => panic!("the request failed: {err}"),
    }
}

/// Ends with `errno`; keeps a deadline that the request has, if it is earlier.
#[track_caller]
pub(crate) fn expect_errno<T: fmt::Debug, E>(ctx: &Context, request: Request<T, E>, errno: Errno)
where
    io::Error: From<E>,
{
    let ended = ctx
        .run_until(request)
        .expect("the loop can run")
        .map_err(io::Error::from);
    let err = ended.expect_err("the request was to fail");
    assert_eq!(err.raw_os_error(), Some(errno.raw_os_error()), "{err}");
}

pub(crate) fn inet(text: &str) -> Address {
    Address::from_hostport(Family::Ip, Some(text), 0).expect("a numeric address with a port")
}

pub(crate) fn has_ipv6() -> bool {
    TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok()
}

/// How much heavier than usual the counts are to be.
pub(crate) fn scale() -> u64 {
    std::env::var("TEVENT_SCALE")
        .ok()
        .and_then(|scale| scale.parse().ok())
        .unwrap_or(1)
}
