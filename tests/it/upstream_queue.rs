//! Scenarios of queues: each turn is one pass, an eager one none, and a blocker holds the line.

use std::cell::RefCell;
use std::rc::Rc;

use tevent::{Queue, QueueEntry, Request};
use tevent_tests::{Log, expect_order, expect_silence, on_every_backend};

#[test]
fn every_turn_of_two_queues_is_one_pass() {
    on_every_backend(|ctx| {
        let log = Log::new();
        let queues = [Queue::new(ctx), Queue::new(ctx)];
        let entries: Vec<Rc<RefCell<Option<QueueEntry>>>> = (0..5).map(|_| Rc::default()).collect();
        for (tag, slot) in (1..).zip(&entries) {
            let (own, log) = (slot.clone(), log.clone());
            let entry = queues[usize::from(tag > 3)].add_entry(move |turn| {
                turn.unwrap();
                log.note(tag.to_string());
                drop(own.take());
            });
            slot.replace(Some(entry));
        }
        for done in 1..=5 {
            assert!(ctx.run_once().unwrap());
            assert_eq!(log.len(), done);
        }
        let order = log.take();
        let of_queue = |tags: &[&str]| -> Vec<String> {
            let ours = order.iter().filter(|tag| tags.contains(&tag.as_str()));
            ours.cloned().collect()
        };
        assert_eq!(of_queue(&["1", "2", "3"]), ["1", "2", "3"]);
        assert_eq!(of_queue(&["4", "5"]), ["4", "5"]);
        assert!(queues.iter().all(Queue::is_empty));
        ctx.run().unwrap();
    });
}

#[test]
fn an_eager_turn_is_inside_the_call_and_a_blocker_holds_the_line() {
    on_every_backend(|ctx| {
        let log = Log::new();
        let queue = Queue::new(ctx);
        let start = {
            let (log, ctx) = (log.clone(), ctx.clone());
            move |name: &'static str| {
                let (log, ctx) = (log.clone(), ctx.clone());
                move || {
                    log.note(name);
                    Request::<()>::finished(&ctx, "turn", Ok(()))
                }
            }
        };
        let eager = queue.add_eager(start("eager"));
        expect_order(&log, &["eager"]);
        ctx.run_until(eager).unwrap().unwrap();
        assert_eq!(queue.len(), 0);

        let trigger = log.noting("blocker");
        let blocker = queue.add_entry(trigger);
        assert!(ctx.run_once().unwrap());
        expect_order(&log, &["blocker"]);
        assert_eq!(queue.len(), 1);
        let behind = queue.add(start("behind"));
        expect_silence(ctx, &log);
        assert_eq!(queue.len(), 2);
        drop(blocker);
        assert_eq!(queue.len(), 1);
        assert!(ctx.run_once().unwrap());
        expect_order(&log, &["behind"]);
        ctx.run_until(behind).unwrap().unwrap();
    });
}
