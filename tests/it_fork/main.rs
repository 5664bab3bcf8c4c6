//! Forks under load, at first in a program with one thread: the parent notices nothing, the child lives on.

#[cfg(target_os = "linux")]
mod children;
#[cfg(target_os = "linux")]
mod rounds;
#[cfg(target_os = "linux")]
mod sys;
#[cfg(target_os = "linux")]
mod threads;

#[cfg(target_os = "linux")]
fn main() {
    children::main();
    rounds::main();
    // Last, because from here on there are other threads.
    threads::main();
}

#[cfg(not(target_os = "linux"))]
fn main() {
    // The stories wait for children through `pidfd_open(2)` and count in `/proc`.
}
