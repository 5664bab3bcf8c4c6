//! All that is unsafe in the verbs: sending a signal with a value.
#![expect(unsafe_code, reason = "nobody offers sigqueue(3) as a safe call")]

use std::io;

/// Sends this process the signal `signum` with `value`, `sigqueue(3)`.
pub(crate) fn queue_signal(signum: i32, value: i32) -> io::Result<()> {
    // The value stands where the pointer begins, in the order of the machine's bytes.
    let mut bytes = [0; size_of::<usize>()];
    bytes[..size_of::<i32>()].copy_from_slice(&value.to_ne_bytes());
    let value = libc::sigval {
        sival_ptr: std::ptr::without_provenance_mut(usize::from_ne_bytes(bytes)),
    };
    let pid = rustix::process::getpid().as_raw_nonzero().get();
    // SAFETY: the call takes numbers; the pointer is one of them and is not followed.
    match unsafe { libc::sigqueue(pid, signum, value) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
