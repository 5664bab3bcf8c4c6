//! A socket whose datagrams become lines of the log.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use rustix::io::Errno;
use tevent::Request;
use tsocket::{Address, Chunk, Datagram};

use crate::log::Log;
use crate::message::Message;

/// How long nothing has to come, once it stops, to be taken as all: what was sent before the signal is
/// in the kernel already.
const QUIET: Duration = Duration::from_millis(100);

/// What is logged in place of a datagram that is larger than any message.
const TOO_LARGE: &[u8] = b"<44>syslogd: a message of more than 65536 bytes was dropped";

type Received = (Chunk, Address);

pub(crate) struct Receiver {
    datagram: Datagram,
    log: Rc<Log>,
    is_stopping: Cell<bool>,
    // Here rather than in the future that awaits it, so that a stop can give it a time limit.
    outstanding: RefCell<Option<Request<Received>>>,
}

impl Receiver {
    pub(crate) fn new(datagram: Datagram, log: Rc<Log>) -> Rc<Self> {
        Rc::new(Self {
            datagram,
            log,
            is_stopping: Cell::new(false),
            outstanding: RefCell::default(),
        })
    }

    /// Lets it end once nothing comes any more.
    pub(crate) fn stop(&self) {
        self.is_stopping.set(true);
        if let Some(receive) = &*self.outstanding.borrow() {
            receive.set_timeout(QUIET);
        }
    }

    /// Logs what comes, until it is stopped and quiet.
    pub(crate) async fn run(self: Rc<Self>) -> io::Result<()> {
        loop {
            match self.receive().await {
                Ok((chunk, _)) => self.log.add(Message::parse(&chunk)).await?,
                Err(error) if error.kind() == ErrorKind::TimedOut => return Ok(()),
                // An error belongs to one datagram; that it is lost belongs into the log.
                Err(error) if error.raw_os_error() == Some(Errno::MSGSIZE.raw_os_error()) => {
                    self.log.add(Message::parse(TOO_LARGE)).await?;
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn receive(&self) -> io::Result<Received> {
        let receive = self.datagram.recv_from();
        if self.is_stopping.get() {
            receive.set_timeout(QUIET);
        }
        self.outstanding.replace(Some(receive));
        poll_fn(|task| {
            let mut outstanding = self.outstanding.borrow_mut();
            let receive = outstanding.as_mut().expect("nobody takes it out");
            Pin::new(receive).poll(task)
        })
        .await
    }
}
