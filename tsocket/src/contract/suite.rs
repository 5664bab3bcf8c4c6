//! What the suites are made of: a [`Subject`] that keeps a contract, clause by [`Clause`].

use tevent::Context;

use super::{expect_nothing_left, on_every_backend};

/// A kind of endpoint, to which a suite can hold an implementation.
pub trait Subject: Copy + Send + 'static {
    /// Fresh endpoints, of which a story is told.
    type Ends;

    /// Every clause of the contract.
    const CLAUSES: &'static [Clause<Self::Ends>];

    /// Whether this machine has what the kind needs.
    fn is_present(&self) -> bool;

    /// Endpoints of this kind on `ctx`.
    ///
    /// # Panics
    /// If they cannot be made.
    #[track_caller]
    fn ends(&self, ctx: &Context) -> Self::Ends;
}

/// One clause of a contract.
#[derive(Debug)]
pub struct Clause<E> {
    pub(super) name: &'static str,
    pub(super) story: fn(&E),
}

impl<E> Clause<E> {
    /// What it is called: a sentence about what every kind does, behind the chapter it belongs to.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }
}

/// Tells `story` of endpoints of the kind `subject`, once on each back end, and expects that nothing is
/// left behind; nothing if this machine has no such kind.
///
/// # Panics
/// If the story does, does not end, or leaves something.
#[track_caller]
pub fn tell<S: Subject>(subject: S, story: fn(&S::Ends)) {
    if subject.is_present() {
        on_every_backend(move |ctx| {
            story(&subject.ends(ctx));
            expect_nothing_left(ctx);
        });
    }
}

/// Holds the kind `subject` to the clause `name`, on each back end.
///
/// # Panics
/// If the clause is broken, or there is none of that name.
#[track_caller]
pub fn check<S: Subject>(subject: S, name: &str) {
    let clause = S::CLAUSES.iter().find(|clause| clause.name == name);
    let clause = clause.unwrap_or_else(|| panic!("there is no clause {name}"));
    tell(subject, clause.story);
}

/// What the suites make of the list of their clauses: a test for each, or the table of all.
#[doc(hidden)]
#[macro_export]
macro_rules! contract_clauses {
    (tests ($kind:expr) $($chapter:ident::$clause:ident,)*) => {
        $(
            #[test]
            fn $clause() {
                let name = concat!(stringify!($chapter), "::", stringify!($clause));
                $crate::contract::check($kind, name);
            }
        )*
    };
    (table () $($chapter:ident::$clause:ident,)*) => {
        &[$($crate::contract::Clause {
            name: concat!(stringify!($chapter), "::", stringify!($clause)),
            story: $chapter::$clause,
        },)*]
    };
}
