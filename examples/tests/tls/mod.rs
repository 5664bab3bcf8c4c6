//! `tls:` addresses as users meet them, in a build with TLS and in one without.

#[cfg(feature = "tls")]
mod echo;
#[cfg(feature = "tls")]
mod files;
#[cfg(feature = "tls")]
mod fixtures;
#[cfg(feature = "tls")]
mod relay;
#[cfg(feature = "tls")]
mod unfinished;
#[cfg(not(feature = "tls"))]
mod without;
