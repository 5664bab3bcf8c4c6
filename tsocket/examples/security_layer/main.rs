//! A tunnel of one's own: a security layer over a stream in memory, and what travels below it.

#[expect(
    unreachable_pub,
    reason = "the tests use it as a module of their library"
)]
mod layer;

use std::io;

use tevent::Context;
use tsocket::memory;

use self::layer::{Mechanism, TOKEN_MAX, security_layer};

/// What a real mechanism does with keys.
fn scramble() -> Mechanism {
    Box::new(|bytes| Ok(bytes.iter().map(|byte| byte ^ 0x55).collect()))
}

fn main() -> io::Result<()> {
    let ctx = Context::new()?;
    let (near, far) = memory::stream_pair(&ctx);
    let sealed = security_layer(&ctx, near, scramble(), scramble())?;

    // What it writes is a length and a token.
    ctx.run_until(sealed.writev(&b"hello"[..]))??;
    let token = ctx.run_until(far.readv(vec![0; 9]))??;
    assert_eq!(token, b"\0\0\0\x05\x3d\x30\x39\x39\x3a");

    // The other side has one, too; then both talk as over any stream.
    let other = security_layer(&ctx, far, scramble(), scramble())?;
    ctx.run_until(other.writev(&b"a reply"[..]))??;
    let reply = ctx.run_until(sealed.readv(vec![0; 7]))??;
    assert_eq!(reply, b"a reply");
    let mut out = io::stdout();
    io::Write::write_all(&mut out, b"sealed, carried and opened: ")?;
    io::Write::write_all(&mut out, &reply)?;
    io::Write::write_all(
        &mut out,
        format!("\n(tokens of up to {TOKEN_MAX} bytes)\n").as_bytes(),
    )
}
