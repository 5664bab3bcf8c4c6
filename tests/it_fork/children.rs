//! What a child may do with the contexts of its parent.

use std::cell::Cell;
use std::env;
use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::rc::Rc;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{
    Pid, PidfdFlags, Signal as SignalNumber, WaitId, WaitIdOptions, kill_process, pidfd_open,
    waitid,
};
use tevent::{Context, FdEvent, Interest, Signal, Timer, wakeup};
use tevent_tests::{kernel_backends, read_byte, run_to, scaled, socket_pair, write_byte};

use crate::sys::fork;

/// What this program is called with to count the descriptors that it has got.
const COUNT: &str = "count-descriptors";

/// How long a child may take.
const LIMIT: Duration = Duration::from_secs(20);

pub(crate) fn main() {
    if env::args().any(|argument| argument == COUNT) {
        std::process::exit(descriptors());
    }
    // What this program was given, a child of it has too.
    let given = counting().status().expect("this program runs").code();
    let forks = scaled(100, 1000);
    for backend in kernel_backends() {
        let load = Load::new(backend);
        for turn in 0..forks {
            load.goes_on();
            match turn % 5 {
                0 => load.has(0, || runs_what_it_inherited(&load)),
                1 => load.has(0, || begins_anew(&load)),
                2 => load.has(given.expect("it exits"), || execs(&load)),
                3 => load.has(0, || is_reached_from_outside(&load)),
                _ => load.has_from_a_handler(),
            }
        }
        load.has_noticed_nothing();
    }
    without_a_kernel();
}

fn descriptors() -> i32 {
    let all = fs::read_dir("/proc/self/fd").expect("there is /proc");
    i32::try_from(all.count()).expect("there are few")
}

fn counting() -> Command {
    let mut command = Command::new(env::current_exe().expect("a test knows its program"));
    command.arg(COUNT);
    command
}

/// A parent with a ping-pong that never ends, and a descriptor on which nothing ever happens.
struct Load {
    ctx: Context,
    turns: Rc<Cell<usize>>,
    // Dropped by a child that must not play along.
    players: Cell<Vec<FdEvent<Rc<UnixStream>>>>,
    quiet: Cell<Option<FdEvent<UnixStream>>>,
    quiet_far: UnixStream,
    heard: Rc<Cell<usize>>,
    registrations: Cell<u64>,
}

impl Load {
    fn new(backend: &str) -> Self {
        let ctx = Context::with_backend(backend).expect("it is listed");
        let turns = Rc::new(Cell::new(0));
        let (near, far) = socket_pair();
        write_byte(&far);
        let players = [near, far].map(|end| {
            let (end, turns) = (Rc::new(end), turns.clone());
            let socket = end.clone();
            let play = move |_| {
                read_byte(&socket);
                turns.set(turns.get() + 1);
                write_byte(&socket);
            };
            FdEvent::new(&ctx, end, Interest::READ, play).expect("it can be watched")
        });
        let heard = Rc::new(Cell::new(0));
        let (quiet, quiet_far) = socket_pair();
        let hear = heard.clone();
        let quiet = FdEvent::new(&ctx, quiet, Interest::READ, move |_| {
            hear.set(hear.get() + 1);
        });
        let registrations = Cell::new(ctx.stats().registrations);
        Self {
            ctx,
            turns,
            players: Cell::new(players.into()),
            quiet: Cell::new(Some(quiet.expect("it can be watched"))),
            quiet_far,
            heard,
            registrations,
        }
    }

    /// Plays a few turns, which takes both registrations.
    #[track_caller]
    fn goes_on(&self) {
        let goal = self.turns.get() + 6;
        let limit = wakeup(&self.ctx, self.ctx.now() + LIMIT);
        run_to(&self.ctx, || {
            self.turns.get() >= goal || limit.is_finished()
        });
        assert!(self.turns.get() >= goal, "the ping-pong has come to a halt");
    }

    /// Forks a child for `action`, and plays on until it has ended with `status`.
    #[track_caller]
    fn has(&self, status: i32, action: impl FnOnce() -> i32) {
        self.awaits(fork(action), status);
    }

    /// Forks in a handler, where the round goes on in the child as well.
    #[track_caller]
    fn has_from_a_handler(&self) {
        let child = Rc::new(Cell::new(None));
        let (forked, weak) = (child.clone(), self.ctx.downgrade());
        let timer = Timer::new(&self.ctx, move || {
            let pid = fork(|| {
                let ctx = weak.upgrade().expect("it runs us");
                let refused = ctx.run().is_err();
                drop(ctx);
                i32::from(!refused)
            });
            forked.set(Some(pid));
        });
        timer.arm(self.ctx.now());
        run_to(&self.ctx, || child.get().is_some());
        self.awaits(child.get().expect("it was forked"), 0);
    }

    #[track_caller]
    fn awaits(&self, pid: Pid, expected: i32) {
        let pidfd: OwnedFd = pidfd_open(pid, PidfdFlags::NONBLOCK).expect("it is our child");
        let has_ended = Rc::new(Cell::new(false));
        let end = has_ended.clone();
        let event = FdEvent::new(&self.ctx, pidfd, Interest::READ, move |_| end.set(true));
        let event = event.expect("it can be watched");
        let limit = wakeup(&self.ctx, self.ctx.now() + LIMIT);
        run_to(&self.ctx, || has_ended.get() || limit.is_finished());
        if !has_ended.get() {
            kill_process(pid, SignalNumber::KILL).expect("it is our child");
        }
        let status = waitid(WaitId::Pid(pid), WaitIdOptions::EXITED).expect("it is our child");
        let status = status.and_then(|status| status.exit_status());
        assert_eq!(status, Some(expected), "how the child ended");
        drop(event);
        // Registering the child's descriptor and taking it back; nothing else had to be done again.
        let registrations = self.registrations.get() + 2;
        assert_eq!(self.ctx.stats().registrations, registrations);
        self.registrations.set(registrations);
        self.goes_on();
    }

    #[track_caller]
    fn has_noticed_nothing(&self) {
        assert_eq!(self.ctx.stats().wakeups, 0, "nobody woke the parent");
        assert_eq!(self.heard.get(), 0, "nobody wrote to the parent");
        write_byte(&self.quiet_far);
        run_to(&self.ctx, || self.heard.get() > 0);
    }

    /// In a child: leaves the ping-pong to the parent, of which it must not notice anything.
    fn leaves_the_game(&self) {
        drop(self.players.take());
        drop(self.quiet.take());
    }
}

/// Waits until the child `pid` has ended well.
#[track_caller]
pub(crate) fn expect_end(pid: Pid) {
    let pidfd = pidfd_open(pid, PidfdFlags::empty()).expect("it is our child");
    let limit = Timespec::try_from(LIMIT).expect("it is short");
    let mut events = [PollFd::new(&pidfd, PollFlags::IN)];
    // A signal may come, whose action is to restart what it interrupts; poll(2) never is.
    let ended = loop {
        match poll(&mut events, Some(&limit)) {
            Err(Errno::INTR) => {}
            ended => break ended,
        }
    };
    if ended == Ok(0) {
        kill_process(pid, SignalNumber::KILL).expect("it is our child");
    }
    let status = waitid(WaitId::Pid(pid), WaitIdOptions::EXITED).expect("it is our child");
    let status = status.and_then(|status| status.exit_status());
    assert_eq!(status, Some(0), "how the child ended");
}

/// Runs the context it has got, with an event from before the fork and others from after it.
fn runs_what_it_inherited(load: &Load) -> i32 {
    let ctx = &load.ctx;
    drop(load.players.take());
    let (near, far) = socket_pair();
    let reads = Rc::new(Cell::new(0));
    let (socket, seen) = (Rc::new(near), reads.clone());
    let end = socket.clone();
    let own = FdEvent::new(ctx, socket, Interest::READ, move |_| {
        read_byte(&end);
        seen.set(seen.get() + 1);
    });
    let own = own.expect("it can be watched");
    for turn in 1..=3 {
        write_byte(&far);
        run_to(ctx, || reads.get() == turn);
    }
    let nap = wakeup(ctx, ctx.now() + Duration::from_millis(1));
    ctx.run_until(nap).expect("it runs").expect("time passes");
    // The descriptor from before is watched in this process, too: hang it up in this process alone.
    let quiet = load.quiet.take().expect("the parent watches it");
    quiet.set_interest(Interest::NONE).expect("asking for less");
    quiet
        .set_interest(Interest::READ | Interest::WRITE)
        .expect("the kernel watches");
    run_to(ctx, || load.heard.get() > 0);
    drop((quiet, own));
    ctx.run().expect("nothing is left");
    0
}

/// Drops everything, and has a context of its own.
fn begins_anew(load: &Load) -> i32 {
    load.leaves_the_game();
    let ctx = Context::with_backend(load.ctx.backend()).expect("it is listed");
    let (near, far) = socket_pair();
    let is_told = Rc::new(Cell::new(false));
    let told = is_told.clone();
    let event = FdEvent::new(&ctx, near, Interest::READ, move |_| told.set(true));
    write_byte(&far);
    run_to(&ctx, || is_told.get());
    drop(event);
    ctx.run().expect("nothing is left");
    0
}

/// Becomes another program, which has no descriptor of a context.
fn execs(load: &Load) -> i32 {
    // One that has been renewed has descriptors that are new.
    load.leaves_the_game();
    load.ctx.run().expect("nothing is left");
    let nap = wakeup(&load.ctx, load.ctx.now());
    load.ctx
        .run_until(nap)
        .expect("it runs")
        .expect("time passes");
    panic!("{}", counting().exec());
}

/// Is sent work and a signal, which are not for the parent.
fn is_reached_from_outside(load: &Load) -> i32 {
    load.leaves_the_game();
    let ctx = &load.ctx;
    let is_done = Rc::new(Cell::new(0));
    let seen = is_done.clone();
    let signal = Signal::new(ctx, Signal::USR1, move |_| seen.set(seen.get() + 1));
    let signal = signal.expect("it can be handled");
    ctx.remote().send(|_| {}).expect("the context is there");
    assert!(ctx.run_once().expect("it runs"), "what was sent has run");
    for count in 1..=2 {
        kill_process(rustix::process::getpid(), SignalNumber::USR1).expect("we may do that");
        run_to(ctx, || is_done.get() == count);
    }
    drop(signal);
    ctx.run().expect("nothing is left");
    0
}

/// A child of a parent without a kernel has a wake-up of its own as well.
fn without_a_kernel() {
    let ctx = Context::with_backend("sim").expect("it is listed");
    let pid = fork(|| {
        ctx.remote().send(|_| {}).expect("the context is there");
        ctx.run().expect("it runs");
        i32::from(ctx.stats().wakeups != 1)
    });
    let status = waitid(WaitId::Pid(pid), WaitIdOptions::EXITED).expect("it is our child");
    let status = status.and_then(|status| status.exit_status());
    assert_eq!(status, Some(0));
    ctx.run().expect("nothing is left");
    assert_eq!(ctx.stats().wakeups, 0, "nobody woke the parent");
}
