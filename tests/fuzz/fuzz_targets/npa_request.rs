//! Requests of the handshake: whatever decodes has a usual form, which decodes and stays the same.
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
            // Not the same value: padding may look like a ticket type that early releases did not have.
            let again = Request::decode(usual.expose()).expect("what was encoded can be decoded");
            assert_eq!(again.encode(), Ok(usual));
            if let Ok(caller) = Caller::from_request(request) {
                assert!(!caller.to_string().contains('\n'));
            }
        }
        Err(error) => assert!(error.offset() < packet.len() + 8, "{error}"),
    }
});
