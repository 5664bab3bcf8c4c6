//! Stories with a real Samba: smbd as the client of our pipes, and its services as servers of ours.
//!
//! They need root, `smbd`, `smbclient` and the Python package impacket, and are left out, with a line, where
//! one of these is missing; with `TEVENT_COUNTERPARTS=required` only root may be.
#![cfg(target_os = "linux")]

mod clients;
mod pipes;
mod server;
mod services;
mod smbd;
