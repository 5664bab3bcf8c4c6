//! One payload for many streams, which none of them copies.

use std::cell::{Cell, RefCell};
use std::io::{self, IoSlice, IoSliceMut};
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;

use rustix::io::Errno;
use tevent::{Context, Readiness};
use tevent_tests::contract::{done, pattern};
use tevent_tests::settle;
use tsocket::{Address, Ready, Stream, StreamOps};

use crate::sys::bytes_kept_by;

/// How many streams get the payload.
const STREAMS: usize = 1_000;

/// What all streams write to: it sees where in memory the bytes are that it is offered.
struct Sink {
    room: Rc<Cell<usize>>,
    offered: Rc<RefCell<Vec<Range<*const u8>>>>,
}

impl StreamOps for Sink {
    fn try_readv(&mut self, _: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        Err(Errno::WOULDBLOCK.into())
    }
    fn try_writev(&mut self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        if self.room.get() == 0 {
            return Err(Errno::WOULDBLOCK.into());
        }
        self.offered.borrow_mut().push(buffers[0].as_ptr_range());
        Ok(self.room.get().min(buffers[0].len()))
    }
    fn pending_bytes(&mut self) -> io::Result<usize> {
        Ok(0)
    }
    fn try_shutdown(&mut self) -> io::Result<()> {
        Ok(())
    }
    fn local_address(&self) -> io::Result<Address> {
        Ok(Address::unix_unnamed())
    }
    fn peer_address(&self) -> io::Result<Address> {
        Ok(Address::unix_unnamed())
    }
    fn told(&mut self, readiness: Readiness) -> Readiness {
        readiness
    }
    fn unwanted(&mut self, _: Readiness) {}
}

#[test]
fn a_thousand_streams_write_one_payload_from_where_it_is() {
    let ctx = Context::new().unwrap();
    let room = Rc::new(Cell::new(0));
    let offered: Rc<RefCell<Vec<_>>> = Rc::default();
    let (streams, readies): (Vec<Stream>, Vec<Ready>) = (0..STREAMS)
        .map(|_| {
            let mut handle = None;
            let stream = Stream::new(&ctx, |ready| {
                handle = Some(ready);
                let (room, offered) = (room.clone(), offered.clone());
                Ok(Box::new(Sink { room, offered }))
            });
            (stream.unwrap(), handle.unwrap())
        })
        .unzip();
    let payload: Arc<[u8]> = pattern(0, 1 << 20).into();
    let mut writes = Vec::with_capacity(STREAMS);
    let kept = bytes_kept_by(|| {
        writes.extend(streams.iter().map(|stream| stream.writev(payload.clone())));
    });
    assert!(
        kept < STREAMS * 1_000,
        "{kept} bytes for waiting writes of 1 MiB each"
    );

    // In pieces, so that each goes on from the middle.
    room.set(300_000);
    offered.borrow_mut().reserve(4 * STREAMS);
    for ready in &readies {
        ready.schedule(Readiness::WRITE);
    }
    settle(&ctx);
    let all = payload.as_ptr_range();
    let offered = offered.take();
    assert_eq!(offered.len(), 4 * STREAMS);
    for piece in offered {
        assert!(
            all.start <= piece.start && piece.end == all.end,
            "a copy of it"
        );
    }
    for write in writes {
        assert!(Arc::ptr_eq(&done(&ctx, write), &payload));
    }
    assert_eq!(Arc::strong_count(&payload), 1, "nobody keeps it");
}
