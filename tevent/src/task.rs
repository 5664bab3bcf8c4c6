//! Futures as requests: `spawn` polls them from the loop.

use std::cell::{Cell, OnceCell, RefCell};
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{self, Poll, Wake, Waker};

use crate::context::{Context, WeakContext};
use crate::remote::Remote;
use crate::request::{Completer, End, Request, Work};
use crate::run_queue::{Run, Ticket};
use crate::token::{Table, Token};
use crate::trace::TraceKind;

impl Context {
    /// Runs `future` in this context, as a request of what it returns.
    ///
    /// It is first polled from the loop, and then whenever it was woken, from this thread or another.
    /// Dropping the request drops the future.
    ///
    /// # Examples
    /// ```
    /// use std::time::Duration;
    /// use tevent::{Context, wakeup};
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let ctx = Context::new()?;
    /// let timer = wakeup(&ctx, ctx.now() + Duration::from_millis(1));
    /// let request = ctx.spawn(async move { timer.await.map(|()| 42) });
    /// assert_eq!(ctx.run_until(request)???, 42);
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn spawn<T: 'static>(&self, future: impl Future<Output = T> + 'static) -> Request<T> {
        let (request, completer) = Request::pair(self, "spawn");
        let tasks = self.local::<Tasks>();
        tasks.settle(self);
        let task = Rc::new(Task {
            tasks: Rc::downgrade(&tasks),
            ctx: self.downgrade(),
            resident: request.node().resident(),
            location: request.node().location(),
            token: Cell::new(Token::NOBODY),
            ticket: Cell::new(Ticket::NONE),
            waker: OnceCell::new(),
            future: Cell::new(Some(Box::pin(future))),
            completer: Cell::new(None),
            is_stopped: Cell::new(false),
        });
        let weak: Weak<Task<T>> = Rc::downgrade(&task);
        let token = tasks.table.borrow_mut().insert(weak);
        task.token.set(token);
        let waker = Waker::from(Arc::new(TaskWaker {
            home: tasks.id,
            token,
            remote: self.remote(),
        }));
        task.waker.get_or_init(|| waker);
        completer.set_work(task.clone(), 0);
        task.completer.set(Some(completer));
        task.wake(self);
        request
    }
}

/// The futures of one context.
struct Tasks {
    id: u64,
    table: RefCell<Table<Weak<dyn Wakeable>>>,
}

thread_local! {
    /// The contexts of this thread that run futures, so that a waker finds its own without a detour.
    static HOMES: RefCell<Vec<(u64, WeakContext)>> = const { RefCell::new(Vec::new()) };
}

impl Default for Tasks {
    fn default() -> Self {
        static NEXT_ID: AtomicU64 = AtomicU64::new(0);
        let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
        Self {
            id,
            table: RefCell::new(Table::default()),
        }
    }
}

impl Tasks {
    /// Makes `ctx`, whose tasks these are, known to the wakers of this thread.
    fn settle(&self, ctx: &Context) {
        HOMES.with_borrow_mut(|homes| {
            if homes.iter().all(|(id, _)| *id != self.id) {
                homes.retain(|(_, ctx)| ctx.upgrade().is_some());
                homes.push((self.id, ctx.downgrade()));
            }
        });
    }

    fn wake(&self, ctx: &Context, token: Token) {
        let task = self.table.borrow().get(token).and_then(Weak::upgrade);
        if let Some(task) = task {
            task.wake(ctx);
        }
    }
}

trait Wakeable {
    /// Has the future polled from the loop, once however often this is called before.
    fn wake(self: Rc<Self>, ctx: &Context);
}

struct TaskWaker {
    home: u64,
    token: Token,
    remote: Remote,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let token = self.token;
        // Without a home here, this is another thread, or one that is coming to its end.
        let home = HOMES.try_with(|homes| {
            let homes = homes.borrow();
            homes.iter().find_map(|(id, ctx)| {
                if *id == self.home {
                    ctx.upgrade()
                } else {
                    None
                }
            })
        });
        match home {
            Ok(Some(ctx)) => ctx.local::<Tasks>().wake(&ctx, token),
            _ => {
                let sent = self
                    .remote
                    .send(move |ctx| ctx.local::<Tasks>().wake(ctx, token));
                // The context is gone, and the future with it.
                sent.ok();
            }
        }
    }
}

// Invariant: the future and the completer are both there between polls, and both out during a poll or
// after the end.
struct Task<T: 'static> {
    tasks: Weak<Tasks>,
    ctx: WeakContext,
    resident: Token,
    location: &'static Location<'static>,
    token: Cell<Token>,
    ticket: Cell<Ticket>,
    waker: OnceCell<Waker>,
    future: Cell<Option<Pin<Box<dyn Future<Output = T>>>>>,
    completer: Cell<Option<Completer<T>>>,
    is_stopped: Cell<bool>,
}

impl<T: 'static> Task<T> {
    fn leave(&self) {
        if let Some(tasks) = self.tasks.upgrade() {
            let left = tasks.table.borrow_mut().remove(self.token.get());
            drop(left);
        }
    }
}

impl<T: 'static> Wakeable for Task<T> {
    fn wake(self: Rc<Self>, ctx: &Context) {
        if self.ticket.get() == Ticket::NONE && !self.is_stopped.get() {
            let job = self.clone();
            self.ticket.set(ctx.enqueue(job));
        }
    }
}

impl<T: 'static> Run for Task<T> {
    fn run(self: Rc<Self>, ctx: &Context) {
        self.ticket.set(Ticket::NONE);
        let (Some(mut future), Some(completer)) = (self.future.take(), self.completer.take())
        else {
            return;
        };
        let Some(waker) = self.waker.get() else {
            return;
        };
        let mut polled = Poll::Pending;
        ctx.measure(TraceKind::Task, self.location, || {
            let _current = ctx.residents().make_current(self.resident);
            polled = future.as_mut().poll(&mut task::Context::from_waker(waker));
        });
        match polled {
            Poll::Ready(value) => {
                self.leave();
                drop(future);
                completer.done(value);
            }
            Poll::Pending if self.is_stopped.get() => {}
            Poll::Pending => {
                self.future.set(Some(future));
                self.completer.set(Some(completer));
            }
        }
    }

    fn forget(&self) {
        self.ticket.set(Ticket::NONE);
    }
}

impl<T: 'static> Work for Task<T> {
    fn stopped(self: Rc<Self>, _: usize, _: End) {
        self.is_stopped.set(true);
        self.leave();
        let ticket = self.ticket.replace(Ticket::NONE);
        if ticket != Ticket::NONE {
            if let Some(ctx) = self.ctx.upgrade() {
                ctx.dequeue(ticket);
            }
        }
        drop((self.future.take(), self.completer.take()));
    }
}
