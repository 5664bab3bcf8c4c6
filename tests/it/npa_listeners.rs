//! Listeners of named pipes: socket files, many handshakes at a time, and whom they keep out.

use std::cell::Cell;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use rustix::io::Errno;
use tempfile::TempDir;
use tevent::{Context, ManualClock};
use tevent_tests::contract::{done, end_of, expect_nothing_left, fails};
use tevent_tests::{expect_errno, on_every_backend, run_to, settle};
use tsocket::{Address, ListenerOps, Stream, memory, pdu};
use tsocket_bsd::{ConnectOptions, ListenOptions, connect as connect_plain};
use tsocket_npa::codec::{FileType, Level, Reply, Request};
use tsocket_npa::{
    AcceptOptions, DirectoryError, HandshakeError, Identity, Levels, Listener, NpDirectory,
    PeerPolicy, PipeName, connect, connect_over, listen,
};

/// A directory of pipes, and what to find in it.
struct Place {
    temporary: TempDir,
    directory: NpDirectory,
    name: PipeName,
}

impl Place {
    fn new() -> Self {
        let temporary = tempfile::tempdir().expect("there is room for a directory");
        let directory = NpDirectory::create_or_verify(temporary.path().join("np"));
        Self {
            directory: directory.expect("a new directory is good"),
            name: PipeName::new("Pipe").expect("that is a name"),
            temporary,
        }
    }

    #[track_caller]
    fn listener(&self, ctx: &Context, options: AcceptOptions) -> Listener {
        let socket = listen(ctx, &self.directory, &self.name).expect("the name is free");
        Listener::new(ctx, socket, options)
    }

    fn socket(&self) -> PathBuf {
        self.directory.socket_path(&self.name)
    }

    #[track_caller]
    fn connect(&self, ctx: &Context) -> tsocket_npa::Opened {
        let identity = Identity::anonymous();
        done(
            ctx,
            connect(
                ctx,
                self.directory.path(),
                &self.name,
                &identity,
                Levels::Any,
            ),
        )
    }

    /// A connection on which nothing is said.
    #[track_caller]
    fn silent(&self, ctx: &Context) -> Stream {
        let address = Address::unix(self.socket()).expect("the path is short");
        done(
            ctx,
            connect_plain(ctx, &address, &ConnectOptions::default()),
        )
    }
}

#[test]
fn the_socket_has_the_name_in_lower_case_and_goes_with_its_listener() {
    on_every_backend(|ctx| {
        let place = Place::new();
        assert!(place.socket().ends_with("np/pipe"));
        let listener = place.listener(ctx, AcceptOptions::default());
        let mode = fs::metadata(place.socket()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let address = listener.local_address().unwrap();
        assert_eq!(address.unix_path().unwrap(), place.socket());
        drop(listener);
        assert!(!place.socket().exists());
        expect_nothing_left(ctx);
    });
}

#[test]
fn a_stale_socket_is_replaced_and_anything_else_is_not() {
    let ctx = Context::new().unwrap();
    let place = Place::new();
    drop(UnixListener::bind(place.socket()).unwrap());
    let listener = place.listener(&ctx, AcceptOptions::default());
    expect_errno(
        listen(&ctx, &place.directory, &place.name),
        Errno::ADDRINUSE,
    );
    place.connect(&ctx);
    drop(listener);
    fs::write(place.socket(), "a file").unwrap();
    expect_errno(
        listen(&ctx, &place.directory, &place.name),
        Errno::ADDRINUSE,
    );
    let long = PipeName::new(&"n".repeat(PipeName::MAX_LEN)).unwrap();
    expect_errno(listen(&ctx, &place.directory, &long), Errno::NAMETOOLONG);
}

#[test]
fn a_directory_that_others_can_enter_is_refused_by_name_and_mode() {
    let place = Place::new();
    let path = place.directory.path();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    let error = NpDirectory::create_or_verify(path).unwrap_err();
    assert!(matches!(error, DirectoryError::Mode { mode: 0o755, .. }));
    let text = format!("{} has mode 0755, it has to have 0700", path.display());
    assert_eq!(error.to_string(), text);
    expect_errno(Err::<(), _>(io::Error::from(error)), Errno::PERM);
    drop(place.temporary);
}

#[test]
fn pipes_are_opened_while_other_peers_say_nothing() {
    on_every_backend(|ctx| {
        let place = Place::new();
        let listener = place.listener(ctx, AcceptOptions::default());
        let silent: Vec<_> = (0..10).map(|_| place.silent(ctx)).collect();
        for _ in 0..3 {
            let client = place.connect(ctx);
            let server = done(ctx, listener.accept());
            done(ctx, client.pipe.write_message(&b"at once"[..]));
            assert_eq!(&*done(ctx, server.pipe.read_message()), b"at once");
        }
        drop((silent, listener));
        expect_nothing_left(ctx);
    });
}

#[test]
fn handshakes_are_done_whether_or_not_somebody_waits_and_counted() {
    on_every_backend(|ctx| {
        let place = Place::new();
        let listener = place.listener(ctx, AcceptOptions::default());
        let listener = listener.max_handshakes(3);
        // Nobody accepts, and yet three clients are answered.
        let clients: Vec<_> = (0..3).map(|_| place.connect(ctx)).collect();
        let identity = Identity::anonymous();
        let fourth = connect(
            ctx,
            place.directory.path(),
            &place.name,
            &identity,
            Levels::Any,
        );
        settle(ctx);
        assert!(!fourth.is_finished(), "there is no room");
        let first = done(ctx, listener.accept());
        done(ctx, fourth);
        done(ctx, clients[0].pipe.write_message(&b"the first"[..]));
        assert_eq!(&*done(ctx, first.pipe.read_message()), b"the first");
        for _ in 0..3 {
            done(ctx, listener.accept());
        }
    });
}

#[test]
fn a_second_accept_is_refused_and_a_dropped_one_loses_nothing() {
    let ctx = Context::new().unwrap();
    let place = Place::new();
    let listener = place.listener(&ctx, AcceptOptions::default());
    let first = listener.accept();
    fails(&ctx, listener.accept(), Errno::BUSY);
    drop(first);
    drop(listener.accept());
    let client = place.connect(&ctx);
    done(&ctx, listener.accept());
    drop(client);
}

#[test]
fn a_listener_that_is_dropped_takes_everything_but_open_pipes_with_it() {
    let ctx = Context::new().unwrap();
    let place = Place::new();
    let listener = place.listener(&ctx, AcceptOptions::default());
    let client = place.connect(&ctx);
    let server = done(&ctx, listener.accept());
    let silent = place.silent(&ctx);
    settle(&ctx);
    let waiting = listener.accept();
    drop(listener);
    assert!(!place.socket().exists());
    fails(&ctx, waiting, Errno::CONNABORTED);
    assert!(done(&ctx, silent.read(1)).is_empty(), "it is closed");
    done(&ctx, client.pipe.write_message(&b"still here"[..]));
    assert_eq!(&*done(&ctx, server.pipe.read_message()), b"still here");
    drop((client, server));
    expect_nothing_left(&ctx);
}

/// Has no descriptors left at first, then one connection, whose other end it gives away.
struct Poor {
    shortages: u32,
    is_spent: bool,
    end: Rc<Cell<Option<Stream>>>,
}

impl ListenerOps for Poor {
    fn try_accept(&mut self, ctx: &Context) -> io::Result<(Stream, Address)> {
        if self.shortages > 0 {
            self.shortages -= 1;
            return Err(Errno::MFILE.into());
        }
        if self.is_spent {
            return Err(Errno::WOULDBLOCK.into());
        }
        self.is_spent = true;
        let (near, far) = memory::stream_pair(ctx);
        self.end.set(Some(near));
        Ok((far, Address::unix_unnamed()))
    }

    fn local_address(&self) -> io::Result<Address> {
        Ok(Address::unix_unnamed())
    }

    fn unwanted(&mut self) {}
}

#[test]
fn accepting_rests_while_there_are_no_descriptors_left() {
    let clock = ManualClock::new();
    let ctx = Context::builder().manual_clock(&clock).build().unwrap();
    let end: Rc<Cell<Option<Stream>>> = Rc::default();
    let poor = Poor {
        shortages: 2,
        is_spent: false,
        end: end.clone(),
    };
    let poor = tsocket::Listener::new(&ctx, |_| Ok(Box::new(poor)));
    let options = AcceptOptions::default().peers(PeerPolicy::Trusted);
    let told = Rc::new(Cell::new(0));
    let count = told.clone();
    let listener = Listener::new(&ctx, poor.unwrap(), options);
    let listener = listener.on_failure(move |error| {
        assert!(matches!(error, HandshakeError::Io(_)), "{error}");
        count.set(count.get() + 1);
    });
    for shortages in 1..=2 {
        run_to(&ctx, || told.get() == shortages);
        settle(&ctx);
        assert_eq!(told.get(), shortages, "it rests");
        clock.advance(Duration::from_millis(100));
    }
    settle(&ctx);
    let near = end.take().expect("there was a descriptor");
    let client = connect_over(&ctx, near, &Identity::anonymous(), Level::L8);
    done(&ctx, client);
    done(&ctx, listener.accept());
}

#[test]
fn failures_are_told_and_cost_only_their_connection() {
    let clock = ManualClock::new();
    let ctx = Context::builder().manual_clock(&clock).build().unwrap();
    let place = Place::new();
    let failures = Rc::new(Cell::new(0));
    let count = failures.clone();
    let options = AcceptOptions::default().timeout(Duration::from_secs(5));
    let listener = place.listener(&ctx, options).on_failure(move |error| {
        let is_timeout =
            matches!(error, HandshakeError::Io(error) if error.kind() == io::ErrorKind::TimedOut);
        assert!(
            is_timeout || matches!(error, HandshakeError::Closed),
            "{error}"
        );
        count.set(count.get() + 1);
    });
    let silent = place.silent(&ctx);
    let rude = place.silent(&ctx);
    drop(rude);
    run_to(&ctx, || failures.get() == 1);
    clock.advance(Duration::from_secs(5));
    run_to(&ctx, || failures.get() == 2);
    assert!(done(&ctx, silent.read(1)).is_empty(), "it is closed");
    place.connect(&ctx);
    done(&ctx, listener.accept());
}

#[test]
fn levels_are_tried_on_fresh_connections_until_one_is_answered() {
    // A service of Samba closes without an answer when the level is not its own.
    let ctx = Context::new().unwrap();
    let place = Place::new();
    let address = Address::unix(place.socket()).unwrap();
    let plain = tsocket_bsd::listen(&ctx, &address, &ListenOptions::default()).unwrap();
    let asked = Rc::new(Cell::new(0));
    let (count, weak) = (asked.clone(), ctx.downgrade());
    let server = plain.serve(tsocket::Limits::default(), move |stream, _| {
        let count = count.clone();
        weak.upgrade().unwrap().spawn(async move {
            let packet = stream.read_pdu(pdu::u32_be(1 << 16)).await?;
            count.set(count.get() + 1);
            if Request::decode(&packet).unwrap().level == Level::L5 {
                let reply = Reply::accept(Level::L5, FileType::MESSAGE_MODE);
                stream.writev(reply.encode().to_vec()).await?;
            }
            stream.disconnect().await
        })
    });
    let identity = Identity::system();
    let open = |levels| connect(&ctx, place.directory.path(), &place.name, &identity, levels);
    let opened = done(&ctx, open(Levels::Any));
    assert_eq!((opened.level, asked.get()), (Level::L5, 3));
    let error = end_of(&ctx, open(Levels::Only(Level::L4))).unwrap_err();
    assert!(matches!(error, HandshakeError::Closed), "{error}");
    assert_eq!(asked.get(), 4);
    drop(server);
}

#[test]
fn a_pipe_that_nobody_offers_is_not_there() {
    let ctx = Context::new().unwrap();
    let place = Place::new();
    let open = || {
        let identity = Identity::anonymous();
        let opening = connect(
            &ctx,
            place.directory.path(),
            &place.name,
            &identity,
            Levels::Any,
        );
        io::Error::from(end_of(&ctx, opening).unwrap_err())
    };
    expect_errno(Err::<(), _>(open()), Errno::NOENT);
    drop(UnixListener::bind(place.socket()).unwrap());
    expect_errno(Err::<(), _>(open()), Errno::CONNREFUSED);
    assert!(UnixStream::connect(place.socket()).is_err());
}
