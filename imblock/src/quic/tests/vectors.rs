//! Packets that others made: those of the RFCs, and some of aioquic (see `fixtures/make.py`).

use super::super::keys::Keys;
use super::super::version::Version;
use super::super::{Connection, Named, NotRead, Progress, client_hello, client_hello_name};
use super::{V1, V2, datagrams, unhex};

const RFC_9001: &str = include_str!("fixtures/rfc9001_a2.hex");
const RFC_9369: &str = include_str!("fixtures/rfc9369_a2.hex");
const SERVER: &str = include_str!("fixtures/rfc9001_a3.hex");
const TWO_DATAGRAMS: &str = include_str!("fixtures/two_datagrams.hex");
const VERSION_2: &str = include_str!("fixtures/version_2.hex");
const RETRY: &str = include_str!("fixtures/retry.hex");
const ANSWERED: &str = include_str!("fixtures/answered.hex");

/// What each packet of the RFCs carries: they have the same hello.
const HELLO: &str = "010000ed0303ebf8fa56f12939b9584a3896472ec40bb863cfd3e86804fe3a47f06a2b69\
    484c00000413011302010000c000000010000e00000b6578616d706c652e636f6dff01000100000a00080006001d\
    0017001800100007000504616c706e000500050100000000003300260024001d00209370b2c9caa47fbabaf4559f\
    edba753de171fa71f50f1ce15d43e994ec74d748002b0003020304000d0010000e04030503060302030804080508\
    06002d00020101001c00024001003900320408ffffffffffffffff05048000ffff07048000ffff08011001048000\
    75300901100f088394c8f03e51570806048000ffff";

fn name(name: &str) -> Named {
    Named::Name(name.to_owned())
}

/// The name after each datagram; `None` where it brought nothing.
fn read(lines: &str) -> Vec<Option<Named>> {
    let mut connection = Connection::default();
    let read = |datagram: Vec<u8>| match connection.datagram(&datagram) {
        Progress::Nothing(_) => None,
        Progress::Waiting => Some(Named::More),
        Progress::Hello => Some(client_hello_name(connection.hello())),
    };
    datagrams(lines).into_iter().map(read).collect()
}

#[test]
fn keys_are_those_of_the_rfcs() {
    let id = unhex("8394c8f03e515708");
    let cases = [
        (
            V1,
            "fa044b2f42a3fd3b46fb255c",
            "d1b1c98dd7689fb8ec11d242b123dc9b",
            "437b9aec36",
        ),
        (
            V2,
            "91f73e2351d8fa91660e909f",
            "ffe67b6abcdb4298b485dd04de806071",
            "94a0c95e80",
        ),
    ];
    for (version, iv, sample, mask) in cases {
        let keys = Keys::of_client(Version::from_number(version).unwrap(), &id).unwrap();
        assert_eq!(keys.iv.to_vec(), unhex(iv));
        assert_eq!(
            keys.mask(unhex(sample).try_into().unwrap()).to_vec(),
            unhex(mask)
        );
    }
}

#[test]
fn the_packets_of_the_rfcs_are_read() {
    for lines in [RFC_9001, RFC_9369] {
        let mut connection = Connection::default();
        assert_eq!(connection.datagram(&datagrams(lines)[0]), Progress::Hello);
        assert_eq!(connection.hello(), unhex(HELLO));
        let hello = client_hello(connection.hello());
        assert_eq!(hello.name, name("example.com"));
        assert_eq!(hello.protocols, ["alpn"]);
        assert!(hello.complete);
    }
}

#[test]
fn a_servers_packet_is_not_a_clients() {
    let mut connection = Connection::default();
    let server = &datagrams(SERVER)[0];
    let undecryptable = Progress::Nothing(NotRead::Undecryptable);
    assert_eq!(connection.datagram(server), undecryptable);
    // Also where it answers a client's.
    connection.datagram(&datagrams(RFC_9001)[0]);
    assert_eq!(connection.datagram(server), undecryptable);
    assert_eq!(connection.hello(), unhex(HELLO));
}

#[test]
fn a_hello_in_two_datagrams_is_put_together() {
    assert_eq!(
        read(TWO_DATAGRAMS),
        [Some(Named::More), Some(name("two.datagrams.example"))]
    );
    assert_eq!(
        read(VERSION_2),
        [Some(Named::More), Some(name("version2.example"))]
    );
}

#[test]
fn the_second_datagram_may_come_first() {
    let mut connection = Connection::default();
    let [first, second] = datagrams(TWO_DATAGRAMS).try_into().unwrap();
    assert_eq!(connection.datagram(&second), Progress::Waiting);
    assert_eq!(connection.datagram(&first), Progress::Hello);
    let hello = client_hello(connection.hello());
    assert_eq!(hello.name, name("two.datagrams.example"));
    assert!(hello.complete);
}

#[test]
fn a_retry_begins_again_under_other_keys() {
    let datagrams = datagrams(RETRY);
    // With what was said before the Retry, and without it.
    let orders: [&[usize]; 4] = [&[0, 1, 2, 3], &[0, 2, 3], &[2, 3], &[0, 1, 3, 2]];
    for order in orders {
        let mut connection = Connection::default();
        for &at in order {
            assert!(!matches!(
                connection.datagram(&datagrams[at]),
                Progress::Nothing(_)
            ));
        }
        let hello = client_hello(connection.hello());
        assert_eq!(hello.name, name("retry.example"), "{order:?}");
        assert!(hello.complete);
    }
}

#[test]
fn keys_stay_when_the_client_changes_to_the_servers_id() {
    assert_eq!(
        read(ANSWERED),
        [Some(Named::More), Some(name("answered.example"))]
    );
    // Nobody can read it who has not seen the first.
    let again = &datagrams(ANSWERED)[1];
    assert_eq!(
        Connection::default().datagram(again),
        Progress::Nothing(NotRead::Undecryptable)
    );
}
