//! Channel bindings: the same on both sides, and what their documents say.

use std::sync::Arc;

use rustix::io::Errno;
use tevent::Context;
use tevent_tests::contract::done;
use tevent_tests::expect_errno;
use tevent_tests::tls::{VERSIONS, client, client_with, handshake, server, server_with};
use tsocket::memory;
use tsocket::tls::ChannelBinding::{Exporter, ServerEndPoint};
use tsocket::tls::{self, rustls::pki_types::ServerName};

/// `openssl x509 -in server.pem -outform der | openssl dgst -sha256`
const SERVER_SHA256: &str = "beee9e9965d6ab2a6c53e59f73b34b581ed5e1a180496016e128ccdd8acbe479";

/// `openssl x509 -in other.pem -outform der | openssl dgst -sha384`
const OTHER_SHA384: &str = "296cfa01f03cf5b0cb6172c4b4487e1fa0f4e20090cb712813da0ce376f528d7e12c4cb82dd3a2e51f305a9a03c3e1a5";

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn the_end_point_is_a_hash_of_the_servers_certificate() {
    assert_eq!(ServerEndPoint.name(), "tls-server-end-point");
    for version in VERSIONS {
        let ctx = Context::new().unwrap();
        let client = Arc::new(client_with(None, &[version]));
        let pair = memory::stream_pair(&ctx);
        let ((_near, ours), (_far, theirs)) = handshake(&ctx, pair, client, server()).unwrap();
        for info in [ours, theirs] {
            let binding = info.channel_binding(ServerEndPoint).unwrap();
            assert_eq!(hex(binding), SERVER_SHA256);
        }
    }
}

#[test]
fn the_end_point_is_hashed_as_the_certificate_is_signed() {
    let ctx = Context::new().unwrap();
    let (near, far) = memory::stream_pair(&ctx);
    let server = server_with("other", rustls::ALL_VERSIONS);
    let accepted = tls::accept(&ctx, far, Arc::new(server));
    // It is trusted by itself alone.
    let mut roots = rustls::RootCertStore::empty();
    roots.add(tevent_tests::tls::certificate("other")).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("other.test").unwrap();
    let (_near, ours) = done(&ctx, tls::connect(&ctx, near, Arc::new(config), name));
    let (_far, theirs) = done(&ctx, accepted);
    for info in [ours, theirs] {
        let binding = info.channel_binding(ServerEndPoint).unwrap();
        assert_eq!(hex(binding), OTHER_SHA384);
    }
}

#[test]
fn the_exporter_is_of_one_connection_alone() {
    assert_eq!(Exporter.name(), "tls-exporter");
    let ctx = Context::new().unwrap();
    let mut seen = Vec::new();
    for _ in 0..2 {
        let pair = memory::stream_pair(&ctx);
        let ((_near, ours), (_far, theirs)) = handshake(&ctx, pair, client(), server()).unwrap();
        let binding = ours.channel_binding(Exporter).unwrap();
        assert_eq!(binding.len(), 32);
        assert_eq!(binding, theirs.channel_binding(Exporter).unwrap());
        seen.push(binding.to_vec());
    }
    assert_ne!(seen[0], seen[1]);
}

#[test]
fn before_version_1_3_there_is_no_exporter() {
    let ctx = Context::new().unwrap();
    let client = Arc::new(client_with(None, &[&rustls::version::TLS12]));
    let pair = memory::stream_pair(&ctx);
    let ((_near, ours), (_far, theirs)) = handshake(&ctx, pair, client, server()).unwrap();
    for info in [ours, theirs] {
        expect_errno(info.channel_binding(Exporter), Errno::OPNOTSUPP);
    }
}
