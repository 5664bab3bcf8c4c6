//! Blocking jobs on the threads of the pool: order, bound, cancel, panic, and the end of the context.

use std::cell::{Cell, RefCell};
use std::env;
use std::io;
use std::panic;
use std::process::Command;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex, RwLock, mpsc};
use std::thread;
use std::time::Duration;

use rustix::io::Errno;
use tevent::{Context, Group, Immediate, Request, Timer, wakeup};
use tevent_tests::{
    Log, expect_errno, expect_order, on_every_backend, run_to, scaled, settle, within_limit,
};

const LIMIT: Duration = Duration::from_secs(60);

/// What jobs wait at while somebody holds it for writing.
type Gate = Arc<RwLock<()>>;

/// A job on each of `count` threads, all of which wait at `gate`; they have begun.
fn occupy(ctx: &Context, gate: &Gate, count: usize) -> Vec<Request<()>> {
    let (began, begins) = mpsc::channel();
    let jobs = (0..count).map(|_| {
        let (gate, began) = (gate.clone(), began.clone());
        ctx.offload(move || {
            began.send(()).ok();
            drop(gate.read());
        })
    });
    let jobs = jobs.collect();
    for _ in 0..count {
        begins.recv_timeout(LIMIT).expect("a thread is free");
    }
    jobs
}

/// Keeps the loop going, but not for ever.
fn keep_going(ctx: &Context) -> Timer {
    let timer = Timer::new(ctx, || panic!("it did not come in time"));
    timer.arm_after(LIMIT);
    timer
}

#[test]
fn a_job_runs_on_another_thread_which_has_a_name() {
    on_every_backend(|ctx| {
        let here = thread::current().id();
        let job = ctx.offload(move || {
            let thread = thread::current();
            (thread.id() != here, thread.name().map(str::to_owned))
        });
        let dump = ctx.dump().to_string();
        assert!(
            dump.contains("offload") && dump.contains("pool.rs"),
            "{dump}"
        );
        let (is_elsewhere, name) = ctx.run_until(job).unwrap().unwrap();
        assert!(is_elsewhere);
        assert_eq!(name.as_deref(), Some("tevent-pool"));
        assert!(ctx.dump().entries().is_empty());
    });
}

#[test]
fn an_outstanding_job_keeps_the_loop_going() {
    on_every_backend(|ctx| {
        for is_run_until in [true, false] {
            let (send, receive) = mpsc::channel();
            let job = ctx.offload(move || {
                receive.recv().unwrap();
                // The loop comes to rest meanwhile.
                for _ in 0..1000 {
                    thread::yield_now();
                }
                42
            });
            let go = Immediate::new(ctx, move || send.send(()).unwrap());
            go.schedule();
            if is_run_until {
                assert_eq!(ctx.run_until(job).unwrap().unwrap(), 42);
            } else {
                let answer = Rc::new(Cell::new(0));
                let seen = answer.clone();
                let job = job.on_done(move |result| seen.set(result.unwrap()));
                ctx.run().unwrap();
                assert_eq!(answer.get(), 42);
                drop(job);
            }
            ctx.run().unwrap();
        }
    });
}

#[test]
fn results_arrive_in_the_order_in_which_jobs_end() {
    on_every_backend(|ctx| {
        let log = Log::new();
        let gate = Gate::default();
        let closed = gate.write().unwrap();
        let at_gate = gate.clone();
        let first = ctx.offload(move || drop(at_gate.read()));
        let first = first.on_done(log.noting("first"));
        let second = ctx.offload(|| {}).on_done(log.noting("second"));
        run_to(ctx, || second.is_finished() && !log.is_empty());
        expect_order(&log, &["second"]);
        drop(closed);
        run_to(ctx, || !log.is_empty());
        expect_order(&log, &["first"]);
        drop(first);
    });
}

#[test]
fn jobs_begin_in_the_order_in_which_they_were_offloaded() {
    on_every_backend(|ctx| {
        let gate = Gate::default();
        let closed = gate.write().unwrap();
        let _others = occupy(ctx, &gate, Context::OFFLOAD_THREADS - 1);
        let begun = Arc::new(Mutex::new(Vec::new()));
        let ended = Rc::new(RefCell::new(Vec::new()));
        let jobs: Vec<_> = (0..100)
            .map(|number| {
                let (begun, ended) = (begun.clone(), ended.clone());
                ctx.offload(move || begun.lock().unwrap().push(number))
                    .on_done(move |_| ended.borrow_mut().push(number))
            })
            .collect();
        run_to(ctx, || ended.borrow().len() == jobs.len());
        let expected: Vec<_> = (0..100).collect();
        assert_eq!(*begun.lock().unwrap(), expected);
        assert_eq!(*ended.borrow(), expected);
        drop(closed);
    });
}

#[test]
fn as_many_jobs_run_at_once_as_there_may_be_threads_and_no_more() {
    on_every_backend(|ctx| {
        let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        // Nobody passes before there are as many as the barrier asks for.
        let barrier = Arc::new(Barrier::new(Context::OFFLOAD_THREADS));
        let group: Group = Group::new(ctx);
        for _ in 0..8 * Context::OFFLOAD_THREADS {
            let (running, most, barrier) = (running.clone(), most.clone(), barrier.clone());
            group.add(ctx.offload(move || {
                most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                barrier.wait();
                running.fetch_sub(1, Ordering::SeqCst);
            }));
        }
        ctx.run().unwrap();
        assert!(group.is_empty());
        assert_eq!(most.load(Ordering::SeqCst), Context::OFFLOAD_THREADS);
    });
}

#[test]
fn every_one_of_many_jobs_is_done_once() {
    on_every_backend(|ctx| {
        let count = scaled(1_000, 100_000);
        let results = Rc::new(RefCell::new(vec![0; count]));
        let group: Group = Group::new(ctx);
        for batch in 0..count / 1_000 {
            for number in batch * 1_000..(batch + 1) * 1_000 {
                let results = results.clone();
                let job = ctx.offload(move || number);
                group.add(job.on_done(move |result| results.borrow_mut()[result.unwrap()] += 1));
            }
            ctx.run().unwrap();
        }
        assert!(results.borrow().iter().all(|times| *times == 1));
    });
}

/// Three ways to give up on a job that waits for a thread; each drops it at once.
#[test]
fn a_job_that_has_not_begun_never_runs_once_its_request_has_ended() {
    on_every_backend(|ctx| {
        let gate = Gate::default();
        let closed = gate.write().unwrap();
        let others = occupy(ctx, &gate, Context::OFFLOAD_THREADS);
        let job = Arc::new(());
        let make = || {
            let job = job.clone();
            ctx.offload(move || -> () { panic!("{job:?} has run") })
        };
        let (dropped, canceled, late) = (make(), make(), make());
        assert_eq!(Arc::strong_count(&job), 4);
        drop(dropped);
        assert_eq!(Arc::strong_count(&job), 3);
        canceled.cancel();
        assert_eq!(Arc::strong_count(&job), 2);
        expect_errno(ctx.run_until(canceled).unwrap(), Errno::CANCELED);
        late.set_timeout(Duration::from_millis(1));
        expect_errno(ctx.run_until(late).unwrap(), Errno::TIMEDOUT);
        assert_eq!(Arc::strong_count(&job), 1);
        drop(closed);
        ctx.run().unwrap();
        assert!(others.iter().all(Request::is_finished));
        ctx.run_until(ctx.offload(|| {})).unwrap().unwrap();
    });
}

#[test]
fn the_result_of_a_running_job_that_nobody_waits_for_is_thrown_away() {
    on_every_backend(|ctx| {
        let log = Log::new();
        for is_dropped in [true, false] {
            let gate = Gate::default();
            let closed = gate.write().unwrap();
            let result = Arc::new(());
            let (began, begins) = mpsc::channel();
            let (at_gate, made) = (gate.clone(), result.clone());
            let job = ctx.offload(move || {
                began.send(()).unwrap();
                drop(at_gate.read());
                made
            });
            begins.recv_timeout(LIMIT).unwrap();
            if is_dropped {
                drop(job.on_done(log.noting("done")));
            } else {
                job.set_timeout(Duration::from_millis(1));
                expect_errno(ctx.run_until(job).unwrap(), Errno::TIMEDOUT);
            }
            ctx.run().unwrap(); // The job does not keep it going any more.
            assert_eq!(Arc::strong_count(&result), 2);
            drop(closed);
            let _timer = keep_going(ctx);
            run_to(ctx, || Arc::strong_count(&result) == 1);
        }
        expect_order(&log, &[]);
    });
}

/// A result that tells when it is dropped, and where.
struct Farewell(mpsc::Sender<thread::ThreadId>);

impl Drop for Farewell {
    fn drop(&mut self) {
        self.0.send(thread::current().id()).ok();
    }
}

#[test]
fn dropping_the_context_drops_what_waits_and_what_comes_too_late() {
    on_every_backend(|ctx| {
        for is_detached in [true, false] {
            let gone = Context::with_backend(ctx.backend()).unwrap();
            let gate = Gate::default();
            let closed = gate.write().unwrap();
            let others = occupy(&gone, &gate, Context::OFFLOAD_THREADS - 1);
            let (began, begins) = mpsc::channel();
            let (sender, ended) = mpsc::channel();
            let at_gate = gate.clone();
            let running = gone.offload(move || {
                began.send(()).unwrap();
                drop(at_gate.read());
                Farewell(sender)
            });
            begins.recv_timeout(LIMIT).unwrap();
            let job = Arc::new(());
            let held = job.clone();
            let waiting = gone.offload(move || -> () { panic!("{held:?} has run") });
            let mut kept = Some((running, waiting));
            if is_detached {
                let (running, waiting) = kept.take().unwrap();
                running.detach();
                waiting.detach();
            }
            drop(gone);
            assert_eq!(Arc::strong_count(&job), 1, "it is dropped with the context");
            drop(closed);
            let place = ended
                .recv_timeout(LIMIT)
                .expect("the job has run to its end");
            assert_ne!(place, thread::current().id(), "a late result stays outside");
            drop((kept, others));
        }
    });
}

#[test]
fn a_panic_of_a_job_is_the_error_of_its_request_and_the_pool_goes_on() {
    on_every_backend(|ctx| {
        let panics: [(fn(), &str); 3] = [
            (|| panic!("plain"), "plain"),
            (|| panic!("number {}", 7), "number 7"),
            (|| panic::panic_any(7), "it says nothing"),
        ];
        for (job, text) in panics {
            let error = ctx.run_until(ctx.offload(job)).unwrap().unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::Other);
            assert_eq!(
                error.to_string(),
                format!("the offloaded job panicked: {text}")
            );
        }
        // More of them than there are threads to lose.
        let count = Rc::new(Cell::new(0));
        let group: Group = Group::new(ctx);
        for _ in 0..2 * Context::OFFLOAD_THREADS {
            let count = count.clone();
            let job = ctx.offload(|| -> () { panic!("one of many") });
            group.add(
                job.on_done(move |result| count.set(count.get() + u32::from(result.is_err()))),
            );
        }
        ctx.run().unwrap();
        assert_eq!(count.get() as usize, 2 * Context::OFFLOAD_THREADS);
        assert_eq!(ctx.run_until(ctx.offload(|| 1)).unwrap().unwrap(), 1);
    });
}

#[test]
fn a_completion_may_offload_the_next_job() {
    on_every_backend(|ctx| {
        fn next(ctx: &Context, left: u32, total: &Rc<Cell<u32>>) {
            let (weak, total) = (ctx.downgrade(), total.clone());
            let job = ctx.offload(move || left).on_done(move |result| {
                total.set(total.get() + result.unwrap());
                if let (Some(ctx), true) = (weak.upgrade(), left > 0) {
                    next(&ctx, left - 1, &total);
                }
            });
            job.detach();
        }
        let total = Rc::new(Cell::new(0));
        next(ctx, 100, &total);
        ctx.run().unwrap();
        assert_eq!(total.get(), 5050);
    });
}

#[test]
fn a_job_can_be_awaited() {
    on_every_backend(|ctx| {
        let first = ctx.offload(|| 20);
        let second = ctx.offload(|| 22);
        let sum = ctx.spawn(async move { Ok::<_, io::Error>(first.await? + second.await?) });
        assert_eq!(ctx.run_until(sum).unwrap().unwrap().unwrap(), 42);
        let read = ctx.block_on(async { ctx.offload(|| "read").await });
        assert_eq!(read.unwrap().unwrap(), "read");
    });
}

#[test]
fn a_deadline_that_does_not_pass_leaves_the_result() {
    on_every_backend(|ctx| {
        let job = ctx.offload(|| 42);
        job.set_timeout(LIMIT);
        assert_eq!(ctx.run_until(job).unwrap().unwrap(), 42);
        ctx.run().unwrap(); // Nothing is left of the deadline.
    });
}

#[test]
fn a_full_line_refuses_the_next_job_until_one_leaves_it() {
    on_every_backend(|ctx| {
        let gate = Gate::default();
        let closed = gate.write().unwrap();
        let others = occupy(ctx, &gate, Context::OFFLOAD_THREADS);
        let mut waiting: Vec<_> = (0..Context::OFFLOAD_QUEUE)
            .map(|_| ctx.offload(|| {}))
            .collect();
        let refused = ctx.offload(|| panic!("a refused job has run"));
        assert!(refused.is_finished());
        expect_errno(ctx.run_until(refused).unwrap(), Errno::NOBUFS);
        drop(waiting.swap_remove(Context::OFFLOAD_QUEUE / 2));
        let accepted = ctx.offload(|| 42);
        assert!(!accepted.is_finished());
        drop((closed, waiting));
        assert_eq!(ctx.run_until(accepted).unwrap().unwrap(), 42);
        drop(others);
    });
}

#[test]
fn jobs_that_are_given_up_leave_no_timer_and_no_job_behind() {
    on_every_backend(|ctx| {
        let gate = Gate::default();
        let closed = gate.write().unwrap();
        let _others = occupy(ctx, &gate, Context::OFFLOAD_THREADS);
        let job = Arc::new(());
        // More than the line holds, so that one that stayed would be noticed.
        for _ in 0..2 * Context::OFFLOAD_QUEUE {
            let job = job.clone();
            let request = ctx.offload(move || drop(job));
            request.set_timeout(LIMIT);
            assert!(!request.is_finished());
        }
        assert_eq!(Arc::strong_count(&job), 1);
        assert_eq!(ctx.dump().entries().len(), Context::OFFLOAD_THREADS);
        drop(closed);
    });
}

#[test]
fn timers_and_jobs_do_not_wait_for_each_other() {
    on_every_backend(|ctx| {
        let gate = Gate::default();
        let closed = gate.write().unwrap();
        let jobs = occupy(ctx, &gate, 2);
        let nap = wakeup(ctx, ctx.now() + Duration::from_millis(1));
        ctx.run_until(nap).unwrap().unwrap();
        settle(ctx);
        assert!(!jobs.iter().any(Request::is_finished));
        drop(closed);
        ctx.run().unwrap();
        assert!(jobs.iter().all(Request::is_finished));
    });
}

/// Runs this test again in a process whose threads would ask for more than all of memory.
#[test]
fn a_pool_that_can_have_no_thread_refuses_its_first_job() {
    const MARK: &str = "TEVENT_WITHOUT_THREADS";
    if env::var_os(MARK).is_some() {
        let ctx = Context::new().unwrap();
        for _ in 0..3 {
            let refused = ctx.offload(|| panic!("a refused job has run"));
            expect_errno(ctx.run_until(refused).unwrap(), Errno::AGAIN);
        }
        ctx.run().unwrap();
        return;
    }
    within_limit(|| {
        let mut again = Command::new(env::current_exe().unwrap());
        again
            .args(["--exact", "--test-threads=1"])
            .arg("pool::a_pool_that_can_have_no_thread_refuses_its_first_job")
            .env(MARK, "1")
            .env("RUST_MIN_STACK", (usize::MAX / 4).to_string());
        let output = again.output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{text}");
        assert!(text.contains("1 passed"), "{text}");
    });
}

#[test]
fn simulated_time_does_not_overtake_a_job() {
    within_limit(|| {
        let ctx = Context::with_backend("sim").unwrap();
        let request = ctx.offload(|| (0..10_000).for_each(|_| thread::yield_now()));
        request.set_timeout(Duration::from_secs(3600));
        ctx.run_until(request)
            .unwrap()
            .expect("an hour has not passed for the job");
    });
}
