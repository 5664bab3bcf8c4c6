//! Groups, and requests that were handed to their context.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use rustix::io::Errno;
use tevent::{Context, Group, Request, wakeup};
use tevent_tests::{
    Drops, Log, everywhere, expect_errno, expect_order, expect_panic, expect_silence, settle,
};

fn fails(ctx: &Context, kind: &'static str) -> Request<()> {
    Request::finished(ctx, kind, Err(Errno::BADF.into()))
}

#[test]
fn a_group_owns_requests_until_their_completions_have_run() {
    everywhere(|ctx| {
        let log = Log::new();
        let group = Rc::new(Group::new(ctx));
        let (a, a_completer) = Request::<()>::pair(ctx, "a");
        let (b, b_completer) = Request::<()>::pair(ctx, "b");
        let (seen, inside) = (log.clone(), Rc::downgrade(&group));
        group.add(a.on_done(move |_| {
            let group = inside.upgrade().unwrap();
            seen.note(format!("a of {}", group.len()));
        }));
        group.add(b);
        assert_eq!(group.len(), 2);
        a_completer.done(());
        ctx.run().unwrap();
        expect_order(&log, &["a of 2"]);
        assert_eq!(group.len(), 1);
        b_completer.done(());
        ctx.run().unwrap();
        assert!(group.is_empty());
        assert_eq!(format!("{group:?}"), "Group { len: 0, .. }");
    });
}

#[test]
fn dropping_or_clearing_a_group_drops_what_is_in_it() {
    everywhere(|ctx| {
        let (log, drops) = (Log::new(), Drops::new());
        let group = Group::new(ctx);
        let fill = || {
            for _ in 0..3 {
                let tattle = drops.tattle();
                let nap = wakeup(ctx, ctx.now() + Duration::from_secs(3600));
                group.add(nap.on_done(move |_| tattle.hold()));
            }
        };
        fill();
        group.clear();
        assert_eq!((drops.count(), group.len()), (3, 0));
        fill();
        drop(group);
        assert_eq!(drops.count(), 6);
        ctx.run().unwrap();
        expect_silence(ctx, &log);
    });
}

#[test]
fn finished_is_done_when_the_group_is_empty() {
    everywhere(|ctx| {
        let group = Group::new(ctx);
        ctx.run_until(group.finished()).unwrap().unwrap();
        for n in 0..3 {
            group.add(wakeup(ctx, ctx.now() + Duration::from_millis(n)));
        }
        let finished = group.finished();
        assert!(!finished.is_finished());
        ctx.run_until(finished).unwrap().unwrap();
        assert!(group.is_empty());
        let (stuck, _completer) = Request::<()>::pair(ctx, "stuck");
        group.add(stuck);
        let finished = group.finished();
        group.clear();
        ctx.run_until(finished).unwrap().unwrap();
        let (stuck, _completer) = Request::<()>::pair(ctx, "stuck");
        group.add(stuck);
        let finished = group.finished();
        drop(group);
        expect_errno(ctx.run_until(finished).unwrap(), Errno::IO);
    });
}

#[test]
fn an_error_that_nobody_waits_for_is_told_to_the_hook() {
    everywhere(|ctx| {
        let log = Log::new();
        let group = Group::new(ctx);
        group.add(fails(ctx, "before the hook"));
        ctx.run().unwrap();
        let seen = log.clone();
        group.on_error(move |stray| {
            assert!(stray.location.file().ends_with("groups.rs"));
            assert!(stray.to_string().contains("groups.rs:") && format!("{stray:?}").len() > 10);
            seen.note(stray.kind);
        });
        group.add(fails(ctx, "nobody"));
        group.add(fails(ctx, "somebody").on_done(log.noting("completion")));
        group.add(Request::<()>::finished(ctx, "no error", Ok(())));
        ctx.run().unwrap();
        expect_order(&log, &["nobody", "completion"]);
        assert!(group.is_empty());
    });
}

#[test]
fn a_hook_may_drop_the_group() {
    everywhere(|ctx| {
        let (log, drops) = (Log::new(), Drops::new());
        let own: Rc<RefCell<Option<Group>>> = Rc::default();
        let group = Group::new(ctx);
        let (owner, seen) = (own.clone(), log.clone());
        group.on_error(move |stray| {
            seen.note(stray.kind);
            drop(owner.take());
        });
        group.add(fails(ctx, "first"));
        group.add(fails(ctx, "second"));
        let tattle = drops.tattle();
        let (pending, _completer) = Request::<()>::pair(ctx, "pending");
        group.add(pending.on_done(move |_| tattle.hold()));
        own.replace(Some(group));
        ctx.run().unwrap();
        expect_order(&log, &["first"]);
        assert_eq!(drops.count(), 1);
    });
}

#[test]
fn what_a_completion_adds_after_it_cleared_the_group_stays() {
    everywhere(|ctx| {
        let log = Log::new();
        let group = Rc::new(Group::new(ctx));
        let (inside, seen, weak) = (group.clone(), log.clone(), ctx.downgrade());
        group.add(
            Request::<()>::finished(ctx, "first", Ok(())).on_done(move |_| {
                inside.clear();
                let ctx = weak.upgrade().unwrap();
                inside.add(wakeup(&ctx, ctx.now()).on_done(seen.noting("added")));
            }),
        );
        ctx.run_once().unwrap();
        assert_eq!(group.len(), 1);
        ctx.run().unwrap();
        expect_order(&log, &["added"]);
        assert!(group.is_empty());
    });
}

#[test]
fn a_request_that_was_delivered_before_is_not_kept() {
    everywhere(|ctx| {
        let group = Group::new(ctx);
        let delivered = Request::<()>::finished(ctx, "delivered", Ok(())).on_done(|_| {});
        ctx.run().unwrap();
        group.add(delivered);
        assert!(group.is_empty());
        ctx.run_until(group.finished()).unwrap().unwrap();
    });
}

#[test]
fn a_panicking_completion_leaves_its_group() {
    everywhere(|ctx| {
        let group = Group::new(ctx);
        group.add(Request::<()>::finished(ctx, "panics", Ok(())).on_done(|_| panic!("completion")));
        let finished = group.finished();
        assert_eq!(expect_panic(|| ctx.run()), "completion");
        assert!(group.is_empty());
        ctx.run_until(finished).unwrap().unwrap();
    });
}

#[test]
fn a_completion_may_drop_the_group_that_owns_its_request() {
    everywhere(|ctx| {
        let log = Log::new();
        let own: Rc<Cell<Option<Group>>> = Rc::default();
        let group = Group::new(ctx);
        let (owner, seen) = (own.clone(), log.clone());
        group.add(
            Request::<()>::finished(ctx, "own", Ok(())).on_done(move |_| {
                drop(owner.take());
                seen.note("own");
            }),
        );
        group.add(Request::<()>::finished(ctx, "other", Ok(())).on_done(log.noting("other")));
        own.set(Some(group));
        ctx.run().unwrap();
        expect_order(&log, &["own"]);
    });
}

#[test]
fn a_group_of_many_empties_in_any_order() {
    everywhere(|ctx| {
        let group = Group::new(ctx);
        let mut random = tevent_tests::Random::seeded();
        let mut completers = Vec::new();
        for _ in 0..1000 {
            let (request, completer) = Request::<()>::pair(ctx, "one of many");
            group.add(request);
            completers.push(completer);
        }
        while !completers.is_empty() {
            let index = random.below(completers.len());
            completers.swap_remove(index).done(());
            if random.below(10) == 0 {
                settle(ctx);
                assert_eq!(group.len(), completers.len());
            }
        }
        ctx.run_until(group.finished()).unwrap().unwrap();
    });
}

#[test]
fn a_detached_request_goes_on_and_stays_in_the_dump() {
    everywhere(|ctx| {
        let log = Log::new();
        let (request, completer) = Request::<()>::pair(ctx, "detached");
        request.on_done(log.noting("done")).detach();
        assert_eq!(ctx.dump().entries()[0].kind, "detached");
        completer.done(());
        ctx.run().unwrap();
        expect_order(&log, &["done"]);
        assert!(ctx.dump().entries().is_empty());
    });
}

#[test]
fn a_detached_request_is_dropped_with_its_context() {
    everywhere(|ctx| {
        let drops = Drops::new();
        let ctx = Context::with_backend(ctx.backend()).unwrap();
        let (request, completer) = Request::<()>::pair(&ctx, "detached");
        let tattle = drops.tattle();
        request.on_done(move |_| tattle.hold()).detach();
        drop(ctx);
        assert!(drops.count() == 1 && completer.is_moot());
    });
}

#[test]
fn a_stray_error_of_a_detached_request_is_told() {
    everywhere(|ctx| {
        let log = Log::new();
        fails(ctx, "before the hook").detach();
        ctx.run().unwrap();
        let seen = log.clone();
        ctx.on_stray_error(move |stray| seen.note(format!("{} {}", stray.kind, stray.error)));
        fails(ctx, "stray").detach();
        fails(ctx, "not stray")
            .on_done(log.noting("completion"))
            .detach();
        ctx.run().unwrap();
        let stray = log.take();
        assert!(
            stray[0].starts_with("stray ") && stray[1] == "completion",
            "{stray:?}"
        );
        assert_eq!(stray.len(), 2);
    });
}
