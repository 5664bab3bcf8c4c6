//! The frame of a packet: it comes out the same in whatever pieces it arrives.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tsocket_npa::codec::{CodecError, Incoming, packet_len};

/// What came of `bytes`, and how many of them were not asked for.
fn collect(bytes: &[u8], limit: usize, piece: usize) -> (Result<Option<Vec<u8>>, CodecError>, usize) {
    let mut incoming = Incoming::new(limit);
    let mut rest = bytes;
    loop {
        let room = incoming.room();
        let len = room.len().min(rest.len()).min(piece);
        room[..len].copy_from_slice(&rest[..len]);
        rest = &rest[len..];
        match incoming.advance(len) {
            Ok(true) => return (Ok(Some(incoming.bytes().to_vec())), rest.len()),
            Err(error) => return (Err(error), 0),
            Ok(false) if rest.is_empty() => return (Ok(None), 0),
            Ok(false) => {}
        }
    }
}

fuzz_target!(|input: (u16, u8, &[u8])| {
    let (limit, piece, bytes) = input;
    let (limit, piece) = (usize::from(limit), usize::from(piece.max(1)));
    let at_once = collect(bytes, limit, usize::MAX);
    assert_eq!(at_once, collect(bytes, limit, 1));
    assert_eq!(at_once, collect(bytes, limit, piece));
    match at_once.0 {
        Ok(Some(packet)) => assert_eq!(packet_len(bytes, limit), Ok(Some(packet.len()))),
        Ok(None) => {}
        Err(error) => assert_eq!(packet_len(bytes, limit), Err(error)),
    }
});
