//! Datagram endpoints in every state, and what ends their operations.

use std::any::Any;

use tempfile::TempDir;
use tevent::{Context, Request};
use tevent_tests::settle;
use tsocket::{Address, Datagram, Failed, Family};
use tsocket_bsd::{DatagramOptions, datagram};

use super::table::Table;
use super::{Column, Complaints, Ending, Row, Scene, context};

#[derive(Clone, Copy)]
enum Kind {
    Udp,
    Unix,
}

const KINDS: &[Kind] = &[Kind::Udp, Kind::Unix];

struct Sockets {
    ctx: Option<Context>,
    // Connected to the other one, unless it is its state not to be.
    near: Option<Datagram>,
    held: Vec<Box<dyn Any>>,
    far: Datagram,
    _directory: TempDir,
}

impl Sockets {
    fn new(kind: Kind) -> Self {
        Self::with(kind, true)
    }

    fn with(kind: Kind, is_connected: bool) -> Self {
        let ctx = context();
        let directory = tempfile::tempdir().expect("there is room for a directory");
        let make = |name: &str, options| {
            let local = match kind {
                Kind::Udp => Address::from_strings(Family::Ipv4, Some("127.0.0.1"), 0),
                Kind::Unix => Address::unix(directory.path().join(name)),
            };
            let local = local.expect("that is an address");
            datagram(&ctx, &local, &options).expect("the address is free")
        };
        let far = make("far", DatagramOptions::default());
        let options = if is_connected {
            DatagramOptions::default().remote(far.local_address().expect("it has one"))
        } else {
            DatagramOptions::default()
        };
        Self {
            near: Some(make("near", options)),
            ctx: Some(ctx),
            held: Vec::new(),
            far,
            _directory: directory,
        }
    }

    fn near(&self) -> &Datagram {
        self.near
            .as_ref()
            .expect("it is there until its last handle goes")
    }

    /// Sends until a send has to wait, and returns that one.
    fn fill(&self) -> Request<Vec<u8>, Failed<Vec<u8>>> {
        loop {
            let send = self.near().send_to(vec![0; 1000], None);
            settle(self.ctx().expect("it is there"));
            if !send.is_finished() {
                return send;
            }
        }
    }
}

impl Scene for Sockets {
    fn ctx(&self) -> Option<&Context> {
        self.ctx.as_ref()
    }

    fn relieve(&mut self) {
        self.held.clear();
    }
}

const COLUMNS: &[Column<Sockets>] = &[
    ("recv_from", |sockets| sockets.near().recv_from().into()),
    ("send_to", |sockets| {
        let to = sockets.far.local_address().ok();
        sockets.near().send_to(&b"x"[..], to.as_ref()).into()
    }),
    ("disconnect", |sockets| sockets.near().disconnect().into()),
    ("local_address", |sockets| {
        sockets.near().local_address().into()
    }),
    ("peer_address", |sockets| {
        sockets.near().peer_address().into()
    }),
];

const ROWS: &[Row<Kind, Sockets>] = &[
    ("a receive is outstanding", |kind| {
        let mut sockets = Sockets::new(kind);
        let receive = sockets.near().recv_from();
        sockets.held.push(Box::new(receive));
        sockets
    }),
    ("a send is outstanding", |_| {
        // UDP has room for every datagram, or drops it.
        let mut sockets = Sockets::new(Kind::Unix);
        let send = sockets.fill();
        sockets.held.push(Box::new(send));
        sockets
    }),
    ("there is no peer", |kind| Sockets::with(kind, false)),
    ("it was closed", |kind| {
        let sockets = Sockets::new(kind);
        sockets.near().abort();
        sockets
    }),
    ("its context is gone", |kind| {
        let mut sockets = Sockets::new(kind);
        sockets.ctx = None;
        sockets
    }),
];

pub(super) fn states(table: &Table) -> Complaints {
    super::states(table, KINDS, COLUMNS, ROWS)
}

const WAITING: &[Column<Sockets>] = &[
    ("recv_from", |sockets| sockets.near().recv_from().into()),
    ("send_to", |sockets| sockets.fill().into()),
];

const ENDINGS: &[Ending<Sockets>] = &[
    ("its deadline has passed", |_, going| going.time_out()),
    ("it was canceled", |_, going| going.cancel()),
    ("the endpoint was aborted", |sockets, _| {
        sockets.near().abort();
    }),
    ("the last handle is gone", |sockets, _| {
        drop(sockets.near.take());
    }),
];

pub(super) fn ends(table: &Table) -> Complaints {
    super::ends(table, &[Kind::Unix], Sockets::new, WAITING, ENDINGS)
}
