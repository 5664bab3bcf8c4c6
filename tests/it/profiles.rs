//! What a request consisted of, with times, when it is no more.

use std::time::Duration;

use rustix::io::Errno;
use tevent::{Context, End, Ended, ManualClock, Profile, Request, Steps, join, wakeup};
use tevent_tests::{on_every_backend, settle};

const SECOND: Duration = Duration::from_secs(1);

/// A context of the same kind as `ctx` whose clock stands still until it is moved.
fn with_clock(ctx: &Context) -> (Context, ManualClock) {
    let clock = ManualClock::new();
    let builder = Context::builder().backend(ctx.backend());
    let ctx = builder.manual_clock(&clock).build();
    (ctx.expect("a back end in use can be made"), clock)
}

/// Two naps of a second, one after the other.
fn naps(ctx: &Context) -> Request<()> {
    Steps::start(ctx, "naps", ctx.clone(), |step| {
        let ctx = step.state();
        step.then(wakeup(ctx, ctx.now() + SECOND), |step, _| {
            let ctx = step.state();
            step.then(wakeup(ctx, ctx.now() + SECOND), |step, _| step.done(()))
        })
    })
}

/// What each entry is, indented by its depth, and the whole seconds that it took.
fn shape(profile: &Profile) -> Vec<(String, Option<u64>, Option<End>)> {
    let entries = profile.entries();
    let entries = entries.iter();
    let shape = entries.map(|entry| {
        let kind = format!("{:1$}{2}", "", entry.depth, entry.kind);
        (kind, entry.took().map(|took| took.as_secs()), entry.end)
    });
    shape.collect()
}

#[test]
fn a_profile_survives_its_request_and_its_context() {
    on_every_backend(|ctx| {
        let (ctx, clock) = with_clock(ctx);
        let weak = ctx.downgrade();
        let request = ctx.spawn(async move {
            let ctx = weak.upgrade().unwrap();
            let both = join(&ctx, [naps(&ctx), wakeup(&ctx, ctx.now() + SECOND)]);
            drop(ctx);
            both.await
        });
        let profile = request.profile();
        for _ in 0..3 {
            settle(&ctx);
            clock.advance(SECOND);
        }
        ctx.run_until(request).unwrap().unwrap().unwrap();
        drop(ctx);
        let done = Some(End::Done);
        let shape = shape(&profile);
        let kinds: Vec<_> = shape.iter().map(|(kind, ..)| kind.as_str()).collect();
        let expected = [
            "spawn",
            " join",
            "  naps",
            "   wakeup",
            "   wakeup",
            "  wakeup",
        ];
        assert_eq!(kinds, expected);
        let took: Vec<_> = shape.iter().map(|(_, took, _)| took.unwrap()).collect();
        assert_eq!(took, [2, 2, 2, 1, 1, 1]);
        assert!(shape.iter().all(|(.., end)| *end == done));
        let text = profile.to_string();
        assert_eq!(text.lines().count(), 6);
        assert!(
            text.contains("profiles.rs:") && text.contains(" 2.000000s, Done"),
            "{text}"
        );
        assert_eq!(format!("{profile:?}"), "Profile { entries: 6, .. }");
    });
}

#[test]
fn a_profile_tells_how_each_part_ended_and_which_are_not_over() {
    on_every_backend(|ctx| {
        let (ctx, clock) = with_clock(ctx);
        let request = naps(&ctx);
        let profile = request.profile();
        // The first nap began before anybody asked.
        assert_eq!(shape(&profile), [("naps".to_owned(), None, None)]);
        assert!(profile.to_string().ends_with(", not over"));
        clock.advance(SECOND);
        settle(&ctx);
        let nap = (" wakeup".to_owned(), None, None);
        assert_eq!(shape(&profile)[1], nap);
        request.set_timeout(Duration::ZERO);
        settle(&ctx);
        let ends: Vec<_> = shape(&profile).into_iter().map(|(.., end)| end).collect();
        let timed_out = End::Ended(Ended::TimedOut);
        assert_eq!(ends, [Some(timed_out), Some(End::Dropped)]);

        let (failing, completer) = Request::<()>::pair(&ctx, "failing");
        let profile = failing.profile();
        completer.error(Errno::BADF.into());
        assert_eq!(profile.entries()[0].end, Some(End::Error));
    });
}

#[test]
fn what_was_made_before_becomes_a_part_when_it_is_joined() {
    on_every_backend(|ctx| {
        let (parts, completer) = Request::<()>::pair(ctx, "part");
        let outer = Steps::start(ctx, "outer", (ctx.clone(), Some(parts)), |step| {
            let ctx = step.state().0.clone();
            step.then(wakeup(&ctx, ctx.now()), |step, _| {
                let (ctx, part) = step.state_mut();
                let joined = join(ctx, part.take());
                step.then(joined, |step, _| step.done(()))
            })
        });
        let profile = outer.profile();
        settle(ctx);
        completer.done(());
        let outer: Request<()> = outer;
        ctx.run_until(outer).unwrap().unwrap();
        let kinds: Vec<_> = shape(&profile).into_iter().map(|(kind, ..)| kind).collect();
        assert_eq!(kinds, ["outer", " join", "  part"]);
    });
}

#[test]
fn a_request_stands_in_one_profile_and_a_finished_one_has_none() {
    on_every_backend(|ctx| {
        let (request, completer) = Request::<()>::pair(ctx, "one");
        let (first, second) = (request.profile(), request.profile());
        completer.done(());
        assert_eq!(first.entries(), second.clone().entries());
        assert_eq!(
            (first.entries().len(), request.profile().entries().len()),
            (1, 0)
        );
        // Nobody is profiled any more.
        let (later, _completer) = Request::<()>::pair(ctx, "later");
        assert_eq!(first.entries().len(), 1);
        drop(later);
    });
}

#[test]
fn a_profile_is_bounded_and_counts_what_it_leaves_out() {
    on_every_backend(|ctx| {
        let weak = ctx.downgrade();
        let request = ctx.spawn(async move {
            for _ in 0..Profile::ENTRIES_MAX + 2 {
                let ctx = weak.upgrade().unwrap();
                drop(Request::<()>::pair(&ctx, "part"));
            }
        });
        let profile = request.profile();
        ctx.run_until(request).unwrap().unwrap();
        assert_eq!(profile.entries().len(), Profile::ENTRIES_MAX);
        assert_eq!(profile.omitted(), 3);
        assert!(profile.to_string().ends_with("\nand 3 more"));
    });
}
