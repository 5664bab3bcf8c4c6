//! What stands in for TLS in a build without it: two types that nobody has a value of.

use std::convert::Infallible;
use std::env;
use std::path::Path;

use tevent::{Context, Request};
use tsocket::Stream;

/// Never made.
pub type Handshake = Request<(Stream, ())>;

/// A server of TLS, which this build has none of.
#[derive(Clone, Debug)]
pub struct TlsServer(Infallible);

impl TlsServer {
    /// Says how to build with TLS.
    ///
    /// # Errors
    /// Always: that line.
    pub fn new(_: Option<&Path>, _: Option<&Path>) -> Result<Self, String> {
        Err(missing())
    }

    /// Never called.
    pub fn accept(&self, _: &Context, _: Stream) -> Handshake {
        match self.0 {}
    }
}

/// A client of TLS, which this build has none of.
#[derive(Clone, Debug)]
pub struct TlsClient(Infallible);

impl TlsClient {
    /// Says how to build with TLS.
    ///
    /// # Errors
    /// Always: that line.
    pub fn new(_: &str, _: Option<&Path>) -> Result<Self, String> {
        Err(missing())
    }

    /// Never called.
    pub fn connect(&self, _: &Context, _: Stream) -> Handshake {
        match self.0 {}
    }
}

fn missing() -> String {
    let program = env::args_os().next().unwrap_or_default();
    let name = Path::new(&program).file_name().unwrap_or_default();
    let name = name.to_string_lossy();
    format!("tls: is not in this build; start one with `cargo run --features tls --bin {name}`")
}
