//! The only waiting: back ends that register through `polling` and differ in how they wait, beside
//! one that has no kernel to wait for.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::time::Duration;

use polling::Event;

use crate::error;
use crate::interest::{Interest, Readiness};
use crate::sys;
use crate::token::Token;
use crate::wake::Wake;

/// How many events one wait can bring; the kernel keeps the rest for the next.
const EVENTS_PER_WAIT: usize = 256;

/// What the kernel says of one descriptor.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Told {
    pub(crate) token: Token,
    pub(crate) readiness: Readiness,
}

impl Told {
    /// An error, or a hang-up in both directions, can be read; it can only be written into by those
    /// who asked for errors.
    fn new(key: usize, readable: bool, writable: bool, failed: bool) -> Self {
        let mut readiness = Readiness::NONE;
        if readable || failed {
            readiness |= Readiness::READ;
        }
        if writable {
            readiness |= Readiness::WRITE;
        }
        if failed {
            readiness |= Readiness::ERROR;
        }
        Self {
            token: Token::from_key(key),
            readiness,
        }
    }
}

/// Where the events of a wait are put by each back end.
enum Wait {
    #[cfg(all(
        any(target_os = "linux", target_os = "android"),
        not(polling_test_poll_backend)
    ))]
    Epoll(Vec<rustix::event::epoll::Event>),
    Polling(polling::Events),
}

/// The kernel's set of watched descriptors, level-triggered.
struct Kernel {
    poller: polling::Poller,
    wait: Wait,
}

/// What a context waits for.
pub(crate) struct Poller {
    // Without it (`sim`) only the wake-up is waited for.
    kernel: Option<Kernel>,
    wake: Arc<Wake>,
    wake_token: Token,
    // The process that the set was made in.
    forks: u32,
}

/// The name of the back end without a kernel.
pub(crate) const SIM: &str = "sim";

/// The names of the back ends of this platform; the first is the default.
pub(crate) const BACKENDS: &[&str] = &[
    #[cfg(all(
        any(target_os = "linux", target_os = "android"),
        not(polling_test_poll_backend)
    ))]
    "epoll",
    "polling",
    SIM,
];

impl Kernel {
    fn new(wait: Wait) -> io::Result<Self> {
        let poller = polling::Poller::new()?;
        Ok(Self { poller, wait })
    }

    fn wait(&mut self, timeout: Option<Duration>, told: &mut Vec<Told>) -> io::Result<()> {
        match &mut self.wait {
            #[cfg(all(
                any(target_os = "linux", target_os = "android"),
                not(polling_test_poll_backend)
            ))]
            Wait::Epoll(events) => wait_epoll(&self.poller, events, timeout, told),
            Wait::Polling(events) => wait_polling(&self.poller, events, timeout, told),
        }
    }
}

impl Poller {
    /// The back end called `backend`, which tells of `wake` under the name of `wake_token`.
    pub(crate) fn new(backend: &str, wake: Arc<Wake>, wake_token: Token) -> io::Result<Self> {
        let wait = match backend {
            #[cfg(all(
                any(target_os = "linux", target_os = "android"),
                not(polling_test_poll_backend)
            ))]
            "epoll" => Some(Wait::Epoll(Vec::with_capacity(EVENTS_PER_WAIT))),
            "polling" => {
                let capacity = EVENTS_PER_WAIT.try_into().expect("a constant above zero");
                Some(Wait::Polling(polling::Events::with_capacity(capacity)))
            }
            SIM => None,
            unknown => return Err(error::unknown_backend(unknown, BACKENDS)),
        };
        sys::count_forks()?;
        let kernel = wait.map(Kernel::new).transpose()?;
        let poller = Self {
            kernel,
            wake,
            wake_token,
            forks: sys::forks(),
        };
        if poller.kernel.is_some() {
            poller.add(poller.wake.as_fd().as_raw_fd(), wake_token, Interest::READ)?;
        }
        Ok(poller)
    }

    pub(crate) fn backend(&self) -> &'static str {
        match self.kernel.as_ref().map(|kernel| &kernel.wait) {
            #[cfg(all(
                any(target_os = "linux", target_os = "android"),
                not(polling_test_poll_backend)
            ))]
            Some(Wait::Epoll(_)) => "epoll",
            Some(Wait::Polling(_)) => "polling",
            None => SIM,
        }
    }

    pub(crate) fn add(&self, fd: RawFd, token: Token, interest: Interest) -> io::Result<()> {
        sys::add(self.set()?, fd, event(token, interest))
    }

    /// Whether the set is the parent's: this process is a child, and has none yet.
    ///
    /// Such a set is left as it is, because every change would be one of the parent's: see
    /// [`renewed`](Self::renewed).
    pub(crate) fn is_inherited(&self) -> bool {
        self.forks != sys::forks()
    }

    /// The same back end with a set of this process, which watches nothing yet but the wake-up.
    pub(crate) fn renewed(&self) -> io::Result<Self> {
        if self.is_inherited() {
            self.wake.renew()?;
        }
        Self::new(self.backend(), self.wake.clone(), self.wake_token)
    }

    /// A duplicate of the set's own descriptor.
    pub(crate) fn duplicate(&self) -> io::Result<OwnedFd> {
        let kernel = self.kernel.as_ref().ok_or_else(error::watches_nothing)?;
        kernel.descriptor()?.try_clone_to_owned()
    }

    pub(crate) fn modify(&self, fd: RawFd, token: Token, interest: Interest) -> io::Result<()> {
        if self.is_inherited() {
            return Ok(());
        }
        sys::modify(self.set()?, fd, event(token, interest))
    }

    pub(crate) fn delete(&self, fd: RawFd) -> io::Result<()> {
        if self.is_inherited() {
            return Ok(());
        }
        sys::delete(self.set()?, fd)
    }

    fn set(&self) -> io::Result<&polling::Poller> {
        let kernel = self.kernel.as_ref().ok_or_else(error::watches_nothing)?;
        Ok(&kernel.poller)
    }

    /// Waits until a descriptor is ready or `timeout` is over, and adds what it is told to `told`.
    ///
    /// Never returns early because of the timeout's resolution: it is rounded up to milliseconds.
    /// A signal may end the wait with nothing told. Without a kernel the timeout is over at once, and
    /// the caller moves the clock.
    pub(crate) fn wait(
        &mut self,
        timeout: Option<Duration>,
        told: &mut Vec<Told>,
    ) -> io::Result<()> {
        let timeout = timeout.map(whole_milliseconds);
        let waited = match &mut self.kernel {
            Some(kernel) => kernel.wait(timeout, told),
            None if timeout.is_some() => Ok(()),
            None => wait_for_wake(&self.wake, self.wake_token, told),
        };
        match waited {
            Err(err) if err.kind() == io::ErrorKind::Interrupted => Ok(()),
            waited => waited,
        }
    }
}

impl Drop for Poller {
    fn drop(&mut self) {
        if self.is_inherited() {
            if let Some(kernel) = self.kernel.take() {
                drop_inherited(kernel, &self.wake);
            }
        }
    }
}

impl Kernel {
    /// What is readable when the set has something to tell; `poll(2)` has no set.
    fn descriptor(&self) -> io::Result<BorrowedFd<'_>> {
        let sets: &[BorrowedFd<'_>] = &[
            #[cfg(all(
                any(
                    target_os = "linux",
                    target_os = "android",
                    target_os = "macos",
                    target_os = "ios",
                    target_os = "freebsd",
                    target_os = "netbsd",
                    target_os = "openbsd",
                    target_os = "dragonfly",
                ),
                not(polling_test_poll_backend)
            ))]
            self.poller.as_fd(),
        ];
        sets.first().copied().ok_or_else(error::watches_nothing)
    }
}

/// Drops a set that is the parent's, which must not notice.
#[cfg(all(
    any(target_os = "linux", target_os = "android"),
    not(polling_test_poll_backend)
))]
fn drop_inherited(kernel: Kernel, wake: &Wake) {
    // A `polling::Poller` takes its own descriptors out of the set when it is dropped; with another
    // one in the place of the set, it finds nothing to take them from.
    if sys::replace(kernel.poller.as_fd(), wake.as_fd()).is_err() {
        forget(kernel);
    }
}

/// Forgets a set that is the parent's: what `kqueue(2)` makes, no child inherits.
#[cfg(not(all(
    any(target_os = "linux", target_os = "android"),
    not(polling_test_poll_backend)
)))]
fn drop_inherited(kernel: Kernel, _wake: &Wake) {
    forget(kernel);
}

#[expect(
    clippy::mem_forget,
    reason = "to drop it might change what the parent watches"
)]
fn forget(kernel: Kernel) {
    std::mem::forget(kernel);
}

/// Waits for other threads and signals, with nothing else to wait for.
fn wait_for_wake(wake: &Wake, token: Token, told: &mut Vec<Told>) -> io::Result<()> {
    use rustix::event::{PollFd, PollFlags, poll};

    poll(&mut [PollFd::new(wake, PollFlags::IN)], None)?;
    told.push(Told {
        token,
        readiness: Readiness::READ,
    });
    Ok(())
}

/// Waits on the poller's own descriptor: `Poller::wait` would add four system calls to each wait.
#[cfg(all(
    any(target_os = "linux", target_os = "android"),
    not(polling_test_poll_backend)
))]
fn wait_epoll(
    poller: &polling::Poller,
    events: &mut Vec<rustix::event::epoll::Event>,
    timeout: Option<Duration>,
    told: &mut Vec<Told>,
) -> io::Result<()> {
    use rustix::event::{Timespec, epoll};

    let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
    events.clear();
    epoll::wait(
        poller,
        rustix::buffer::spare_capacity(events),
        timeout.as_ref(),
    )?;
    told.extend(events.iter().filter_map(|event| {
        // Both sides of the conversion are this machine's: the key was stored from a `usize`.
        let key = usize::try_from(event.data.u64()).ok()?;
        let failed = epoll::EventFlags::ERR | epoll::EventFlags::HUP;
        let readable = epoll::EventFlags::IN | epoll::EventFlags::PRI;
        let flags = event.flags;
        Some(Told::new(
            key,
            flags.intersects(readable),
            flags.intersects(epoll::EventFlags::OUT | failed),
            flags.intersects(failed),
        ))
    }));
    Ok(())
}

fn wait_polling(
    poller: &polling::Poller,
    events: &mut polling::Events,
    timeout: Option<Duration>,
    told: &mut Vec<Told>,
) -> io::Result<()> {
    events.clear();
    poller.wait(events, timeout)?;
    told.extend(events.iter().map(|event| {
        let failed = event.is_interrupt() || event.is_err() == Some(true);
        Told::new(event.key, event.readable, event.writable, failed)
    }));
    Ok(())
}

/// Errors and hang-ups need no flag: the kernel reports them for every watched descriptor.
fn event(token: Token, interest: Interest) -> Event {
    let readable = interest.contains(Interest::READ);
    let writable = interest.contains(Interest::WRITE);
    Event::new(token.to_key(), readable, writable)
}

/// Rounds up, and keeps the result within the 24 days that `epoll_wait(2)` can count.
fn whole_milliseconds(timeout: Duration) -> Duration {
    const LONGEST: Duration = Duration::from_millis(i32::MAX as u64);
    // In parts, because a division of 128 bits is a long one.
    let milliseconds = u64::from(timeout.subsec_nanos().div_ceil(1_000_000));
    let rounded = Duration::from_secs(timeout.as_secs().min(LONGEST.as_secs()));
    LONGEST.min(rounded + Duration::from_millis(milliseconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_are_rounded_up_and_bounded() {
        assert_eq!(whole_milliseconds(Duration::ZERO), Duration::ZERO);
        assert_eq!(
            whole_milliseconds(Duration::from_nanos(1)),
            Duration::from_millis(1)
        );
        assert_eq!(
            whole_milliseconds(Duration::from_micros(1001)),
            Duration::from_millis(2)
        );
        assert_eq!(
            whole_milliseconds(Duration::MAX),
            Duration::from_millis(i32::MAX as u64)
        );
    }

    #[test]
    fn an_unknown_back_end_is_named_with_the_known_ones() {
        let wake = Arc::new(Wake::new().expect("the system has a descriptor"));
        let err = Poller::new("select", wake, Token::NOBODY)
            .err()
            .expect("there is no such back end");
        assert!(err.to_string().contains("'select'") && err.to_string().contains("polling"));
    }
}
