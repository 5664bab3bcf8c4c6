//! The slots of the fronts: a cell with the operation that is outstanding, or nothing.

use std::cell::Cell;

/// Whether there is something in `slot`.
pub(crate) fn holds<T>(slot: &Cell<Option<T>>) -> bool {
    let content = slot.take();
    let holds = content.is_some();
    slot.set(content);
    holds
}
