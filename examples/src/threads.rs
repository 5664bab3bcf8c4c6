//! [`Threads`], each of which runs a daemon of its own on sockets that all share.

use std::io;
use std::sync::mpsc::{self, Sender};
use std::thread::{self, JoinHandle};

use tsocket_bsd::{ListenOptions, ListenSocket, SocketOptions, inherited};

use crate::{Kind, ListenAddress};

/// The sockets of one thread, each with the kind of its address.
pub type Share = Vec<(Kind, ListenSocket)>;

/// Sockets for several threads, and where they listen.
#[derive(Debug)]
pub struct Opened {
    /// One for each thread, at least one.
    pub shares: Vec<Share>,
    /// As it stands on a command line, ports resolved.
    pub listening: Vec<String>,
}

impl Opened {
    /// Nothing yet, for `threads` threads.
    #[must_use]
    pub fn new(threads: usize) -> Self {
        Self {
            shares: (0..threads.max(1)).map(|_| Vec::new()).collect(),
            listening: Vec::new(),
        }
    }

    /// All of `addresses`, which are for connections, for the one thread there is.
    ///
    /// # Errors
    /// A line that says which could not be opened, and why.
    pub fn for_one_thread(addresses: &[ListenAddress]) -> Result<Self, String> {
        let mut opened = Self::new(1);
        addresses
            .iter()
            .try_for_each(|address| opened.open(address))?;
        Ok(opened)
    }

    /// Opens `address`, which is one for connections.
    ///
    /// Each thread has a TCP socket of its own, and the kernel deals connections out among them; threads
    /// share one unix socket, and whoever is free accepts.
    ///
    /// # Errors
    /// A line that says why it could not be opened.
    pub fn open(&mut self, address: &ListenAddress) -> Result<(), String> {
        let opened = match address.kind {
            Kind::Tcp | Kind::Tls if self.shares.len() > 1 => self.open_each(address),
            kind => ListenSocket::open(&address.address, &ListenOptions::default())
                .and_then(|socket| self.share(kind, socket)),
        };
        opened.map_err(|error| format!("cannot listen on {address}: {error}"))
    }

    fn open_each(&mut self, address: &ListenAddress) -> io::Result<()> {
        let kind = address.kind;
        let socket = SocketOptions::default().reuse_port(true);
        let options = ListenOptions::default().socket(socket);
        let first = ListenSocket::open(&address.address, &options)?;
        // Its port is known now, and the same for all.
        let local = first.local_address()?;
        for share in self.shares.iter_mut().skip(1) {
            share.push((kind, ListenSocket::open(&local, &options)?));
        }
        self.shares[0].push((kind, first));
        self.listening.push(kind.display(&local)?);
        Ok(())
    }

    /// Takes the sockets that a service manager has passed, all of them for connections; none if it was
    /// started otherwise.
    ///
    /// # Errors
    /// A line that says what is wrong with them.
    pub fn inherit(&mut self) -> Result<(), String> {
        let complaint = |error: io::Error| format!("a socket of LISTEN_FDS: {error}");
        for passed in inherited().map_err(complaint)? {
            let socket = ListenSocket::from_fd(passed.fd);
            socket
                .map_err(io::Error::from)
                .and_then(|socket| {
                    let is_unix = socket.local_address()?.is_unix();
                    self.share(if is_unix { Kind::Unix } else { Kind::Tcp }, socket)
                })
                .map_err(complaint)?;
        }
        Ok(())
    }

    fn share(&mut self, kind: Kind, socket: ListenSocket) -> io::Result<()> {
        self.listening.push(kind.display(&socket.local_address()?)?);
        for share in self.shares.iter_mut().skip(1) {
            share.push((kind, socket.try_clone()?));
        }
        self.shares[0].push((kind, socket));
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
