//! [`Ready`], through which an implementation says that another attempt is worth it.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::rc::{Rc, Weak};

use tevent::{Context, Immediate, Readiness, WeakContext};

/// Whatever stands in front of an implementation and makes the attempts.
pub(crate) trait Front {
    /// Makes the attempts that `told` makes worth it. Called from the loop.
    fn on_ready(self: Rc<Self>, told: Readiness);
}

/// Tells the front of a stream, datagram or listener that another attempt is worth it.
///
/// The implementation gets it when it is made and keeps it; clones tell the same front. When the
/// stream becomes the transport of a layered one, the same handle tells the new front.
#[derive(Clone)]
pub struct Ready {
    link: Rc<Link>,
}

struct Link {
    ctx: RefCell<WeakContext>,
    front: RefCell<Option<Weak<dyn Front>>>,
    // Told by `schedule` and not passed on yet.
    soon: Cell<Readiness>,
    immediate: RefCell<Option<Immediate>>,
}

impl Ready {
    pub(crate) fn new(ctx: &Context) -> Self {
        let link = Link {
            ctx: RefCell::new(ctx.downgrade()),
            front: RefCell::new(None),
            soon: Cell::new(Readiness::NONE),
            immediate: RefCell::new(None),
        };
        Self {
            link: Rc::new(link),
        }
    }

    pub(crate) fn set_front(&self, front: Weak<dyn Front>) {
        self.link.front.replace(Some(front));
    }

    /// Makes the attempts that `readiness` makes worth it, now.
    ///
    /// For handlers of the loop, such as that of an [`FdEvent`](tevent::FdEvent); never from inside an
    /// attempt.
    pub fn notify(&self, readiness: Readiness) {
        self.link.notify(readiness);
    }

    /// Makes the attempts that `readiness` makes worth it, soon, from the loop.
    ///
    /// Can be called from anywhere, also from inside an attempt.
    pub fn schedule(&self, readiness: Readiness) {
        let link = &self.link;
        let Some(ctx) = link.ctx.borrow().upgrade() else {
            return;
        };
        let untold = link.soon.replace(link.soon.get() | readiness);
        link.immediate.borrow_mut().get_or_insert_with(|| {
            let link = Rc::downgrade(link);
            Immediate::new(&ctx, move || {
                if let Some(link) = link.upgrade() {
                    link.notify(link.soon.replace(Readiness::NONE));
                }
            })
        });
        // What is untold is not in line any more if the context was made anew since.
        if let Some(immediate) = &*link.immediate.borrow() {
            if untold.is_empty() || !immediate.is_scheduled() {
                immediate.schedule();
            }
        }
    }

    /// Tells from `ctx` from now on, what was still to be told included.
    pub(crate) fn move_to(&self, ctx: &Context) {
        self.link.ctx.replace(ctx.downgrade());
        let immediate = self.link.immediate.take();
        drop(immediate);
        let untold = self.link.soon.replace(Readiness::NONE);
        if !untold.is_empty() {
            self.schedule(untold);
        }
    }
}

impl Link {
    fn notify(&self, readiness: Readiness) {
        let front = self.front.borrow().as_ref().and_then(Weak::upgrade);
        if let Some(front) = front {
            front.on_ready(readiness);
        }
    }
}

impl fmt::Debug for Ready {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ready")
            .field("soon", &self.link.soon.get())
            .finish_non_exhaustive()
    }
}
