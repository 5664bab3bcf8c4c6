//! Descriptors that are not waited for: regular files run like all others, and keep nobody waiting.
#![cfg(target_os = "linux")] // Elsewhere the kernel itself watches files, each in its own way.

use std::cell::{Cell, RefCell};
use std::fs::File;
use std::rc::Rc;
use std::time::Duration;

use tevent::{FdEvent, Interest, Readiness, Timer};
use tevent_tests::{
    Log, expect_order, expect_silence, on_every_backend, run_to, settle, socket_pair, write_byte,
};

fn file() -> Rc<File> {
    Rc::new(tempfile::tempfile().expect("there is a place for files"))
}

#[test]
fn a_regular_file_is_ready_at_once_for_what_is_asked() {
    on_every_backend(|ctx| {
        for (interest, told) in [
            (Interest::READ, Readiness::READ),
            (Interest::WRITE, Readiness::WRITE),
            (
                Interest::READ | Interest::WRITE | Interest::ERROR,
                Readiness::READ | Readiness::WRITE,
            ),
        ] {
            let seen = Rc::new(Cell::new(Readiness::NONE));
            let note = seen.clone();
            let event = FdEvent::new(ctx, file(), interest, move |told| note.set(told)).unwrap();
            assert!(ctx.run_once().unwrap());
            assert_eq!(seen.get(), told, "{interest:?}");
            drop(event);
        }
        ctx.run().unwrap();
    });
}

#[test]
fn a_file_does_not_starve_a_descriptor_or_a_timer() {
    on_every_backend(|ctx| {
        let log = Log::new();
        let runs = Rc::new(Cell::new(0));
        let count = runs.clone();
        let files: Vec<_> = (0..3)
            .map(|_| {
                let count = count.clone();
                FdEvent::new(ctx, file(), Interest::READ, move |_| {
                    count.set(count.get() + 1);
                })
                .unwrap()
            })
            .collect();
        let (near, far) = socket_pair();
        let _event = FdEvent::new(ctx, near, Interest::READ, log.noting("socket")).unwrap();
        write_byte(&far);
        let timer = Timer::new(ctx, log.calling("timer"));
        timer.arm(ctx.now());
        for _ in 0..5 {
            assert!(ctx.run_once().unwrap());
        }
        assert_eq!(runs.get(), files.len(), "each once a round");
        expect_order(&log, &["timer", "socket"]);
    });
}

#[test]
fn events_on_one_file_take_turns_and_silent_ones_are_passed_over() {
    on_every_backend(|ctx| {
        let (log, file) = (Log::new(), file());
        let first = FdEvent::new(ctx, file.clone(), Interest::READ, log.noting("1")).unwrap();
        let second = FdEvent::new(ctx, file.clone(), Interest::WRITE, log.noting("2")).unwrap();
        let third = FdEvent::new(ctx, file, Interest::NONE, log.noting("3")).unwrap();
        run_to(ctx, || log.len() == 4);
        expect_order(&log, &["1", "2", "1", "2"]);
        first.set_interest(Interest::NONE).unwrap();
        third.set_interest(Interest::READ).unwrap();
        drop(second);
        run_to(ctx, || log.len() == 2);
        expect_order(&log, &["3", "3"]);
    });
}

#[test]
fn a_file_that_nobody_asks_for_costs_no_rounds() {
    on_every_backend(|ctx| {
        let log = Log::new();
        let event = FdEvent::new(ctx, file(), Interest::READ, log.noting("file")).unwrap();
        run_to(ctx, || !log.is_empty());
        expect_order(&log, &["file"]);
        event.set_interest(Interest::NONE).unwrap();
        expect_silence(ctx, &log);
        let timer = Timer::new(ctx, log.calling("timer"));
        timer.arm_after(Duration::from_millis(20));
        let waits = ctx.stats().waits;
        ctx.run().unwrap();
        expect_order(&log, &["timer"]);
        assert!(ctx.stats().waits - waits <= 3, "it waited for the timer");
        event.set_interest(Interest::WRITE).unwrap();
        assert!(ctx.run_once().unwrap());
        expect_order(&log, &["file"]);
    });
}

#[test]
fn a_handler_may_drop_the_files_that_are_next() {
    on_every_backend(|ctx| {
        let files: Rc<RefCell<Vec<FdEvent<Rc<File>>>>> = Rc::default();
        let log = Log::new();
        for _ in 0..3 {
            let (files_left, log) = (files.clone(), log.clone());
            let event = FdEvent::new(ctx, file(), Interest::READ, move |_| {
                log.note("file");
                let all = files_left.take();
                drop(all);
            });
            files.borrow_mut().push(event.unwrap());
        }
        settle(ctx);
        ctx.run().unwrap();
        expect_order(&log, &["file"]);
        // A socket that gets the number of a file is watched as one.
        let (near, far) = socket_pair();
        let _event = FdEvent::new(ctx, near, Interest::READ, log.noting("socket")).unwrap();
        expect_silence(ctx, &log);
        write_byte(&far);
        run_to(ctx, || !log.is_empty());
        expect_order(&log, &["socket"]);
    });
}
