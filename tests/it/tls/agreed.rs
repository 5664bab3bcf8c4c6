//! What two sides agree on, and what each learns of the other.

use std::sync::Arc;

use rustls::ProtocolVersion;
use tevent::Context;
use tevent_tests::contract::{done, expect_nothing_left, fails, pattern};
use tevent_tests::tls::{
    VERSIONS, certificate, client_with, handshake, localhost, server_with, strict_server,
};
use tevent_tests::{on_every_backend, settle};
use tsocket::{memory, tls};

#[test]
fn both_learn_versions_names_and_application_protocols() {
    for version in VERSIONS {
        let ctx = Context::new().unwrap();
        let mut client = client_with(None, &[version]);
        client.alpn_protocols = vec![b"newest".to_vec(), b"http/1.1".to_vec()];
        let mut server = server_with("server", rustls::ALL_VERSIONS);
        server.alpn_protocols = vec![b"http/1.1".to_vec(), b"other".to_vec()];
        let pair = memory::stream_pair(&ctx);
        let ((_near, ours), (_far, theirs)) =
            handshake(&ctx, pair, Arc::new(client), Arc::new(server)).unwrap();
        for info in [&ours, &theirs] {
            assert_eq!(info.protocol_version(), Some(version.version));
            assert!(info.cipher_suite().is_some());
            assert_eq!(info.alpn_protocol(), Some(&b"http/1.1"[..]));
            assert_eq!(info.server_name(), Some("localhost"));
        }
        assert_eq!(ours.peer_certificates(), [certificate("server")]);
        assert!(theirs.peer_certificates().is_empty());
        let shown = format!("{ours:?}");
        assert!(shown.contains("localhost"), "{shown}");
    }
}

#[test]
fn a_client_shows_its_certificate_to_whoever_asks() {
    for version in VERSIONS {
        let ctx = Context::new().unwrap();
        let client = client_with(Some("client"), &[version]);
        let server = strict_server(rustls::ALL_VERSIONS);
        let pair = memory::stream_pair(&ctx);
        let ((near, _), (far, theirs)) =
            handshake(&ctx, pair, Arc::new(client), Arc::new(server)).unwrap();
        assert_eq!(theirs.peer_certificates(), [certificate("client")]);
        done(&ctx, near.writev(&b"hello"[..]));
        assert_eq!(done(&ctx, far.readv(vec![0; 5])), b"hello");
    }
}

#[test]
fn what_is_sent_right_behind_the_handshake_is_not_lost() {
    on_every_backend(|ctx| {
        let (near, far) = memory::stream_pair(ctx);
        let server = Arc::new(server_with("server", rustls::ALL_VERSIONS));
        let client = Arc::new(client_with(None, rustls::ALL_VERSIONS));
        let accepted = tls::accept(ctx, far, server);
        let (near, info) = done(ctx, tls::connect(ctx, near, client, localhost()));
        assert_eq!(info.protocol_version(), Some(ProtocolVersion::TLSv1_3));
        // The server has not looked at the end of the handshake yet.
        done(ctx, near.writev(pattern(0, 30_000)));
        done(ctx, near.shutdown());
        let (far, _) = done(ctx, accepted);
        assert!(done(ctx, far.readv(vec![0; 30_000])) == pattern(0, 30_000));
        assert!(done(ctx, far.read(1)).is_empty());
        drop((near, far));
        expect_nothing_left(ctx);
    });
}

#[test]
fn a_handshake_that_is_given_up_closes_the_stream() {
    let ctx = Context::new().unwrap();
    let (near, far) = memory::stream_pair(&ctx);
    let client = Arc::new(client_with(None, rustls::ALL_VERSIONS));
    let connecting = tls::connect(&ctx, near, client, localhost());
    settle(&ctx);
    drop(connecting);
    assert!(
        !done(&ctx, far.read(1 << 16)).is_empty(),
        "the first flight"
    );
    assert!(done(&ctx, far.read(1)).is_empty());
    expect_nothing_left(&ctx);
}

#[test]
fn a_handshake_takes_only_so_long() {
    use rustix::io::Errno;
    use std::time::Duration;

    let clock = tevent::ManualClock::default();
    let ctx = Context::builder().manual_clock(&clock).build().unwrap();
    let (near, far) = memory::stream_pair(&ctx);
    let client = Arc::new(client_with(None, rustls::ALL_VERSIONS));
    let connecting = tls::connect(&ctx, near, client, localhost());
    clock.advance(tls::HANDSHAKE_TIME - Duration::from_millis(1));
    settle(&ctx);
    assert!(!connecting.is_finished());
    clock.advance(Duration::from_millis(2));
    fails(&ctx, connecting, Errno::TIMEDOUT);

    let server = Arc::new(server_with("server", rustls::ALL_VERSIONS));
    let accepting = tls::accept(&ctx, far, server);
    accepting.set_timeout(Duration::from_millis(5));
    clock.advance(Duration::from_millis(6));
    let error = tevent_tests::contract::end_of(&ctx, accepting).unwrap_err();
    // The peer is gone already, so it need not wait for its deadline.
    assert!(error.raw_os_error().is_some(), "{error}");
    expect_nothing_left(&ctx);
}
