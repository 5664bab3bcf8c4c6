//! One protocol, unchanged: by hand without a reactor, and over every kind of stream.
#![expect(
    clippy::unwrap_used,
    reason = "what several tests do is a test in all but its attribute"
)]

use std::io;

use tevent::Context;
use tevent_tests::contract::{self, Kind, done, pattern};
use tevent_tests::{Random, on_every_backend};
use tsocket::session::{self, Closed, Driver, Io, Limits, Session};

/// Sums: each question is a count of two bytes and so many numbers of four, each answer their sum.
#[derive(Default)]
struct Sums {
    answered: usize,
    broke_off: bool,
}

impl Session for Sums {
    fn receive(&mut self, bytes: &mut [u8], io: &Io) -> io::Result<usize> {
        let mut consumed = 0;
        while let Some((count, numbers)) = bytes[consumed..].split_first_chunk::<2>() {
            let len = 4 * usize::from(u16::from_be_bytes(*count));
            let Some(numbers) = numbers.get(..len) else {
                break;
            };
            let sum = numbers
                .chunks_exact(4)
                .map(|number| u32::from_be_bytes(number.try_into().unwrap()))
                .fold(0, u32::wrapping_add);
            io.send(sum.to_be_bytes())?;
            self.answered += 1;
            consumed += 2 + len;
        }
        Ok(consumed)
    }

    fn closed(&mut self, closed: Closed<'_>) {
        self.broke_off = !closed.unconsumed.is_empty();
    }
}

const QUESTIONS: usize = 500;

fn questions() -> (Vec<u8>, Vec<u8>) {
    let (mut asked, mut answers) = (Vec::new(), Vec::new());
    let mut random = Random::from_seed(5);
    for _ in 0..QUESTIONS {
        let count = random.below(100);
        asked.extend(u16::try_from(count).unwrap().to_be_bytes());
        let numbers = pattern_of(random.below(1_000), count);
        answers.extend(
            numbers
                .iter()
                .fold(0, |sum: u32, n| sum.wrapping_add(*n))
                .to_be_bytes(),
        );
        asked.extend(numbers.iter().flat_map(|number| number.to_be_bytes()));
    }
    (asked, answers)
}

fn pattern_of(offset: usize, count: usize) -> Vec<u32> {
    pattern(offset, 4 * count)
        .chunks_exact(4)
        .map(|bytes| u32::from_be_bytes(bytes.try_into().unwrap()))
        .collect()
}

#[test]
fn by_hand_in_pieces_of_every_length() {
    let (asked, answers) = questions();
    for len in [1, 2, 3, 7, 100, 4096, asked.len()] {
        let mut driver = Driver::new(Limits::default(), |_| Sums::default());
        let mut answered = Vec::new();
        for piece in asked.chunks(len) {
            for part in piece.chunks(driver.room()) {
                driver.receive(&mut part.to_vec()).unwrap();
                answered.extend(driver.take_sent());
            }
        }
        driver.close(None);
        assert!(answered == answers, "pieces of {len}");
        let sums = driver.into_session();
        assert!(sums.answered == QUESTIONS && !sums.broke_off);
    }
}

fn over(kind: Kind) {
    if !(kind.is_here)() {
        return;
    }
    on_every_backend(move |ctx: &Context| {
        let (near, far) = (kind.connect)(ctx).unwrap();
        let running = session::run(ctx, near, Limits::default(), |_| Sums::default());
        let (asked, answers) = questions();
        let read = far.readv(vec![0; answers.len()]);
        let asking = ctx.spawn({
            let far = far.clone();
            async move {
                for piece in asked.chunks(3_001) {
                    far.writev(piece.to_vec()).await?;
                }
                Ok::<_, io::Error>(())
            }
        });
        assert!(done(ctx, read) == answers, "{}", kind.name);
        done(ctx, asking).unwrap();
        drop(far);
        let sums = done(ctx, running);
        assert!(sums.answered == QUESTIONS && !sums.broke_off);
    });
}

#[test]
fn over_memory() {
    over(contract::MEMORY);
}

#[test]
fn over_tcp() {
    over(contract::TCP4);
    over(contract::TCP6);
}

#[test]
fn over_unix() {
    over(contract::UNIX);
}

#[test]
fn over_tls() {
    over(contract::TLS_OVER_TCP);
}

#[test]
fn over_pipes() {
    over(contract::MESSAGE_OVER_UNIX);
    over(contract::BYTE_OVER_UNIX);
}

#[test]
fn over_what_splits_and_delays() {
    over(contract::CHAOS_OVER_MEMORY);
}

#[test]
fn over_a_security_layer() {
    over(contract::SECURITY_LAYER_OVER_MEMORY);
}
