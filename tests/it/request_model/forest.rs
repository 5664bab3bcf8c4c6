//! The model: trees of names, in which an end goes up and a drop goes down.

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};
use std::mem;

use rustix::io::Errno;
use tevent_tests::Random;

/// What a request came to: a value or the number of an error.
pub(super) type Outcome = Result<u32, i32>;

/// How a request is to be made.
#[derive(Clone, Debug)]
pub(super) struct Spec {
    pub(super) id: usize,
    /// When it times out, in steps of the clock since the start.
    pub(super) deadline: Option<u32>,
    pub(super) shape: Shape,
}

#[derive(Clone, Debug)]
pub(super) enum Shape {
    Leaf,
    Steps(Box<Spec>),
    All(Vec<Spec>),
    First(Vec<Spec>),
    /// A group, of which only the end matters.
    Gathered(Vec<Spec>),
    Queued(Box<Spec>),
}

/// What a group comes to when all its members have ended, in whichever way.
pub(super) const GATHERED: u32 = 3;

struct Node {
    kind: &'static str,
    parent: Option<usize>,
    deadline: Option<u32>,
    children: Vec<usize>,
    // How many parts it began with, and what each that has ended came to.
    part_count: usize,
    results: BTreeMap<usize, Outcome>,
    // Of what waits in the queue: what it is going to start.
    waiting: Option<Spec>,
}

#[derive(Default)]
pub(super) struct Forest {
    nodes: BTreeMap<usize, Node>,
    grouped: HashSet<usize>,
    line: Vec<usize>,
    // What has ended and is yet to be told, and whom.
    completions: VecDeque<(usize, Option<usize>, Outcome)>,
    outcomes: Vec<(usize, Outcome)>,
    next_id: usize,
    now: u32,
    deadlines: BTreeSet<u32>,
}

impl Forest {
    pub(super) fn random_spec(&mut self, random: &mut Random) -> Spec {
        self.spec(random, 3, true)
    }

    fn spec(&mut self, random: &mut Random, depth: usize, may_time_out: bool) -> Spec {
        // One more for the join, the race or the wait in it.
        let id = self.next_id;
        self.next_id += 2;
        let wanted = self.now + 1 + u32::try_from(random.below(60)).expect("it is small");
        let times_out = may_time_out && random.below(4) == 0;
        // One deadline at a time, so that nobody has to know which of several is looked at first.
        let deadline = (times_out && self.deadlines.insert(wanted)).then_some(wanted);
        let kinds = if depth == 0 { 1 } else { 7 };
        let shape = match random.below(kinds) {
            0 | 1 => Shape::Leaf,
            2 => Shape::Steps(Box::new(self.spec(random, depth - 1, may_time_out))),
            3 => Shape::All(self.specs(random, depth - 1, may_time_out)),
            4 => Shape::First(self.specs(random, depth - 1, may_time_out)),
            5 => Shape::Gathered(self.specs(random, depth - 1, may_time_out)),
            // Its turn may come when a deadline of what it starts has passed.
            _ => Shape::Queued(Box::new(self.spec(random, depth - 1, false))),
        };
        Spec {
            id,
            deadline,
            shape,
        }
    }

    fn specs(&mut self, random: &mut Random, depth: usize, may_time_out: bool) -> Vec<Spec> {
        let count = 1 + random.below(3);
        (0..count)
            .map(|_| self.spec(random, depth, may_time_out))
            .collect()
    }

    pub(super) fn plant(&mut self, spec: &Spec, is_grouped: bool) {
        if is_grouped {
            self.grouped.insert(spec.id);
        }
        self.grow(spec, None);
        self.begin_turns();
    }

    /// The node `id`, which is made as a part of `parent` if it is new.
    fn enter(&mut self, id: usize, kind: &'static str, parent: Option<usize>) -> &mut Node {
        if let Some(parent) = parent.and_then(|parent| self.nodes.get_mut(&parent)) {
            parent.children.push(id);
        }
        self.nodes.entry(id).or_insert(Node {
            kind,
            parent,
            deadline: None,
            children: Vec::new(),
            part_count: 0,
            results: BTreeMap::new(),
            waiting: None,
        })
    }

    fn grow(&mut self, spec: &Spec, parent: Option<usize>) {
        let id = spec.id;
        let kind = match spec.shape {
            Shape::Leaf => "leaf",
            Shape::Steps(_) => "steps",
            Shape::All(_) => "all",
            Shape::First(_) => "first",
            Shape::Gathered(_) => "gathered",
            Shape::Queued(_) => "queued",
        };
        self.enter(id, kind, parent).deadline = spec.deadline;
        let (inner, parts) = match &spec.shape {
            Shape::Leaf => return,
            Shape::Steps(child) => return self.grow(child, Some(id)),
            Shape::Queued(child) => {
                self.enter(id, kind, None).waiting = Some(Spec::clone(child));
                self.line.push(id);
                return;
            }
            Shape::Gathered(parts) => {
                self.enter(id, kind, None).part_count = parts.len();
                parts.iter().for_each(|part| self.grow(part, Some(id)));
                self.enter(id + 1, "group finished", Some(id));
                return;
            }
            Shape::All(parts) => ("join", parts),
            Shape::First(parts) => ("race", parts),
        };
        self.enter(id + 1, inner, Some(id)).part_count = parts.len();
        for part in parts {
            self.grow(part, Some(id + 1));
        }
    }

    /// The first in line starts what it is going to.
    fn begin_turns(&mut self) {
        let first = self.line.first().copied();
        let Some(node) = first.and_then(|first| self.nodes.get_mut(&first)) else {
            return;
        };
        if let Some(spec) = node.waiting.take() {
            self.grow(&spec, first);
        }
    }

    /// `id` ends with `outcome`, and with it whoever waits for nothing else.
    pub(super) fn finish(&mut self, id: usize, outcome: Outcome) {
        self.end(id, outcome);
        self.deliver();
    }

    fn end(&mut self, id: usize, outcome: Outcome) {
        if let Some(parent) = self.nodes.get(&id).map(|node| node.parent) {
            self.fell(id);
            self.completions.push_back((id, parent, outcome));
        }
    }

    /// Completions run one after the other: of two that end at once, the first wins a race.
    fn deliver(&mut self) {
        while let Some((id, parent, outcome)) = self.completions.pop_front() {
            match parent {
                Some(parent) => self.part_ended(parent, id, outcome),
                None => {
                    self.grouped.remove(&id);
                    self.outcomes.push((id, outcome));
                }
            }
        }
        self.begin_turns();
    }

    fn part_ended(&mut self, id: usize, part: usize, outcome: Outcome) {
        let Some(node) = self.nodes.get_mut(&id) else {
            return;
        };
        node.results.insert(part, outcome);
        let is_complete = node.results.len() == node.part_count;
        match node.kind {
            "steps" => self.end(id, outcome.map(|value| value + 1)),
            "join" if is_complete => {
                let results = mem::take(&mut node.results).into_values();
                let values: Result<Vec<u32>, i32> = results.collect();
                self.end(id, values.map(|values| values.iter().sum()));
            }
            "gathered" if part == id + 1 => self.end(id, Ok(GATHERED)),
            "gathered" if is_complete => self.end(id + 1, Ok(GATHERED)),
            "join" | "gathered" => {}
            _ => self.end(id, outcome),
        }
    }

    /// Takes `id` away, with all below it.
    fn fell(&mut self, id: usize) {
        let Some(node) = self.nodes.remove(&id) else {
            return;
        };
        self.line.retain(|known| *known != id);
        if let Some(parent) = node.parent.and_then(|parent| self.nodes.get_mut(&parent)) {
            parent.children.retain(|child| *child != id);
        }
        for child in node.children {
            self.fell(child);
        }
    }

    /// `root` is dropped.
    pub(super) fn uproot(&mut self, root: usize) {
        self.fell(root);
        self.begin_turns();
    }

    pub(super) fn uproot_grouped(&mut self) {
        for root in mem::take(&mut self.grouped) {
            self.fell(root);
        }
        self.begin_turns();
    }

    /// Who has the turn goes on, the others are canceled.
    pub(super) fn replace_queue(&mut self) {
        for id in mem::take(&mut self.line) {
            let is_waiting = self
                .nodes
                .get(&id)
                .is_some_and(|node| node.waiting.is_some());
            if is_waiting {
                self.end(id, Err(Errno::CANCELED.raw_os_error()));
            }
        }
        self.deliver();
    }

    pub(super) fn advance(&mut self) {
        self.now += 1;
        let now = self.now;
        let due = self
            .nodes
            .iter()
            .find_map(|(id, node)| (node.deadline == Some(now)).then_some(*id));
        if let Some(id) = due {
            self.finish(id, Err(Errno::TIMEDOUT.raw_os_error()));
        }
    }

    /// The leaves that live.
    pub(super) fn leaves(&self) -> Vec<usize> {
        let leaves = self.nodes.iter().filter(|(_, node)| node.kind == "leaf");
        leaves.map(|(id, _)| *id).collect()
    }

    pub(super) fn take_outcomes(&mut self) -> Vec<(usize, Outcome)> {
        let mut outcomes = mem::take(&mut self.outcomes);
        outcomes.sort_unstable();
        outcomes
    }

    pub(super) fn grouped_count(&self) -> usize {
        self.grouped.len()
    }

    /// Kinds, indented by their depth.
    pub(super) fn tree(&self) -> Vec<String> {
        let mut lines = Vec::new();
        let roots = self.nodes.iter().filter(|(_, node)| node.parent.is_none());
        for (id, _) in roots {
            self.draw(*id, 0, &mut lines);
        }
        lines
    }

    fn draw(&self, id: usize, depth: usize, lines: &mut Vec<String>) {
        let node = &self.nodes[&id];
        lines.push(format!("{:depth$}{}", "", node.kind));
        for child in &node.children {
            self.draw(*child, depth + 1, lines);
        }
    }
}
