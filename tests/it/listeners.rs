//! The contract of listeners, kept by every kind there is.

use std::any::Any;
use std::io;

use tevent::{Context, Request};
use tevent_tests::contract::has_ipv6;
use tsocket::contract::listener::{Kind, Listening};
use tsocket::contract::{Subject, check};
use tsocket::{Address, Family, Stream, memory};
use tsocket_bsd::{ConnectOptions, ListenOptions};

fn listen(ctx: &Context, address: &Address, keep: Box<dyn Any>) -> io::Result<Listening> {
    let options = ListenOptions::default().backlog(16);
    let listener = tsocket_bsd::listen(ctx, address, &options)?;
    Ok(Listening { listener, keep })
}

fn connect(ctx: &Context, at: &Address) -> Request<Stream> {
    tsocket_bsd::connect(ctx, at, &ConnectOptions::default())
}

fn tcp(ctx: &Context, host: &str) -> io::Result<Listening> {
    let any_port = Address::from_strings(Family::Ip, Some(host), 0)?;
    listen(ctx, &any_port, Box::new(()))
}

fn unix(ctx: &Context) -> io::Result<Listening> {
    let directory = tempfile::tempdir()?;
    let address = Address::unix(directory.path().join("socket"))?;
    listen(ctx, &address, Box::new(directory))
}

const UNIX: Kind = Kind::new("unix", unix, connect);
const TCP4: Kind = Kind::new("tcp on IPv4", |ctx| tcp(ctx, "127.0.0.1"), connect);
const TCP6: Kind = Kind {
    is_here: has_ipv6,
    ..Kind::new("tcp on IPv6", |ctx| tcp(ctx, "::1"), connect)
};

fn memory(ctx: &Context) -> io::Result<Listening> {
    let address = Address::custom(memory::Name("door".to_owned()));
    let listener = memory::listen(ctx, &address)?;
    let keep = Box::new(());
    Ok(Listening { listener, keep })
}

const MEMORY: Kind = Kind::new("memory", memory, memory::connect);

macro_rules! kinds {
    ($($module:ident: $kind:ident,)*) => {
        $(
            mod $module {
                tsocket::listener_contract!(super::$kind);
            }
        )*
    };
}

kinds! {
    unix_streams: UNIX,
    tcp4: TCP4,
    tcp6: TCP6,
    memory_listeners: MEMORY,
}

#[test]
fn a_kind_that_is_not_here_is_held_to_nothing() {
    let absent = Kind {
        is_here: || false,
        ..Kind::new("absent", |_| unreachable!("it is not here"), connect)
    };
    for clause in Kind::CLAUSES {
        check(absent, clause.name());
    }
}
