//! What the example daemons share: their addresses, and how they start and complain.

mod address;
mod pipes;
mod process;

pub use address::{Kind, ListenAddress};
pub use pipes::{PipeOptions, serve_pipes};
pub use process::{announce, complain, raise_descriptor_limit, run};
