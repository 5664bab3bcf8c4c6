//! What is different from the C library on purpose, where no other story shows it.

use std::time::Duration;

use rustix::process::{Signal as Number, getpid, kill_process};
use tevent::{Signal, Timer};
use tevent_tests::{Log, alone_with_signals, expect_order, on_every_backend, raise, run_to};

/// A number above that of the signal that would end the process, so that it is delivered later.
const URG: i32 = 23;

#[test]
fn the_default_action_of_a_signal_does_not_come_back() {
    let _alone = alone_with_signals();
    on_every_backend(|ctx| {
        let log = Log::new();
        drop(Signal::new(ctx, Signal::USR1, log.noting("user")).unwrap());
        let _later = Signal::new(ctx, URG, log.noting("later")).unwrap();
        kill_process(getpid(), Number::USR1).unwrap();
        raise(URG);
        run_to(ctx, || !log.is_empty());
        expect_order(&log, &["later"]);
    });
}

#[test]
fn a_timer_without_delay_goes_by_its_time() {
    on_every_backend(|ctx| {
        let log = Log::new();
        let [early, late] = ["early", "late"].map(|name| Timer::new(ctx, log.calling(name)));
        early.arm(ctx.now());
        // The clock may stand still for a moment, but equals keep the order of their arming.
        late.arm_after(Duration::ZERO);
        run_to(ctx, || log.len() == 2);
        expect_order(&log, &["early", "late"]);
    });
}
