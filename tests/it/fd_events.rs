//! Descriptors: what is told for what is asked, sharing, and changes from within handlers.

use std::cell::{Cell, RefCell};
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::time::Duration;

use rustix::io::Errno;
use tevent::{Context, FdEvent, Interest, Readiness, Timer};
use tevent_tests::{
    Drops, Log, expect_order, expect_silence, on_every_backend, read_byte, run_to, settle,
    socket_pair, write_byte,
};

const R: Interest = Interest::READ;
const W: Interest = Interest::WRITE;
const E: Interest = Interest::ERROR;

/// Notes what it is told, as `name READ|WRITE`.
fn noting_readiness(log: &Log, name: &'static str) -> impl Fn(Readiness) + use<> {
    let log = log.clone();
    move |told| log.note(format!("{name} {}", flags(told)))
}

fn flags(told: Readiness) -> String {
    let text = format!("{told:?}");
    text["Readiness(".len()..text.len() - 1].to_owned()
}

/// What one event that asks for `interest` is told, and what it asks for afterwards.
fn told(
    ctx: &Context,
    interest: Interest,
    prepare: impl Fn(UnixStream) -> Option<UnixStream>,
) -> String {
    let (near, far) = socket_pair();
    let log = Log::new();
    let event = FdEvent::new(ctx, near, interest, noting_readiness(&log, "")).expect("it works");
    let far = prepare(far);
    settle(ctx);
    let all = log.take();
    assert!(all.iter().all(|entry| *entry == all[0]), "{all:?}");
    drop(far);
    let first = all.first().map_or("-", |entry| entry.trim()).to_owned();
    if event.interest() == interest {
        first
    } else {
        format!("{first} then {:?}", event.interest())
    }
}

#[test]
fn what_is_told_of_an_idle_a_half_closed_and_a_closed_stream() {
    on_every_backend(|ctx| {
        let idle = |far| Some(far);
        let half = |far: UnixStream| {
            far.shutdown(Shutdown::Write).unwrap();
            Some(far)
        };
        let closed = |_| None;
        let all = R | W | E;
        let matrix = [
            (W, "WRITE", "WRITE", "- then Interest()"),
            (R, "-", "READ", "READ"),
            (E, "-", "-", "ERROR"),
            (W | E, "WRITE", "WRITE", "WRITE|ERROR"),
            (R | W, "WRITE", "READ|WRITE", "READ|WRITE"),
            (R | E, "-", "READ", "READ|ERROR"),
            (all, "WRITE", "READ|WRITE", "READ|WRITE|ERROR"),
        ];
        for (interest, when_idle, when_half, when_closed) in matrix {
            assert_eq!(told(ctx, interest, idle), when_idle, "{interest:?} idle");
            assert_eq!(
                told(ctx, interest, half),
                when_half,
                "{interest:?} half closed"
            );
            assert_eq!(
                told(ctx, interest, closed),
                when_closed,
                "{interest:?} closed"
            );
        }
    });
}

#[test]
fn a_writer_whose_peer_hangs_up_stops_asking_and_does_not_spin() {
    on_every_backend(|ctx| {
        let (reader, writer) = rustix::pipe::pipe().unwrap();
        let log = Log::new();
        let event = FdEvent::new(ctx, writer, W, log.noting("written")).unwrap();
        drop(reader);
        // Nothing else is there, so the loop ends as soon as the event has stopped asking.
        ctx.run().unwrap();
        expect_order(&log, &[]);
        assert_eq!(event.interest(), Interest::NONE);
        event.set_interest(W | E).unwrap();
        run_to(ctx, || !log.is_empty());
    });
}

#[test]
fn an_error_is_not_remembered_once_interest_has_changed() {
    on_every_backend(|ctx| {
        let (near, far) = socket_pair();
        far.shutdown(Shutdown::Write).unwrap();
        let log = Log::new();
        let event = FdEvent::new(ctx, near, R | W, noting_readiness(&log, "fd")).unwrap();
        assert!(ctx.run_once().unwrap());
        expect_order(&log, &["fd READ|WRITE"]);
        event.set_interest(W).unwrap();
        assert!(ctx.run_once().unwrap());
        expect_order(&log, &["fd WRITE"]);
        assert_eq!(event.interest(), W);
    });
}

#[test]
fn interest_that_was_taken_back_costs_one_wait_and_then_silence() {
    on_every_backend(|ctx| {
        let (near, far) = socket_pair();
        let log = Log::new();
        let event = FdEvent::new(ctx, near, R, log.noting("fd")).unwrap();
        let registered = ctx.stats().registrations;
        event.set_interest(Interest::NONE).unwrap();
        assert_eq!(
            ctx.stats().registrations,
            registered,
            "asking for less is free"
        );
        drop(far);
        let timer = Timer::new(ctx, log.calling("timer"));
        timer.arm_after(Duration::from_millis(30));
        let waits = ctx.stats().waits;
        ctx.run().unwrap();
        expect_order(&log, &["timer"]);
        let waits = ctx.stats().waits - waits;
        assert!(
            waits <= 4,
            "{waits} waits for a peer that nobody listens to"
        );
        event.set_interest(R).unwrap();
        assert!(ctx.run_once().unwrap());
        expect_order(&log, &["fd"]);
    });
}

#[test]
fn a_reader_that_stops_reading_does_not_make_a_writer_spin() {
    on_every_backend(|ctx| {
        let (mut near, mut far) = socket_pair();
        while near.write(&[0; 4096]).is_ok() {}
        far.write_all(b"unread").unwrap();
        let log = Log::new();
        let event = FdEvent::new(ctx, near, R | W, noting_readiness(&log, "fd")).unwrap();
        assert!(ctx.run_once().unwrap());
        expect_order(&log, &["fd READ"]);
        event.set_interest(W).unwrap();
        let timer = Timer::new(ctx, log.calling("timer"));
        timer.arm_after(Duration::from_millis(20));
        let waits = ctx.stats().waits;
        run_to(ctx, || !log.is_empty());
        expect_order(&log, &["timer"]);
        assert!(
            ctx.stats().waits - waits <= 4,
            "the unread bytes were reported again and again"
        );
        let mut all = Vec::new();
        far.read_to_end(&mut all).ok();
        run_to(ctx, || !log.is_empty());
        expect_order(&log, &["fd WRITE"]);
    });
}

#[test]
fn a_handler_that_leaves_something_unread_is_called_again() {
    on_every_backend(|ctx| {
        let (near, mut far) = socket_pair();
        far.write_all(b"four").unwrap();
        let near = Rc::new(near);
        let (socket, log) = (near.clone(), Log::new());
        let seen = log.clone();
        let _event = FdEvent::new(ctx, near, R, move |_| {
            read_byte(&socket);
            seen.note("byte");
        })
        .unwrap();
        run_to(ctx, || log.len() == 4);
        expect_order(&log, &["byte", "byte", "byte", "byte"]);
        expect_silence(ctx, &log);
    });
}

#[test]
fn events_that_share_a_descriptor_take_turns() {
    on_every_backend(|ctx| {
        let (near, far) = socket_pair();
        let near = Rc::new(near);
        let log = Log::new();
        let asks = [
            ("none", Interest::NONE),
            ("r1", R),
            ("w", W),
            ("r2", R),
            ("e", E),
            ("rw", R | W),
            ("we", W | E),
        ];
        let events: Vec<_> = asks
            .iter()
            .map(|(name, ask)| FdEvent::new(ctx, near.clone(), *ask, log.noting(name)).unwrap())
            .collect();
        let expect_turns = |eligible: &[&str]| {
            for _ in 0..127 {
                run_to(ctx, || log.len() >= eligible.len());
                let mut turn = log.take();
                turn.sort();
                assert_eq!(turn, eligible, "each once before any of them twice");
            }
        };
        expect_turns(&["rw", "w", "we"]);
        write_byte(&far);
        expect_turns(&["r1", "r2", "rw", "w", "we"]);
        read_byte(&near);
        expect_turns(&["rw", "w", "we"]);
        drop(far);
        expect_turns(&["e", "r1", "r2", "rw", "we"]);
        assert_eq!(
            events[2].interest(),
            Interest::NONE,
            "WRITE alone is stripped"
        );
    });
}

#[test]
fn readiness_is_a_part_of_what_the_event_asks_for() {
    on_every_backend(|ctx| {
        let (near, far) = socket_pair();
        write_byte(&far);
        let near = Rc::new(near);
        let log = Log::new();
        let reader = FdEvent::new(ctx, near.clone(), R, noting_readiness(&log, "r")).unwrap();
        let writer = FdEvent::new(ctx, near.clone(), W, noting_readiness(&log, "w")).unwrap();
        run_to(ctx, || log.len() == 2);
        let mut both = log.take();
        both.sort();
        assert_eq!(both, ["r READ", "w WRITE"]);
        drop(reader);
        run_to(ctx, || log.len() == 1);
        expect_order(&log, &["w WRITE"]);
        drop(writer);
        ctx.run().unwrap();
        expect_order(&log, &[]);
    });
}

/// Two descriptors are ready in one answer of the kernel; the first handler replaces both, and the
/// new ones have the same numbers.
#[test]
fn a_stale_answer_does_not_reach_the_new_tenant() {
    on_every_backend(|ctx| {
        let log = Log::new();
        let owned: Rc<RefCell<Vec<FdEvent>>> = Rc::default();
        let (idle, idle_peer) = socket_pair();
        let idle = Rc::new(idle);
        let mut peers = Vec::new();
        for _ in 0..2 {
            let (near, far) = socket_pair();
            write_byte(&far);
            peers.push(far);
            let (all, log, weak, idle) =
                (owned.clone(), log.clone(), ctx.downgrade(), idle.clone());
            let handler = move |_| {
                log.note("old");
                let ctx = weak.upgrade().unwrap();
                let old = all.take();
                assert_eq!(old.len(), 2);
                for event in old {
                    let mut fd = event.into_inner();
                    rustix::io::dup2(&idle, &mut fd).unwrap();
                    let event = FdEvent::new(&ctx, fd, R, log.noting("new"));
                    all.borrow_mut().push(event.unwrap());
                }
            };
            let event = FdEvent::new(ctx, OwnedFd::from(near), R, handler).unwrap();
            owned.borrow_mut().push(event);
        }
        let waits = ctx.stats().waits;
        assert!(ctx.run_once().unwrap());
        assert_eq!(ctx.stats().waits - waits, 1);
        expect_order(&log, &["old"]);
        expect_silence(ctx, &log);
        write_byte(&idle_peer);
        run_to(ctx, || log.len() == 2);
        expect_order(&log, &["new", "new"]);
    });
}

#[test]
fn a_handler_may_drop_its_own_event_and_change_others() {
    on_every_backend(|ctx| {
        let drops = Drops::new();
        let (near, far) = socket_pair();
        write_byte(&far);
        let (other_near, other_far) = socket_pair();
        write_byte(&other_far);
        let log = Log::new();
        let other = Rc::new(FdEvent::new(ctx, other_near, R, log.noting("other")).unwrap());
        let own: Rc<RefCell<Option<FdEvent<UnixStream>>>> = Rc::default();
        let (owner, tattle, seen) = (own.clone(), drops.tattle(), drops.clone());
        let silenced = other.clone();
        let event = FdEvent::new(ctx, near, R, move |_| {
            drop(owner.take());
            silenced.set_interest(Interest::NONE).unwrap();
            assert_eq!(seen.count(), 0, "a running handler is not dropped");
            tattle.hold();
        });
        other.set_interest(Interest::NONE).unwrap();
        own.replace(Some(event.unwrap()));
        other.set_interest(R).unwrap();
        run_to(ctx, || drops.count() == 1);
        log.take().clear();
        ctx.run().unwrap();
        expect_order(&log, &[]);
        other.set_interest(R).unwrap();
        run_to(ctx, || !log.is_empty());
        expect_order(&log, &["other"]);
        let mut far = far;
        assert_eq!(
            far.write(b"x").unwrap_err().raw_os_error(),
            Some(Errno::PIPE.raw_os_error())
        );
    });
}

#[test]
fn a_ping_pong_costs_one_wait_per_event_and_no_registration() {
    on_every_backend(|ctx| {
        const TURNS: usize = 1000;
        let (near, far) = socket_pair();
        let turns = Rc::new(Cell::new(0));
        let mut events = Vec::new();
        let ends = [Rc::new(near), Rc::new(far)];
        for end in &ends {
            let (socket, turns) = (end.clone(), turns.clone());
            let handler = move |_| {
                read_byte(&socket);
                turns.set(turns.get() + 1);
                write_byte(&socket);
            };
            events.push(FdEvent::new(ctx, end.clone(), R, handler).unwrap());
        }
        write_byte(&ends[0]);
        let before = ctx.stats();
        run_to(ctx, || turns.get() == TURNS);
        let spent = ctx.stats().since(&before);
        assert_eq!((spent.waits, spent.registrations), (TURNS as u64, 0));
    });
}

/// Sets of watched descriptors, each in the next, as many as the kernel follows.
#[cfg(target_os = "linux")]
fn nested_sets() -> Vec<OwnedFd> {
    use rustix::event::epoll;
    let mut sets: Vec<OwnedFd> = Vec::new();
    loop {
        let outer = epoll::create(epoll::CreateFlags::CLOEXEC).expect("the system has epoll");
        if let Some(inner) = sets.last() {
            let data = epoll::EventData::new_u64(0);
            if epoll::add(&outer, inner, data, epoll::EventFlags::IN).is_err() {
                return sets;
            }
        }
        assert!(sets.len() < 100, "the kernel follows for ever");
        sets.push(outer);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_descriptor_that_cannot_be_watched_comes_back() {
    on_every_backend(|ctx| {
        let mut sets = nested_sets();
        let set = sets.pop().unwrap();
        let number = set.as_raw_fd();
        let refused = FdEvent::new(ctx, set, R, |_| {}).unwrap_err();
        assert_eq!(
            refused.error.raw_os_error(),
            Some(Errno::LOOP.raw_os_error())
        );
        assert_eq!(refused.fd.as_raw_fd(), number);
        assert!(refused.to_string().contains("cannot be watched"));
        assert!(format!("{refused:?}").contains("FdError"));
        // It left nothing behind that keeps the loop going or the number from being used.
        ctx.run().unwrap();
        drop(refused);
        let (near, far) = socket_pair();
        write_byte(&far);
        let log = Log::new();
        let _event = FdEvent::new(ctx, near, R, log.noting("fd")).unwrap();
        assert!(ctx.run_once().unwrap());
        expect_order(&log, &["fd"]);
    });
}

#[test]
fn more_ready_descriptors_than_one_wait_brings_all_get_their_turn() {
    on_every_backend(|ctx| {
        // One wait brings 256; all are copies of one socket, for those with few descriptors.
        const COUNT: usize = 260;
        let log = Log::new();
        let (near, far) = socket_pair();
        write_byte(&far);
        let mut events = Vec::new();
        for index in 0..COUNT {
            let handler = log.noting(&index.to_string());
            events.push(FdEvent::new(ctx, near.try_clone().unwrap(), R, handler).unwrap());
        }
        for _ in 0..2 * COUNT {
            assert!(ctx.run_once().unwrap());
        }
        let mut seen = log.take();
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), COUNT);
    });
}

#[test]
fn an_event_shows_what_it_is() {
    let ctx = Context::new().unwrap();
    let (near, _far) = socket_pair();
    let number = near.as_raw_fd();
    let event = FdEvent::new(&ctx, near, R | E, |_| {}).unwrap();
    let expected = format!("FdEvent {{ fd: {number}, interest: Interest(READ|ERROR), .. }}");
    assert_eq!(format!("{event:?}"), expected);
    assert_eq!(event.into_inner().as_raw_fd(), number);
}
