//! Starts each daemon of this crate and talks to it from outside, with std threads and sockets only.

mod echod;
mod httpd;
mod relayd;
mod rig;
mod syslogd;
mod tls;
