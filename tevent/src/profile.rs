//! [`Profile`], the tree of what a request consisted of, with times, which survives the request.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fmt;
use std::panic::Location;
use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::context::Context;
use crate::request::{End, Node, Request};
use crate::token::Token;

/// What a request consisted of: each part with its times, its place and its end.
///
/// Made by [`Request::profile`] and filled in from then on, it is still there when the request is not.
/// Parts are the requests that the request's steps or future start, or that [`join`](crate::join()),
/// [`both`](crate::both()) and [`race`](crate::race()) make of others, and the parts of these. A
/// handle can be cloned; all show the same profile.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use tevent::{Context, End, wakeup};
///
/// # fn main() -> std::io::Result<()> {
/// let ctx = Context::new()?;
/// let weak = ctx.downgrade();
/// let request = ctx.spawn(async move {
///     let ctx = weak.upgrade().expect("it runs this");
///     wakeup(&ctx, ctx.now() + Duration::from_millis(2)).await
/// });
/// let profile = request.profile();
/// ctx.run_until(request)???;
/// let entries = profile.entries();
/// assert_eq!((entries[0].kind, entries[1].kind), ("spawn", "wakeup"));
/// assert!(entries[1].took().is_some_and(|took| took >= Duration::from_millis(1)));
/// assert_eq!(entries[1].end, Some(End::Done));
/// println!("{profile}");
/// # Ok(())
/// # }
/// ```
///
/// # Source
/// `tevent_req_set_profile()`. Differs: parts that are dropped stay in the tree; nothing is moved by
/// hand; the place where a request was finished is not kept, only how.
#[derive(Clone)]
#[doc(alias = "tevent_req_profile")]
pub struct Profile {
    record: Rc<Record>,
}

/// One request in a [`Profile`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProfileEntry {
    /// What it is called.
    #[doc(alias = "tevent_req_profile_get_name")]
    pub kind: &'static str,
    /// Where it was created.
    pub location: &'static Location<'static>,
    /// When it was created, or if that was earlier, when it became a part.
    #[doc(alias = "tevent_req_profile_get_start")]
    pub started: Instant,
    /// When it ended.
    #[doc(alias = "tevent_req_profile_get_stop")]
    pub stopped: Option<Instant>,
    /// How it ended.
    #[doc(alias = "tevent_req_profile_get_status")]
    pub end: Option<End>,
    /// How many ancestors it has in the profile.
    pub depth: usize,
}

impl ProfileEntry {
    /// How long it took, if it is over.
    #[must_use]
    pub fn took(&self) -> Option<Duration> {
        let stopped = self.stopped?;
        Some(stopped.saturating_duration_since(self.started))
    }
}

#[derive(Default)]
struct Record {
    // In the order in which they began.
    parts: RefCell<Vec<Part>>,
    omitted: Cell<usize>,
}

struct Part {
    entry: ProfileEntry,
    parent: Option<usize>,
}

/// The requests of one context that are being profiled.
#[derive(Default)]
struct Profiled {
    members: RefCell<HashMap<Token, Member>>,
}

#[derive(Clone)]
struct Member {
    record: Rc<Record>,
    index: usize,
}

impl<T: 'static, E: 'static> Request<T, E> {
    /// Profiles the request and what it starts from now on.
    ///
    /// Of a request that is profiled already, by itself or as a part of another, this is the profile
    /// that it stands in. That of a request that has finished, or whose context is gone, is empty.
    #[doc(alias = "tevent_req_set_profile")]
    #[doc(alias = "tevent_req_get_profile")]
    #[must_use]
    pub fn profile(&self) -> Profile {
        let node = self.node();
        let record = Rc::<Record>::default();
        if let Some(ctx) = node.ctx().filter(|_| !node.is_over()) {
            if let Some(member) = ctx.local::<Profiled>().member(node.resident()) {
                return Profile {
                    record: member.record,
                };
            }
            begin(&ctx, &record, None, node);
        }
        Profile { record }
    }
}

/// Has `node` profiled as a part of `parent`, if that is profiled; moves it there if it was elsewhere.
pub(crate) fn add_part<T: 'static, E: 'static>(
    ctx: &Context,
    parent: Token,
    node: &Rc<Node<T, E>>,
) {
    let profiled = ctx.local::<Profiled>();
    let Some(member) = profiled.member(parent) else {
        return;
    };
    match profiled.member(node.resident()) {
        None if node.is_over() => {}
        None => begin(ctx, &member.record, Some(member.index), node),
        Some(known) if Rc::ptr_eq(&known.record, &member.record) => {
            known.record.parts.borrow_mut()[known.index].parent = Some(member.index);
        }
        // It has a profile of its own.
        Some(_) => {}
    }
}

fn begin<T: 'static, E: 'static>(
    ctx: &Context,
    record: &Rc<Record>,
    parent: Option<usize>,
    node: &Rc<Node<T, E>>,
) {
    let mut parts = record.parts.borrow_mut();
    let index = parts.len();
    if index == Profile::ENTRIES_MAX {
        record.omitted.set(record.omitted.get() + 1);
        return;
    }
    parts.push(Part {
        entry: ProfileEntry {
            kind: node.kind(),
            location: node.location(),
            started: ctx.now(),
            stopped: None,
            end: None,
            depth: 0, // as long as nobody asks
        },
        parent,
    });
    drop(parts);
    let token = node.resident();
    let record = record.clone();
    ctx.local::<Profiled>()
        .members
        .borrow_mut()
        .insert(token, Member { record, index });
    ctx.residents().count_profiled(1);
    let weak = ctx.downgrade();
    node.add_cleanup(Box::new(move |end| {
        if let Some(ctx) = weak.upgrade() {
            stop(&ctx, token, end);
        }
    }));
}

/// The request with `token` has ended.
fn stop(ctx: &Context, token: Token, end: End) {
    let member = ctx.local::<Profiled>().members.borrow_mut().remove(&token);
    let Some(Member { record, index }) = member else {
        return;
    };
    ctx.residents().count_profiled(-1);
    if let Some(part) = record.parts.borrow_mut().get_mut(index) {
        part.entry.stopped = Some(ctx.now());
        part.entry.end = Some(end);
    }
}

impl Profiled {
    fn member(&self, token: Token) -> Option<Member> {
        self.members.borrow().get(&token).cloned()
    }
}

impl Profile {
    /// How many requests a profile holds; further ones are only counted.
    pub const ENTRIES_MAX: usize = 10_000;

    /// The requests so far, each parent before its children, and these in the order in which they
    /// began.
    #[doc(alias = "tevent_req_profile_get_subprofiles")]
    #[doc(alias = "tevent_req_profile_next")]
    #[must_use]
    pub fn entries(&self) -> Vec<ProfileEntry> {
        let parts = self.record.parts.borrow();
        let mut children = vec![Vec::new(); parts.len()];
        let mut stack = Vec::new();
        // Latest first: the stack turns the order round.
        for (index, part) in parts.iter().enumerate().rev() {
            match part.parent {
                Some(parent) => children[parent].push(index),
                None => stack.push((index, 0)),
            }
        }
        let mut entries = Vec::with_capacity(parts.len());
        while let Some((index, depth)) = stack.pop() {
            let entry = parts[index].entry;
            entries.push(ProfileEntry { depth, ..entry });
            let below = std::mem::take(&mut children[index]);
            stack.extend(below.into_iter().map(|index| (index, depth + 1)));
        }
        entries
    }

    /// How many requests there was no room for.
    #[must_use]
    pub fn omitted(&self) -> usize {
        self.record.omitted.get()
    }
}

impl fmt::Display for Profile {
    /// One line for each request, indented by its depth: what, where, how long, and its end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, entry) in self.entries().iter().enumerate() {
            f.write_str(if index > 0 { "\n" } else { "" })?;
            write!(f, "{entry}")?;
        }
        match self.omitted() {
            0 => Ok(()),
            omitted => write!(f, "\nand {omitted} more"),
        }
    }
}

impl fmt::Display for ProfileEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (indent, kind, location) = (self.depth * 2, self.kind, self.location);
        let (file, line) = (location.file(), location.line());
        write!(f, "{:indent$}{kind} ({file}:{line})", "")?;
        match (self.took(), self.end) {
            (Some(took), Some(end)) => write!(f, " {:.6}s, {end:?}", took.as_secs_f64()),
            _ => f.write_str(", not over"),
        }
    }
}

impl fmt::Debug for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Profile")
            .field("entries", &self.record.parts.borrow().len())
            .finish_non_exhaustive()
    }
}
