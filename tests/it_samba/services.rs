//! Samba's own services as servers: our client shakes hands, and what follows is DCE/RPC.

use std::path::Path;
use std::time::Duration;

use tevent::Context;
use tsocket_npa::codec::Sid;
use tsocket_npa::{HandshakeError, Identity, Levels, PipeMode, PipeName, connect};

use crate::smbd::with_smbd;

/// An interface: its UUID as on the wire, and its version.
struct Interface {
    pipe: &'static str,
    uuid: [u8; 16],
    version: u32,
}

// 4b324fc8-1670-01d3-1278-5a47bf6ee188 and 338cd001-2244-31f1-aaaa-900038001003.
const SRVSVC: Interface = Interface {
    pipe: "srvsvc",
    uuid: *b"\xc8\x4f\x32\x4b\x70\x16\xd3\x01\x12\x78\x5a\x47\xbf\x6e\xe1\x88",
    version: 3,
};
const WINREG: Interface = Interface {
    pipe: "winreg",
    uuid: *b"\x01\xd0\x8c\x33\x44\x22\xf1\x31\xaa\xaa\x90\x00\x38\x00\x10\x03",
    version: 1,
};

/// NDR, the only transfer syntax that everybody has: 8a885d04-1ceb-11c9-9fe8-08002b104860, version 2.
const NDR: [u8; 20] =
    *b"\x04\x5d\x88\x8a\xeb\x1c\xc9\x11\x9f\xe8\x08\x00\x2b\x10\x48\x60\x02\0\0\0";

const BIND_ACK: u8 = 12;

/// The PDU that binds to an interface (C706, 12.6.4.3).
fn bind(interface: &Interface) -> Vec<u8> {
    // Version 5.0, bind, first and last fragment, little-endian; lengths; call 1.
    let header = b"\x05\0\x0b\x03\x10\0\0\0\x48\0\0\0\x01\0\0\0";
    // Fragments of 4,280 bytes, no association; one context, number 0, with one transfer syntax.
    let contexts = b"\xb8\x10\xb8\x10\0\0\0\0\x01\0\0\0\0\0\x01\0";
    let version = interface.version.to_le_bytes();
    [&header[..], contexts, &interface.uuid, &version, &NDR].concat()
}

fn user() -> Identity {
    let sid = "S-1-5-21-1-2-3-1000".parse().expect("that is a SID");
    Identity::user("daemon", "NPATEST", sid, 1, 1).sid(Sid::unix_group(1))
}

async fn bound(ctx: &Context, np_dir: &Path, interface: &Interface, identity: &Identity) {
    let name = PipeName::new(interface.pipe).expect("that is a name");
    let opening = connect(ctx, np_dir, &name, identity, Levels::Any);
    opening.set_timeout(Duration::from_secs(20));
    let opened = opening.await.expect("the service opens the pipe");
    assert_eq!(opened.pipe.mode(), PipeMode::Message);
    assert_eq!(opened.pipe.device_state(), 0x05ff);
    assert_eq!(opened.pipe.allocation_size(), 4096);
    let written = opened.pipe.write_message(bind(interface)).await;
    written.expect("the service reads");
    let answer = opened.pipe.read_message();
    answer.set_timeout(Duration::from_secs(20));
    let answer = answer.await.expect("the service answers");
    assert_eq!(answer.get(2), Some(&BIND_ACK), "{:?}", &*answer);
    assert_eq!(
        answer[8..10],
        u16::try_from(answer.len())
            .expect("it is short")
            .to_le_bytes()
    );
}

#[test]
fn services_of_samba_take_our_word_and_answer_a_bind() {
    with_smbd(|smbd| {
        smbd.start_services().expect("the services start");
        let np_dir = smbd.np_dir();
        let ctx = Context::new().unwrap();
        let all = async {
            for interface in [SRVSVC, WINREG] {
                for identity in [Identity::anonymous(), user(), Identity::system()] {
                    bound(&ctx, &np_dir, &interface, &identity).await;
                }
            }
        };
        ctx.block_on(all).unwrap();
    });
}

#[test]
fn a_service_is_not_there_until_it_is_started() {
    with_smbd(|smbd| {
        let ctx = Context::new().unwrap();
        let name = PipeName::new("srvsvc").unwrap();
        let opening = connect(&ctx, smbd.np_dir(), &name, &user(), Levels::Any);
        let error = ctx.run_until(opening).unwrap().unwrap_err();
        assert!(matches!(error, HandshakeError::Io(error) if error.raw_os_error() == Some(2)));
    });
}
