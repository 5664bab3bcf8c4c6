//! Requests that consist of others which run at the same time: all of them, two, the first.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use rustix::io::Errno;
use tevent::{Completer, Context, Ended, Request, both, join, race};
use tevent_tests::{
    Drops, Log, expect_errno, expect_order, expect_silence, on_every_backend, settle,
};

/// Requests called "part", whose state tells `drops` when it is dropped, with their completers.
fn parts<const N: usize>(
    ctx: &Context,
    drops: &Drops,
) -> ([Request<usize>; N], Vec<Option<Completer<usize>>>) {
    let mut completers = Vec::new();
    let requests = std::array::from_fn(|_| {
        let (request, completer) = Request::pair(ctx, "part");
        let tattle = drops.tattle();
        completer.on_cleanup(move |_| tattle.hold());
        completers.push(Some(completer));
        request
    });
    (requests, completers)
}

fn tree(ctx: &Context) -> Vec<String> {
    let dump = ctx.dump();
    let entries = dump.entries().iter();
    entries
        .map(|entry| format!("{:1$}{2}", "", entry.depth, entry.kind))
        .collect()
}

fn fails(ctx: &Context) -> Request<usize> {
    Request::finished(ctx, "fails", Err(Errno::BADF.into()))
}

#[test]
fn a_join_is_done_when_all_are_with_the_results_in_the_order_given() {
    on_every_backend(|ctx| {
        let (requests, mut completers) = parts::<3>(ctx, &Drops::new());
        let joined = join(ctx, requests.into_iter().chain([fails(ctx)]));
        for index in [2, 0, 1] {
            settle(ctx);
            assert!(!joined.is_finished());
            completers[index].take().unwrap().done(index * 10);
        }
        let results = ctx.run_until(joined).unwrap().unwrap();
        let values: Vec<_> = results.iter().map(|result| result.as_ref().ok()).collect();
        assert_eq!(values, [Some(&0), Some(&10), Some(&20), None]);
        let last = results.into_iter().last().unwrap();
        expect_errno(last, Errno::BADF);
    });
}

#[test]
fn a_join_of_nothing_is_done_from_the_loop() {
    on_every_backend(|ctx| {
        let log = Log::new();
        let seen = log.clone();
        let joined = join(ctx, Vec::<Request<()>>::new()).on_done(move |results| {
            assert_eq!(results.unwrap().len(), 0);
            seen.note("done");
        });
        expect_order(&log, &[]);
        ctx.run().unwrap();
        expect_order(&log, &["done"]);
        drop(joined);
    });
}

#[test]
fn dropping_or_ending_what_was_combined_drops_what_it_consists_of() {
    on_every_backend(|ctx| {
        let drops = Drops::new();
        let (requests, completers) = parts::<2>(ctx, &drops);
        drop(join(ctx, requests));
        assert_eq!(drops.count(), 2);
        assert!(completers.iter().flatten().all(Completer::is_moot));

        let (requests, mut completers) = parts::<2>(ctx, &drops);
        let joined = join(ctx, requests);
        completers[0].take().unwrap().done(0);
        settle(ctx);
        joined.cancel();
        assert_eq!(drops.count(), 4);
        expect_errno(ctx.run_until(joined).unwrap(), Errno::CANCELED);

        let (requests, _completers) = parts::<2>(ctx, &drops);
        let raced = race(ctx, requests);
        raced.set_timeout(Duration::ZERO);
        expect_errno(ctx.run_until(raced).unwrap(), Errno::TIMEDOUT);
        assert_eq!(drops.count(), 6);

        let ([first, second], _completers) = parts::<2>(ctx, &drops);
        drop(both(ctx, first, second));
        assert_eq!(drops.count(), 8);
        assert!(ctx.dump().entries().is_empty());
    });
}

#[test]
fn what_it_consists_of_is_shown_below_it() {
    on_every_backend(|ctx| {
        let drops = Drops::new();
        let (requests, mut completers) = parts::<2>(ctx, &drops);
        let ([other], _other) = parts::<1>(ctx, &drops);
        let inner = race(ctx, requests);
        assert_eq!(tree(ctx), ["part", "race", " part", " part"]);
        let outer = both(ctx, inner, other);
        let shown = ["both", " part", " race", "  part", "  part"];
        assert_eq!(tree(ctx), shown);
        completers[1].take().unwrap().done(7);
        settle(ctx);
        assert_eq!(tree(ctx), ["both", " part"]);
        drop(outer);
        assert_eq!(tree(ctx), Vec::<String>::new());
    });
}

#[test]
fn both_waits_for_two_of_different_types() {
    on_every_backend(|ctx| {
        let (number, number_completer) = Request::<u32>::pair(ctx, "number");
        let (text, text_completer) = Request::<String, Ended>::pair(ctx, "text");
        let request = both(ctx, number, text);
        text_completer.error(Ended::Canceled);
        settle(ctx);
        assert!(!request.is_finished());
        number_completer.done(42);
        let (number, text) = ctx.run_until(request).unwrap().unwrap();
        assert_eq!((number.unwrap(), text), (42, Err(Ended::Canceled)));
    });
}

#[test]
fn the_first_that_finishes_wins_and_the_others_are_dropped() {
    on_every_backend(|ctx| {
        let (log, drops) = (Log::new(), Drops::new());
        let (requests, mut completers) = parts::<3>(ctx, &drops);
        let seen = log.clone();
        let raced = race(ctx, requests).on_done(move |won| {
            let (winner, result) = won.unwrap();
            seen.note(format!("{winner} with {}", result.unwrap()));
        });
        completers[1].take().unwrap().done(10);
        // Finished as well, but later.
        completers[0].take().unwrap().done(0);
        expect_order(&log, &[]);
        ctx.run().unwrap();
        expect_order(&log, &["1 with 10"]);
        assert_eq!(drops.count(), 3);
        assert!(completers[2].as_ref().is_some_and(Completer::is_moot));
        drop(raced);
        expect_silence(ctx, &log);
    });
}

#[test]
fn an_error_can_win_and_of_those_that_are_finished_the_first_does() {
    on_every_backend(|ctx| {
        let drops = Drops::new();
        let ([slow], _completers) = parts::<1>(ctx, &drops);
        let finished = Request::finished(ctx, "finished", Ok(3));
        let raced = race(ctx, [slow, fails(ctx), finished]);
        let (winner, result) = ctx.run_until(raced).unwrap().unwrap();
        assert_eq!((winner, drops.count()), (1, 1));
        expect_errno(result, Errno::BADF);
    });
}

#[test]
fn nobody_wins_a_race_of_nobody() {
    on_every_backend(|ctx| {
        let raced = race(ctx, Vec::<Request<()>>::new());
        expect_errno(ctx.run_until(raced).unwrap(), Errno::IO);
    });
}

#[test]
fn a_request_whose_result_was_delivered_before_counts_as_abandoned() {
    on_every_backend(|ctx| {
        let used = || {
            let request = Request::finished(ctx, "used", Ok(1)).on_done(|_: io::Result<u32>| {});
            settle(ctx);
            request
        };
        let results = ctx.run_until(join(ctx, [used()])).unwrap().unwrap();
        assert!(results[0].is_err());
        let (first, second) = ctx.run_until(both(ctx, used(), used())).unwrap().unwrap();
        assert!(first.is_err() && second.is_err());
        let (slow, _completer) = Request::pair(ctx, "slow");
        let (winner, result) = ctx.run_until(race(ctx, [slow, used()])).unwrap().unwrap();
        assert_eq!(winner, 1);
        expect_errno(result, Errno::IO);
    });
}

#[test]
fn a_completion_may_drop_what_its_request_was_combined_into() {
    on_every_backend(|ctx| {
        let drops = Drops::new();
        let kept = Rc::new(RefCell::new(None));
        let (requests, mut completers) = parts::<2>(ctx, &drops);
        let owner = kept.clone();
        let completer = completers[0].take().unwrap();
        completer.on_cleanup(move |_| drop(owner.take()));
        kept.replace(Some(join(ctx, requests)));
        completer.done(0);
        ctx.run().unwrap();
        assert!(kept.borrow().is_none());
        assert_eq!(drops.count(), 2);
    });
}

#[test]
fn what_was_combined_can_be_awaited() {
    on_every_backend(|ctx| {
        let (requests, mut completers) = parts::<2>(ctx, &Drops::new());
        let joined = join(ctx, requests);
        let sum = ctx.spawn(async move {
            let results = joined.await?;
            results.into_iter().sum::<io::Result<usize>>()
        });
        for completer in completers.iter_mut().filter_map(Option::take) {
            completer.done(21);
        }
        assert_eq!(ctx.run_until(sum).unwrap().unwrap().unwrap(), 42);
    });
}
