//! Sessions driven by hand: no context, no loop.

use rustix::io::Errno;
use tevent_tests::expect_errno;
use tsocket::session::{Driver, Limits};

use super::{all, probe};

const SMALL: Limits = Limits {
    unconsumed: 10,
    unsent: 20,
};

#[test]
fn what_is_not_consumed_is_in_front_of_what_comes_next() {
    let (session, notes) = probe(|bytes, _| Ok(bytes.len() / 4 * 4));
    let mut driver = Driver::new(Limits::default(), |_| session);
    for piece in [&b"ab"[..], b"c", b"defgh", b"i"] {
        driver.receive(&mut piece.to_vec()).unwrap();
    }
    assert_eq!(notes.borrow().offered, [2, 3, 8, 1]);
    assert_eq!(notes.borrow().received, b"abcdefgh");
    assert_eq!(driver.unconsumed(), 1);
    driver.close(None);
    driver.close(None);
    assert_eq!(notes.borrow().closed, [(b"i".to_vec(), None)]);
}

#[test]
fn what_a_session_changes_in_place_stays_changed() {
    let (session, notes) = probe(|bytes, _| {
        bytes.make_ascii_uppercase();
        Ok(if bytes.len() < 6 { 0 } else { bytes.len() })
    });
    let mut driver = Driver::new(Limits::default(), |_| session);
    driver.receive(&mut b"abc".to_vec()).unwrap();
    driver.receive(&mut b"def".to_vec()).unwrap();
    assert_eq!(notes.borrow().received, b"ABCDEF");
}

#[test]
fn nothing_is_offered_without_need() {
    let (session, notes) = probe(all);
    let mut driver = Driver::new(Limits::default(), |_| session);
    driver.receive(&mut []).unwrap();
    driver.io().resume();
    assert!(!driver.resume().unwrap());
    assert!(notes.borrow().offered.is_empty());
}

#[test]
fn what_was_kept_is_offered_again_when_asked_for() {
    let (session, notes) = probe({
        let mut is_stopped = true;
        move |bytes, _| {
            let consumed = if is_stopped { 0 } else { bytes.len() };
            is_stopped = !is_stopped;
            Ok(consumed)
        }
    });
    let mut driver = Driver::new(Limits::default(), |_| session);
    driver.receive(&mut b"later".to_vec()).unwrap();
    assert!(!driver.resume().unwrap(), "nobody has asked");
    driver.io().resume();
    assert!(driver.resume().unwrap());
    assert!(!driver.resume().unwrap(), "once");
    assert_eq!(notes.borrow().received, b"later");
}

#[test]
fn a_session_has_no_more_room_than_its_limit() {
    let (session, notes) = probe(|_, _| Ok(0));
    let mut driver = Driver::new(SMALL, |_| session);
    driver.receive(&mut [0; 6]).unwrap();
    assert_eq!(driver.room(), 4);
    expect_errno(driver.receive(&mut [0; 5]), Errno::NOBUFS);
    driver.receive(&mut [0; 4]).unwrap();
    assert_eq!((driver.room(), driver.unconsumed()), (0, 10));
    assert_eq!(notes.borrow().offered, [6, 10]);
}

#[test]
fn sending_is_bounded_and_goes_on_after_a_refusal() {
    let (session, _) = probe(all);
    let mut driver = Driver::new(SMALL, |_| session);
    let io = driver.io().clone();
    io.send(&[1; 15][..]).unwrap();
    expect_errno(io.send(&[2; 6][..]), Errno::NOBUFS);
    io.send(&[3; 5][..]).unwrap();
    assert_eq!(io.unsent(), 20);
    assert_eq!(driver.take_sent(), [&[1; 15][..], &[3; 5]].concat());
    io.send("").unwrap();
    io.send("goes on").unwrap();
    assert_eq!(driver.take_sent(), b"goes on");
}

#[test]
fn after_its_own_close_a_session_hears_nothing_more() {
    let (session, notes) = probe(|bytes, io| {
        io.send("bye")?;
        io.close();
        io.close();
        assert!(io.is_closed());
        expect_errno(io.send("more"), Errno::NOTCONN);
        Ok(bytes.len() - 1)
    });
    let mut driver = Driver::new(Limits::default(), |_| session);
    driver.receive(&mut b"xyz".to_vec()).unwrap();
    expect_errno(driver.receive(&mut b"xyz".to_vec()), Errno::NOTCONN);
    driver.io().resume();
    assert!(!driver.resume().unwrap());
    driver.close(None);
    assert_eq!(driver.take_sent(), b"bye", "what was sent before goes out");
    assert!(notes.borrow().closed.is_empty() && notes.borrow().offered.len() == 1);
}

#[test]
fn after_an_error_a_session_is_not_called_again() {
    let (session, notes) = probe(|_, io| {
        io.send("what is this?")?;
        Err(Errno::BADMSG.into())
    });
    let mut driver = Driver::new(Limits::default(), |_| session);
    expect_errno(driver.receive(&mut [1, 2]), Errno::BADMSG);
    assert!(driver.is_over());
    expect_errno(driver.io().send("late"), Errno::NOTCONN);
    driver.close(Some(&Errno::CONNRESET.into()));
    assert!(notes.borrow().closed.is_empty() && notes.borrow().offered.len() == 1);
    assert_eq!(driver.take_sent(), b"what is this?");
}

#[test]
fn more_consumed_than_offered_is_an_error() {
    let (session, notes) = probe(|bytes, _| Ok(bytes.len() + 1));
    let mut driver = Driver::new(Limits::default(), |_| session);
    expect_errno(driver.receive(&mut [1, 2]), Errno::INVAL);
    assert!(driver.is_over() && notes.borrow().closed.is_empty());
}

#[test]
fn the_session_can_be_had_back() {
    let (session, notes) = probe(all);
    let mut driver = Driver::new(Limits::default(), |_| session);
    driver.receive(&mut b"abc".to_vec()).unwrap();
    assert_eq!(driver.session().notes.borrow().received, b"abc");
    drop(notes);
    assert_eq!(driver.into_session().notes.borrow().offered, [3]);
}
