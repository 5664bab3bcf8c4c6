//! Forks while other threads work for a context: the child is not waiting for them.

use std::cell::Cell;
use std::hint;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use rustix::io::Errno;
use tevent::{Context, Remote, Request};
use tevent_tests::{kernel_backends, run_to, scaled};

use crate::children::expect_end;
use crate::sys::fork;

/// How many jobs are outstanding when the process forks.
const JOBS: usize = 8;

pub(crate) fn main() {
    for backend in kernel_backends().chain(["sim"]) {
        let ctx = Context::with_backend(backend).expect("it is listed");
        for turn in 0..scaled(40, 2000) {
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
            Err(err) => assert_eq!(err.raw_os_error(), Some(Errno::SRCH.raw_os_error())),
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

/// How much may be on its way at a time.
const ON_ITS_WAY: usize = 1000;

/// The process is forked in the middle of what others send.
fn forks_while_threads_send(backend: &str) {
    let ctx = Context::with_backend(backend).expect("it is listed");
    let is_over = Arc::new(AtomicBool::new(false));
    let threads = [(); 2].map(|()| {
        let (remote, is_over) = (ctx.remote(), is_over.clone());
        thread::spawn(move || {
            let (mut sent, seen) = (0, Arc::new(AtomicUsize::new(0)));
            while !is_over.load(Ordering::Acquire) {
                if sent - seen.load(Ordering::Relaxed) < ON_ITS_WAY {
                    let seen = seen.clone();
                    let count = move |_: &Context| {
                        seen.fetch_add(1, Ordering::Relaxed);
                    };
                    remote.send(count).expect("the context is there");
                    sent += 1;
                }
            }
            (sent, seen)
        })
    });
    let remote = ctx.remote();
    let only_handle = Cell::new(Some(ctx));
    for turn in 0..scaled(40, 2000) {
        let ctx = only_handle.take().expect("it was put back");
        ctx.run_ready().expect("it runs");
        only_handle.set(Some(ctx));
        let pid = fork(|| {
            let ctx = only_handle.take().expect("it was put back");
            if turn % 2 == 0 {
                is_reached(&ctx, &remote);
            }
            drop(ctx);
            0
        });
        expect_end(pid);
    }
    let ctx = only_handle.take().expect("it was put back");
    is_over.store(true, Ordering::Release);
    let counts = threads.map(|thread| thread.join().expect("it ends"));
    ctx.run().expect("nothing is left");
    for (sent, seen) in counts {
        assert_eq!(
            seen.load(Ordering::Relaxed),
            sent,
            "the parent has lost nothing"
        );
    }
}

/// What is sent in this process arrives in it.
fn is_reached(ctx: &Context, before: &Remote) {
    thread_local!(static IS_DONE: Cell<bool> = const { Cell::new(false) });
    before.send(|_| IS_DONE.set(true)).expect("it is a way in");
    run_to(ctx, || IS_DONE.get());
    ctx.remote()
        .send(|_| IS_DONE.set(false))
        .expect("it is one");
    run_to(ctx, || !IS_DONE.get());
    ctx.run().expect("nothing is left");
}
