//! [`Group`], an owner for any number of requests.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::panic::Location;
use std::rc::{Rc, Weak};

use crate::context::{Context, WeakContext};
use crate::request::{Completer, Held, Request, Sink};
use crate::token::{Table, Token};

/// Owns requests of any kind until they are done; dropping it drops those that are left.
///
/// A server keeps one with a request for each connection. A request that was given a completion
/// before it was added runs it as always. One that was not, and fails, is reported to the group's
/// [`on_error`](Self::on_error) hook.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use tevent::{Context, Group, wakeup};
///
/// # fn main() -> std::io::Result<()> {
/// let ctx = Context::new()?;
/// let group = Group::new(&ctx);
/// for n in 0..3 {
///     group.add(wakeup(&ctx, ctx.now() + Duration::from_millis(n)));
/// }
/// ctx.run_until(group.finished())??;
/// assert!(group.is_empty());
/// # Ok(())
/// # }
/// ```
#[must_use = "dropping a group drops the requests in it"]
pub struct Group {
    members: Rc<Members>,
}

/// What became of a request that nobody waited for.
#[non_exhaustive]
pub struct Stray<'a> {
    /// What the request was called.
    pub kind: &'static str,
    /// Where it was created.
    pub location: &'static Location<'static>,
    /// What it failed with.
    pub error: &'a dyn fmt::Display,
}

impl fmt::Debug for Stray<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Stray({self})")
    }
}

impl fmt::Display for Stray<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}): {}", self.kind, self.location, self.error)
    }
}

type ErrorHook = Rc<dyn Fn(Stray<'_>)>;

struct Members {
    ctx: WeakContext,
    requests: RefCell<Table<Held>>,
    on_error: RefCell<Option<ErrorHook>>,
    // Whoever waits for the group to become empty.
    waiting: Cell<Vec<Completer<()>>>,
}

/// What a request of a group carries: dropped after its delivery, it takes the request out.
pub(crate) struct Keeper {
    members: Weak<Members>,
    token: Token,
}

impl Group {
    /// An empty group.
    pub fn new(ctx: &Context) -> Self {
        let members = Members {
            ctx: ctx.downgrade(),
            requests: RefCell::new(Table::default()),
            on_error: RefCell::new(None),
            waiting: Cell::default(),
        };
        Self {
            members: Rc::new(members),
        }
    }

    /// Owns `request` until its completion has run; not at all if it has run before.
    pub fn add<T: 'static, E: fmt::Display + 'static>(&self, request: Request<T, E>) {
        let node = request.node().clone();
        if node.is_delivered() {
            return;
        }
        if !node.has_completion() {
            let members = Rc::downgrade(&self.members);
            let (kind, location) = (node.kind(), node.location());
            let completion = Sink::Completion(Box::new(move |result| {
                let hook = members
                    .upgrade()
                    .and_then(|members| members.on_error.borrow().clone());
                if let (Err(error), Some(hook)) = (&result, hook) {
                    hook(Stray {
                        kind,
                        location,
                        error,
                    });
                }
            }));
            node.set_completion(completion);
        }
        let token = self.members.requests.borrow_mut().insert(request.held());
        node.set_keeper(Keeper {
            members: Rc::downgrade(&self.members),
            token,
        });
    }

    /// Has `hook` run for each request that fails without a completion of its own.
    pub fn on_error(&self, hook: impl Fn(Stray<'_>) + 'static) {
        self.members.on_error.replace(Some(Rc::new(hook)));
    }

    /// How many requests are in it.
    #[must_use]
    pub fn len(&self) -> usize {
        self.members.requests.borrow().len()
    }

    /// Whether it owns nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Drops every request in it, which cancels them.
    pub fn clear(&self) {
        let requests = self.members.requests.borrow_mut().take_all();
        drop(requests);
        self.members.tell_if_empty();
    }

    /// A request that is done when the group is empty, at once if it is.
    ///
    /// If the group is dropped first, the request ends with
    /// [`Ended::Abandoned`](crate::Ended::Abandoned).
    #[track_caller]
    pub fn finished(&self) -> Request<()> {
        let (request, completer) = Request::pair(&self.members.ctx, "group finished");
        self.members.with_waiting(|waiting| {
            waiting.retain(|completer| !completer.is_moot());
            waiting.push(completer);
        });
        self.members.tell_if_empty();
        request
    }
}

impl Members {
    fn with_waiting(&self, change: impl FnOnce(&mut Vec<Completer<()>>)) {
        let mut waiting = self.waiting.take();
        change(&mut waiting);
        self.waiting.set(waiting);
    }

    fn tell_if_empty(&self) {
        if self.requests.borrow().is_empty() {
            for completer in self.waiting.take() {
                completer.done(());
            }
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        let Some(members) = self.members.upgrade() else {
            return;
        };
        let request = members.requests.borrow_mut().remove(self.token);
        if request.is_some() {
            drop(request);
            members.tell_if_empty();
        }
    }
}

impl fmt::Debug for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Group")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

/// The requests that were handed to the context itself.
#[derive(Default)]
struct Detached {
    group: std::cell::OnceCell<Group>,
}

impl Detached {
    fn group(ctx: &Context) -> Rc<Self> {
        let detached = ctx.local::<Self>();
        detached.group.get_or_init(|| Group::new(ctx));
        detached
    }
}

impl<T: 'static, E: fmt::Display + 'static> Request<T, E> {
    /// Hands the request over to its context, which owns it until it is done, or until the context is
    /// dropped.
    ///
    /// If it fails and has no completion, [`Context::on_stray_error`] is told.
    pub fn detach(self) {
        if let Some(ctx) = self.node().ctx() {
            if let Some(group) = Detached::group(&ctx).group.get() {
                group.add(self);
            }
        }
    }
}

impl Context {
    /// Has `hook` run for each detached request that fails without a completion of its own.
    ///
    /// Without a hook such an error is dropped: libraries do not print.
    pub fn on_stray_error(&self, hook: impl Fn(Stray<'_>) + 'static) {
        if let Some(group) = Detached::group(self).group.get() {
            group.on_error(hook);
        }
    }
}
