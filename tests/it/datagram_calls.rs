//! System calls of datagrams: an answer costs one wait, one receive and one send, and less in a flood.

use std::net::UdpSocket;
use std::thread;

use tevent::Context;
use tevent_tests::contract::done;
use tevent_tests::on_every_backend;
use tsocket::{Address, Datagram, Family};
use tsocket_bsd::{DatagramOptions, datagram};

/// A socket that answers, and one beside the loop that asks it.
fn ends(ctx: &Context) -> (Datagram, UdpSocket) {
    let local = Address::from_strings(Family::Ipv4, Some("127.0.0.1"), 0);
    let local = local.expect("that is an address");
    let socket = datagram(ctx, &local, &DatagramOptions::default()).expect("any port is free");
    let asking = UdpSocket::bind("127.0.0.1:0").expect("any port is free");
    let at = socket.local_address().and_then(|at| at.port());
    let port = at.expect("it is bound");
    asking.connect(("127.0.0.1", port)).expect("it is there");
    (socket, asking)
}

fn answer(ctx: &Context, socket: &Datagram, count: u64) {
    for _ in 0..count {
        let (chunk, from) = done(ctx, socket.recv_from());
        done(ctx, socket.send_to(chunk, Some(&from)));
    }
}

#[test]
fn an_answer_to_one_that_comes_alone_is_one_wait_one_receive_and_one_send() {
    on_every_backend(|ctx| {
        let (socket, asking) = ends(ctx);
        let rounds = 1_000;
        let peer = thread::spawn(move || {
            let mut buffer = [0; 100];
            for _ in 0..rounds {
                asking.send(&[7; 64]).unwrap();
                assert_eq!(asking.recv(&mut buffer).unwrap(), 64);
            }
        });
        let before = ctx.stats();
        answer(ctx, &socket, rounds);
        let spent = ctx.stats().since(&before);
        peer.join().unwrap();
        assert!(spent.waits <= rounds + 2, "{spent:?}");
        assert_eq!(spent.sends, rounds, "{spent:?}");
        // Now and then it looks whether there is more.
        assert!(spent.receives <= rounds + rounds / 8 + 1, "{spent:?}");
        assert!(spent.registrations <= 1, "{spent:?}");
    });
}

#[test]
fn a_flood_is_received_in_batches() {
    on_every_backend(|ctx| {
        let (socket, asking) = ends(ctx);
        for count in [100, 90] {
            let before = ctx.stats();
            for _ in 0..count {
                asking.send(&[7; 64]).unwrap();
            }
            answer(ctx, &socket, count);
            let spent = ctx.stats().since(&before);
            assert!(spent.waits <= count / 4, "{spent:?}");
            assert!(spent.receives <= count + 2, "{spent:?}");
        }
    });
}

#[test]
fn a_flood_leaves_room_for_others() {
    on_every_backend(|ctx| {
        let (flooded, asking) = ends(ctx);
        let (other, visitor) = ends(ctx);
        for _ in 0..100 {
            asking.send(&[7; 64]).unwrap();
        }
        answer(ctx, &flooded, 50);
        visitor.send(b"me too").unwrap();
        let waiting = other.recv_from();
        let mut before_it = 0;
        while !waiting.is_finished() {
            answer(ctx, &flooded, 1);
            before_it += 1;
        }
        assert!(before_it <= 33, "{before_it} of the flood came first");
        done(ctx, waiting);
    });
}
