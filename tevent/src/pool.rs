//! Blocking jobs as requests: they run on threads of a pool, the only ones that are started here.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::process;
use std::rc::{Rc, Weak};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use crate::context::{Context, Elsewhere, Expected};
use crate::error;
use crate::request::{Completer, End, Request, Work};

/// What [`thread::Builder`] calls each thread, as it is seen in `ps -L` and in the text of a panic.
const THREAD_NAME: &str = "tevent-pool";

/// How long a thread without a job stays: a burst starts each thread once, and a program that has
/// come to rest has none.
const LINGER: Duration = Duration::from_secs(10);

impl Context {
    /// How many threads the pool of a context has at most.
    ///
    /// Jobs wait for disks and name servers and not for processors, so these are more than most
    /// machines have of those; yet few enough that a program with a context per processor does not
    /// fill its process table.
    pub const OFFLOAD_THREADS: usize = 16;

    /// How many jobs may wait for a thread of the pool; the next is refused.
    ///
    /// As many as a server has connections if each of them waits for a file. More of them means that
    /// the threads do not keep up, and then whoever asks has to know.
    pub const OFFLOAD_QUEUE: usize = 16 * 1024;

    /// Runs `blocking` on another thread, as a request of what it returns.
    ///
    /// For calls that have no non-blocking form (files, name resolution) and for long computations.
    /// Jobs begin in the order of these calls, and results arrive in the order in which the jobs
    /// end. An outstanding job keeps [`run`](Self::run) going.
    ///
    /// Each context has a pool of its own, so that the jobs of one do not wait behind those of
    /// another, and what is left of it ends with the context. It has no thread until there is a job, at
    /// most [`OFFLOAD_THREADS`](Self::OFFLOAD_THREADS), and after some seconds without a job none.
    ///
    /// The child of a `fork(2)` has none of the threads: new jobs get new ones, and the requests of jobs
    /// that are outstanding end there with `ESRCH`, unless the result had arrived. What a job does
    /// it does once, for the parent.
    ///
    /// # Cancellation
    /// A job that still waits for a thread when its request is dropped or ends early (by a deadline or
    /// a cancel) is dropped at once and never runs. One that is running cannot be stopped: it runs to
    /// its end, keeps its thread that long, and its result is thrown away. It does not keep the loop
    /// going any more. Dropping the context does the same to all of its jobs, and waits for none. A
    /// process that ends takes running jobs with it.
    ///
    /// # Errors
    /// The request fails with
    /// - `ENOBUFS` if [`OFFLOAD_QUEUE`](Self::OFFLOAD_QUEUE) jobs wait already;
    /// - `ESRCH` if this process is a child, and the job its parent's;
    /// - what the system answers if it has no thread left (`EAGAIN`) and the pool has none yet;
    /// - an error of kind [`Other`](io::ErrorKind::Other) with the text of the panic if `blocking`
    ///   panics. The pool goes on.
    ///
    /// # Examples
    /// ```
    /// use tevent::Context;
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let ctx = Context::new()?;
    /// let manifest = ctx.offload(|| std::fs::read_to_string("Cargo.toml"));
    /// let text = ctx.run_until(manifest)???; // of the loop, of the pool, of the job
    /// assert!(text.contains("[package]"));
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "spawn_blocking")]
    #[doc(alias = "pthreadpool")]
    #[track_caller]
    pub fn offload<R: Send + 'static>(
        &self,
        blocking: impl FnOnce() -> R + Send + 'static,
    ) -> Request<R> {
        // Unique in the process, so that a result finds no other pool's request.
        static NEXT_NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NEXT_NUMBER.fetch_add(1, Ordering::Relaxed);
        let (request, completer) = Request::pair(self, "offload");
        let remote = self.remote();
        let job = Box::new(move |crew: &Crew| {
            let outcome = panic::catch_unwind(AssertUnwindSafe(blocking));
            // Before the result is seen: whoever offloads the next job on it finds this thread free.
            crew.lock().free_count += 1;
            let (result, panic) = match outcome {
                Ok(value) => (Ok(value), None),
                Err(panic) => (Err(error::job_panicked(text_of(&*panic))), Some(panic)),
            };
            // If the context is gone, the result has no reader.
            remote.send(move |ctx| deliver(ctx, number, result)).ok();
            drop(panic);
        });
        let pool = self.local::<Pool>();
        match pool.crew().add(number, job) {
            Ok(()) => {
                let offload = Rc::new_cyclic(|weak: &Weak<Offload<R>>| Offload {
                    pool: Rc::downgrade(&pool),
                    number,
                    completer: Cell::new(None),
                    _expected: self.expect_work(weak.clone()),
                });
                completer.set_work(offload.clone(), 0);
                offload.completer.set(Some(completer));
                pool.offloads.borrow_mut().insert(number, offload);
            }
            Err(refusal) => completer.error(refusal),
        }
        request
    }
}

/// Ends the request of the job `number`, if it still waits.
fn deliver<R: 'static>(ctx: &Context, number: u64, result: io::Result<R>) {
    let offload = ctx.local::<Pool>().offloads.borrow_mut().remove(&number);
    let offload = offload.and_then(|offload| offload.downcast::<Offload<R>>().ok());
    if let Some(completer) = offload.and_then(|offload| offload.completer.take()) {
        completer.finish(result);
    }
}

/// What a panic says, if it says anything.
fn text_of(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("it says nothing")
}

/// The loop's side of a job, until its result is there.
struct Offload<R: 'static> {
    pool: Weak<Pool>,
    number: u64,
    completer: Cell<Option<Completer<R>>>,
    _expected: Expected,
}

impl<R: 'static> Work for Offload<R> {
    fn stopped(self: Rc<Self>, _: usize, _: End) {
        if let Some(pool) = self.pool.upgrade() {
            let known = pool.offloads.borrow_mut().remove(&self.number);
            let job = pool.crew().withdraw(self.number);
            drop((known, job));
        }
        drop(self.completer.take());
    }
}

impl<R: 'static> Elsewhere for Offload<R> {
    fn is_lost(self: Rc<Self>) {
        if let Some(pool) = self.pool.upgrade() {
            let known = pool.offloads.borrow_mut().remove(&self.number);
            drop(known);
        }
        if let Some(completer) = self.completer.take() {
            completer.error(error::job_not_in_child());
        }
    }
}

/// The jobs of one context.
#[derive(Default)]
struct Pool {
    crew: RefCell<Arc<Crew>>,
    // By the numbers of their jobs: `Offload`s whose types only their jobs know.
    offloads: RefCell<BTreeMap<u64, Rc<dyn Any>>>,
}

impl Pool {
    fn crew(&self) -> Arc<Crew> {
        let mut crew = self.crew.borrow_mut();
        // A thread may have held the lock when the process was forked: the parent's crew is not
        // touched in the child. Its threads, which are not here, own it.
        if crew.home != process::id() {
            *crew = Arc::default();
        }
        crew.clone()
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        drop(self.crew().close());
    }
}

/// A job, which tells the crew when its thread is free again.
type Job = Box<dyn FnOnce(&Crew) + Send>;

/// The threads of one pool, with the line that they take their jobs from.
// A map in the order of its keys and not a channel: a job leaves it from anywhere, and nothing stays.
struct Crew {
    line: Mutex<Line>,
    news: Condvar,
    linger: Duration,
    /// The process that has the threads.
    home: u32,
}

// Invariant: locked only to look and to change; no job runs or is dropped meanwhile.
#[derive(Default)]
struct Line {
    waiting: BTreeMap<u64, Job>,
    thread_count: usize,
    // The threads that will look for a job before they end, those included that have yet to begin.
    free_count: usize,
    is_closed: bool,
}

impl Default for Crew {
    fn default() -> Self {
        Self {
            line: Mutex::default(),
            news: Condvar::new(),
            linger: LINGER,
            home: process::id(),
        }
    }
}

impl Crew {
    /// Puts `job` in line, and starts a thread if those that are free have enough to do.
    fn add(self: &Arc<Self>, number: u64, job: Job) -> io::Result<()> {
        let mut line = self.lock();
        if line.waiting.len() >= Context::OFFLOAD_QUEUE {
            return Err(error::too_many_jobs());
        }
        line.waiting.insert(number, job);
        if line.waiting.len() <= line.free_count {
            self.news.notify_one();
            return Ok(());
        }
        if line.thread_count >= Context::OFFLOAD_THREADS {
            return Ok(());
        }
        line.thread_count += 1;
        line.free_count += 1;
        drop(line);
        let crew = self.clone();
        let started = thread::Builder::new()
            .name(THREAD_NAME.to_owned())
            .spawn(move || crew.work());
        started.map(drop).or_else(|err| {
            let mut line = self.lock();
            line.thread_count -= 1;
            line.free_count -= 1;
            if line.thread_count > 0 {
                return Ok(()); // It takes its turn with those that there are.
            }
            let job = line.waiting.remove(&number);
            drop(line);
            // Without a job here, a thread that has ended since has run it.
            job.map_or(Ok(()), |_| Err(err))
        })
    }

    /// Takes a job out of the line, if it has not begun.
    fn withdraw(&self, number: u64) -> Option<Job> {
        self.lock().waiting.remove(&number)
    }

    /// Sends the threads home, and gives back the jobs that have not begun.
    fn close(&self) -> BTreeMap<u64, Job> {
        let mut line = self.lock();
        line.is_closed = true;
        self.news.notify_all();
        std::mem::take(&mut line.waiting)
    }

    /// What each thread does.
    fn work(&self) {
        while let Some(job) = self.next_job() {
            // A result whose context is gone is dropped here, and may panic as it is.
            panic::catch_unwind(AssertUnwindSafe(|| job(self))).ok();
        }
    }

    /// Waits for the next job; the thread ends without one.
    fn next_job(&self) -> Option<Job> {
        let is_idle = |line: &mut Line| line.waiting.is_empty() && !line.is_closed;
        let waited = self
            .news
            .wait_timeout_while(self.lock(), self.linger, is_idle);
        let (mut line, _) = waited.unwrap_or_else(PoisonError::into_inner);
        line.free_count -= 1;
        let first = line.waiting.pop_first();
        if first.is_none() {
            line.thread_count -= 1;
        }
        first.map(|(_, job)| job)
    }

    fn lock(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::sync::mpsc::{Receiver, Sender, channel};
    use std::thread::ThreadId;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(60);

    /// Tells when its thread ends.
    struct Farewell(Sender<ThreadId>);

    impl Drop for Farewell {
        fn drop(&mut self) {
            self.0.send(thread::current().id()).ok();
        }
    }

    thread_local!(static FAREWELL: RefCell<Option<Farewell>> = const { RefCell::new(None) });

    /// A job for `crew`, and who tells that its thread has ended.
    fn add_job(crew: &Arc<Crew>, number: u64) -> Receiver<ThreadId> {
        let (sender, ended) = channel();
        let job = Box::new(move |crew: &Crew| {
            FAREWELL.replace(Some(Farewell(sender)));
            crew.lock().free_count += 1;
        });
        crew.add(number, job).unwrap();
        ended
    }

    #[test]
    fn a_thread_without_a_job_ends_and_the_next_job_gets_another() {
        let crew = Arc::new(Crew {
            linger: Duration::ZERO,
            ..Crew::default()
        });
        let first = add_job(&crew, 0).recv_timeout(LIMIT).unwrap();
        let second = add_job(&crew, 1).recv_timeout(LIMIT).unwrap();
        assert_ne!(first, second);
        let line = crew.lock();
        assert_eq!((line.thread_count, line.free_count), (0, 0));
    }

    #[test]
    fn a_thread_with_time_left_ends_at_once_when_the_crew_is_closed() {
        let crew = Arc::new(Crew {
            linger: LIMIT * 60,
            ..Crew::default()
        });
        let ended = add_job(&crew, 0);
        let is_at_rest = |line: &Line| line.waiting.is_empty() && line.free_count == 1;
        while !is_at_rest(&crew.lock()) {
            thread::yield_now();
        }
        assert!(crew.close().is_empty());
        ended.recv_timeout(LIMIT).unwrap();
    }
}
