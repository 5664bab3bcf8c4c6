//! TLS streams: what both sides agree on, how they end, and real peers.

mod agreed;
mod bindings;
mod ends;
mod peers;
mod provoked;
mod refused;
mod rough;
