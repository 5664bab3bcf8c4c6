//! What the example daemons share: their addresses and options, and how they start, speak and end.

mod address;
mod daemon;
mod options;
mod pipes;
mod process;
mod threads;

pub use address::{Kind, ListenAddress};
pub use daemon::Daemon;
pub use options::{CommonOptions, number, value};
pub use pipes::{PipeOptions, serve_pipes};
pub use process::{announce, announce_listening, complain, raise_descriptor_limit, run};
pub use threads::{Opened, Share, Started, Threads};
