//! [`Interest`], what is asked of a descriptor, beside [`Readiness`], what is told of it.

use std::fmt;
use std::ops::{BitAnd, BitOr, BitOrAssign, Sub, SubAssign};

macro_rules! flag_set {
    ($(#[$doc:meta])* $name:ident, $read:literal, $write:literal, $error:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
        pub struct $name(u8);

        impl $name {
            #[doc = "Nothing."]
            pub const NONE: Self = Self(0);
            #[doc = $read]
            #[doc(alias = "TEVENT_FD_READ")]
            pub const READ: Self = Self(1);
            #[doc = $write]
            #[doc(alias = "TEVENT_FD_WRITE")]
            pub const WRITE: Self = Self(2);
            #[doc = $error]
            #[doc(alias = "TEVENT_FD_ERROR")]
            pub const ERROR: Self = Self(4);

            /// Whether no flag is set.
            #[must_use]
            pub const fn is_empty(self) -> bool {
                self.0 == 0
            }

            /// Whether every flag of `other` is set.
            #[must_use]
            pub const fn contains(self, other: Self) -> bool {
                self.0 & other.0 == other.0
            }

            /// Whether at least one flag of `other` is set.
            #[must_use]
            pub const fn intersects(self, other: Self) -> bool {
                self.0 & other.0 != 0
            }
        }

        impl BitOr for $name {
            type Output = Self;
            fn bitor(self, other: Self) -> Self {
                Self(self.0 | other.0)
            }
        }

        impl BitOrAssign for $name {
            fn bitor_assign(&mut self, other: Self) {
                self.0 |= other.0;
            }
        }

        impl BitAnd for $name {
            type Output = Self;
            fn bitand(self, other: Self) -> Self {
                Self(self.0 & other.0)
            }
        }

        /// The flags of the left side that the right side lacks.
        impl Sub for $name {
            type Output = Self;
            fn sub(self, other: Self) -> Self {
                Self(self.0 & !other.0)
            }
        }

        impl SubAssign for $name {
            fn sub_assign(&mut self, other: Self) {
                self.0 &= !other.0;
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let mut names = Vec::new();
                for (flag, name) in [(1, "READ"), (2, "WRITE"), (4, "ERROR")] {
                    if self.0 & flag != 0 {
                        names.push(name);
                    }
                }
                write!(f, "{}({})", stringify!($name), names.join("|"))
            }
        }
    };
}

flag_set! {
    /// What an event asks the loop to watch a descriptor for.
    ///
    /// A set of flags, combined with `|` and reduced with `-`.
    ///
    /// # Examples
    /// ```
    /// use tevent::Interest;
    /// let both = Interest::READ | Interest::WRITE;
    /// assert!(both.contains(Interest::READ));
    /// assert_eq!(both - Interest::READ, Interest::WRITE);
    /// ```
    Interest,
    "Data, or the end of the stream, can be read.",
    "Data can be written.",
    "The descriptor has failed or its peer has hung up."
}

flag_set! {
    /// What the loop tells a handler of a descriptor: always a part of what was asked.
    ///
    /// Readiness is a hint: by the time the handler looks, somebody else may have been there, so
    /// descriptors are non-blocking and `EWOULDBLOCK` is a normal answer.
    ///
    /// # Examples
    /// ```
    /// use tevent::Readiness;
    /// let told = Readiness::READ | Readiness::ERROR;
    /// assert!(told.intersects(Readiness::ERROR));
    /// ```
    Readiness,
    "Data, the end of the stream or an error can be read.",
    "Data can be written.",
    "The descriptor has failed or its peer has hung up."
}

impl From<Readiness> for Interest {
    /// The interest that would ask for this readiness.
    fn from(told: Readiness) -> Self {
        Self(told.0)
    }
}

impl From<Interest> for Readiness {
    /// Everything that this interest can be told.
    fn from(asked: Interest) -> Self {
        Self(asked.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_combine_and_reduce() {
        let all = Interest::READ | Interest::WRITE | Interest::ERROR;
        assert_eq!(all - Interest::WRITE, Interest::READ | Interest::ERROR);
        assert!(!Interest::READ.contains(all));
        assert!(Interest::READ.intersects(all));
        assert!(Interest::NONE.is_empty());
        assert_eq!(
            format!("{:?}", Interest::READ | Interest::ERROR),
            "Interest(READ|ERROR)"
        );
    }
}
