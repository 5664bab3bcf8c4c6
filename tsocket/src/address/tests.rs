//! Every row of the address functions' contract, as tables.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fmt;
use std::net::{SocketAddr, SocketAddrV6};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::SocketAddr as UnixSocketAddr;
use std::path::Path;

use super::*;

const ALL: [Family; 3] = [Family::Ip, Family::Ipv4, Family::Ipv6];

#[track_caller]
fn expect_errno<T: fmt::Debug>(result: io::Result<T>, errno: Errno, what: &str) {
    let error = result.expect_err(what);
    assert_eq!(error.raw_os_error(), Some(errno.raw_os_error()), "{what}");
}

fn inet(text: &str) -> Address {
    Address::from_hostport(Family::Ip, Some(text), 1234).expect("a numeric address")
}

#[test]
fn families_have_words_in_any_case() {
    for (word, family) in [
        ("ip", Family::Ip),
        ("IP", Family::Ip),
        ("ipv4", Family::Ipv4),
        ("IPv4", Family::Ipv4),
        ("ipv6", Family::Ipv6),
        ("iPV6", Family::Ipv6),
    ] {
        assert_eq!(word.parse::<Family>().unwrap(), family, "{word}");
    }
    for word in ["ipx", "", "ipv", "ipv46", " ip", "inet"] {
        expect_errno(word.parse::<Family>(), Errno::AFNOSUPPORT, word);
    }
}

#[test]
fn strings_become_addresses() {
    use Family::{Ip, Ipv4, Ipv6};
    for (family, ip, port, shown) in [
        (Ip, Some("1.2.3.4"), 1234, "ipv4:1.2.3.4:1234"),
        (Ipv4, Some("1.2.3.4"), 1234, "ipv4:1.2.3.4:1234"),
        (Ip, Some("2001::1"), 1234, "ipv6:[2001::1]:1234"),
        (Ipv6, Some("2001::1"), 1234, "ipv6:[2001::1]:1234"),
        (Ipv6, Some("::ffff:1.2.3.4"), 1, "ipv6:[::ffff:1.2.3.4]:1"),
        (Ipv6, Some("fe80::1%3"), 1, "ipv6:[fe80::1%3]:1"),
        (Ip, None, 1234, "ipv6:[::]:1234"),
        (Ipv4, None, 1234, "ipv4:0.0.0.0:1234"),
        (Ipv6, None, 1234, "ipv6:[::]:1234"),
        (Ipv4, Some("0.0.0.0"), 0, "ipv4:0.0.0.0:0"),
        (Ipv4, Some("1.2.3.4"), 65535, "ipv4:1.2.3.4:65535"),
    ] {
        let address = Address::from_strings(family, ip, port).expect(shown);
        assert_eq!(address.to_string(), shown);
        assert_eq!(address.port().unwrap(), port, "{shown}");
        let is_v4 = shown.starts_with("ipv4");
        let expected = [true, is_v4, !is_v4];
        assert_eq!(
            ALL.map(|family| address.is_inet(family)),
            expected,
            "{shown}"
        );
        assert!(!address.is_unix(), "{shown}");
    }
}

#[test]
fn strings_that_are_no_address_of_the_family_are_refused() {
    use Family::{Ip, Ipv4, Ipv6};
    for (family, ip) in [
        (Ipv4, "2001::1"),
        (Ipv4, "::ffff:1.2.3.4"),
        (Ipv6, "1.2.3.4"),
        (Ip, "localhost"),
        (Ipv4, "localhost"),
        (Ipv6, "localhost"),
        (Ip, ""),
        (Ip, "1.2.3"),
        (Ip, "1.2.3.4.5"),
        (Ip, "1.2.3.256"),
        (Ip, " 1.2.3.4"),
        (Ip, "1.2.3.4:5"),
        (Ip, "1.2.3.4%1"),
        (Ip, "[::1]"),
        (Ip, "fe80::1%lo"),
        (Ip, "fe80::1%"),
        (Ip, "fe80::1%+1"),
        (Ip, "fe80::1%4294967296"),
    ] {
        expect_errno(Address::from_strings(family, Some(ip), 1), Errno::INVAL, ip);
    }
}

#[test]
fn host_and_port_become_addresses() {
    use Family::{Ip, Ipv4, Ipv6};
    for (family, text, shown) in [
        (Ip, Some("1.2.3.4:5678"), "ipv4:1.2.3.4:5678"),
        (Ipv4, Some("1.2.3.4:5678"), "ipv4:1.2.3.4:5678"),
        (Ip, Some("1.2.3.4"), "ipv4:1.2.3.4:1234"),
        (Ip, Some("1.2.3.4:0"), "ipv4:1.2.3.4:0"),
        (Ip, Some("1.2.3.4:65535"), "ipv4:1.2.3.4:65535"),
        (Ip, Some("1.2.3.4:080"), "ipv4:1.2.3.4:80"),
        (Ip, Some("[2001::1]:5678"), "ipv6:[2001::1]:5678"),
        (Ipv6, Some("[2001::1]:5678"), "ipv6:[2001::1]:5678"),
        (Ip, Some("[2001::1]"), "ipv6:[2001::1]:1234"),
        (Ip, Some("2001::1"), "ipv6:[2001::1]:1234"),
        (Ip, Some("::"), "ipv6:[::]:1234"),
        (Ip, Some("::ffff:1.2.3.4"), "ipv6:[::ffff:1.2.3.4]:1234"),
        (Ip, Some("[::ffff:1.2.3.4]:5"), "ipv6:[::ffff:1.2.3.4]:5"),
        (Ip, Some("[fe80::1%2]:5"), "ipv6:[fe80::1%2]:5"),
        (Ip, Some("fe80::1%2"), "ipv6:[fe80::1%2]:1234"),
        (Ip, None, "ipv6:[::]:1234"),
        (Ipv4, None, "ipv4:0.0.0.0:1234"),
        (Ipv6, None, "ipv6:[::]:1234"),
    ] {
        let address = Address::from_hostport(family, text, 1234).expect(shown);
        assert_eq!(address.to_string(), shown);
    }
}

#[test]
fn host_and_port_with_anything_else_are_refused() {
    use Family::{Ip, Ipv4, Ipv6};
    for (family, text) in [
        (Ipv6, "1.2.3.4:5678"),
        (Ipv6, "1.2.3.4"),
        (Ipv4, "[2001::1]:5678"),
        (Ipv4, "[2001::1]"),
        (Ipv4, "2001::1"),
        (Ip, "[2001::1]garbage"),
        (Ip, "[2001::1]:garbage"),
        (Ip, "1.2.3.4:garbage"),
        (Ip, "1.2.3.4:5garbage"),
        (Ip, "1.2.3.4:100000"),
        (Ip, "[2001::1]:100000"),
        (Ip, "1.2.3.4:65536"),
        (Ip, "1.2.3.4:99999999999999999999"),
        (Ip, "1.2.3.4:-1"),
        (Ip, "1.2.3.4:+1"),
        (Ip, "1.2.3.4: 1"),
        (Ip, "1.2.3.4:1 "),
        (Ip, "1.2.3.4:"),
        (Ip, "[2001::1]:"),
        (Ip, "[1.2.3.4]:5"),
        (Ip, "[1.2.3.4]"),
        (Ip, "x[2001::1]:5"),
        (Ip, "[2001::1"),
        (Ip, "2001::1]:5"),
        (Ip, "[]:5"),
        (Ip, "[[::1]]:5"),
        (Ip, "localhost"),
        (Ip, "localhost:5"),
        (Ip, "[localhost]:5"),
        (Ip, "1.2.3:5"),
        (Ip, ":5"),
        (Ip, ""),
        (Ip, " "),
        (Ip, "1.2.3.4:5:6"),
    ] {
        expect_errno(
            Address::from_hostport(family, Some(text), 1234),
            Errno::INVAL,
            text,
        );
    }
}

#[test]
fn inet_getters_answer_for_inet_alone() {
    let mut address = inet("1.2.3.4:5");
    assert_eq!(address.ip().unwrap().to_string(), "1.2.3.4");
    address.set_port(6).unwrap();
    assert_eq!(address.port().unwrap(), 6);
    expect_errno(address.unix_path(), Errno::INVAL, "unix_path of inet");
    expect_errno(
        address.abstract_name(),
        Errno::INVAL,
        "abstract_name of inet",
    );
    assert_eq!(inet("[fe80::1%2]:5").ip().unwrap().to_string(), "fe80::1");

    let mut path = Address::unix("/p").unwrap();
    expect_errno(path.ip(), Errno::INVAL, "ip of unix");
    expect_errno(path.port(), Errno::INVAL, "port of unix");
    expect_errno(path.set_port(1), Errno::INVAL, "set_port of unix");
    expect_errno(path.with_port(1), Errno::INVAL, "with_port of unix");
    assert_eq!(ALL.map(|family| path.is_inet(family)), [false; 3]);
    assert_eq!(path.to_string(), "unix:/p");
}

#[test]
fn a_copy_keeps_its_own_port() {
    let original = inet("1.2.3.4:5");
    let mut copy = original.clone();
    copy.set_port(6).unwrap();
    assert_eq!(original.to_string(), "ipv4:1.2.3.4:5");
    assert_eq!(copy.to_string(), "ipv4:1.2.3.4:6");
    assert_eq!(original.with_port(7).unwrap().to_string(), "ipv4:1.2.3.4:7");
    assert_eq!(original.port().unwrap(), 5);
}

#[test]
fn unix_paths_have_room_for_one_byte_less_than_the_kernel_has() {
    let longest = "x".repeat(SUN_PATH_LEN - 1);
    let address = Address::unix(&longest).unwrap();
    assert_eq!(address.unix_path().unwrap(), Path::new(&longest));
    let too_long = "x".repeat(SUN_PATH_LEN);
    expect_errno(Address::unix(too_long), Errno::NAMETOOLONG, "too long");
    expect_errno(Address::unix("/a\0b"), Errno::INVAL, "NUL inside");
    expect_errno(Address::unix("/a\0"), Errno::INVAL, "NUL at the end");
    expect_errno(Address::unix("\0a"), Errno::INVAL, "NUL in front");
}

#[test]
fn unix_addresses_have_three_forms() {
    let path = Address::unix("/run/x").unwrap();
    let unnamed = Address::unix("").unwrap();
    let hidden = Address::unix_abstract("x").unwrap();
    assert!(path.is_unix() && unnamed.is_unix() && hidden.is_unix());
    assert_eq!(unnamed, Address::unix_unnamed());
    assert_eq!(unnamed.unix_path().unwrap(), Path::new(""));
    assert_eq!(hidden.abstract_name().unwrap(), b"x");
    expect_errno(
        hidden.unix_path(),
        Errno::INVAL,
        "unix_path of an abstract name",
    );
    expect_errno(
        path.abstract_name(),
        Errno::INVAL,
        "abstract_name of a path",
    );
    expect_errno(
        unnamed.abstract_name(),
        Errno::INVAL,
        "abstract_name of unnamed",
    );
    let longest = vec![0; SUN_PATH_LEN - 1];
    assert_eq!(
        Address::unix_abstract(&longest)
            .unwrap()
            .abstract_name()
            .unwrap(),
        longest
    );
    let too_long = vec![0; SUN_PATH_LEN];
    expect_errno(
        Address::unix_abstract(too_long),
        Errno::NAMETOOLONG,
        "too long",
    );
    assert_ne!(Address::unix("x").unwrap(), hidden);
    assert_ne!(Address::unix_abstract("").unwrap(), unnamed);
}

#[test]
fn addresses_are_shown_in_one_line() {
    let path = |bytes: &[u8]| Address::unix(OsStr::from_bytes(bytes)).unwrap().to_string();
    assert_eq!(path(b"/tmp/a b"), "unix:/tmp/a b");
    assert_eq!(path("/tmp/ä".as_bytes()), "unix:/tmp/ä");
    assert_eq!(path(b"/tmp/\xff\xfex"), "unix:/tmp/\\xff\\xfex");
    assert_eq!(path(b"/tmp/a\nb"), "unix:/tmp/a\\nb");
    assert_eq!(path(b"/tmp/a\\nb"), "unix:/tmp/a\\\\nb");
    let hidden = |bytes: &[u8]| Address::unix_abstract(bytes).unwrap().to_string();
    assert_eq!(hidden(b"name"), "unix:@name");
    assert_eq!(hidden(b"\xff"), "unix:@\\xff");
    assert_eq!(hidden(b""), "unix:@");
    assert_eq!(Address::unix_unnamed().to_string(), "unix:");
    assert_eq!(format!("{:?}", inet("[::1]:5")), "Address(ipv6:[::1]:5)");
}

#[test]
fn standard_addresses_convert_both_ways() {
    for text in ["1.2.3.4:5", "[::1]:5", "[fe80::1%2]:5"] {
        let standard: SocketAddr = text.parse().unwrap();
        let address = Address::from(standard);
        assert_eq!(address, inet(text));
        assert_eq!(SocketAddr::try_from(&address).unwrap(), standard);
        expect_errno(
            UnixSocketAddr::try_from(&address),
            Errno::INVAL,
            "inet as unix",
        );
    }
    let labelled = SocketAddrV6::new(std::net::Ipv6Addr::LOCALHOST, 1, 2, 3);
    assert_eq!(
        SocketAddr::try_from(&Address::from(labelled)).unwrap(),
        labelled.into()
    );

    for address in [
        Address::unix("/run/x").unwrap(),
        Address::unix("x".repeat(SUN_PATH_LEN - 1)).unwrap(),
        Address::unix_unnamed(),
    ] {
        let standard = UnixSocketAddr::try_from(&address).unwrap();
        assert_eq!(Address::try_from(&standard).unwrap(), address);
        expect_errno(SocketAddr::try_from(&address), Errno::INVAL, "unix as inet");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn abstract_names_convert_both_ways() {
    for name in [b"x".as_slice(), b"", b"a\0b", &[b'y'; SUN_PATH_LEN - 1]] {
        let address = Address::unix_abstract(name).unwrap();
        let standard = UnixSocketAddr::try_from(&address).unwrap();
        assert_eq!(Address::try_from(&standard).unwrap(), address);
    }
}

macro_rules! kind {
    ($name:ident) => {
        #[derive(Debug, PartialEq, Eq, Hash)]
        struct $name(u32);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}:{}", stringify!($name), self.0)
            }
        }

        impl AddressKind for $name {}
    };
}

kind!(Channel);
kind!(Other);

#[test]
fn a_virtual_socket_brings_its_own_kind() {
    let address = Address::custom(Channel(1));
    assert_eq!(address.to_string(), "Channel:1");
    assert_eq!(format!("{address:?}"), "Address(Channel:1)");
    assert_eq!(address.as_custom(), Some(&Channel(1)));
    assert_eq!(address.as_custom::<Other>(), None);
    assert_eq!(inet("1.2.3.4:5").as_custom::<Channel>(), None);
    assert_eq!(address, address.clone());
    assert_eq!(address, Address::custom(Channel(1)));
    assert_ne!(address, Address::custom(Channel(2)));
    assert_ne!(address, Address::custom(Other(1)));
    assert!(!address.is_unix() && !address.is_inet(Family::Ip));
    expect_errno(address.port(), Errno::INVAL, "port of a custom kind");
    expect_errno(
        address.unix_path(),
        Errno::INVAL,
        "unix_path of a custom kind",
    );
    expect_errno(
        SocketAddr::try_from(&address),
        Errno::INVAL,
        "custom as inet",
    );
    expect_errno(
        UnixSocketAddr::try_from(&address),
        Errno::INVAL,
        "custom as unix",
    );
}

#[test]
fn equal_addresses_are_one_key() {
    let keys: HashSet<Address> = [
        inet("1.2.3.4:5"),
        inet("1.2.3.4:5"),
        inet("1.2.3.4:6"),
        Address::unix("/p").unwrap(),
        Address::unix("/p").unwrap(),
        Address::unix_abstract("/p").unwrap(),
        Address::custom(Channel(1)),
        Address::custom(Channel(1)),
        Address::custom(Other(1)),
    ]
    .into();
    assert_eq!(keys.len(), 6);
}

#[test]
fn addresses_go_between_threads_and_stay_small() {
    fn expect_send<T: Send + Sync + 'static>() {}
    expect_send::<Address>();
    assert!(size_of::<Address>() <= 40, "{}", size_of::<Address>());
}
