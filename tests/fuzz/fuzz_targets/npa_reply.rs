//! Replies of the handshake: whatever decodes is encoded so that it decodes to the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tsocket_npa::codec::Reply;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(reply) = Reply::decode(bytes) {
        assert_eq!(bytes.len(), Reply::LEN);
        assert_eq!(Reply::decode(&reply.encode()), Ok(reply));
    }
});
