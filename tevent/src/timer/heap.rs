//! A heap of deadlines: earliest first, first in first out among equals.

use std::collections::VecDeque;

use crate::clock::Tick;
use crate::token::{Table, Token};

/// Children per node: four keep the tree flat and a node's children in one cache line.
const ARITY: usize = 4;

/// How many that are due are taken out one by one; or an eighth of a large heap. If there are more, the
/// rest is sorted instead, because each way out of a large heap touches memory all over the place.
const ONE_BY_ONE: usize = 256;

#[derive(Clone, Copy, Debug)]
struct Entry {
    // Inline, with the order of arming to tell equal deadlines apart.
    key: (Tick, u64),
    token: Token,
}

#[derive(Debug)]
struct Slot<T> {
    // Invariant: the index of this timer's entry in the heap, as long as it has one.
    position: usize,
    value: T,
}

/// Timers by deadline; one can be taken out at any time and leaves nothing behind.
#[derive(Debug)]
pub(crate) struct Heap<T> {
    entries: Vec<Entry>,
    slots: Table<Slot<T>>,
    due: VecDeque<Token>,
    sequence: u64,
}

impl<T> Default for Heap<T> {
    fn default() -> Self {
        Self {
            entries: Vec::new(),
            slots: Table::default(),
            due: VecDeque::new(),
            sequence: 0,
        }
    }
}

impl<T> Heap<T> {
    pub(crate) fn insert(&mut self, deadline: Tick, value: T) -> Token {
        let position = self.entries.len();
        let token = self.slots.insert(Slot { position, value });
        self.sequence += 1;
        self.entries.push(Entry {
            key: (deadline, self.sequence),
            token,
        });
        self.sift_up(position);
        token
    }

    pub(crate) fn remove(&mut self, token: Token) -> Option<T> {
        let slot = self.slots.remove(token)?;
        let entry = self.entries.get(slot.position);
        // One that is due has no entry any more.
        if entry.is_some_and(|entry| entry.token == token) {
            self.remove_entry(slot.position);
        }
        Some(slot.value)
    }

    /// Takes every value out, in no particular order.
    pub(crate) fn take_all(&mut self) -> Vec<T> {
        self.entries.clear();
        self.due.clear();
        let slots = self.slots.take_all();
        slots.into_iter().map(|slot| slot.value).collect()
    }

    /// Whether some were set aside and have not been taken out.
    pub(crate) fn has_due(&self) -> bool {
        !self.due.is_empty()
    }

    /// How many timers are armed or due.
    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    /// Every value, in no particular order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.slots.iter().map(|(_, slot)| &slot.value)
    }

    /// The earliest deadline of those that are not due yet.
    pub(crate) fn first(&self) -> Option<Tick> {
        self.entries.first().map(|entry| entry.key.0)
    }

    /// Sets aside everything with a deadline up to `now`, for [`next_due`](Self::next_due).
    ///
    /// What is armed from then on waits for the next call, however early its deadline.
    pub(crate) fn collect_due(&mut self, now: Tick) {
        let mut one_by_one = ONE_BY_ONE.max(self.entries.len() / 8);
        while self.first().is_some_and(|deadline| deadline <= now) {
            if one_by_one == 0 {
                self.collect_many_due(now);
                return;
            }
            one_by_one -= 1;
            self.due.push_back(self.entries[0].token);
            self.remove_entry(0);
        }
    }

    fn collect_many_due(&mut self, now: Tick) {
        let entries = self.entries.drain(..);
        let (mut due, left): (Vec<_>, Vec<_>) = entries.partition(|entry| entry.key.0 <= now);
        due.sort_unstable_by_key(|entry| entry.key);
        self.due.extend(due.iter().map(|entry| entry.token));
        self.entries = left;
        for position in (0..self.entries.len()).rev() {
            self.sift_down(position);
        }
    }

    /// The next of those set aside that has not been taken out since.
    pub(crate) fn next_due(&mut self) -> Option<T> {
        while let Some(token) = self.due.pop_front() {
            if let Some(slot) = self.slots.remove(token) {
                return Some(slot.value);
            }
        }
        None
    }

    fn remove_entry(&mut self, position: usize) {
        self.entries.swap_remove(position);
        if position < self.entries.len() {
            self.sift_up(position);
            self.sift_down(position);
        }
    }

    fn sift_up(&mut self, mut position: usize) {
        let entry = self.entries[position];
        while position > 0 {
            let parent = (position - 1) / ARITY;
            if self.entries[parent].key <= entry.key {
                break;
            }
            self.place(position, self.entries[parent]);
            position = parent;
        }
        self.place(position, entry);
    }

    fn sift_down(&mut self, mut position: usize) {
        let entry = self.entries[position];
        loop {
            let first = position * ARITY + 1;
            let children = first..self.entries.len().min(first + ARITY);
            let Some(least) = children.min_by_key(|&child| self.entries[child].key) else {
                break;
            };
            if entry.key <= self.entries[least].key {
                break;
            }
            self.place(position, self.entries[least]);
            position = least;
        }
        self.place(position, entry);
    }

    fn place(&mut self, position: usize, entry: Entry) {
        self.entries[position] = entry;
        // An entry whose slot was just taken out is on its way out of the heap.
        if let Some(slot) = self.slots.get_mut(entry.token) {
            slot.position = position;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::clock::{Clock, ManualClock};

    /// Ticks, by number, of one clock.
    fn ticks() -> impl Fn(u64) -> Tick {
        let manual = ManualClock::new();
        let start: Instant = manual.now();
        let clock = Clock::manual(manual);
        move |n| clock.tick(start + Duration::from_nanos(n))
    }

    fn drain(heap: &mut Heap<u64>, now: Tick) -> Vec<u64> {
        heap.collect_due(now);
        std::iter::from_fn(|| heap.next_due()).collect()
    }

    #[test]
    fn the_earliest_is_first_and_equals_keep_their_order() {
        let at = ticks();
        let mut heap = Heap::default();
        for (value, deadline) in [(1, 5), (2, 3), (3, 5), (4, 9), (5, 3)] {
            heap.insert(at(deadline), value);
        }
        assert_eq!(heap.first(), Some(at(3)));
        assert_eq!(drain(&mut heap, at(5)), [2, 5, 1, 3]);
        assert_eq!(drain(&mut heap, at(8)), []);
        assert_eq!(drain(&mut heap, at(9)), [4]);
        assert_eq!(heap.len(), 0);
    }

    #[test]
    fn what_is_armed_after_collecting_waits_for_the_next_time() {
        let at = ticks();
        let mut heap = Heap::default();
        heap.insert(at(1), 1);
        heap.collect_due(at(1));
        heap.insert(at(0), 2);
        assert_eq!(heap.next_due(), Some(1));
        assert_eq!(heap.next_due(), None);
        assert_eq!(drain(&mut heap, at(1)), [2]);
    }

    #[test]
    fn one_that_is_due_can_still_be_taken_out() {
        let at = ticks();
        let mut heap = Heap::default();
        let first = heap.insert(at(1), 1);
        heap.insert(at(2), 2);
        heap.collect_due(at(2));
        assert_eq!(heap.remove(first), Some(1));
        assert_eq!(heap.remove(first), None);
        assert_eq!(heap.next_due(), Some(2));
    }

    #[test]
    fn a_crowd_that_is_due_leaves_the_others_in_order() {
        let at = ticks();
        let mut heap = Heap::default();
        let tokens: Vec<Token> = (0..1000)
            .map(|n| heap.insert(at(n * 7 % 1000), n))
            .collect();
        let mut by_deadline: Vec<u64> = (0..1000).collect();
        by_deadline.sort_by_key(|n| n * 7 % 1000);
        heap.collect_due(at(399));
        // One that is due, the first and one of those that are left.
        for deadline in [200, 400, 700] {
            let value = by_deadline[deadline];
            let index = usize::try_from(value).unwrap();
            assert_eq!(heap.remove(tokens[index]), Some(value));
        }
        for deadline in [700, 400, 200] {
            by_deadline.remove(deadline);
        }
        let first: Vec<u64> = std::iter::from_fn(|| heap.next_due()).collect();
        assert_eq!(first, by_deadline[..399]);
        assert_eq!(heap.first(), Some(at(401)));
        assert_eq!(drain(&mut heap, at(800)), by_deadline[399..798]);
        assert_eq!(drain(&mut heap, at(1000)), by_deadline[798..]);
        assert!(heap.entries.is_empty() && heap.slots.is_empty());
    }

    #[test]
    fn random_arming_and_disarming_agrees_with_a_sorted_list() {
        let at = ticks();
        let mut heap = Heap::default();
        let mut model: Vec<(u64, u64, Token)> = Vec::new();
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut random = move |below: u64| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state % below
        };
        for value in 0..20_000 {
            match random(3) {
                0 if !model.is_empty() => {
                    let index = usize::try_from(random(model.len() as u64)).unwrap();
                    let (_, value, token) = model.remove(index);
                    assert_eq!(heap.remove(token), Some(value));
                }
                _ => {
                    let deadline = random(500);
                    model.push((deadline, value, heap.insert(at(deadline), value)));
                }
            }
            assert_eq!(heap.len(), model.len());
        }
        model.sort_by_key(|&(deadline, value, _)| (deadline, value));
        let expected: Vec<u64> = model.iter().map(|&(_, value, _)| value).collect();
        assert_eq!(drain(&mut heap, at(500)), expected);
        assert!(heap.entries.is_empty() && heap.slots.is_empty());
    }
}
