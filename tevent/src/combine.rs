//! [`join`], [`both`] and [`race`], requests that consist of others which run at the same time.

use std::cell::{Cell, RefCell};
use std::panic::Location;
use std::rc::{Rc, Weak};

use crate::context::Context;
use crate::request::{Completer, End, Ended, Held, Node, Request, Work};
use crate::token::Token;

/// A request that is done when all of `requests` are, with their results in the order in which they
/// were given.
///
/// The joined request owns the others: dropping it, or ending it from outside, drops those that are
/// left. Each gets a completion in place of one that it may have had. One whose result was delivered
/// before counts as [`Ended::Abandoned`]. Of an empty list the result is an empty one, from the loop
/// as always.
///
/// # Errors
/// None of its own, only those of [`Ended`]; what the others fail with stands in the list.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use tevent::{Context, join, wakeup};
///
/// # fn main() -> std::io::Result<()> {
/// let ctx = Context::new()?;
/// let naps = (1..=3).map(|n| wakeup(&ctx, ctx.now() + Duration::from_millis(n)));
/// let results = ctx.run_until(join(&ctx, naps))??;
/// assert!(results.len() == 3 && results.iter().all(Result::is_ok));
/// # Ok(())
/// # }
/// ```
///
/// # Source
/// None: in C one counts the subrequests by hand.
#[track_caller]
pub fn join<T: 'static, E: 'static>(
    ctx: &Context,
    requests: impl IntoIterator<Item = Request<T, E>>,
) -> Request<Vec<Result<T, E>>> {
    let (request, completer) = whole(ctx, "join");
    let join = Rc::new(Join {
        parts: RefCell::default(),
        unfinished: Cell::new(0),
        completer: Cell::new(None),
    });
    completer.set_work(join.clone(), 0);
    join.completer.set(Some(completer));
    let parent = request.node().resident();
    for (index, subreq) in requests.into_iter().enumerate() {
        let weak: Weak<Join<T, E>> = Rc::downgrade(&join);
        let part = match adopt(parent, subreq, move |result| {
            if let Some(join) = weak.upgrade() {
                join.finished(index, result);
            }
        }) {
            Ok(held) => {
                join.unfinished.set(join.unfinished.get() + 1);
                Part {
                    subreq: Some(held),
                    result: None,
                }
            }
            Err(result) => Part {
                subreq: None,
                result: Some(result),
            },
        };
        join.parts.borrow_mut().push(part);
    }
    join.finish_if_complete();
    request
}

/// A request that is done when `first` and `second` are, with the results of both.
///
/// As [`join`], but for two requests of different types.
///
/// # Errors
/// None of its own, only those of [`Ended`].
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use tevent::{Context, Request, both, wakeup};
///
/// # fn main() -> std::io::Result<()> {
/// let ctx = Context::new()?;
/// let nap = wakeup(&ctx, ctx.now() + Duration::from_millis(1));
/// let answer: Request<u32> = Request::finished(&ctx, "answer", Ok(42));
/// let (answer, nap) = ctx.run_until(both(&ctx, answer, nap))??;
/// assert!(answer? == 42 && nap.is_ok());
/// # Ok(())
/// # }
/// ```
#[track_caller]
pub fn both<A: 'static, E: 'static, B: 'static, F: 'static>(
    ctx: &Context,
    first: Request<A, E>,
    second: Request<B, F>,
) -> Request<(Result<A, E>, Result<B, F>)> {
    let (request, completer) = whole(ctx, "both");
    let both = Rc::new(Both {
        subreqs: Cell::default(),
        first: Cell::new(None),
        second: Cell::new(None),
        completer: Cell::new(None),
    });
    completer.set_work(both.clone(), 0);
    both.completer.set(Some(completer));
    let parent = request.node().resident();
    let weak: Weak<Both<A, E, B, F>> = Rc::downgrade(&both);
    let first = adopt(parent, first, move |result| {
        if let Some(both) = weak.upgrade() {
            both.first.set(Some(result));
            both.finish_if_complete();
        }
    });
    let weak: Weak<Both<A, E, B, F>> = Rc::downgrade(&both);
    let second = adopt(parent, second, move |result| {
        if let Some(both) = weak.upgrade() {
            both.second.set(Some(result));
            both.finish_if_complete();
        }
    });
    let mut subreqs = Vec::with_capacity(2);
    match first {
        Ok(held) => subreqs.push(held),
        Err(result) => both.first.set(Some(result)),
    }
    match second {
        Ok(held) => subreqs.push(held),
        Err(result) => both.second.set(Some(result)),
    }
    both.subreqs.set(subreqs);
    both.finish_if_complete();
    request
}

/// A request that is done when the first of `requests` is, with the index of that one and its result.
///
/// The race owns the others: they are dropped as soon as there is a winner, even if they are finished
/// by then, and when the race is dropped or ended from outside. The first to finish wins, be it with
/// an error; of those that are finished already it is the one given first. Each gets a completion in
/// place of one that it may have had. One whose result was delivered before counts as
/// [`Ended::Abandoned`].
///
/// # Errors
/// [`Ended::Abandoned`] for an empty list, which nobody can win. What the winner fails with stands in
/// the result.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use tevent::{Context, race, wakeup};
///
/// # fn main() -> std::io::Result<()> {
/// let ctx = Context::new()?;
/// let naps = [3600, 0].map(|n| wakeup(&ctx, ctx.now() + Duration::from_secs(n)));
/// let (winner, result) = ctx.run_until(race(&ctx, naps))??;
/// assert!(winner == 1 && result.is_ok());
/// # Ok(())
/// # }
/// ```
#[track_caller]
pub fn race<T: 'static, E: 'static>(
    ctx: &Context,
    requests: impl IntoIterator<Item = Request<T, E>>,
) -> Request<(usize, Result<T, E>)> {
    let (request, completer) = whole(ctx, "race");
    let race = Rc::new(Race {
        subreqs: Cell::default(),
        completer: Cell::new(None),
    });
    completer.set_work(race.clone(), 0);
    race.completer.set(Some(completer));
    let parent = request.node().resident();
    let mut subreqs = Vec::new();
    for (index, subreq) in requests.into_iter().enumerate() {
        let weak: Weak<Race<T, E>> = Rc::downgrade(&race);
        match adopt(parent, subreq, move |result| {
            if let Some(race) = weak.upgrade() {
                race.won(index, result);
            }
        }) {
            Ok(held) => subreqs.push(held),
            Err(result) => race.won(index, result),
        }
    }
    if subreqs.is_empty() {
        drop(race.completer.take());
    } else if !request.is_finished() {
        race.subreqs.set(subreqs);
    }
    request
}

/// The request that consists of others, with its completer.
#[track_caller]
fn whole<T: 'static>(ctx: &Context, kind: &'static str) -> (Request<T>, Completer<T>) {
    let node = Node::new(ctx.downgrade(), kind, Location::caller(), Ended::into);
    Request::from_node(node)
}

/// Makes `subreq` a part of `parent` that runs `completion` when it is done; the result if that can
/// never be.
fn adopt<T: 'static, E: 'static>(
    parent: Token,
    subreq: Request<T, E>,
    completion: impl FnOnce(Result<T, E>) + 'static,
) -> Result<Held, Result<T, E>> {
    let node = subreq.node();
    if node.is_delivered() {
        return Err(Err(node.abandoned()));
    }
    node.adopt(parent);
    Ok(subreq.on_done(completion).held())
}

/// The completer of the whole, until it is finished.
type Owed<R> = Cell<Option<Completer<R>>>;

/// One of several: owned until it is finished, and then its result.
struct Part<T: 'static, E: 'static> {
    subreq: Option<Held>,
    result: Option<Result<T, E>>,
}

struct Join<T: 'static, E: 'static> {
    parts: RefCell<Vec<Part<T, E>>>,
    unfinished: Cell<usize>,
    completer: Owed<Vec<Result<T, E>>>,
}

impl<T: 'static, E: 'static> Join<T, E> {
    fn finished(&self, index: usize, result: Result<T, E>) {
        let subreq = match self.parts.borrow_mut().get_mut(index) {
            Some(part) => {
                part.result = Some(result);
                part.subreq.take()
            }
            None => return,
        };
        drop(subreq);
        self.unfinished.set(self.unfinished.get() - 1);
        self.finish_if_complete();
    }

    fn finish_if_complete(&self) {
        if self.unfinished.get() > 0 {
            return;
        }
        if let Some(completer) = self.completer.take() {
            let parts = self.parts.take().into_iter();
            completer.done(parts.filter_map(|part| part.result).collect());
        }
    }
}

impl<T: 'static, E: 'static> Work for Join<T, E> {
    fn stopped(self: Rc<Self>, _: usize, _: End) {
        drop((self.parts.take(), self.completer.take()));
    }
}

struct Both<A: 'static, E: 'static, B: 'static, F: 'static> {
    subreqs: Cell<Vec<Held>>,
    first: Cell<Option<Result<A, E>>>,
    second: Cell<Option<Result<B, F>>>,
    completer: Owed<(Result<A, E>, Result<B, F>)>,
}

impl<A: 'static, E: 'static, B: 'static, F: 'static> Both<A, E, B, F> {
    fn finish_if_complete(&self) {
        match (self.first.take(), self.second.take()) {
            (Some(first), Some(second)) => {
                if let Some(completer) = self.completer.take() {
                    completer.done((first, second));
                }
                drop(self.subreqs.take());
            }
            (first, second) => {
                self.first.set(first);
                self.second.set(second);
            }
        }
    }
}

impl<A: 'static, E: 'static, B: 'static, F: 'static> Work for Both<A, E, B, F> {
    fn stopped(self: Rc<Self>, _: usize, _: End) {
        drop((self.subreqs.take(), self.completer.take()));
        drop((self.first.take(), self.second.take()));
    }
}

struct Race<T: 'static, E: 'static> {
    subreqs: Cell<Vec<Held>>,
    completer: Owed<(usize, Result<T, E>)>,
}

impl<T: 'static, E: 'static> Race<T, E> {
    fn won(&self, index: usize, result: Result<T, E>) {
        // The completion is put in line before anybody hears of having lost.
        if let Some(completer) = self.completer.take() {
            completer.done((index, result));
        }
        drop(self.subreqs.take());
    }
}

impl<T: 'static, E: 'static> Work for Race<T, E> {
    fn stopped(self: Rc<Self>, _: usize, _: End) {
        drop((self.subreqs.take(), self.completer.take()));
    }
}
