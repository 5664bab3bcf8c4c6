//! Stories with a real Samba: smbd as the client of our pipes, and its services as servers of ours.
//!
//! They need `smbd`, `smbclient` and the Python package impacket, and are left out where those are missing,
//! unless `TEVENT_REQUIRE=samba` says that they are there.
#![cfg(target_os = "linux")]

mod clients;
mod pipes;
mod server;
mod services;
mod smbd;
