//! Requests made of steps: what they own, how they end, and what may happen inside one.

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::time::Duration;

use rustix::io::Errno;
use tevent::{Completer, Context, Request, Step, Steps, wakeup};
use tevent_tests::{
    Drops, Log, Tattle, everywhere, expect_errno, expect_order, expect_panic, expect_silence,
    run_to, settle,
};

type Slot<T> = Rc<RefCell<Option<T>>>;

fn ready(ctx: &Context) -> Request<u32> {
    Request::finished(ctx, "ready", Ok(1))
}

fn never(ctx: &Context) -> (Request<u32>, Completer<u32>) {
    Request::pair(ctx, "never")
}

#[test]
fn steps_run_one_after_the_other_and_the_last_gives_the_result() {
    everywhere(|ctx| {
        let log = Log::new();
        let state = (ctx.clone(), log.clone());
        let request: Request<u32> = Steps::start(ctx, "three", state, |step| {
            step.state().1.note("first");
            let subreq = ready(&step.state().0);
            step.then(subreq, |step, one| {
                let one = one?;
                step.state().1.note("second");
                let subreq = ready(&step.state().0);
                step.then(subreq, move |step, two| {
                    step.state().1.note("third");
                    step.done(one + two?)
                })
            })
        });
        expect_order(&log, &["first"]);
        assert_eq!(ctx.run_until(request).unwrap().unwrap(), 2);
        expect_order(&log, &["second", "third"]);
    });
}

#[test]
fn a_first_step_that_finishes_still_notifies_from_the_loop() {
    everywhere(|ctx| {
        let log = Log::new();
        let request: Request<()> = Steps::start(ctx, "at once", (), |step| step.done(()));
        assert!(request.is_finished());
        let request = request.on_done(log.noting("done"));
        expect_order(&log, &[]);
        ctx.run().unwrap();
        expect_order(&log, &["done"]);
        drop(request);
    });
}

#[test]
fn an_error_of_a_step_ends_the_request_and_drops_state_and_subrequest() {
    everywhere(|ctx| {
        let drops = Drops::new();
        let (subreq, completer) = never(ctx);
        let request: Request<()> = Steps::start(ctx, "fails", drops.tattle(), move |step| {
            step.then(subreq, |step, _| step.done(()))?;
            Err(Errno::BADF.into())
        });
        assert!(completer.is_moot() && drops.count() == 1);
        expect_errno(ctx.run_until(request).unwrap(), Errno::BADF);
        let (subreq, completer) = never(ctx);
        let request: Request<()> = Steps::start(ctx, "fails later", drops.tattle(), |step| {
            step.then(subreq, |step, value| {
                value?;
                step.done(())
            })
        });
        completer.error(Errno::BUSY.into());
        expect_errno(ctx.run_until(request).unwrap(), Errno::BUSY);
        assert_eq!(drops.count(), 2);
    });
}

#[test]
fn a_step_that_chooses_nothing_abandons_the_request() {
    everywhere(|ctx| {
        let drops = Drops::new();
        let request: Request<()> = Steps::start(ctx, "nothing", drops.tattle(), |_| Ok(()));
        assert_eq!(drops.count(), 1);
        expect_errno(ctx.run_until(request).unwrap(), Errno::IO);
    });
}

#[test]
fn the_last_choice_of_a_step_counts() {
    everywhere(|ctx| {
        let (first, first_completer) = never(ctx);
        let (second, second_completer) = never(ctx);
        let request: Request<u32> = Steps::start(ctx, "undecided", (), |step| {
            step.then(first, |step, _| step.done(1))?;
            step.done(2)?;
            step.then(second, |step, value| step.done(value?))
        });
        assert!(first_completer.is_moot() && !second_completer.is_moot());
        second_completer.done(3);
        assert_eq!(ctx.run_until(request).unwrap().unwrap(), 3);
        let (subreq, completer) = never(ctx);
        let request: Request<u32> = Steps::start(ctx, "decided", (), |step| {
            step.then(subreq, |step, _| step.done(1))?;
            step.done(2)
        });
        assert!(completer.is_moot());
        assert_eq!(ctx.run_until(request).unwrap().unwrap(), 2);
    });
}

#[test]
fn dropping_the_request_drops_state_and_subrequest_at_once() {
    everywhere(|ctx| {
        let (log, drops) = (Log::new(), Drops::new());
        let (subreq, completer) = never(ctx);
        let request: Request<()> = Steps::start(ctx, "dropped", drops.tattle(), |step| {
            step.then(subreq, |step, _| step.done(()))
        });
        drop(request.on_done(log.noting("done")));
        assert!(completer.is_moot() && drops.count() == 1);
        expect_silence(ctx, &log);
    });
}

#[test]
fn a_deadline_ends_the_steps_and_what_they_wait_for() {
    everywhere(|ctx| {
        let drops = Drops::new();
        let (subreq, completer) = never(ctx);
        let request: Request<()> = Steps::start(ctx, "slow", drops.tattle(), |step| {
            step.then(subreq, |step, _| step.done(()))
        });
        request.set_timeout(Duration::ZERO);
        expect_errno(ctx.run_until(request).unwrap(), Errno::TIMEDOUT);
        assert!(completer.is_moot() && drops.count() == 1);
    });
}

/// What a step does to its own request, from inside.
type Deed = fn(&Slot<Request<()>>);

fn dropped(slot: &Slot<Request<()>>) {
    let own = slot.take();
    drop(own);
}

fn canceled(slot: &Slot<Request<()>>) {
    slot.borrow().as_ref().expect("it is still there").cancel();
}

struct Suicidal {
    ctx: Context,
    own: Slot<Request<()>>,
    deed: Deed,
    tattle: Tattle,
}

fn suicidal(ctx: &Context, log: &Log, drops: &Drops, deed: Deed, ending: &'static str) {
    let own: Slot<Request<()>> = Rc::default();
    let state = Suicidal {
        ctx: ctx.clone(),
        own: own.clone(),
        deed,
        tattle: drops.tattle(),
    };
    let request = Steps::start(ctx, "suicidal", state, |step| {
        let subreq = ready(&step.state().ctx);
        step.then(subreq, move |step, _| {
            let Suicidal {
                ctx,
                own,
                deed,
                tattle,
            } = step.state_mut();
            deed(own);
            tattle.hold();
            let subreq = ready(ctx);
            match ending {
                "then" => step.then(subreq, |_, _| panic!("a step after the end")),
                "done" => step.done(()),
                _ => Err(Errno::BADF.into()),
            }
        })
    });
    let seen = log.clone();
    let completion = move |result: io::Result<()>| {
        seen.note(format!(
            "{:?}",
            result.map_err(|error| error.raw_os_error())
        ));
    };
    own.replace(Some(request.on_done(completion)));
    settle(ctx);
    assert!(ctx.dump().entries().is_empty());
    own.take();
}

#[test]
fn a_step_may_drop_or_cancel_its_own_request() {
    everywhere(|ctx| {
        let (log, drops) = (Log::new(), Drops::new());
        let canceled_text = format!("Err(Some({}))", Errno::CANCELED.raw_os_error());
        for (count, ending) in ["then", "done", "error"].into_iter().enumerate() {
            suicidal(ctx, &log, &drops, dropped, ending);
            expect_order(&log, &[]);
            suicidal(ctx, &log, &drops, canceled, ending);
            expect_order(&log, &[&canceled_text]);
            assert_eq!(
                drops.count(),
                2 * count + 2,
                "no state is left behind: {ending}"
            );
        }
        ctx.run().unwrap();
    });
}

#[test]
fn a_panic_in_a_step_abandons_the_request() {
    everywhere(|ctx| {
        let drops = Drops::new();
        let state = drops.tattle();
        let first = || {
            drop::<Request<()>>(Steps::start(ctx, "first", state, |_| panic!("first step")));
        };
        assert_eq!(expect_panic(first), "first step");
        assert_eq!((drops.count(), ctx.dump().entries().len()), (1, 0));
        let subreq = ready(ctx);
        let request: Request<()> = Steps::start(ctx, "second", drops.tattle(), |step| {
            step.then(subreq, |_, _| panic!("second step"))
        });
        assert_eq!(expect_panic(|| ctx.run_once()), "second step");
        assert!(request.is_finished() && drops.count() == 2);
        expect_errno(ctx.run_until(request).unwrap(), Errno::IO);
    });
}

#[test]
fn ten_thousand_steps_in_a_row_need_no_stack() {
    fn count(step: &mut Step<'_, (Context, u32), u32>) -> io::Result<()> {
        let (ctx, left) = step.state_mut();
        if *left == 0 {
            return step.done(0);
        }
        *left -= 1;
        let subreq = ready(ctx);
        step.then(subreq, |step, _| count(step))
    }
    everywhere(|ctx| {
        let request = Steps::start(ctx, "count", (ctx.clone(), 10_000), count);
        ctx.run_until(request).unwrap().unwrap();
    });
}

#[test]
fn steps_of_steps_end_together() {
    everywhere(|ctx| {
        let drops = Drops::new();
        let (innermost, completer) = never(ctx);
        let mut request = innermost;
        for _ in 0..100 {
            let subreq = request;
            request = Steps::start(ctx, "level", drops.tattle(), move |step| {
                step.then(subreq, |step, value| step.done(value? + 1))
            });
        }
        completer.done(0);
        assert_eq!(ctx.run_until(request).unwrap().unwrap(), 100);
        assert_eq!(drops.count(), 100);
    });
}

#[test]
fn dropping_a_request_within_the_completion_of_its_subrequest_is_final() {
    everywhere(|ctx| {
        let log = Log::new();
        let own: Slot<Request<()>> = Rc::default();
        let woken = Rc::new(Cell::new(false));
        let seen = woken.clone();
        let nap = wakeup(ctx, ctx.now()).on_done(move |_| seen.set(true));
        let request: Request<()> = Steps::start(ctx, "outer", own.clone(), |step| {
            step.then(nap, |step, _| {
                let own = step.state_mut().take();
                drop(own);
                step.done(())
            })
        });
        own.replace(Some(request.on_done(log.noting("done"))));
        run_to(ctx, || own.borrow().is_none());
        expect_silence(ctx, &log);
        assert!(
            !woken.get(),
            "the step is the completion now, in place of the earlier one"
        );
    });
}
