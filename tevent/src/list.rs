//! [`List`], a first-in-first-out list whose members can leave from anywhere.

use slab::Slab;

/// The place of one member of a [`List`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place(usize);

impl Place {
    /// The place of something that is in no list.
    pub(crate) const NONE: Self = Self(usize::MAX);
}

#[derive(Debug)]
struct Link<T> {
    value: T,
    previous: Place,
    next: Place,
}

/// A doubly linked list in a slab: adding, and leaving from any place, cost the same everywhere.
// Invariant: whoever holds a place is in the list, so a place is never stale.
#[derive(Debug)]
pub(crate) struct List<T> {
    links: Slab<Link<T>>,
    first: Place,
    last: Place,
}

impl<T> Default for List<T> {
    fn default() -> Self {
        Self {
            links: Slab::new(),
            first: Place::NONE,
            last: Place::NONE,
        }
    }
}

impl<T> List<T> {
    pub(crate) fn push_back(&mut self, value: T) -> Place {
        let link = Link {
            value,
            previous: self.last,
            next: Place::NONE,
        };
        let place = Place(self.links.insert(link));
        match self.links.get_mut(self.last.0) {
            Some(last) => last.next = place,
            None => self.first = place,
        }
        self.last = place;
        place
    }

    pub(crate) fn pop_front(&mut self) -> Option<T> {
        (self.first != Place::NONE).then(|| self.remove(self.first))
    }

    /// Takes the member at `place` out; the members around it close up.
    pub(crate) fn remove(&mut self, place: Place) -> T {
        let link = self.links.remove(place.0);
        match self.links.get_mut(link.previous.0) {
            Some(previous) => previous.next = link.next,
            None => self.first = link.next,
        }
        match self.links.get_mut(link.next.0) {
            Some(next) => next.previous = link.previous,
            None => self.last = link.previous,
        }
        link.value
    }

    pub(crate) fn front(&self) -> Option<(Place, &T)> {
        let link = self.links.get(self.first.0)?;
        Some((self.first, &link.value))
    }

    /// The members in their order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        let first = self.links.get(self.first.0);
        let links = std::iter::successors(first, |link| self.links.get(link.next.0));
        links.map(|link| &link.value)
    }

    pub(crate) fn len(&self) -> usize {
        self.links.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.links.is_empty()
    }
}

/// The members in their order.
impl<T> IntoIterator for List<T> {
    type Item = T;
    type IntoIter = IntoIter<T>;

    fn into_iter(self) -> IntoIter<T> {
        IntoIter(self)
    }
}

/// Takes the members of a [`List`] out, first in first out.
pub(crate) struct IntoIter<T>(List<T>);

impl<T> Iterator for IntoIter<T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        self.0.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drain(list: &mut List<u32>) -> Vec<u32> {
        std::mem::take(list).into_iter().collect()
    }

    #[test]
    fn members_leave_from_anywhere_and_the_order_stays() {
        let mut list = List::default();
        let places: Vec<_> = (0..5).map(|n| list.push_back(n)).collect();
        assert_eq!(list.remove(places[0]), 0);
        assert_eq!(list.remove(places[2]), 2);
        assert_eq!(list.remove(places[4]), 4);
        list.push_back(5);
        assert_eq!(list.len(), 3);
        assert_eq!(list.front().map(|(_, n)| *n), Some(1));
        assert_eq!(drain(&mut list), [1, 3, 5]);
        assert!(list.is_empty());
    }

    #[test]
    fn leaving_and_coming_back_leaves_no_residue() {
        let mut list = List::default();
        list.push_back(0);
        let mut place = list.push_back(1);
        for _ in 0..1000 {
            list.remove(place);
            place = list.push_back(1);
        }
        assert_eq!(list.links.capacity(), 4);
        assert_eq!(drain(&mut list), [0, 1]);
    }
}
