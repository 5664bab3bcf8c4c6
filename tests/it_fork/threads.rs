//! Forks while other threads work for a context: the child is not waiting for them.

use std::cell::{Cell, RefCell};
use std::hint;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use rustix::io::Errno;
use tevent::{Context, Request};
use tevent_tests::{kernel_backends, run_to, scaled};

use crate::children::expect_end;
use crate::sys::fork;

/// How many jobs are outstanding when the process forks.
const JOBS: usize = 8;

pub(crate) fn main() {
    for backend in kernel_backends().chain(["sim"]) {
        let ctx = Context::with_backend(backend).expect("it is listed");
        for turn in 0..scaled(100, 2000) {
            forks_with_jobs(&ctx, turn);
        }
    }
    for backend in kernel_backends() {
        forks_while_threads_send(backend);
    }
}

/// Results come in while the process is being forked, some before and some after.
fn forks_with_jobs(ctx: &Context, turn: usize) {
    let jobs = (0..JOBS)
        .map(|number| ctx.offload(move || number))
        .collect();
    let jobs: Cell<Vec<Request<usize>>> = Cell::new(jobs);
    for _ in 0..(turn * 37) % 2000 {
        hint::spin_loop();
    }
    let pid = fork(|| match turn % 4 {
        0 | 1 => is_told_of_each(ctx, jobs.take()),
        2 => begins_anew(ctx),
        _ => drops_all(ctx, jobs.take()),
    });
    for (number, job) in jobs.take().into_iter().enumerate() {
        let value = ctx.run_until(job).expect("it runs").expect("it ends well");
        assert_eq!(value, number);
    }
    expect_end(pid);
}

/// Each job has its result, if that was in time, or ends with the error for that.
fn is_told_of_each(ctx: &Context, jobs: Vec<Request<usize>>) -> i32 {
    for (number, job) in jobs.into_iter().enumerate() {
        match ctx.run_until(job).expect("it runs") {
            Ok(value) => assert_eq!(value, number),
            Err(err) => assert_eq!(err.raw_os_error(), Some(Errno::OWNERDEAD.raw_os_error())),
        }
    }
    works(ctx)
}

fn begins_anew(ctx: &Context) -> i32 {
    let before = ctx.remote();
    ctx.re_initialise().expect("there is room for a set");
    assert!(before.send(|_| ()).is_err(), "it was a way into what was");
    works(ctx)
}

fn drops_all(ctx: &Context, jobs: Vec<Request<usize>>) -> i32 {
    drop(jobs);
    works(ctx)
}

/// A job and a remote of this process work, and nothing is left then.
fn works(ctx: &Context) -> i32 {
    let job = ctx.offload(|| 42);
    assert_eq!(
        ctx.run_until(job).expect("it runs").expect("it ends well"),
        42
    );
    ctx.run().expect("nothing is left");
    0
}

thread_local! {
    static SEEN: RefCell<Rc<Cell<usize>>> = RefCell::default();
}

/// The process is forked in the middle of what others send.
fn forks_while_threads_send(backend: &str) {
    let ctx = Context::with_backend(backend).expect("it is listed");
    let (is_over, sent) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicUsize::new(0)),
    );
    let threads: Vec<_> = (0..2)
        .map(|_| {
            let (remote, is_over, sent) = (ctx.remote(), is_over.clone(), sent.clone());
            thread::spawn(move || {
                while !is_over.load(Ordering::Acquire) {
                    let count = |_: &Context| SEEN.with_borrow(|seen| seen.set(seen.get() + 1));
                    remote.send(count).expect("the context is there");
                    sent.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    let remote = ctx.remote();
    for turn in 0..scaled(100, 2000) {
        assert!(
            ctx.run_once().expect("it runs"),
            "there is always something"
        );
        let pid = fork(|| {
            thread_local!(static IS_DONE: Cell<bool> = const { Cell::new(false) });
            if turn % 2 == 0 {
                remote
                    .send(|_| IS_DONE.set(true))
                    .expect("it is for the child");
                run_to(&ctx, || IS_DONE.get());
                ctx.remote()
                    .send(|_| IS_DONE.set(false))
                    .expect("so is this");
                run_to(&ctx, || !IS_DONE.get());
                ctx.run().expect("nothing is left");
            }
            // The last handle of the child.
            drop(ctx.clone());
            i32::from(!ctx.dump().entries().is_empty())
        });
        ctx.run_ready().expect("it runs");
        expect_end(pid);
    }
    is_over.store(true, Ordering::Release);
    threads
        .into_iter()
        .for_each(|thread| thread.join().expect("it ends"));
    ctx.run().expect("nothing is left");
    let seen = SEEN.with_borrow(|seen| seen.replace(0));
    assert_eq!(
        seen,
        sent.load(Ordering::Relaxed),
        "the parent has lost nothing"
    );
}
