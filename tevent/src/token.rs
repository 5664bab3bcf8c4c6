//! [`Table`], slots addressed by generation-checked [`Token`]s.

use slab::Slab;

const HALF_BITS: u32 = usize::BITS / 2;
const HALF_MAX: usize = (1 << HALF_BITS) - 1;

/// The address of one tenant of a [`Table`]: its slot, and a generation that no other tenant shares.
///
/// A token that outlives its tenant finds nobody, even if the slot was let again.
// Invariant: the generation is never all ones, so that no key is `usize::MAX` (`polling` keeps that
// one for itself) or `usize::MAX - 1` (kept for the wake-up descriptor).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Token(usize);

impl Token {
    /// The token that belongs to nobody.
    pub(crate) const NOBODY: Self = Self(usize::MAX);

    fn new(slot: usize, generation: usize) -> Self {
        assert!(slot <= HALF_MAX, "a table holds at most {HALF_MAX} tenants");
        Self(generation << HALF_BITS | slot)
    }

    /// The token as the key of an event of the kernel.
    pub(crate) fn to_key(self) -> usize {
        self.0
    }

    /// The token that an event of the kernel carries.
    pub(crate) fn from_key(key: usize) -> Self {
        Self(key)
    }

    /// Later tenants of a table have higher generations, until these begin anew.
    pub(crate) fn generation(self) -> usize {
        self.0 >> HALF_BITS
    }

    fn slot(self) -> usize {
        self.0 & HALF_MAX
    }
}

/// Slots of one kind of thing, each reached only with the token that its insertion gave.
#[derive(Debug)]
pub(crate) struct Table<T> {
    slots: Slab<(Token, T)>,
    generation: usize,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self {
            slots: Slab::new(),
            generation: 0,
        }
    }
}

impl<T> Table<T> {
    /// Lets a slot to `tenant`.
    pub(crate) fn insert(&mut self, tenant: T) -> Token {
        self.generation = if self.generation + 1 == HALF_MAX {
            0
        } else {
            self.generation + 1
        };
        let entry = self.slots.vacant_entry();
        let token = Token::new(entry.key(), self.generation);
        entry.insert((token, tenant));
        token
    }

    pub(crate) fn get(&self, token: Token) -> Option<&T> {
        let (current, tenant) = self.slots.get(token.slot())?;
        (*current == token).then_some(tenant)
    }

    pub(crate) fn get_mut(&mut self, token: Token) -> Option<&mut T> {
        let (current, tenant) = self.slots.get_mut(token.slot())?;
        (*current == token).then_some(tenant)
    }

    pub(crate) fn remove(&mut self, token: Token) -> Option<T> {
        self.get(token)?;
        Some(self.slots.remove(token.slot()).1)
    }

    /// Takes every tenant out; later ones get other tokens nevertheless.
    pub(crate) fn take_all(&mut self) -> Vec<T> {
        let slots = std::mem::take(&mut self.slots);
        slots.into_iter().map(|(_, (_, tenant))| tenant).collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Every tenant with its token, in no particular order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Token, &T)> {
        self.slots
            .iter()
            .map(|(_, (token, tenant))| (*token, tenant))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reused_slot_has_another_token() {
        let mut table = Table::default();
        let first = table.insert("first");
        assert_eq!(table.remove(first), Some("first"));
        let second = table.insert("second");
        assert_eq!(first.slot(), second.slot());
        assert_eq!(table.get(first), None);
        assert_eq!(table.remove(first), None);
        assert_eq!(table.get(second), Some(&"second"));
    }

    #[test]
    fn tokens_are_not_used_again_after_all_were_taken_out() {
        let mut table = Table::default();
        let first = table.insert("first");
        assert_eq!(table.take_all(), ["first"]);
        let second = table.insert("second");
        assert_ne!(first, second);
        assert_eq!((table.get(first), table.len()), (None, 1));
    }

    #[test]
    fn generations_never_reach_the_reserved_keys() {
        let mut table = Table {
            slots: Slab::new(),
            generation: HALF_MAX - 2,
        };
        for _ in 0..3 {
            let token = table.insert(());
            assert!(token.to_key() < usize::MAX - HALF_MAX, "{token:?}");
        }
    }

    #[test]
    fn nobody_is_never_a_tenant() {
        let mut table = Table::default();
        let token = table.insert(1);
        assert_ne!(token, Token::NOBODY);
        assert_eq!(table.get(Token::NOBODY), None);
        assert_eq!(Token::from_key(token.to_key()), token);
    }
}
