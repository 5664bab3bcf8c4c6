//! Both ends of a unix stream in one process.

use std::io;

use tevent::Context;
use tsocket::Stream;

use crate::{socket, stream};

/// Makes two unix streams that are connected with each other.
///
/// Neither has a name. Both belong to `ctx`.
///
/// # Errors
/// - `EMFILE`, `ENFILE` when no descriptor is left; `ENOMEM`, `ENOBUFS` when the kernel has no room.
///
/// # Examples
/// ```
/// let ctx = tevent::Context::new()?;
/// let (near, far) = tsocket_bsd::socketpair(&ctx)?;
/// ctx.run_until(near.writev(b"ping".to_vec()))?.map_err(std::io::Error::from)?;
/// assert_eq!(&*ctx.run_until(far.read(100))??, b"ping");
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Source
/// `tstream_unix_socketpair()` in `lib/tsocket/tsocket.h`; `socketpair(2)`.
#[doc(alias = "tstream_unix_socketpair")]
pub fn socketpair(ctx: &Context) -> io::Result<(Stream, Stream)> {
    let (near, far) = socket::pair()?;
    Ok((stream::new(ctx, near, None)?, stream::new(ctx, far, None)?))
}
