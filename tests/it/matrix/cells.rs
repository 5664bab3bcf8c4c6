//! The cells of the matrix: what runs, what it does meanwhile, and which combinations there are not.

use std::fmt;

/// A kind of thing whose code the loop runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Fd,
    Timer,
    Signal,
    Immediate,
    Remote,
    Trigger,
    Completion,
    Cleanup,
    Cancel,
}

impl Kind {
    pub(super) const ALL: [Self; 9] = [
        Self::Fd,
        Self::Timer,
        Self::Signal,
        Self::Immediate,
        Self::Remote,
        Self::Trigger,
        Self::Completion,
        Self::Cleanup,
        Self::Cancel,
    ];

    /// Whether it can run more than once.
    pub(super) fn repeats(self) -> bool {
        self <= Self::Remote
    }
}

/// What owns the thing that runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    Group,
    Queue,
    Steps,
}

/// What is done by the code that runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Add(Kind),
    Change(Kind),
    ChangeSelf,
    DropSelf,
    DropOther(Kind),
    DropParent(Owner),
    DropLastHandle,
    /// What was is gone; what runs goes on in the new context.
    ReInitialise,
    FinishRequest,
    Panic,
}

impl Action {
    pub(super) fn all() -> Vec<Self> {
        let of_each_kind = [Self::Add, Self::Change, Self::DropOther];
        let owners = [Owner::Group, Owner::Queue, Owner::Steps];
        let plain = [
            Self::ChangeSelf,
            Self::DropSelf,
            Self::DropLastHandle,
            Self::ReInitialise,
            Self::FinishRequest,
            Self::Panic,
        ];
        let mut all: Vec<_> = of_each_kind
            .into_iter()
            .flat_map(|action| Kind::ALL.map(action))
            .collect();
        all.extend(owners.map(Self::DropParent));
        all.extend(plain);
        all
    }
}

/// When the others become ready: before the loop runs, or within the code that acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Timing {
    Before,
    Within,
}

/// Which thing of a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// The one that acts.
    Own,
    /// The one beside it.
    Other,
    /// One that was made while it ran.
    Added,
    /// One that looks whether all is well afterwards.
    Probe,
}

impl Role {
    /// The signal of each: handlers harm nobody, and no other story is told meanwhile.
    pub(super) fn signum(self) -> i32 {
        use rustix::process::Signal as S;
        match self {
            Self::Own => S::USR1.as_raw(),
            Self::Other => S::WINCH.as_raw(),
            Self::Added => S::URG.as_raw(),
            Self::Probe => S::USR2.as_raw(),
        }
    }
}

/// What a thing writes down when it runs.
pub(super) fn name(role: Role, kind: Kind) -> String {
    format!("{role:?} {kind:?}")
}

/// One combination.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Cell {
    pub(super) running: Kind,
    pub(super) action: Action,
}

impl fmt::Debug for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} × {:?}", self.running, self.action)
    }
}

impl Cell {
    pub(super) fn all() -> Vec<Self> {
        let actions = Action::all();
        let of = |running| actions.iter().map(move |&action| Self { running, action });
        Kind::ALL.into_iter().flat_map(of).collect()
    }
}

const OUT_OF_HANDS: &str = "a call that was sent is in nobody's hands";
const RUNS_ONCE: &str = "it runs once, so there is no next time that could be changed";

/// The cells that there are not: while what runs (or anything), which action, and why.
pub(super) const EXCLUDED: &[(Option<Kind>, Action, &str)] = &[
    (
        None,
        Action::Change(Kind::Signal),
        "an event for a signal has nothing that could be changed",
    ),
    (None, Action::Change(Kind::Remote), OUT_OF_HANDS),
    (None, Action::DropOther(Kind::Remote), OUT_OF_HANDS),
    (Some(Kind::Remote), Action::DropSelf, OUT_OF_HANDS),
    (Some(Kind::Trigger), Action::ChangeSelf, RUNS_ONCE),
    (Some(Kind::Completion), Action::ChangeSelf, RUNS_ONCE),
    (Some(Kind::Cleanup), Action::ChangeSelf, RUNS_ONCE),
    (Some(Kind::Cancel), Action::ChangeSelf, RUNS_ONCE),
];

/// How often the table of excluded cells names this one.
pub(super) fn exclusions(cell: Cell) -> usize {
    let names_it = |(running, action, reason): &&(Option<Kind>, Action, &str)| {
        assert!(!reason.is_empty());
        running.is_none_or(|running| running == cell.running) && *action == cell.action
    };
    EXCLUDED.iter().filter(names_it).count()
}
