//! Listeners in memory, and who connects to them.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::io;
use std::rc::{Rc, Weak};

use tevent::{Context, Readiness, Request};

use super::{CAPACITY, End, connected};
use crate::listener::{Listener, ListenerOps};
use crate::ready::Ready;
use crate::stream::Stream;
use crate::{Address, AddressKind, errors};

/// How many connections wait to be accepted before more are refused: what a unix socket keeps by default in some systems, and enough for any test.
pub const BACKLOG: usize = 128;

/// The name of a listener in memory, as an address: `memory:NAME`. Each context has names of its own.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Name(pub String);

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "memory:{}", self.0)
    }
}

impl AddressKind for Name {}

/// Who listens on a context, by name.
#[derive(Default)]
struct Names {
    listeners: RefCell<HashMap<Name, Weak<Backlog>>>,
}

/// Connections that nobody has accepted yet.
struct Backlog {
    waiting: RefCell<VecDeque<End>>,
    ready: Ready,
}

/// Listens on `ctx` under `address`, a [`Name`]; it is free again when the listener is gone.
///
/// # Errors
/// `EAFNOSUPPORT` if `address` is no [`Name`]; `EADDRINUSE` if somebody listens there.
///
/// # Examples
/// ```
/// use tsocket::{Address, memory};
///
/// # fn main() -> std::io::Result<()> {
/// let ctx = tevent::Context::new()?;
/// let address = Address::custom(memory::Name("printer".to_owned()));
/// let listener = memory::listen(&ctx, &address)?;
/// let client = ctx.run_until(memory::connect(&ctx, &address))??;
/// let (server, _) = ctx.run_until(listener.accept())??;
/// ctx.run_until(client.writev(&b"hi"[..]))??;
/// assert_eq!(&*ctx.run_until(server.read(10))??, b"hi");
/// # Ok(())
/// # }
/// ```
pub fn listen(ctx: &Context, address: &Address) -> io::Result<Listener> {
    let name = name_of(address)?;
    let names = ctx.local::<Names>();
    Listener::new(ctx, |ready| {
        let mut listeners = names.listeners.borrow_mut();
        if listeners
            .get(name)
            .is_some_and(|other| other.strong_count() > 0)
        {
            return Err(errors::in_use());
        }
        let backlog = Rc::new(Backlog {
            waiting: RefCell::default(),
            ready,
        });
        listeners.insert(name.clone(), Rc::downgrade(&backlog));
        Ok(Box::new(Door {
            names: names.clone(),
            address: address.clone(),
            backlog,
        }))
    })
}

/// Connects on `ctx` to whoever listens there under `address`; done at once, accepted or not.
///
/// # Errors
/// `EAFNOSUPPORT` if `address` is no [`Name`]; `ECONNREFUSED` if nobody listens there; `EAGAIN` if
/// [`BACKLOG`] connections wait already, as for a unix socket that does not block.
#[track_caller]
pub fn connect(ctx: &Context, address: &Address) -> Request<Stream> {
    Request::finished(ctx, "connect in memory", try_connect(ctx, address))
}

fn try_connect(ctx: &Context, address: &Address) -> io::Result<Stream> {
    let name = name_of(address)?;
    let names = ctx.local::<Names>();
    let backlog = names.listeners.borrow().get(name).and_then(Weak::upgrade);
    let backlog = backlog.ok_or_else(errors::refused)?;
    if backlog.waiting.borrow().len() >= BACKLOG {
        return Err(errors::would_block());
    }
    let (near, far) = connected(CAPACITY, &Address::unix_unnamed(), address);
    backlog.waiting.borrow_mut().push_back(far);
    backlog.ready.schedule(Readiness::READ);
    Ok(near.into_stream(ctx))
}

fn name_of(address: &Address) -> io::Result<&Name> {
    address
        .as_custom::<Name>()
        .ok_or_else(errors::wrong_address)
}

/// The side that accepts.
struct Door {
    names: Rc<Names>,
    address: Address,
    backlog: Rc<Backlog>,
}

impl ListenerOps for Door {
    fn try_accept(&mut self, ctx: &Context) -> io::Result<(Stream, Address)> {
        let end = self.backlog.waiting.borrow_mut().pop_front();
        let end = end.ok_or_else(errors::would_block)?;
        let peer = end.peer.clone();
        Ok((end.into_stream(ctx), peer))
    }

    fn local_address(&self) -> io::Result<Address> {
        Ok(self.address.clone())
    }

    fn unwanted(&mut self) {
        // Each connection is told once, so there is nothing to take back.
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        if let Some(name) = self.address.as_custom::<Name>() {
            self.names.listeners.borrow_mut().remove(name);
        }
        let waiting = self.backlog.waiting.take();
        drop(waiting);
    }
}
