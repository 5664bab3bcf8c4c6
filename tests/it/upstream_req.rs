//! Scenarios of profiles: times and ends can be read when the request, and its loop, are gone.

use std::io;
use std::time::Duration;

use tevent::{Context, End, Request, Step, Steps, WeakContext, wakeup};
use tevent_tests::on_every_backend;

#[test]
fn a_profile_can_be_read_when_its_request_is_gone() {
    on_every_backend(|ctx| {
        let (request, completer) = Request::<()>::pair(ctx, "profiled");
        let profile = request.profile();
        assert_eq!(profile.entries()[0].stopped, None);
        completer.done(());
        ctx.run_until(request).unwrap().unwrap();
        let [entry] = profile.entries()[..] else {
            panic!("one request has one entry");
        };
        assert_eq!((entry.kind, entry.end), ("profiled", Some(End::Done)));
        assert!(entry.stopped.unwrap() >= entry.started);
        assert_eq!(entry.location.file(), file!());
    });
}

fn nap(step: &mut Step<'_, WeakContext, ()>, begun: io::Result<()>) -> io::Result<()> {
    begun?;
    let ctx = step.state().upgrade().expect("it runs");
    let nap = wakeup(&ctx, ctx.now() + Duration::from_micros(1));
    step.then(nap, |step, woken| {
        woken?;
        step.done(())
    })
}

#[test]
fn a_profile_with_a_part_outlives_request_and_context() {
    on_every_backend(|ctx| {
        let other = Context::with_backend(ctx.backend()).unwrap();
        let request = Steps::start(&other, "outer", other.downgrade(), |step| {
            // What is made before it is profiled is no part of it.
            let begun = Request::<()>::finished(step.state(), "begun", Ok(()));
            step.then(begun, nap)
        });
        let profile = request.profile();
        other.run_until(request).unwrap().unwrap();
        drop(other);
        let [outer, inner] = profile.entries()[..] else {
            panic!("a request and its part have two entries");
        };
        assert_eq!((outer.kind, outer.depth, inner.depth), ("outer", 0, 1));
        for entry in [outer, inner] {
            assert_eq!(entry.end, Some(End::Done));
            assert!(entry.stopped.unwrap() >= entry.started);
        }
        assert!(outer.stopped >= inner.stopped && outer.started <= inner.started);
        let text = profile.to_string();
        assert!(
            text.contains("outer") && text.contains(inner.kind),
            "{text}"
        );
    });
}
