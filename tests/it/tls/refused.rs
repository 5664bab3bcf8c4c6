//! Handshakes that come to nothing: a clean error on both sides, for this connection alone.

use std::io::{self, ErrorKind};
use std::sync::Arc;

use rustix::io::Errno;
use rustls::{AlertDescription, CertificateError, Error};
use tevent::{Context, Request};
use tevent_tests::contract::{done, end_of, expect_nothing_left, expect_rest, fails, pattern};
use tevent_tests::tls::{client, client_with, localhost, over, server, server_with, strict_server};
use tevent_tests::{Random, settle};
use tsocket::{memory, tls};

/// What rustls has to say about the end of `request`.
#[track_caller]
fn complaint<T>(ctx: &Context, request: Request<T>) -> Error {
    let error = end_of(ctx, request).err().expect("it fails");
    complaint_in(&error)
}

#[track_caller]
fn complaint_in(error: &io::Error) -> Error {
    assert_eq!(error.kind(), ErrorKind::InvalidData, "{error}");
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
    Error::clone(inner.expect("it comes from rustls"))
}

#[test]
fn a_server_that_nobody_trusts() {
    let ctx = Context::new().unwrap();
    let (near, far) = memory::stream_pair(&ctx);
    let server = Arc::new(server_with("other", rustls::ALL_VERSIONS));
    let accepting = tls::accept(&ctx, far, server);
    let connecting = tls::connect(&ctx, near, client(), localhost());
    assert!(matches!(
        complaint(&ctx, connecting),
        Error::InvalidCertificate(_)
    ));
    assert!(matches!(
        complaint(&ctx, accepting),
        Error::AlertReceived(_)
    ));
    expect_nothing_left(&ctx);
}

#[test]
fn a_server_of_another_name() {
    let ctx = Context::new().unwrap();
    let (near, far) = memory::stream_pair(&ctx);
    let accepting = tls::accept(&ctx, far, server());
    let name = "elsewhere.test".try_into().unwrap();
    let complaint = complaint(&ctx, tls::connect(&ctx, near, client(), name));
    let Error::InvalidCertificate(error) = complaint else {
        panic!("{complaint}");
    };
    assert!(
        matches!(error, CertificateError::NotValidForNameContext { .. }),
        "{error}"
    );
    assert!(end_of(&ctx, accepting).is_err());
}

#[test]
fn a_client_without_the_certificate_that_is_asked_for() {
    let ctx = Context::new().unwrap();
    let (near, far) = memory::stream_pair(&ctx);
    let accepting = tls::accept(&ctx, far, Arc::new(strict_server(rustls::ALL_VERSIONS)));
    // The client is done first, and hears of it when it reads.
    let (near, _) = done(&ctx, tls::connect(&ctx, near, client(), localhost()));
    assert_eq!(complaint(&ctx, accepting), Error::NoCertificatesPresented);
    let refusal = complaint(&ctx, near.read(1));
    let required = AlertDescription::CertificateRequired;
    assert_eq!(refusal, Error::AlertReceived(required));
    expect_rest(&ctx);
}

#[test]
fn two_sides_without_a_version_in_common() {
    let ctx = Context::new().unwrap();
    let (near, far) = memory::stream_pair(&ctx);
    let server = Arc::new(server_with("server", &[&rustls::version::TLS13]));
    let accepting = tls::accept(&ctx, far, server);
    let old = Arc::new(client_with(None, &[&rustls::version::TLS12]));
    let connecting = tls::connect(&ctx, near, old, localhost());
    assert!(matches!(
        complaint(&ctx, connecting),
        Error::AlertReceived(_)
    ));
    assert!(matches!(
        complaint(&ctx, accepting),
        Error::PeerIncompatible(_)
    ));
}

#[test]
fn whoever_speaks_something_else_is_told_and_closed_alone() {
    let ctx = Context::new().unwrap();
    let (good, other_end) = over(&ctx, memory::stream_pair(&ctx)).unwrap();
    let mut random = Random::seeded();
    let mut garbage = vec![b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec()];
    garbage.extend((0..20).map(|_| {
        let len = 1 + random.below(3_000);
        (0..len)
            .map(|_| random.below(256).to_le_bytes()[0])
            .collect()
    }));
    for garbage in garbage {
        let (near, far) = memory::stream_pair(&ctx);
        done(&ctx, near.writev(garbage.clone()));
        done(&ctx, near.shutdown());
        let error = end_of(&ctx, tls::accept(&ctx, far, server())).unwrap_err();
        let is_cut = error.raw_os_error() == Some(Errno::CONNRESET.raw_os_error());
        assert!(is_cut || error.kind() == ErrorKind::InvalidData, "{error}");

        let (near, far) = memory::stream_pair(&ctx);
        done(&ctx, far.writev(garbage));
        done(&ctx, far.shutdown());
        let connecting = tls::connect(&ctx, near, client(), localhost());
        let error = end_of(&ctx, connecting).unwrap_err();
        let is_cut = error.raw_os_error() == Some(Errno::CONNRESET.raw_os_error());
        assert!(is_cut || error.kind() == ErrorKind::InvalidData, "{error}");
    }
    done(&ctx, good.writev(&b"still here"[..]));
    assert_eq!(done(&ctx, other_end.readv(vec![0; 10])), b"still here");
    drop((good, other_end));
    expect_nothing_left(&ctx);
}

#[test]
fn a_peer_that_says_nothing_but_keeps_sending_is_bounded() {
    let ctx = Context::new().unwrap();
    let (near, far) = memory::stream_pair(&ctx);
    let accepting = tls::accept(&ctx, far, server());
    // The beginning of a handshake message of 16 MiB, in records of zeros.
    let mut flood = vec![0x16, 3, 1, 0x40, 0, 1, 0xff, 0xff, 0xff];
    flood.resize(5 + 0x4000, 0);
    let record = [&[0x16, 3, 1, 0x40, 0][..], &[0; 0x4000]].concat();
    for _ in 0..16 {
        flood.extend_from_slice(&record);
    }
    drop(near.writev(flood));
    assert!(matches!(
        end_of(&ctx, accepting).map_err(|error| error.kind()),
        Err(ErrorKind::InvalidData | ErrorKind::Other)
    ));
}

#[test]
fn a_stream_in_use_is_not_taken() {
    let ctx = Context::new().unwrap();
    let (near, far) = memory::stream_pair(&ctx);
    let other = far.clone();
    fails(&ctx, tls::accept(&ctx, far, server()), Errno::BUSY);
    drop(other);
    fails(
        &ctx,
        tls::connect(&ctx, near, client(), localhost()),
        Errno::CONNRESET,
    );
}

#[test]
fn garbage_behind_the_handshake_ends_the_connection() {
    let ctx = Context::new().unwrap();
    let (near, raw) = memory::stream_pair(&ctx);
    let (middle, far) = memory::stream_pair(&ctx);
    let accepting = tls::accept(&ctx, far, server());
    let connecting = tls::connect(&ctx, near, client(), localhost());
    let relay = |from: &tsocket::Stream, to: &tsocket::Stream| {
        settle(&ctx);
        while from.pending_bytes().unwrap() > 0 {
            let chunk = done(&ctx, from.read(1 << 16));
            done(&ctx, to.writev(chunk));
        }
    };
    for _ in 0..3 {
        relay(&raw, &middle);
        relay(&middle, &raw);
    }
    let (near, _) = done(&ctx, connecting);
    let (far, _) = done(&ctx, accepting);
    done(&ctx, far.writev(&b"before"[..]));
    relay(&middle, &raw);
    done(&ctx, raw.writev(pattern(0, 100)));
    assert_eq!(done(&ctx, near.readv(vec![0; 6])), b"before");
    let error = end_of(&ctx, near.read(1)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidData, "{error}");
    // It is told, in an alert that its transport carries.
    assert_eq!(
        done(&ctx, raw.read(1))[0],
        0x17,
        "sealed, as all alerts are"
    );
    assert!(
        end_of(&ctx, near.writev(vec![1])).is_err(),
        "for both sides"
    );
    expect_rest(&ctx);
}
