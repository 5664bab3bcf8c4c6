//! Listeners in every state, and what ends their accepts.

use std::any::Any;

use tempfile::TempDir;
use tevent::Context;
use tsocket::{Address, Family, Listener};
use tsocket_bsd::{ListenOptions, listen};

use super::table::Table;
use super::{Column, Complaints, Ending, Row, Scene, context};

#[derive(Clone, Copy)]
enum Kind {
    Tcp,
    Unix,
}

const KINDS: &[Kind] = &[Kind::Tcp, Kind::Unix];

struct Listening {
    ctx: Option<Context>,
    listener: Option<Listener>,
    held: Vec<Box<dyn Any>>,
    _directory: TempDir,
}

impl Listening {
    fn new(kind: Kind) -> Self {
        let ctx = context();
        let directory = tempfile::tempdir().expect("there is room for a directory");
        let local = match kind {
            Kind::Tcp => Address::from_strings(Family::Ipv4, Some("127.0.0.1"), 0),
            Kind::Unix => Address::unix(directory.path().join("socket")),
        };
        let local = local.expect("that is an address");
        let listener = listen(&ctx, &local, &ListenOptions::default());
        Self {
            listener: Some(listener.expect("the address is free")),
            ctx: Some(ctx),
            held: Vec::new(),
            _directory: directory,
        }
    }

    fn listener(&self) -> &Listener {
        self.listener
            .as_ref()
            .expect("it is there until its last handle goes")
    }
}

impl Scene for Listening {
    fn ctx(&self) -> Option<&Context> {
        self.ctx.as_ref()
    }

    fn relieve(&mut self) {
        self.held.clear();
    }
}

const ACCEPT: Column<Listening> = ("accept", |scene| scene.listener().accept().into());

const COLUMNS: &[Column<Listening>] = &[
    ACCEPT,
    ("local_address", |scene| {
        scene.listener().local_address().into()
    }),
];

const ROWS: &[Row<Kind, Listening>] = &[
    ("an accept is outstanding", |kind| {
        let mut scene = Listening::new(kind);
        let accept = scene.listener().accept();
        scene.held.push(Box::new(accept));
        scene
    }),
    ("it was closed", |kind| {
        let scene = Listening::new(kind);
        scene.listener().abort();
        scene
    }),
    ("its context is gone", |kind| {
        let mut scene = Listening::new(kind);
        scene.ctx = None;
        scene
    }),
];

pub(super) fn states(table: &Table) -> Complaints {
    super::states(table, KINDS, COLUMNS, ROWS)
}

const ENDINGS: &[Ending<Listening>] = &[
    ("its deadline has passed", |_, going| going.time_out()),
    ("it was canceled", |_, going| going.cancel()),
    ("the listener was aborted", |scene, _| {
        scene.listener().abort();
    }),
    ("the last handle is gone", |scene, _| {
        drop(scene.listener.take());
    }),
];

pub(super) fn ends(table: &Table) -> Complaints {
    super::ends(table, KINDS, Listening::new, &[ACCEPT], ENDINGS)
}
