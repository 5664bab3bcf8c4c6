//! [`Threads`], each of which runs a daemon of its own on sockets that all share.

use std::io;
use std::sync::mpsc::{self, Sender};
use std::thread::{self, JoinHandle};

use tsocket::Address;
use tsocket_bsd::{ListenOptions, ListenSocket};

use crate::{Kind, ListenAddress};

/// The sockets of one thread.
pub type Share = Vec<ListenSocket>;

/// Sockets for several threads, and where they listen.
#[derive(Debug)]
pub struct Opened {
    /// One for each thread, at least one.
    pub shares: Vec<Share>,
    /// As it stands on a command line, ports resolved.
    pub listening: Vec<String>,
}

impl Opened {
    /// Opens `addresses`, all of them for connections, for `threads` threads.
    ///
    /// # Errors
    /// A line that says which could not be opened, and why.
    pub fn open<'a>(
        addresses: impl IntoIterator<Item = &'a ListenAddress>,
        threads: usize,
    ) -> Result<Self, String> {
        let mut opened = Self {
            shares: (0..threads.max(1)).map(|_| Vec::new()).collect(),
            listening: Vec::new(),
        };
        for address in addresses {
            opened
                .add(address.kind, &address.address)
                .map_err(|error| format!("cannot listen on {address}: {error}"))?;
        }
        Ok(opened)
    }

    fn add(&mut self, kind: Kind, address: &Address) -> io::Result<()> {
        let socket = ListenSocket::open(address, &ListenOptions::default())?;
        self.listening.push(kind.display(&socket.local_address()?)?);
        for share in self.shares.iter_mut().skip(1) {
            share.push(socket.try_clone()?);
        }
        self.shares[0].push(socket);
        Ok(())
    }
}

/// Threads that work beside the main one.
#[derive(Debug)]
pub struct Threads {
    threads: Vec<JoinHandle<Result<(), String>>>,
}

/// What a thread tells once it handles signals: from then on it can be stopped.
#[derive(Debug)]
pub struct Started(Sender<()>);

impl Started {
    /// Tells.
    pub fn tell(self) {
        // Nobody listens if another thread has failed, and then the process ends.
        self.0.send(()).ok();
    }
}

impl Threads {
    /// Starts a thread for each share, and waits until all have told that they have started.
    ///
    /// # Errors
    /// What the first of them failed with.
    pub fn start(
        shares: impl IntoIterator<Item = Share>,
        work: impl FnOnce(Share, Started) -> Result<(), String> + Clone + Send + 'static,
    ) -> Result<Self, String> {
        let mut threads = Vec::new();
        for share in shares {
            let (work, (sender, started)) = (work.clone(), mpsc::channel());
            let thread = thread::spawn(move || work(share, Started(sender)));
            threads.push(thread);
            if started.recv().is_err() {
                // It has dropped what it should have told with.
                threads.drain(..threads.len() - 1);
                Self { threads }.join()?;
                return Err("a thread did not start".to_owned());
            }
        }
        Ok(Self { threads })
    }

    /// Waits until all have ended.
    ///
    /// # Errors
    /// What the first of them failed with.
    pub fn join(self) -> Result<(), String> {
        let ended = self.threads.into_iter().map(|thread| {
            let ended = thread.join();
            ended.unwrap_or_else(|_| Err("a thread has panicked".to_owned()))
        });
        ended.fold(Ok(()), Result::and)
    }
}
