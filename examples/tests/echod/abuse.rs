//! Whatever clients do, nothing of them stays behind.

use std::time::Duration;

use super::client::Client;
use super::daemon::{Daemon, Kind};
use super::figures::{descriptors, expect_idle, memory, pass};
use super::patience::{LIMIT, tell, until};
use super::pattern::{Random, seed};

/// How many clients of each kind of abuse there are, all in all.
const COUNT_EACH: usize = 200;

/// How many clients of each kind of abuse are connected at the same time.
const WAVE_LEN: usize = 20;

/// The most that a client writes without reading, before it goes away.
const UNREAD_MAX_LEN: usize = 512 << 10;

const KINDS: [Kind; 2] = [Kind::Tcp, Kind::Unix];

/// What a client does to the daemon.
#[derive(Clone, Copy, Debug)]
enum Abuse {
    /// Connects, says nothing, and goes away.
    Silence,
    /// Goes away while bytes are on their way in both directions.
    Death,
    /// Goes away with a reset (`SO_LINGER` 0) after the first answer.
    Reset,
    /// Connects and resets at once.
    EarlyReset,
    /// Sends the beginning of a frame, and goes away.
    HalfFrame,
}

impl Abuse {
    #[track_caller]
    fn begin(self, client: &mut Client, hello: &[u8]) {
        match self {
            Self::Silence | Self::EarlyReset => {}
            Self::Death => {
                client.stuff(UNREAD_MAX_LEN, Duration::ZERO);
            }
            Self::Reset => client.expect_echo(hello),
            Self::HalfFrame => client.send(&[0, 0, 4, 0, 1, 2, 3]),
        }
    }

    #[track_caller]
    fn end(self, client: Client) {
        match self {
            Self::Silence | Self::Death | Self::HalfFrame => drop(client),
            Self::Reset | Self::EarlyReset => client.reset(),
        }
    }
}

/// The requests that the dump tells of: its lines that name a place in a source file.
fn requests(dump: &[String]) -> Vec<&String> {
    dump.iter().filter(|line| line.contains(".rs:")).collect()
}

/// What the daemon holds on to: its descriptors and the numbers of lines and requests in its dump.
fn holdings(daemon: &mut Daemon) -> (usize, usize, usize) {
    let dump = daemon.dump();
    (descriptors(daemon.pid()), dump.len(), requests(&dump).len())
}

#[track_caller]
fn expect_nothing_stays(mode: &str, hello: &[u8], abuses: &[Abuse]) {
    let mut random = Random::new(seed());
    let mut daemon = Daemon::listening(&KINDS, &["--mode", mode]);
    // The witness was there before, is served all the time, and stays.
    let mut witness = Client::connect(&daemon, Kind::Tcp);
    witness.expect_echo(hello);
    let before = until("the daemon comes to rest", LIMIT, || {
        let (one, two) = (holdings(&mut daemon), holdings(&mut daemon));
        if one == two {
            Ok(one)
        } else {
            Err(format!("it holds {one:?}, then {two:?}"))
        }
    });
    assert!(
        before.2 > 0,
        "the dump names no request: {:?}",
        daemon.dump()
    );
    let memory_before = memory(daemon.pid());
    for wave in 0..COUNT_EACH / WAVE_LEN {
        let mut clients: Vec<_> = (0..WAVE_LEN * abuses.len())
            .map(|index| {
                let kind = KINDS[(wave + index / abuses.len()) % KINDS.len()];
                (abuses[index % abuses.len()], Client::connect(&daemon, kind))
            })
            .collect();
        for (abuse, client) in &mut clients {
            abuse.begin(client, hello);
        }
        witness.expect_echo(hello);
        while !clients.is_empty() {
            let (abuse, client) = clients.swap_remove(random.size(clients.len()) - 1);
            abuse.end(client);
        }
    }
    // Connections are accepted in order: when these are served, all those before were accepted.
    for kind in KINDS {
        Client::connect(&daemon, kind).expect_echo(hello);
    }
    until("all that clients left is given up", LIMIT, || {
        let after = holdings(&mut daemon);
        let differ = || format!("descriptors, lines, requests were {before:?} and are {after:?}");
        if after == before {
            Ok(())
        } else {
            Err(differ())
        }
    });
    let memory_after = memory(daemon.pid());
    tell(&format!(
        "{mode}: memory was {memory_before} KiB and is {memory_after} KiB"
    ));
    expect_idle(daemon.pid(), || pass(Duration::from_millis(200)));
    witness.expect_echo(hello);
}

#[test]
fn clients_that_die_reset_or_say_nothing_leave_nothing_behind() {
    let abuses = [
        Abuse::Silence,
        Abuse::Death,
        Abuse::Reset,
        Abuse::EarlyReset,
    ];
    expect_nothing_stays("echo", b"hello", &abuses);
}

#[test]
fn clients_that_leave_within_a_frame_leave_nothing_behind() {
    let abuses = [Abuse::Silence, Abuse::Death, Abuse::Reset, Abuse::HalfFrame];
    expect_nothing_stays("frame", b"\0\0\0\x05hello", &abuses);
}

#[test]
fn clients_that_go_while_the_daemon_is_held_up_leave_nothing_behind() {
    let mut daemon = Daemon::listening(&KINDS, &[]);
    let mut witness = Client::connect(&daemon, Kind::Unix);
    witness.expect_echo(b"hello");
    let before = descriptors(daemon.pid());
    let requests_before = requests(&daemon.dump()).len();
    for kind in KINDS {
        let mut served: Vec<_> = (0..10).map(|_| Client::connect(&daemon, kind)).collect();
        for client in &mut served {
            client.expect_echo(b"hello");
        }
        // All of this reaches the daemon at once: bytes, ends and resets, of old and new connections.
        daemon.pause();
        served.extend((0..10).map(|_| Client::connect(&daemon, kind)));
        for (index, mut client) in served.into_iter().enumerate() {
            match index % 5 {
                0 => client.send_with_end(b"data and end"),
                1 => client.reset(),
                2 => {
                    client.send(b"data and reset");
                    client.reset();
                }
                3 => client.half_close(),
                _ => drop(client),
            }
        }
        daemon.resume();
    }
    for kind in KINDS {
        Client::connect(&daemon, kind).expect_echo(b"hello");
    }
    until("all that clients left is given up", LIMIT, || {
        let (after, requests_after) = (descriptors(daemon.pid()), requests(&daemon.dump()).len());
        let differ = || {
            format!(
                "descriptors {before} -> {after}, requests {requests_before} -> {requests_after}"
            )
        };
        if (before, requests_before) == (after, requests_after) {
            Ok(())
        } else {
            Err(differ())
        }
    });
    witness.expect_echo(b"hello");
}
