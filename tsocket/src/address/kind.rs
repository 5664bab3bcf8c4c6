//! [`AddressKind`], what a virtual socket's own kind of address has to provide.

use std::any::Any;
use std::fmt;
use std::hash::{Hash, Hasher};

/// A kind of address that a virtual socket brings along, for [`Address::custom`].
///
/// Two addresses are equal if they are of the same type and equal in it. `Display` is the whole text
/// that people see, so it should begin with the name of the kind and a colon.
///
/// [`Address::custom`]: crate::Address::custom
///
/// # Examples
/// ```
/// use std::fmt;
/// use tsocket::{Address, AddressKind};
///
/// #[derive(Debug, PartialEq, Eq, Hash)]
/// struct Channel(u32);
///
/// impl fmt::Display for Channel {
///     fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
///         write!(f, "channel:{}", self.0)
///     }
/// }
///
/// impl AddressKind for Channel {}
///
/// let address = Address::custom(Channel(3));
/// assert_eq!(address.to_string(), "channel:3");
/// assert_eq!(address.as_custom(), Some(&Channel(3)));
/// assert_ne!(address, Address::custom(Channel(4)));
/// ```
///
/// # Source
/// `struct tsocket_address_ops` in `lib/tsocket/tsocket_internal.h`. Differs: the name is part of the
/// text, copies share the value.
#[doc(alias = "tsocket_address_ops")]
pub trait AddressKind: fmt::Debug + fmt::Display + Eq + Hash + Send + Sync + 'static {}

/// [`AddressKind`] in the form in which values of different types can be compared.
pub(super) trait DynKind: fmt::Display + Send + Sync {
    fn as_any(&self) -> &dyn Any;
    fn is_equal(&self, other: &dyn DynKind) -> bool;
    fn feed(&self, hasher: &mut dyn Hasher);
}

impl<K: AddressKind> DynKind for K {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn is_equal(&self, other: &dyn DynKind) -> bool {
        other.as_any().downcast_ref::<K>() == Some(self)
    }

    fn feed(&self, mut hasher: &mut dyn Hasher) {
        self.hash(&mut hasher);
    }
}

impl PartialEq for dyn DynKind {
    fn eq(&self, other: &Self) -> bool {
        self.is_equal(other)
    }
}

impl Eq for dyn DynKind {}

impl Hash for dyn DynKind {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.feed(state);
    }
}
