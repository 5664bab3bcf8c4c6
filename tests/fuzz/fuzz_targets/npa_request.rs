//! Requests of the handshake: whatever decodes is encoded so that it decodes to the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tsocket_npa::codec::{Caller, Request};

fuzz_target!(|bytes: &[u8]| {
    let mut packet = bytes.to_vec();
    // Nothing is found behind a length that does not fit.
    if let Some(rest) = packet.len().checked_sub(4) {
        let length = u32::try_from(rest).expect("inputs are short");
        packet[..4].copy_from_slice(&length.to_be_bytes());
    }
    match Request::decode(&packet) {
        Ok(request) => {
            let usual = request.encode().expect("what was decoded can be encoded");
            assert_eq!(Request::decode(usual.expose()).as_ref(), Ok(&request));
            if let Ok(caller) = Caller::from_request(request) {
                assert!(!caller.to_string().contains('\n'));
            }
        }
        Err(error) => assert!(error.offset() < packet.len() + 8, "{error}"),
    }
});
