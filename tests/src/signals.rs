//! [`raise`], a signal that has been delivered when the call returns.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tevent::{Context, Signal};

use crate::run_to;

/// Keeps the other stories that handle signals from running: signals are the process's.
pub fn alone_with_signals() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Sends this process a signal, and returns when every event for it that exists has counted it.
///
/// # Panics
/// If there is no such signal.
#[track_caller]
pub fn raise(signum: i32) {
    deliver(signum, || {
        let signal = rustix::process::Signal::from_named_raw(signum).expect("it has a name");
        rustix::process::kill_process(rustix::process::getpid(), signal).expect("we may do that");
    });
}

/// As [`raise`], but the signal brings `value` along, as `sigqueue(3)` has it.
///
/// # Panics
/// If there is no such signal.
#[cfg(target_os = "linux")]
#[track_caller]
pub fn raise_with_value(signum: i32, value: i32) {
    deliver(signum, || {
        crate::sys::queue_signal(signum, value).expect("we may do that");
    });
}

/// Calls `send`, which sends this process `signum`, and returns when it has been delivered.
#[track_caller]
fn deliver(signum: i32, send: impl FnOnce()) {
    // The kernel picks the thread that takes the signal, some time soon; actions run in the order of
    // their registration, so that ours is the last.
    let ctx = Context::new().expect("there is a back end");
    let is_delivered = Rc::new(Cell::new(false));
    let seen = is_delivered.clone();
    let last = Signal::new(&ctx, signum, move |_| seen.set(true)).expect("it is a signal");
    send();
    run_to(&ctx, || is_delivered.get());
    drop(last);
}
