//! TLS over streams that break at any place: an error that is documented, or everything.

use std::io::{self, ErrorKind};
use std::time::Duration;

use rustix::io::Errno;
use tevent::Context;
use tevent_tests::contract::{done, end_of, expect_nothing_left, pattern};
use tevent_tests::tls::{client, localhost, server};
use tevent_tests::{Random, scaled};
use tsocket::{Chaos, Stream, chaos, memory, tls};

const TOTAL: usize = 40_000;

/// Says all of the pattern and hears all of it.
async fn both_ways(ctx: Context, stream: Stream) -> io::Result<()> {
    let said = ctx.spawn({
        let stream = stream.clone();
        async move {
            stream.writev(pattern(0, TOTAL)).await?;
            stream.shutdown().await
        }
    });
    let heard = stream.readv(vec![0; TOTAL]).await?;
    assert!(heard == pattern(0, TOTAL), "never anything else");
    let end = stream.read(1).await?;
    assert!(end.is_empty());
    said.await?
}

fn is_documented(error: &io::Error) -> bool {
    let known = [Errno::CONNRESET, Errno::PIPE, Errno::TIMEDOUT];
    let errno = error.raw_os_error();
    error.kind() == ErrorKind::InvalidData
        || known
            .iter()
            .any(|known| errno == Some(known.raw_os_error()))
}

fn story(seed: u64, how: Chaos) -> io::Result<()> {
    let ctx = Context::new()?;
    let (near, far) = memory::stream_pair(&ctx);
    let near = chaos(&ctx, near, seed, how)?;
    let accepting = tls::accept(&ctx, far, server());
    let connecting = tls::connect(&ctx, near, client(), localhost());
    for handshake in [&accepting, &connecting] {
        handshake.set_timeout(Duration::from_millis(30));
    }
    let (near, far) = (end_of(&ctx, connecting), end_of(&ctx, accepting));
    let talking: Vec<_> = [near?.0, far?.0]
        .map(|stream| ctx.spawn(both_ways(ctx.clone(), stream)))
        .into();
    for talk in &talking {
        talk.set_timeout(Duration::from_millis(30));
    }
    let ends: Vec<_> = talking.into_iter().map(|talk| end_of(&ctx, talk)).collect();
    expect_nothing_left(&ctx);
    for end in ends {
        end??;
    }
    Ok(())
}

#[test]
fn whatever_breaks_is_an_error_that_one_expects() {
    let mut random = Random::seeded();
    let mut failed = 0;
    let rounds = scaled(60, 600);
    for round in 0..rounds {
        let within = Some(2 * TOTAL);
        let mut how = Chaos::HARMLESS;
        match round % 4 {
            0 => how.reset_within = within,
            1 => how.ends_writes_within = within,
            2 => how.stalls_reads_within = within,
            _ => how.stalls_writes_within = within,
        }
        let seed = u64::try_from(random.below(1 << 30)).unwrap();
        if let Err(error) = story(seed, how) {
            assert!(is_documented(&error), "{how:?} from {seed}: {error}");
            failed += 1;
        }
    }
    assert!(
        failed > rounds / 4,
        "{failed} of {rounds} have met their fault"
    );
}

#[test]
fn what_only_splits_and_delays_is_not_noticed() {
    let mut random = Random::seeded();
    for _ in 0..scaled(20, 500) {
        let seed = u64::try_from(random.below(1 << 30)).unwrap();
        let ended = story_without_limits(seed);
        assert!(ended.is_ok(), "from {seed}: {ended:?}");
    }
}

fn story_without_limits(seed: u64) -> io::Result<()> {
    let ctx = Context::new()?;
    let (near, far) = memory::stream_pair(&ctx);
    let near = chaos(&ctx, near, seed, Chaos::HARMLESS)?;
    let accepting = tls::accept(&ctx, far, server());
    let near = end_of(&ctx, tls::connect(&ctx, near, client(), localhost()))?.0;
    let far = done(&ctx, accepting).0;
    let far = ctx.spawn(both_ways(ctx.clone(), far));
    end_of(&ctx, ctx.spawn(both_ways(ctx.clone(), near)))??;
    end_of(&ctx, far)?
}
