//! Addresses: each row of the contract of tsocket's address functions, by the name of the function.

use std::ffi::OsStr;
use std::fmt::{self, Display};
use std::io;
use std::os::unix::ffi::OsStrExt as _;

use rustix::io::Errno;
use tsocket::{Address, AddressKind, Family};

/// Expects of each row, which has a name, that what came out is what stands beside it.
#[track_caller]
fn expect_rows<'a>(rows: impl IntoIterator<Item = (&'a str, String, &'a str)>) {
    let wrong: Vec<_> = rows
        .into_iter()
        .filter(|(_, got, wanted)| got != wanted)
        .map(|(name, got, wanted)| format!("{name}: {got} instead of {wanted}"))
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// What came out: the value, or the name of the errno.
fn out<T: Display>(result: io::Result<T>) -> String {
    match result {
        Ok(value) => value.to_string(),
        Err(error) => [
            (Errno::INVAL, "EINVAL"),
            (Errno::AFNOSUPPORT, "EAFNOSUPPORT"),
            (Errno::NAMETOOLONG, "ENAMETOOLONG"),
        ]
        .into_iter()
        .find(|(errno, _)| error.raw_os_error() == Some(errno.raw_os_error()))
        .map_or_else(|| error.to_string(), |(_, name)| name.to_owned()),
    }
}

/// As with the C function: the family is a word.
fn from_strings(word: &str, ip: Option<&str>, port: u16) -> io::Result<Address> {
    Address::from_strings(word.parse()?, ip, port)
}

fn from_hostport(word: &str, text: Option<&str>) -> io::Result<Address> {
    Address::from_hostport(word.parse()?, text, 1234)
}

fn inet(text: &str) -> Address {
    from_hostport("ip", Some(text)).expect("a numeric address")
}

fn unix(path: &str) -> Address {
    Address::unix(path).expect("a short path")
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Own;

impl Display for Own {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("own:")
    }
}

impl AddressKind for Own {}

#[test]
fn text_and_copies() {
    let mut copied = inet("1.2.3.4:5");
    let copy = copied.clone();
    copied.set_port(6).unwrap();
    expect_rows([
        (
            "address_string: v4",
            inet("1.2.3.4:5").to_string(),
            "ipv4:1.2.3.4:5",
        ),
        (
            "address_string: v6",
            inet("[2001::1]:5").to_string(),
            "ipv6:[2001::1]:5",
        ),
        (
            "address_string: any v6",
            inet("[::]:5").to_string(),
            "ipv6:[::]:5",
        ),
        ("address_string: unix", unix("/p").to_string(), "unix:/p"),
        (
            "address_string: unnamed sender",
            Address::unix_unnamed().to_string(),
            "unix:",
        ),
        ("address_copy: deep", copy.to_string(), "ipv4:1.2.3.4:5"),
        (
            "address_copy: the other",
            copied.to_string(),
            "ipv4:1.2.3.4:6",
        ),
    ]);
}

#[test]
fn families() {
    let is = |address: &Address, word: &str| {
        out(word.parse().map(|family: Family| address.is_inet(family)))
    };
    let (v4, v6, path) = (inet("1.2.3.4"), inet("::1"), unix("/p"));
    expect_rows([
        ("is_inet: v4 is ip", is(&v4, "ip"), "true"),
        ("is_inet: v4 is IPv4, in any case", is(&v4, "IPv4"), "true"),
        ("is_inet: v4 is no ipv6", is(&v4, "ipv6"), "false"),
        ("is_inet: v6 is ip", is(&v6, "ip"), "true"),
        ("is_inet: v6 is no ipv4", is(&v6, "ipv4"), "false"),
        ("is_inet: v6 is ipv6", is(&v6, "ipv6"), "true"),
        ("is_inet: unix is not", is(&path, "ip"), "false"),
        ("is_inet: an unknown word", is(&v4, "ipx"), "EAFNOSUPPORT"),
        ("is_unix: a path", path.is_unix().to_string(), "true"),
        ("is_unix: v4 is not", v4.is_unix().to_string(), "false"),
        (
            "is_unix: an own kind is not",
            Address::custom(Own).is_unix().to_string(),
            "false",
        ),
    ]);
}

#[test]
fn from_strings_row_by_row() {
    let of = |word: &str, ip: Option<&str>| out(from_strings(word, ip, 1234));
    expect_rows([
        ("ip with v4", of("ip", Some("1.2.3.4")), "ipv4:1.2.3.4:1234"),
        (
            "ipv4 with v4",
            of("ipv4", Some("1.2.3.4")),
            "ipv4:1.2.3.4:1234",
        ),
        (
            "ip with v6",
            of("ip", Some("2001::1")),
            "ipv6:[2001::1]:1234",
        ),
        (
            "ipv6 with v6",
            of("ipv6", Some("2001::1")),
            "ipv6:[2001::1]:1234",
        ),
        (
            "IPV6 in capitals",
            of("IPV6", Some("2001::1")),
            "ipv6:[2001::1]:1234",
        ),
        ("ipv4 with v6", of("ipv4", Some("2001::1")), "EINVAL"),
        ("ipv6 with v4", of("ipv6", Some("1.2.3.4")), "EINVAL"),
        ("ip with a name", of("ip", Some("localhost")), "EINVAL"),
        ("ipv4 with a name", of("ipv4", Some("localhost")), "EINVAL"),
        ("ipv6 with a name", of("ipv6", Some("localhost")), "EINVAL"),
        ("ipx", of("ipx", Some("1.2.3.4")), "EAFNOSUPPORT"),
        ("ip without address", of("ip", None), "ipv6:[::]:1234"),
        (
            "ipv4 without address",
            of("ipv4", None),
            "ipv4:0.0.0.0:1234",
        ),
        ("ipv6 without address", of("ipv6", None), "ipv6:[::]:1234"),
        (
            "a scope",
            of("ip", Some("fe80::1%2")),
            "ipv6:[fe80::1%2]:1234",
        ),
        ("a short form", of("ip", Some("1.2.3")), "EINVAL"),
    ]);
}

#[test]
fn from_hostport_row_by_row() {
    let of = |word: &str, text: &str| out(from_hostport(word, Some(text)));
    expect_rows([
        ("A:P", of("ip", "1.2.3.4:5678"), "ipv4:1.2.3.4:5678"),
        (
            "A:P of ipv4",
            of("ipv4", "1.2.3.4:5678"),
            "ipv4:1.2.3.4:5678",
        ),
        ("A", of("ip", "1.2.3.4"), "ipv4:1.2.3.4:1234"),
        ("A of ipv4", of("ipv4", "1.2.3.4"), "ipv4:1.2.3.4:1234"),
        ("[A6]:P", of("ip", "[2001::1]:5678"), "ipv6:[2001::1]:5678"),
        (
            "[A6]:P of ipv6",
            of("ipv6", "[2001::1]:5678"),
            "ipv6:[2001::1]:5678",
        ),
        ("[A6]", of("ip", "[2001::1]"), "ipv6:[2001::1]:1234"),
        ("A6", of("ip", "2001::1"), "ipv6:[2001::1]:1234"),
        ("A6 of ipv6", of("ipv6", "2001::1"), "ipv6:[2001::1]:1234"),
        (
            "nothing of ipv6",
            out(from_hostport("ipv6", None)),
            "ipv6:[::]:1234",
        ),
        (
            "nothing of ipv4",
            out(from_hostport("ipv4", None)),
            "ipv4:0.0.0.0:1234",
        ),
    ]);
}

#[test]
fn from_hostport_refuses_row_by_row() {
    let of = |word: &str, text: &str| out(from_hostport(word, Some(text)));
    expect_rows([
        (
            "junk after the bracket",
            of("ip", "[2001::1]garbage"),
            "EINVAL",
        ),
        (
            "junk as a port of v6",
            of("ip", "[2001::1]:garbage"),
            "EINVAL",
        ),
        (
            "junk as a port of v4",
            of("ip", "1.2.3.4:garbage"),
            "EINVAL",
        ),
        (
            "a port too large of v4",
            of("ip", "1.2.3.4:100000"),
            "EINVAL",
        ),
        (
            "a port too large of v6",
            of("ip", "[2001::1]:100000"),
            "EINVAL",
        ),
        ("an empty port", of("ip", "1.2.3.4:"), "EINVAL"),
        ("a negative port", of("ip", "1.2.3.4:-1"), "EINVAL"),
        (
            "quirk: a blank before the port",
            of("ip", "1.2.3.4: 5"),
            "EINVAL",
        ),
        (
            "quirk: a plus before the port",
            of("ip", "1.2.3.4:+5"),
            "EINVAL",
        ),
        ("port 0", of("ip", "1.2.3.4:0"), "ipv4:1.2.3.4:0"),
        ("quirk: v4 in brackets", of("ip", "[1.2.3.4]:5"), "EINVAL"),
        (
            "quirk: text before the bracket",
            of("ip", "x[2001::1]:5"),
            "EINVAL",
        ),
        (
            "quirk: mapped v4",
            of("ip", "::ffff:1.2.3.4"),
            "ipv6:[::ffff:1.2.3.4]:1234",
        ),
    ]);
}

#[test]
fn getters_and_setters() {
    let (v6, path) = (inet("[fe80::1%2]:5"), unix("/p"));
    let set = |mut address: Address| address.set_port(9).map(|()| address);
    let longest = "x".repeat(Address::SOCKADDR_LEN_MAX - 3);
    expect_rows([
        (
            "inet_addr_string: no port, no scope",
            out(v6.ip()),
            "fe80::1",
        ),
        ("inet_addr_string: of unix", out(path.ip()), "EINVAL"),
        ("inet_port", out(v6.port()), "5"),
        ("inet_port: of unix", out(path.port()), "EINVAL"),
        ("inet_set_port", out(set(v6.clone())), "ipv6:[fe80::1%2]:9"),
        ("inet_set_port: of unix", out(set(path.clone())), "EINVAL"),
        ("with_port", out(v6.with_port(0)), "ipv6:[fe80::1%2]:0"),
        ("unix_from_path: nothing", out(Address::unix("")), "unix:"),
        (
            "unix_from_path: 107 bytes",
            out(Address::unix(&longest)),
            &format!("unix:{longest}"),
        ),
        (
            "unix_from_path: 108",
            out(Address::unix(longest.clone() + "x")),
            "ENAMETOOLONG",
        ),
        (
            "unix_path",
            out(path.unix_path().map(std::path::Path::display)),
            "/p",
        ),
        (
            "unix_path: of inet",
            out(v6.unix_path().map(std::path::Path::display)),
            "EINVAL",
        ),
    ]);
}

/// The bytes of `address`, in a buffer of `room` bytes that was full of others.
fn written(address: &Address, room: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0xaa; room];
    let len = address.write_sockaddr(&mut bytes)?;
    assert!(
        bytes[len..].iter().all(|byte| *byte == 0),
        "the rest is zeroed"
    );
    bytes.truncate(len);
    Ok(bytes)
}

#[test]
fn sockaddr_lengths_row_by_row() {
    let len = |address: &Address, room| out(written(address, room).map(|bytes| bytes.len()));
    let max = Address::SOCKADDR_LEN_MAX;
    let longest = unix(&"x".repeat(max - 3));
    let (v4, v6) = (inet("1.2.3.4:5"), inet("[::1]:5"));
    expect_rows([
        ("bsd_sockaddr: v4", len(&v4, max), "16"),
        ("bsd_sockaddr: v4, no room to spare", len(&v4, 16), "16"),
        ("bsd_sockaddr: v4, a byte too few", len(&v4, 15), "EINVAL"),
        ("bsd_sockaddr: v6", len(&v6, max), "28"),
        ("bsd_sockaddr: v6, a byte too few", len(&v6, 27), "EINVAL"),
        (
            "bsd_sockaddr: unnamed",
            len(&Address::unix_unnamed(), 2),
            "2",
        ),
        (
            "bsd_sockaddr: unnamed, a byte too few",
            len(&Address::unix_unnamed(), 1),
            "EINVAL",
        ),
        ("bsd_sockaddr: a path", len(&unix("/p"), max), "5"),
        (
            "bsd_sockaddr: a path, a byte too few",
            len(&unix("/p"), 4),
            "EINVAL",
        ),
        (
            "bsd_sockaddr: the longest path",
            len(&longest, max),
            &max.to_string(),
        ),
        (
            "bsd_sockaddr: an own kind",
            len(&Address::custom(Own), max),
            "EINVAL",
        ),
    ]);
    let mut untouched = [7; 15];
    v4.write_sockaddr(&mut untouched).unwrap_err();
    assert_eq!(untouched, [7; 15]);
}

#[test]
fn sockaddrs_are_read_as_they_were_written() {
    let path = OsStr::from_bytes(b"/\xff\n");
    let mut addresses = vec![
        inet("1.2.3.4:0"),
        inet("255.254.253.252:65535"),
        inet("[2001:db8::1:2]:258"),
        inet("[fe80::1%4294967295]:1"),
        std::net::SocketAddrV6::new(std::net::Ipv6Addr::LOCALHOST, 1, 0xabcde, 3).into(),
        Address::unix_unnamed(),
        unix("x"),
        unix(&"x".repeat(Address::SOCKADDR_LEN_MAX - 3)),
        Address::unix(path).unwrap(),
    ];
    if cfg!(target_os = "linux") {
        let names = [&b""[..], b"x", b"a\0b", &[0; 107], &[b'y'; 107]];
        addresses.extend(names.map(|name| Address::unix_abstract(name).unwrap()));
    }
    for address in addresses {
        let bytes = written(&address, 200).unwrap();
        assert_eq!(Address::from_sockaddr(&bytes).unwrap(), address);
        for len in 0..bytes.len() {
            // Other people's bytes are an error or another address, and never a panic.
            let shorter = Address::from_sockaddr(&bytes[..len]);
            assert!(
                shorter.is_err() || address.is_unix(),
                "{address}, {len} bytes"
            );
        }
    }
}

#[cfg(target_os = "linux")]
#[test]
fn sockaddrs_of_linux_byte_by_byte() {
    let with = |family: u16, rest: &[u8]| [&family.to_ne_bytes()[..], rest].concat();
    let of = |family: u16, rest: &[u8]| out(Address::from_sockaddr(&with(family, rest)));
    let v4 = *b"\x12\x34\x01\x02\x03\x04\0\0\0\0\0\0\0\0";
    let v6 = {
        let mut bytes = [0; 26];
        bytes[1] = 80;
        bytes[21] = 1;
        bytes[22..].copy_from_slice(&2_u32.to_ne_bytes());
        bytes
    };
    let (inet4, inet6, local) = (2, 10, 1);
    expect_rows([
        ("v4", of(inet4, &v4), "ipv4:1.2.3.4:4660"),
        ("v4, a byte too few", of(inet4, &v4[1..]), "EINVAL"),
        (
            "v4 in a sockaddr_storage",
            of(inet4, &[&v4[..], &[9; 112]].concat()),
            "ipv4:1.2.3.4:4660",
        ),
        ("v6", of(inet6, &v6), "ipv6:[::1%2]:80"),
        ("v6, a byte too few", of(inet6, &v6[1..]), "EINVAL"),
        (
            "v6 in a sockaddr_storage",
            of(inet6, &[&v6[..], &[9; 100]].concat()),
            "ipv6:[::1%2]:80",
        ),
        ("nothing", out(Address::from_sockaddr(b"")), "EINVAL"),
        (
            "half a family",
            out(Address::from_sockaddr(b"\x02")),
            "EINVAL",
        ),
        ("unix of its family alone", of(local, b""), "unix:"),
        ("a path with its NUL", of(local, b"/p\0"), "unix:/p"),
        ("a path without one", of(local, b"/p"), "unix:/p"),
        (
            "a path and what was there before",
            of(local, b"/p\0q"),
            "unix:/p",
        ),
        ("an abstract name", of(local, b"\0name"), "unix:@name"),
        ("the empty abstract name", of(local, b"\0"), "unix:@"),
        (
            "a path without room for its NUL",
            of(local, &[b'x'; 108]),
            "ENAMETOOLONG",
        ),
        (
            "a path of a sockaddr_storage",
            of(local, &[&b"/p"[..], &[0; 124]].concat()),
            "unix:/p",
        ),
        ("another family", of(16, &[0; 10]), "EAFNOSUPPORT"),
        ("no family", of(0, &[0; 14]), "EAFNOSUPPORT"),
    ]);
    assert_eq!(
        written(&inet("1.2.3.4:4660"), 16).unwrap(),
        with(inet4, &v4)
    );
    assert_eq!(written(&inet("[::1%2]:80"), 28).unwrap(), with(inet6, &v6));
    assert_eq!(written(&unix("/p"), 9).unwrap(), with(local, b"/p\0"));
    let name = Address::unix_abstract("name").unwrap();
    assert_eq!(written(&name, 7).unwrap(), with(local, b"\0name"));
    assert_eq!(out(written(&name, 6).map(|_| "written")), "EINVAL");
}
