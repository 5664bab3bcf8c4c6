//! What the example daemons share: their addresses and options, and how they start, speak and end.

mod address;
mod certificate;
mod daemon;
mod options;
mod pipes;
mod process;
mod threads;
#[cfg(feature = "tls")]
mod tls;
#[cfg(not(feature = "tls"))]
#[path = "without_tls.rs"]
mod tls;

pub use address::{Kind, ListenAddress};
pub use certificate::CertificateFiles;
pub use daemon::Daemon;
pub use options::{CommonOptions, number, value};
pub use pipes::{PipeOptions, serve_pipes};
pub use process::{announce, announce_listening, complain, raise_descriptor_limit, run};
pub use threads::{Opened, Share, Started, Threads};
pub use tls::{Handshake, TlsClient, TlsServer};
