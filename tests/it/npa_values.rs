//! The values that packets of the handshake are made of.

use std::time::{Duration, SystemTime};

use arbtest::arbtest;
use tevent_tests::scaled;
use tsocket_npa::codec::{
    EvaluateClaims, FileType, Guid, Level, NpaFlags, NtStatus, NtTime, Secret, Sid, TicketType,
    Transport,
};

#[test]
fn a_sid_reads_as_it_is_printed() {
    arbtest(|source| {
        let authority = source.arbitrary::<u64>()? >> source.int_in_range(16..=63)?;
        let subs: Vec<u32> = source.arbitrary()?;
        let sid = Sid::new(authority, &subs);
        assert_eq!(sid.is_some(), subs.len() <= Sid::MAX_SUB_AUTHORITIES);
        let Some(sid) = sid else { return Ok(()) };
        assert_eq!(sid.authority(), authority);
        assert_eq!(sid.to_string().parse(), Ok(sid));
        Ok(())
    })
    .budget_ms(u64::try_from(scaled(100, 5_000)).unwrap());
    assert_eq!(Sid::new(1 << 48, &[]), None);
    assert_eq!(
        Sid::new(1 << 40, &[7]).unwrap().to_string(),
        "S-1-0x010000000000-7"
    );
    for known in [Sid::EVERYONE, Sid::NETWORK, Sid::GUESTS, Sid::unix_group(0)] {
        assert_eq!(known.to_string().parse(), Ok(known));
    }
}

#[test]
fn texts_that_are_no_sid_are_refused() {
    let long = format!("S-1-5{}", "-1".repeat(16));
    let texts = [
        "",
        "S",
        "S-1",
        "S-1-",
        "S-2-5",
        "s-1-5",
        "S-1-5-",
        "S-1-5--1",
        "S-1-5-+1",
        "S-1-5-x",
        "S-1-5-4294967296",
        "S-1-281474976710656",
        "S-1-0x",
        "S-1-5 ",
        " S-1-5",
        &long,
    ];
    for text in texts {
        let error = text.parse::<Sid>().unwrap_err();
        assert!(error.to_string().contains("S-1-5-21"), "{text}");
    }
}

#[test]
fn times_become_dates_and_times_of_the_system() {
    let date = |seconds: u64| NtTime(seconds * 10_000_000).to_string();
    assert_eq!(date(1), "1601-01-01T00:00:01Z");
    assert_eq!(date(11_644_473_600 + 951_782_400), "2000-02-29T00:00:00Z");
    assert_eq!(date(11_644_473_600 + 951_868_799), "2000-02-29T23:59:59Z");
    assert_eq!(date(11_644_473_600 + 4_107_542_400), "2100-03-01T00:00:00Z");
    assert_eq!(NtTime::NOT_SET.to_string(), "not set");
    assert!(NtTime(u64::MAX).to_string().starts_with("60056-"));
    for time in [NtTime::NOT_SET, NtTime::NEVER, NtTime(u64::MAX)] {
        assert_eq!(time.to_system_time(), None);
    }
    let time = SystemTime::UNIX_EPOCH - Duration::from_nanos(100);
    assert_eq!(NtTime::from(time).to_system_time(), Some(time));
    let long_ago = SystemTime::UNIX_EPOCH - Duration::from_secs(20_000_000_000);
    assert_eq!(NtTime::from(long_ago), NtTime::NOT_SET);
}

#[test]
fn numbers_have_names() {
    let names = [
        Level::L7.to_string(),
        Transport::NAMED_PIPE.to_string(),
        Transport(9).to_string(),
        TicketType::TGT.to_string(),
        EvaluateClaims::NEVER.to_string(),
        FileType::MESSAGE_MODE.to_string(),
        NtStatus::ACCESS_DENIED.to_string(),
        NtStatus(0xc000_0034).to_string(),
        Guid::default().to_string(),
    ];
    let expected = [
        "level 7",
        "smb",
        "transport 9",
        "TGT",
        "never",
        "message mode",
        "NT_STATUS_ACCESS_DENIED",
        "NT_STATUS 0xc0000034",
        "00000000-0000-0000-0000-000000000000",
    ];
    assert_eq!(names, expected);
    assert_eq!(Level::from_number(8), Some(Level::L8));
    assert_eq!(Level::from_number(6), None);
}

#[test]
fn a_secret_is_compared_and_not_printed() {
    let secret = Secret::from(vec![7; 16]);
    assert_eq!(secret, Secret::from(&[7; 16][..]));
    assert_ne!(secret, Secret::default());
    assert!(Secret::default().is_empty());
    assert_eq!(format!("{secret:?}"), "Secret(16 bytes)");
}

#[test]
fn flags_travel_as_a_sid() {
    let flags = NpaFlags::WINBIND_OFF | NpaFlags::PROBE;
    assert_eq!(NpaFlags::from_sid(&flags.to_sid()), Some(flags));
    assert!(flags.contains(NpaFlags::PROBE) && !flags.contains(NpaFlags::NEED_IDLE));
    assert_eq!(NpaFlags::from_sid(&Sid::unix_user(4)), None);
    assert_eq!(
        NpaFlags::from_sid(&"S-1-5-2041152804-4".parse().unwrap()),
        None
    );
}
