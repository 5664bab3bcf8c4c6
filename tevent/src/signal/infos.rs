//! [`SignalInfo`], what one delivery of a signal tells, and the ring that takes it out of the handler.

use std::sync::atomic::{AtomicI32, AtomicU32, AtomicUsize, Ordering};

/// What the kernel tells of one delivery of a signal, `siginfo_t`.
///
/// Whatever does not apply to the way in which the signal came is nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SignalInfo {
    /// How it came, `si_code`; on Linux 0 (`SI_USER`) by `kill(2)`, -1 (`SI_QUEUE`) by `sigqueue(3)`,
    /// 128 (`SI_KERNEL`) from the kernel, and more in `sigaction(2)`.
    pub code: i32,
    /// The process that sent it, or the child that `SIGCHLD` is about.
    pub pid: Option<i32>,
    /// The real user of that process.
    pub uid: Option<u32>,
    /// The number that came with it, by `sigqueue(3)` for instance. Only told on Linux.
    pub value: Option<i32>,
}

/// Infos on their way from signal handlers, which may interrupt one another, to the loop.
///
/// Neither side ever waits: a handler takes a slot with one exchange, and finds the ring full or the
/// slot its own until it has published it; the loop takes what is published, in order.
// A slot at position `p` (of all that ever were) is free when its sequence is `p`, full when it is
// `p + 1`, and free for the next lap when it is `p + SLOTS`.
pub(super) struct Ring {
    slots: Box<[Slot]>,
    tail: AtomicUsize,
    head: AtomicUsize,
}

#[derive(Default)]
struct Slot {
    sequence: AtomicUsize,
    // Which of the fields below apply.
    known: AtomicU32,
    code: AtomicI32,
    pid: AtomicI32,
    uid: AtomicU32,
    value: AtomicI32,
}

const SENDER: u32 = 1;
const VALUE: u32 = 2;

impl Ring {
    /// How many infos it holds; a power of two, so that positions may wrap.
    pub(super) const SLOTS: usize = 256;

    pub(super) fn new() -> Self {
        let slots = (0..Self::SLOTS).map(|position| Slot {
            sequence: AtomicUsize::new(position),
            ..Slot::default()
        });
        Self {
            slots: slots.collect(),
            tail: AtomicUsize::new(0),
            head: AtomicUsize::new(0),
        }
    }

    fn slot(&self, position: usize) -> &Slot {
        &self.slots[position % Self::SLOTS]
    }

    /// Adds `info`, unless the ring is full. Async-signal-safe, from any number of threads.
    pub(super) fn push(&self, info: SignalInfo) {
        let mut position = self.tail.load(Ordering::Relaxed);
        let slot = loop {
            let slot = self.slot(position);
            let sequence = slot.sequence.load(Ordering::Acquire);
            if sequence == position {
                let next = position.wrapping_add(1);
                match self.tail.compare_exchange_weak(
                    position,
                    next,
                    Ordering::Relaxed,
                    Ordering::Relaxed,
                ) {
                    Ok(_) => break slot,
                    Err(moved) => position = moved,
                }
            } else {
                let tail = self.tail.load(Ordering::Relaxed);
                if tail == position {
                    // The slot is still taken since the lap before.
                    return;
                }
                position = tail;
            }
        };
        slot.write(info);
        slot.sequence
            .store(position.wrapping_add(1), Ordering::Release);
    }

    /// Takes the oldest info. Called by one thread, never by a signal handler.
    pub(super) fn pop(&self) -> Option<SignalInfo> {
        let position = self.head.load(Ordering::Relaxed);
        let slot = self.slot(position);
        if slot.sequence.load(Ordering::Acquire) != position.wrapping_add(1) {
            return None;
        }
        let info = slot.read();
        self.head.store(position.wrapping_add(1), Ordering::Relaxed);
        let next_lap = position.wrapping_add(Self::SLOTS);
        slot.sequence.store(next_lap, Ordering::Release);
        Some(info)
    }
}

impl Slot {
    fn write(&self, info: SignalInfo) {
        let sender = info.pid.map_or(0, |_| SENDER);
        let value = info.value.map_or(0, |_| VALUE);
        self.known.store(sender | value, Ordering::Relaxed);
        self.code.store(info.code, Ordering::Relaxed);
        self.pid.store(info.pid.unwrap_or(0), Ordering::Relaxed);
        self.uid.store(info.uid.unwrap_or(0), Ordering::Relaxed);
        self.value.store(info.value.unwrap_or(0), Ordering::Relaxed);
    }

    fn read(&self) -> SignalInfo {
        let known = self.known.load(Ordering::Relaxed);
        let (has_sender, has_value) = (known & SENDER != 0, known & VALUE != 0);
        SignalInfo {
            code: self.code.load(Ordering::Relaxed),
            pid: has_sender.then(|| self.pid.load(Ordering::Relaxed)),
            uid: has_sender.then(|| self.uid.load(Ordering::Relaxed)),
            value: has_value.then(|| self.value.load(Ordering::Relaxed)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::thread;

    fn info(code: i32) -> SignalInfo {
        SignalInfo {
            code,
            ..SignalInfo::default()
        }
    }

    fn codes(ring: &Ring) -> Vec<i32> {
        std::iter::from_fn(|| ring.pop())
            .map(|info| info.code)
            .collect()
    }

    #[test]
    fn infos_come_out_whole_and_in_order() {
        let ring = Ring::new();
        let whole = SignalInfo {
            code: -1,
            pid: Some(7),
            uid: Some(u32::MAX),
            value: Some(i32::MIN),
        };
        ring.push(whole);
        ring.push(info(2));
        assert_eq!(ring.pop(), Some(whole));
        assert_eq!(ring.pop(), Some(info(2)));
        assert_eq!(ring.pop(), None);
    }

    #[test]
    fn a_full_ring_keeps_the_oldest_and_goes_round() {
        let ring = Ring::new();
        for lap in 0..3 {
            let first = lap * 1000;
            for n in 0..300 {
                ring.push(info(first + n));
            }
            assert_eq!(codes(&ring), (first..first + 256).collect::<Vec<_>>());
        }
    }

    #[test]
    fn positions_may_wrap() {
        let ring = Ring::new();
        let near_end = usize::MAX - 2;
        for back in 0..Ring::SLOTS {
            let position = near_end.wrapping_add(back);
            ring.slot(position)
                .sequence
                .store(position, Ordering::Relaxed);
        }
        ring.tail.store(near_end, Ordering::Relaxed);
        ring.head.store(near_end, Ordering::Relaxed);
        (0..300).for_each(|n| ring.push(info(n)));
        assert_eq!(codes(&ring), (0..256).collect::<Vec<_>>());
    }

    #[test]
    fn several_threads_may_push_while_one_pops() {
        const EACH: i32 = 5_000;
        let ring = Arc::new(Ring::new());
        let pushers: Vec<_> = (0..3)
            .map(|thread| {
                let ring = ring.clone();
                thread::spawn(move || (0..EACH).for_each(|n| ring.push(info(thread * EACH + n))))
            })
            .collect();
        let mut last = [-1; 3];
        let mut taken = 0;
        loop {
            let is_over = pushers.iter().all(thread::JoinHandle::is_finished);
            for code in codes(&ring) {
                let (thread, n) = (code / EACH, code % EACH);
                let thread = usize::try_from(thread).expect("not negative");
                assert!(n > last[thread], "of one thread, in order and once");
                last[thread] = n;
                taken += 1;
            }
            if is_over {
                break;
            }
        }
        assert!((256..=3 * EACH).contains(&taken), "{taken}");
        for pusher in pushers {
            pusher.join().expect("it does not panic");
        }
    }
}
