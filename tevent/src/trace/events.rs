//! Trace points as events of the `tracing` crate.

use std::rc::Rc;
use std::time::Duration;

use super::{TracePoint, Traced};
use crate::context::Context;

/// The target of all events.
const TARGET: &str = "tevent";

macro_rules! event {
    ($message:literal) => {
        tracing::trace!(target: TARGET, $message)
    };
    ($message:literal, $traced:expr) => {{
        let traced: &Traced<'_> = $traced;
        tracing::trace!(
            target: TARGET,
            kind = traced.kind().name(),
            tag = traced.tag(),
            location = %traced.location(),
            $message
        );
    }};
}

impl Context {
    /// Emits each trace point as an event of the `tracing` crate, at its level `TRACE` with the target
    /// `tevent`, beside what the present [hook](Self::set_trace) does. Needs the feature `tracing`.
    ///
    /// What is attached and so on stands in the fields `kind`, `tag` and `location`.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// let ctx = tevent::Context::new()?;
    /// ctx.emit_trace_events();
    /// ctx.run() // a subscriber sees "round begin" and "round end"
    /// # }
    /// ```
    pub fn emit_trace_events(&self) {
        let before = self.trace();
        self.set_trace(Some(Rc::new(move |point| {
            if let Some(before) = &before {
                before(point);
            }
            emit(point);
        })));
    }

    /// Warns of each handler that takes `threshold` or longer with an event of the `tracing` crate, at
    /// its level `WARN` with the target `tevent`; replaces the present [hook](Self::on_slow_handler).
    /// Needs the feature `tracing`.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// let ctx = tevent::Context::new()?;
    /// ctx.warn_of_slow_handlers(std::time::Duration::from_millis(100));
    /// ctx.run()
    /// # }
    /// ```
    pub fn warn_of_slow_handlers(&self, threshold: Duration) {
        let warn = |slow: &super::SlowHandler| {
            tracing::warn!(
                target: TARGET,
                kind = slow.kind.name(),
                location = %slow.location,
                duration = ?slow.duration,
                "slow handler"
            );
        };
        self.on_slow_handler(threshold, Some(Rc::new(warn)));
    }
}

fn emit(point: &TracePoint<'_>) {
    match point {
        TracePoint::RoundBegin => event!("round begin"),
        TracePoint::WaitBegin => event!("wait begin"),
        TracePoint::WaitEnd => event!("wait end"),
        TracePoint::RoundEnd => event!("round end"),
        TracePoint::Attach(traced) => event!("attach", traced),
        TracePoint::BeforeHandler(traced) => event!("before handler", traced),
        TracePoint::Detach(traced) => event!("detach", traced),
    }
}

#[cfg(test)]
mod tests {
    use std::fmt;
    use std::sync::{Arc, Mutex};

    use tracing::field::{Field, Visit};
    use tracing::span::{Attributes, Id, Record};
    use tracing::{Event, Metadata, Subscriber};

    use super::*;
    use crate::clock::ManualClock;
    use crate::immediate::Immediate;

    #[derive(Clone, Default)]
    struct Collector(Arc<Mutex<Vec<String>>>);

    struct Line(String);

    impl Visit for Line {
        fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
            let text = match field.name() {
                "message" => format!("{value:?}"),
                "location" => String::from(if format!("{value:?}").contains("events.rs") {
                    "here"
                } else {
                    "elsewhere"
                }),
                name => format!("{name}={value:?}"),
            };
            self.0.push(' ');
            self.0.push_str(&text);
        }
    }

    impl Subscriber for Collector {
        fn enabled(&self, metadata: &Metadata<'_>) -> bool {
            metadata.target() == TARGET
        }

        fn new_span(&self, _: &Attributes<'_>) -> Id {
            Id::from_u64(1)
        }

        fn record(&self, _: &Id, _: &Record<'_>) {}

        fn record_follows_from(&self, _: &Id, _: &Id) {}

        fn event(&self, event: &Event<'_>) {
            let mut line = Line(event.metadata().level().to_string());
            event.record(&mut line);
            self.0.lock().expect("nobody panics").push(line.0);
        }

        fn enter(&self, _: &Id) {}

        fn exit(&self, _: &Id) {}
    }

    #[test]
    fn a_subscriber_sees_every_point_and_the_slow_ones() {
        let clock = ManualClock::new();
        let builder = Context::builder().manual_clock(&clock);
        let ctx = builder.build().expect("there is a back end");
        let collector = Collector::default();
        tracing::subscriber::with_default(collector.clone(), || {
            ctx.emit_trace_events();
            ctx.warn_of_slow_handlers(Duration::from_secs(1));
            let immediate = Immediate::new(&ctx, move || clock.advance(Duration::from_secs(2)));
            immediate.set_tag(7);
            immediate.schedule();
            ctx.run().expect("the loop runs");
        });
        let lines = collector.0.lock().expect("nobody panics");
        let told = "kind=\"immediate\" tag=7 here";
        assert_eq!(
            *lines,
            [
                format!("TRACE attach {told}"),
                "TRACE round begin".to_owned(),
                format!("TRACE before handler {told}"),
                "WARN slow handler kind=\"immediate\" here duration=2s".to_owned(),
                format!("TRACE detach {told}"),
                "TRACE round end".to_owned(),
            ]
        );
    }
}
