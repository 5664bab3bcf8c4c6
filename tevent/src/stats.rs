//! [`Counters`], what a context did, counted where it is done.

use std::cell::Cell;

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident / $plural:ident,)*) => {
        /// The counters of one context, bumped where each call is made.
        ///
        /// Shared by everything that belongs to the context; obtained with
        /// [`Context::counters`](crate::Context::counters) by implementations that make system calls,
        /// and read with [`Context::stats`](crate::Context::stats).
        #[derive(Debug, Default)]
        pub struct Counters {
            $($plural: Cell<u64>,)*
        }

        impl Counters {
            $($(#[$doc])*
            pub fn $name(&self) {
                self.$plural.set(self.$plural.get() + 1);
            })*

            pub(crate) fn snapshot(&self) -> Stats {
                Stats { $($plural: self.$plural.get(),)* }
            }
        }

        /// What a context has done so far, as counts of calls.
        ///
        /// Tests compare counts instead of times, because counts repeat.
        ///
        /// # Examples
        /// ```
        /// # fn main() -> std::io::Result<()> {
        /// let ctx = tevent::Context::new()?;
        /// let before = ctx.stats();
        /// ctx.run()?;
        /// assert_eq!(ctx.stats().since(&before).waits, 0, "there was nothing to wait for");
        /// # Ok(())
        /// # }
        /// ```
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct Stats {
            $($(#[$doc])* pub $plural: u64,)*
        }

        impl Stats {
            /// What was added since `earlier`.
            #[must_use]
            pub fn since(&self, earlier: &Self) -> Self {
                Self { $($plural: self.$plural - earlier.$plural,)* }
            }
        }
    };
}

counters! {
    /// Waits for the kernel (`epoll_wait(2)` and the like).
    wait / waits,
    /// Changes of what the kernel watches (`epoll_ctl(2)` and the like).
    registration / registrations,
    /// Wake-ups taken from other threads and from signals: one read of the wake-up descriptor each.
    wakeup / wakeups,
    /// Receiving calls (`recvmsg(2)`, `readv(2)` and the like), successful or not.
    receive / receives,
    /// Sending calls (`sendmsg(2)`, `writev(2)` and the like), successful or not.
    send / sends,
    /// Accepting calls (`accept4(2)`), successful or not.
    accept / accepts,
}
