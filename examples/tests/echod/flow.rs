//! Many connections at once, each with its own bytes, driven by one thread.

use std::io::{ErrorKind, Read, Write};

use rustix::event::{PollFd, PollFlags};

use super::client::{Client, wait};
use super::patience::LIMIT;
use super::pattern::{Pattern, Random};

/// The largest piece that one write is given.
const CHUNK_MAX_LEN: usize = 16 << 10;

/// One connection on which bytes go out, come back, and then the stream is ended from both sides.
#[derive(Debug)]
pub(super) struct Flow {
    name: String,
    client: Client,
    sizes: Random,
    sent: Pattern,
    returned: Pattern,
    chunk: Vec<u8>,
    /// How much of `chunk` has been taken.
    taken: usize,
    len: u64,
    state: State,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    Sending,
    Receiving,
    Ended,
}

impl Flow {
    /// Prepares `len` bytes that `seed` determines.
    #[track_caller]
    pub(super) fn new(name: String, client: Client, seed: u64, len: u64) -> Self {
        client.set_nonblocking(true);
        Self {
            name,
            client,
            sizes: Random::new(!seed),
            sent: Pattern::new(seed),
            returned: Pattern::new(seed),
            chunk: Vec::new(),
            taken: 0,
            len,
            state: State::Sending,
        }
    }

    fn interest(&self) -> PollFlags {
        match self.state {
            State::Sending => PollFlags::IN | PollFlags::OUT,
            State::Receiving | State::Ended => PollFlags::IN,
        }
    }

    #[track_caller]
    fn send(&mut self) {
        loop {
            if self.taken == self.chunk.len() {
                let rest = self.len - self.sent.position();
                if rest == 0 {
                    self.client.half_close();
                    self.state = State::Receiving;
                    return;
                }
                let len = self.sizes.size(CHUNK_MAX_LEN);
                let len = usize::try_from(rest).map_or(len, |rest| len.min(rest));
                self.chunk.resize(len, 0);
                self.sent.fill(&mut self.chunk);
                self.taken = 0;
            }
            match self.client.write(&self.chunk[self.taken..]) {
                Ok(count) => self.taken += count,
                Err(err) if err.kind() == ErrorKind::WouldBlock => return,
                Err(err) => panic!("{self}: cannot send: {err}"),
            }
        }
    }

    #[track_caller]
    fn receive(&mut self, buf: &mut [u8]) {
        match self.client.read(buf) {
            Ok(0) => {
                let complete = self.returned.position() == self.len;
                assert!(complete, "{self}: the stream ended too early");
                self.state = State::Ended;
            }
            Ok(count) => {
                self.returned.expect(&self.name, &buf[..count]);
                assert!(
                    self.returned.position() <= self.len,
                    "{self}: more than was sent"
                );
            }
            Err(err) if err.kind() == ErrorKind::WouldBlock => {}
            Err(err) => panic!("{self}: cannot receive: {err}"),
        }
    }
}

impl std::fmt::Display for Flow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (sent, returned) = (self.sent.position(), self.returned.position());
        write!(
            f,
            "{}: {sent} of {} bytes sent, {returned} returned",
            self.name, self.len
        )
    }
}

/// Runs all `flows` to their ends at the same time.
#[track_caller]
pub(super) fn drive(flows: &mut [Flow]) {
    let mut buf = vec![0; 64 << 10];
    loop {
        let mut running: Vec<_> = flows
            .iter_mut()
            .filter(|f| f.state != State::Ended)
            .collect();
        if running.is_empty() {
            return;
        }
        let mut fds: Vec<_> = running
            .iter()
            .map(|flow| PollFd::new(&flow.client, flow.interest()))
            .collect();
        let happened = wait(&mut fds, LIMIT);
        let told: Vec<_> = fds.iter().map(PollFd::revents).collect();
        assert!(
            happened > 0,
            "{} connections are stuck; one of them: {}",
            running.len(),
            running[0]
        );
        for (flow, told) in running.iter_mut().zip(told) {
            if told.contains(PollFlags::OUT) {
                flow.send();
            }
            if told.intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR) {
                flow.receive(&mut buf);
            }
        }
    }
}
