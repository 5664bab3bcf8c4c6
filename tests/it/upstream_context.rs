//! Scenarios `context` and `fd_speed`: pipes and signals at once, and a pipe with idle company.

use std::cell::Cell;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::Duration;

use tevent::{Context, Delivery, FdEvent, Interest, Readiness, Signal, Timer};
use tevent_tests::{alone_with_signals, on_every_backend, raise, run_to, scaled};

const USR1: i32 = Signal::USR1;
const ALRM: i32 = 14;

const WATCHED: &str = "a pipe can be watched";

type Event = FdEvent<Rc<OwnedFd>>;

fn counter() -> Rc<Cell<usize>> {
    Rc::default()
}

fn add(counter: &Cell<usize>, count: usize) {
    counter.set(counter.get() + count);
}

fn times(told: &Delivery) -> usize {
    told.count.try_into().expect("so many fit")
}

fn read_one(reader: &OwnedFd) {
    let mut byte = [0];
    assert_eq!(rustix::io::read(reader, &mut byte), Ok(1));
}

/// An event that asks for what its end of a pipe never has.
fn idle(ctx: &Context, fd: &Rc<OwnedFd>, interest: Interest) -> Event {
    let never = |told: Readiness| panic!("a pipe has one direction, told {told:?}");
    FdEvent::new(ctx, fd.clone(), interest, never).expect(WATCHED)
}

/// A pipe whose writer writes a byte whenever there is room.
fn busy_pipe(ctx: &Context) -> (Rc<OwnedFd>, Event) {
    let (reader, writer) = rustix::pipe::pipe().expect("the system has a pipe");
    let writer = Rc::new(writer);
    let into = writer.clone();
    let write = move |told| {
        assert_eq!(told, Readiness::WRITE);
        assert_eq!(rustix::io::write(&into, b"!"), Ok(1));
    };
    let event = FdEvent::new(ctx, writer, Interest::WRITE, write).expect(WATCHED);
    (Rc::new(reader), event)
}

#[test]
fn every_signal_that_a_reader_raises_is_counted_once_by_each_handler() {
    let _alone = alone_with_signals();
    on_every_backend(|ctx| {
        let (reads, alarms, users) = (counter(), counter(), counter());
        let (reader, writing) = busy_pipe(ctx);
        let (from, seen) = (reader.clone(), reads.clone());
        let read = move |told| {
            assert_eq!(told, Readiness::READ);
            raise(USR1);
            raise(ALRM);
            read_one(&from);
            add(&seen, 1);
        };
        let reading = FdEvent::new(ctx, reader.clone(), Interest::READ, read).unwrap();
        let idle_reader = idle(ctx, &reader, Interest::WRITE);
        let idle_writer = idle(ctx, writing.get_ref(), Interest::READ);

        let seen = alarms.clone();
        let always = Signal::new(ctx, ALRM, move |told| add(&seen, times(&told))).unwrap();
        let seen = alarms.clone();
        let once = Signal::once(ctx, ALRM, move |told| add(&seen, times(&told))).unwrap();
        let seen = users.clone();
        let user = Signal::new(ctx, USR1, move |told| add(&seen, times(&told))).unwrap();

        let is_over = Rc::new(Cell::new(false));
        let over = is_over.clone();
        let timer = Timer::new(ctx, move || over.set(true));
        timer.arm_after(Duration::from_millis(scaled(100, 2_000) as u64));
        run_to(ctx, || is_over.get());
        drop((idle_reader, idle_writer, reading, writing));
        run_to(ctx, || {
            alarms.get() > reads.get() && users.get() >= reads.get()
        });
        assert!(reads.get() > 0);
        assert_eq!(alarms.get(), reads.get() + 1, "one handler ran only once");
        assert_eq!(users.get(), reads.get());
        drop((always, once, user));
        ctx.run().unwrap();
    });
}

#[test]
fn a_pipe_is_read_to_the_end_whatever_idle_company_it_has() {
    on_every_backend(|ctx| {
        let goal = scaled(20_000, 1_000_000);
        for company in [0, 2, 4] {
            let reads = counter();
            let (reader, writing) = busy_pipe(ctx);
            let (from, seen) = (reader.clone(), reads.clone());
            let read = move |told| {
                assert_eq!(told, Readiness::READ);
                read_one(&from);
                add(&seen, 1);
            };
            let _reading = FdEvent::new(ctx, reader.clone(), Interest::READ, read).unwrap();
            let ends = [
                (&reader, Interest::WRITE),
                (writing.get_ref(), Interest::READ),
            ];
            let _idle: Vec<_> = (0..company)
                .map(|index| idle(ctx, ends[index % 2].0, ends[index % 2].1))
                .collect();
            run_to(ctx, || reads.get() == goal);
        }
    });
}
