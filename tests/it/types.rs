//! What may cross threads, how large things are, and that everything can be shown.

use std::fmt::Debug;
use std::mem::size_of;

use tevent::{
    Completer, Context, ContextBuilder, Counters, Dump, End, Ended, FdEvent, Group, Immediate,
    Interest, ManualClock, Queue, QueueEntry, Readiness, Remote, Request, Signal, Stats, Step,
    Steps, Timer, Undelivered, WeakContext,
};

/// Does not compile if one of the types is `Send` or `Sync`: then there are two `is_there` to choose
/// from.
macro_rules! assert_is_not {
    ($marker:ident: $($type:ty),* $(,)?) => {{
        trait Ambiguous<A> {
            fn is_there() {}
        }
        impl<T: ?Sized> Ambiguous<()> for T {}
        impl<T: ?Sized + $marker> Ambiguous<u8> for T {}
        $(<$type as Ambiguous<_>>::is_there();)*
    }};
}

/// For types that belong to the thread that made them.
macro_rules! assert_stays {
    ($($type:ty),* $(,)?) => {
        assert_is_not!(Send: $($type),*);
        assert_is_not!(Sync: $($type),*);
    };
}

#[test]
fn only_what_is_meant_to_crosses_threads() {
    fn can_be_sent_shared_and_cloned<T: Send + Sync + Clone>() {}
    fn can_be_sent<T: Send>() {}
    can_be_sent_shared_and_cloned::<Remote>();
    can_be_sent_shared_and_cloned::<Interest>();
    can_be_sent_shared_and_cloned::<Readiness>();
    can_be_sent_shared_and_cloned::<Ended>();
    can_be_sent_shared_and_cloned::<End>();
    can_be_sent_shared_and_cloned::<Stats>();
    can_be_sent_shared_and_cloned::<Dump>();
    can_be_sent::<Undelivered>();
    assert_stays!(
        Context,
        WeakContext,
        Request<()>,
        Completer<()>,
        FdEvent,
        Timer,
        Immediate,
        Signal,
        Group,
        Queue,
        QueueEntry,
        ManualClock,
        ContextBuilder,
        Step<'static, (), ()>,
    );
    assert_is_not!(Sync: Counters);
}

#[test]
fn handles_are_small() {
    let word = size_of::<usize>();
    assert_eq!(size_of::<Context>(), word);
    assert_eq!(size_of::<WeakContext>(), word);
    assert_eq!(size_of::<Request<()>>(), word);
    assert_eq!(size_of::<Completer<[u8; 64]>>(), word);
    assert_eq!(size_of::<Timer>(), word);
    assert_eq!(size_of::<Immediate>(), word);
    assert_eq!(size_of::<QueueEntry>(), word);
    assert_eq!(size_of::<Interest>(), 1);
    assert!(size_of::<FdEvent>() <= 2 * word);
    assert!(size_of::<Remote>() <= 3 * word);
}

fn shown(value: &impl Debug) {
    let text = format!("{value:?}");
    assert!(text.len() >= 4, "{text}");
    assert!(
        text.chars().next().is_some_and(char::is_uppercase),
        "{text}"
    );
}

#[test]
fn everything_shows_something() {
    let ctx = Context::new().unwrap();
    shown(&ctx);
    shown(&ctx.downgrade());
    shown(&Context::builder());
    shown(&ctx.remote());
    shown(&ctx.stats());
    shown(&ctx.counters());
    shown(&ctx.dump());
    shown(&ManualClock::new());
    shown(&Group::new(&ctx));
    shown(&Queue::new(&ctx));
    shown(&Queue::new(&ctx).add_entry(|_| {}));
    shown(&Timer::new(&ctx, || {}));
    shown(&Immediate::new(&ctx, || {}));
    shown(&Ended::TimedOut);
    shown(&End::Dropped);
    shown(&Interest::NONE);
    shown(&Readiness::READ);
    let (request, completer) = Request::<()>::pair(&ctx, "shown");
    shown(&request);
    shown(&completer);
    let steps: Request<()> = Steps::start(&ctx, "shown", (), |step| {
        shown(step);
        step.done(())
    });
    drop(steps);
    let weak = ctx.downgrade();
    assert!(!weak.is_gone());
    drop(ctx);
    assert!(weak.is_gone());
    assert_eq!(format!("{weak:?}"), "WeakContext(gone)");
}
