//! The tree of what is outstanding, and the counts of what was done.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use tevent::{Context, ManualClock, Progress, Queue, Request, Steps, race, wakeup};
use tevent_tests::{everywhere, settle};

/// Kinds, indented by their depth.
fn tree(ctx: &Context) -> Vec<String> {
    let dump = ctx.dump();
    let entries = dump.entries().iter();
    entries
        .map(|entry| format!("{:1$}{2}", "", entry.depth, entry.kind))
        .collect()
}

#[test]
fn the_dump_shows_parents_before_their_children() {
    everywhere(|ctx| {
        assert_eq!(ctx.dump().to_string(), "outstanding: 0");
        let (root, _completer) = Request::<()>::pair(ctx, "root");
        let weak = ctx.downgrade();
        let outer = ctx.spawn(async move {
            let ctx = weak.upgrade().unwrap();
            let inner: Request<()> = Steps::start(&ctx, "inner", ctx.clone(), |step| {
                let ctx = step.state();
                let nap = wakeup(ctx, ctx.now() + Duration::from_secs(60));
                step.then(nap, |step, _| step.done(()))
            });
            drop(ctx);
            inner.await
        });
        settle(ctx);
        assert_eq!(tree(ctx), ["root", "spawn", " inner", "  wakeup"]);
        drop(outer);
        assert_eq!(tree(ctx), ["root"]);
        drop(root);
        assert_eq!(tree(ctx), Vec::<String>::new());
    });
}

#[test]
fn the_dump_names_place_and_age() {
    let clock = ManualClock::new();
    let ctx = Context::builder().manual_clock(&clock).build().unwrap();
    let (_request, _completer) = Request::<()>::pair(&ctx, "old");
    let line = line!() - 1;
    clock.advance(Duration::from_millis(12_500));
    let dump = ctx.dump();
    let entry = dump.entries()[0];
    assert_eq!(
        (entry.location.line(), entry.age),
        (line, Duration::from_millis(12_500))
    );
    let text = dump.to_string();
    assert!(text.starts_with("outstanding: 1\nold ("), "{text}");
    assert!(
        text.ends_with(&format!("dump.rs:{line}) for 12.5s")),
        "{text}"
    );
    assert!(format!("{dump:?} {entry:?}").contains("old"));
}

#[test]
fn requests_of_the_same_age_are_shown_in_the_order_of_their_creation() {
    everywhere(|ctx| {
        let clock = ManualClock::new();
        let builder = Context::builder().backend(ctx.backend());
        let ctx = builder.manual_clock(&clock).build().unwrap();
        // Slots that were let before are let again in another order.
        let old: Vec<_> = (0..3).map(|_| Request::<()>::pair(&ctx, "old")).collect();
        drop(old);
        let kinds = ["one", "two", "three", "four", "five"];
        let requests: Vec<_> = kinds
            .iter()
            .map(|kind| Request::<()>::pair(&ctx, kind))
            .collect();
        assert_eq!(tree(&ctx), kinds);
        clock.advance(Duration::from_secs(1));
        settle(&ctx);
        let late = Request::<()>::pair(&ctx, "late");
        assert_eq!(tree(&ctx), ["one", "two", "three", "four", "five", "late"]);
        drop((requests, late));
    });
}

#[test]
fn what_a_queue_started_is_shown_below_what_is_queued() {
    everywhere(|ctx| {
        let queue = Queue::new(ctx);
        let nap = ctx.now() + Duration::from_secs(60);
        let weak = ctx.downgrade();
        let running = queue.add(move || wakeup(&weak.upgrade().unwrap(), nap));
        let weak = ctx.downgrade();
        let waiting = queue.add(move || wakeup(&weak.upgrade().unwrap(), nap));
        settle(ctx);
        assert_eq!(tree(ctx), ["queued", " wakeup", "queued"]);
        drop((running, waiting));
        assert_eq!(tree(ctx), Vec::<String>::new());
    });
}

#[test]
fn a_child_whose_parent_is_gone_is_shown_as_a_root() {
    everywhere(|ctx| {
        let child: Rc<RefCell<Option<Request<()>>>> = Rc::default();
        let (slot, weak) = (child.clone(), ctx.downgrade());
        let parent = ctx.spawn(async move {
            let ctx = weak.upgrade().unwrap();
            slot.replace(Some(wakeup(&ctx, ctx.now() + Duration::from_secs(60))));
            std::future::pending::<()>().await;
        });
        settle(ctx);
        assert_eq!(tree(ctx), ["spawn", " wakeup"]);
        drop(parent);
        assert_eq!(tree(ctx), ["wakeup"]);
        child.take();
    });
}

#[test]
fn what_is_finished_is_not_outstanding() {
    everywhere(|ctx| {
        let (request, completer) = Request::<()>::pair(ctx, "finished");
        completer.done(());
        assert_eq!(tree(ctx), Vec::<String>::new());
        let born = Request::<()>::finished(ctx, "born finished", Ok(()));
        assert_eq!(tree(ctx), Vec::<String>::new());
        drop((request, born));
    });
}

#[test]
fn a_panic_in_a_future_makes_nobody_else_its_child() {
    everywhere(|ctx| {
        let request = ctx.spawn(async { panic!("future") });
        tevent_tests::expect_panic(|| ctx.run_once());
        drop::<Request<()>>(request);
        let (_request, _completer) = Request::<()>::pair(ctx, "root");
        assert_eq!(ctx.dump().entries()[0].depth, 0);
    });
}

#[test]
fn counters_count_what_implementations_report() {
    let ctx = Context::new().unwrap();
    let before = ctx.stats();
    let counters = ctx.counters();
    counters.receive();
    counters.send();
    counters.send();
    counters.accept();
    let since = ctx.stats().since(&before);
    assert_eq!(
        (since.receives, since.sends, since.accepts, since.waits),
        (1, 2, 1, 0)
    );
    assert!(format!("{counters:?} {since:?}").contains("sends: 2"));
}

#[test]
fn the_dump_can_be_had_as_json() {
    let clock = ManualClock::new();
    let ctx = Context::builder().manual_clock(&clock).build().unwrap();
    assert_eq!(ctx.dump().to_json(), r#"{"outstanding":0,"entries":[]}"#);
    let (child, completer) = Request::<()>::pair(&ctx, "a \"child\"");
    let (line, column) = (line!() - 1, 30);
    let parent = race(&ctx, [child]);
    completer.notify(Progress::of(1, 3));
    clock.advance(Duration::from_micros(12_000_345));
    let place = format!(r#""file":"{}","line":"#, file!());
    let expected = [
        r#"{"outstanding":2,"entries":["#.to_owned(),
        format!(r#"{{"kind":"race",{place}{},"column":18,"#, line + 2),
        r#""age":12.000345,"depth":0,"progress":null},"#.to_owned(),
        format!(r#"{{"kind":"a \"child\"",{place}{line},"column":{column},"#),
        r#""age":12.000345,"depth":1,"progress":{"done":1,"total":3}}]}"#.to_owned(),
    ];
    assert_eq!(ctx.dump().to_json(), expected.concat());
    completer.notify(Progress::new(2));
    let json = ctx.dump().to_json();
    assert!(
        json.contains(r#""progress":{"done":2,"total":null}"#),
        "{json}"
    );
    drop(parent);
}
