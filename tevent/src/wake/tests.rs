//! The flag of the wake-up in every order in which threads can run it (`.ci/run loom`).

use loom::sync::atomic::AtomicUsize;
use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;

use super::*;

/// The descriptor: readable from a ring until the next read.
#[derive(Default)]
struct Bell {
    is_readable: Mutex<bool>,
    rung: Condvar,
}

impl Bell {
    fn ring(&self) {
        *self.is_readable.lock().unwrap() = true;
        self.rung.notify_one();
    }

    /// A read that does not block.
    fn silence(&self) {
        *self.is_readable.lock().unwrap() = false;
    }

    /// Waits as the loop does, which reports a deadlock if nobody is left who could ring.
    fn wait(&self) {
        let mut is_readable = self.is_readable.lock().unwrap();
        while !*is_readable {
            is_readable = self.rung.wait(is_readable).unwrap();
        }
    }
}

/// What several threads and a loop share.
struct Shared {
    flag: Flag,
    bell: Bell,
    // Relaxed everywhere: only the flag makes it visible.
    work: AtomicUsize,
}

impl Shared {
    fn send(&self) {
        self.work.fetch_add(1, Ordering::Relaxed);
        self.flag.raise(|| self.bell.ring());
    }

    fn take(&self) -> usize {
        self.flag.lower(|| self.bell.silence());
        self.work.load(Ordering::Relaxed)
    }

    /// The round of a context: looks when it begins, and before it waits.
    fn see_in_rounds(&self, total: usize) {
        loop {
            if self.flag.is_raised() && self.take() == total {
                return;
            }
            if !self.flag.is_raised() {
                self.bell.wait();
            }
            if self.take() == total {
                return;
            }
        }
    }

    /// A loop that has nothing but the descriptor, such as one that another loop drives.
    fn see_by_bell(&self, total: usize) {
        while self.take() != total {
            self.bell.wait();
        }
    }
}

/// Explores `senders` threads that send `count` pieces of work each to a loop that takes them by `see`.
fn explore(senders: usize, count: usize, see: fn(&Shared, usize)) {
    let mut model = loom::model::Builder::new();
    // Without a bound it takes hours; what goes wrong with a lock-free flag goes wrong with few.
    model.preemption_bound.get_or_insert(3);
    model.check(move || {
        let shared = Arc::new(Shared {
            flag: Flag::new(),
            bell: Bell::default(),
            work: AtomicUsize::new(0),
        });
        let threads: Vec<_> = (0..senders)
            .map(|_| {
                let shared = shared.clone();
                thread::spawn(move || (0..count).for_each(|_| shared.send()))
            })
            .collect();
        see(&shared, senders * count);
        for thread in threads {
            thread.join().unwrap();
        }
    });
}

#[test]
fn no_wakeup_of_one_sender_is_lost() {
    explore(1, 3, Shared::see_in_rounds);
    explore(1, 3, Shared::see_by_bell);
}

#[test]
fn no_wakeup_of_two_senders_is_lost() {
    explore(2, 2, Shared::see_in_rounds);
    explore(2, 2, Shared::see_by_bell);
}
