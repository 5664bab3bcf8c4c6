//! Sessions: what each side owes the other, whoever carries them.

mod abuse;
mod anywhere;
mod by_hand;
mod carried;
mod odd_tunnels;
mod tunnels;

use std::cell::RefCell;
use std::io;
use std::rc::Rc;

use tsocket::session::{Closed, Io, Session};

/// What a session was told, for the test to look at.
#[derive(Default)]
struct Notes {
    received: Vec<u8>,
    offered: Vec<usize>,
    closed: Vec<(Vec<u8>, Option<i32>)>,
}

/// A session that does what it is told, and notes what happens to it.
struct Probe<R> {
    notes: Rc<RefCell<Notes>>,
    receive: R,
}

/// A probe and its notes; `receive` decides.
fn probe<R>(receive: R) -> (Probe<R>, Rc<RefCell<Notes>>)
where
    R: FnMut(&mut [u8], &Io) -> io::Result<usize> + 'static,
{
    let notes = Rc::default();
    let probe = Probe {
        notes: Rc::clone(&notes),
        receive,
    };
    (probe, notes)
}

impl<R: FnMut(&mut [u8], &Io) -> io::Result<usize> + 'static> Session for Probe<R> {
    fn receive(&mut self, bytes: &mut [u8], io: &Io) -> io::Result<usize> {
        self.notes.borrow_mut().offered.push(bytes.len());
        let consumed = (self.receive)(bytes, io)?;
        let seen = &bytes[..consumed.min(bytes.len())];
        self.notes.borrow_mut().received.extend_from_slice(seen);
        Ok(consumed)
    }

    fn closed(&mut self, closed: Closed<'_>) {
        let errno = closed.error.and_then(io::Error::raw_os_error);
        let entry = (closed.unconsumed.to_vec(), errno);
        self.notes.borrow_mut().closed.push(entry);
    }
}

/// Consumes everything.
fn all(bytes: &mut [u8], _: &Io) -> io::Result<usize> {
    Ok(bytes.len())
}
