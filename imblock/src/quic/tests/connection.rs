//! Packets of all sorts, in all orders, and the limits.

use super::super::client_hello_name;
use super::super::{Connection, HANDSHAKE_MAX, Named, NotRead, PIECES_MAX, Progress};
use super::{Draft, V1, V2, crypto, datagram, hello, large_hello, long_header, sni, varint};

fn nothing(reason: NotRead) -> Progress {
    Progress::Nothing(reason)
}

fn name(connection: &Connection) -> Named {
    client_hello_name(connection.hello())
}

fn is(name: &str) -> Named {
    Named::Name(name.to_owned())
}

#[test]
fn other_datagrams_are_told_apart() {
    let sealed = datagram(0, 0, &hello(&[sni("a.example")]));
    let mut other_version = sealed.clone();
    other_version[1..5].copy_from_slice(&0xdead_beef_u32.to_be_bytes());
    let mut negotiation = sealed.clone();
    negotiation[1..5].fill(0);
    let mut damaged = sealed.clone();
    *damaged.last_mut().unwrap() ^= 1;
    let mut retry = sealed.clone();
    retry[0] = 0xf0;
    // A packet that is too short for the sample.
    let mut short = long_header(0xc0, V1, b"original", b"");
    short.extend(varint(0));
    short.extend(varint(19));
    short.extend([0; 19]);

    let cases: [(&[u8], NotRead); 12] = [
        (b"", NotRead::NotInitial),
        (b"\0\x01\x21\x12", NotRead::NotInitial),
        (&[0x40; 40], NotRead::NotInitial),
        (&negotiation, NotRead::NotInitial),
        (&retry, NotRead::NotInitial),
        (&other_version, NotRead::OtherVersion(0xdead_beef)),
        (
            b"\xc0Q046",
            NotRead::OtherVersion(u32::from_be_bytes(*b"Q046")),
        ),
        (b"\xc0\0\0\0", NotRead::Truncated),
        (&sealed[..sealed.len() - 1], NotRead::Truncated),
        (&sealed[..20], NotRead::Truncated),
        (&short, NotRead::Truncated),
        (&damaged, NotRead::Undecryptable),
    ];
    for (payload, reason) in cases {
        let mut connection = Connection::default();
        assert_eq!(
            connection.datagram(payload),
            nothing(reason),
            "{payload:02x?}"
        );
        assert_eq!(connection.hello(), b"");
    }
}

#[test]
fn every_length_of_id_token_and_number_is_read() {
    let hello = hello(&[sni("a.example")]);
    for (length, version) in (0..=255).zip([V1, V2].into_iter().cycle()) {
        let draft = Draft {
            version,
            keys_from: vec![7; length],
            destination_id: vec![7; length],
            source_id: vec![8; 255 - length],
            token: vec![9; 3 * length],
            number: 0x1234_5678 & u32::MAX >> (8 * (length % 4)),
            number_length: 4 - length % 4,
            ..Draft::new(crypto(0, &hello))
        };
        let mut connection = Connection::default();
        assert_eq!(
            connection.datagram(&draft.seal()),
            Progress::Hello,
            "{draft:?}"
        );
        assert_eq!(connection.hello(), hello);
    }
}

#[test]
fn packets_that_share_a_datagram_are_read() {
    let hello = large_hello("coalesced.example");
    let (half, rest) = hello.split_at(700);
    // 0-RTT with 30 bytes, and a short header packet that nothing ends.
    let mut early = long_header(0xd0, V1, b"original", b"client");
    early.extend(varint(30));
    early.extend([0xee; 30]);
    let datagram = [
        datagram(0, 700, rest),
        early,
        datagram(1, 0, half),
        vec![0x43; 50],
    ];
    let mut connection = Connection::default();
    assert_eq!(connection.datagram(&datagram.concat()), Progress::Hello);
    assert_eq!(name(&connection), is("coalesced.example"));

    // What comes before a packet that can't be read counts.
    let mut connection = Connection::default();
    let cut = [&datagram[2][..], &datagram[0][..100]].concat();
    assert_eq!(connection.datagram(&cut), Progress::Hello);
    assert_eq!(name(&connection), Named::More);
}

#[test]
fn other_frames_are_skipped() {
    let hello = hello(&[sni("a.example")]);
    let frames = [
        vec![0, 0, 1],                         // PADDING, PING
        vec![2, 0x40, 9, 0, 2, 0, 1, 1, 2, 2], // ACK with two more ranges
        crypto(0, &hello[..9]),
        vec![3, 9, 0, 0, 0, 1, 2, 0x80, 0, 0, 3], // ACK with ECN counts
        vec![0x1c, 0, 6, 3, b'b', b'y', b'e'],    // CONNECTION_CLOSE
        crypto(0, b""),
        crypto(9, &hello[9..]),
    ];
    let mut connection = Connection::default();
    let datagram = Draft::new(frames.concat()).seal();
    assert_eq!(connection.datagram(&datagram), Progress::Hello);
    assert_eq!(connection.hello(), hello);
}

#[test]
fn packets_without_a_piece_are_nothing() {
    let lying_ack = vec![2, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0];
    let stream_frame = [vec![0x08, 0, 0], crypto(0, b"x")].concat();
    let cut_frame = vec![6, 0, 5, 1];
    for frames in [vec![1], lying_ack, stream_frame, cut_frame] {
        let datagram = Draft::new(frames).seal();
        let mut connection = Connection::default();
        assert_eq!(
            connection.datagram(&datagram),
            nothing(NotRead::NoHandshake)
        );
    }
}

#[test]
fn a_handshake_may_go_on_in_another_version() {
    let hello = large_hello("switched.example");
    let mut connection = Connection::default();
    connection.datagram(&datagram(0, 0, &hello[..1000]));
    let second = Draft {
        version: V2,
        destination_id: b"of the server".to_vec(),
        number: 1,
        ..Draft::new(crypto(1000, &hello[1000..]))
    };
    assert_eq!(connection.datagram(&second.seal()), Progress::Hello);
    assert_eq!(connection.hello(), hello);
}

#[test]
fn two_connections_may_share_their_ports() {
    let (one, two) = (large_hello("one.example"), large_hello("two.example"));
    let of_two = |number, offset, data: &[u8]| {
        Draft {
            keys_from: b"another id".to_vec(),
            destination_id: b"another id".to_vec(),
            number,
            ..Draft::new(crypto(offset, data))
        }
        .seal()
    };
    let mut connection = Connection::default();
    connection.datagram(&datagram(0, 0, &one[..800]));
    connection.datagram(&of_two(0, 0, &two[..900]));
    connection.datagram(&datagram(1, 800, &one[800..]));
    assert_eq!(name(&connection), is("one.example"));
    connection.datagram(&of_two(1, 900, &two[900..]));
    assert_eq!(name(&connection), is("two.example"));
}

#[test]
fn bytes_that_have_come_stay() {
    let mut connection = Connection::default();
    connection.datagram(&datagram(0, 2, b"cd"));
    connection.datagram(&datagram(1, 6, b"gh"));
    assert_eq!(
        connection.datagram(&datagram(2, 0, b"abXXefXXij")),
        Progress::Hello
    );
    assert_eq!(connection.hello(), b"abcdefghij");
}

#[test]
fn a_handshake_has_a_longest_length() {
    let mut connection = Connection::default();
    let all = vec![7; HANDSHAKE_MAX + 1];
    let last = HANDSHAKE_MAX - 1;
    assert_eq!(
        connection.datagram(&datagram(0, last, b"ab")),
        Progress::Waiting
    );
    assert_eq!(
        connection.datagram(&datagram(1, last + 1, b"c")),
        nothing(NotRead::TooMuch)
    );
    let far = [&[6, 0xff][..], &[0xff; 7], &[1, 0]].concat();
    let far = Draft {
        number: 2,
        ..Draft::new(far)
    }
    .seal();
    assert_eq!(connection.datagram(&far), nothing(NotRead::TooMuch));
    assert_eq!(connection.datagram(&datagram(3, 0, &all)), Progress::Hello);
    assert_eq!(connection.hello().len(), HANDSHAKE_MAX);
}

#[test]
fn a_handshake_has_a_largest_number_of_pieces() {
    let mut connection = Connection::default();
    for piece in 0..PIECES_MAX {
        let datagram = datagram(piece as u32, 2 + 2 * piece, b"x");
        assert_eq!(connection.datagram(&datagram), Progress::Waiting);
    }
    let one_more = datagram(200, 2 + 2 * PIECES_MAX, b"x");
    assert_eq!(connection.datagram(&one_more), nothing(NotRead::TooMuch));
    // What fills the gaps is still welcome, and makes room.
    let filling = vec![b'y'; 2 * PIECES_MAX + 1];
    assert_eq!(
        connection.datagram(&datagram(201, 0, &filling)),
        Progress::Hello
    );
    assert_eq!(connection.datagram(&one_more), Progress::Hello);
    assert_eq!(&connection.hello()[..5], b"yyxyx");
    assert_eq!(connection.hello().len(), 2 * PIECES_MAX + 1);
}

/// As fast as the controller needs it to be, where it is compiled for speed.
#[test]
#[cfg(not(debug_assertions))]
fn a_packet_is_opened_in_less_than_100_microseconds() {
    let frames = [crypto(0, &large_hello("fast.example")[..1100]), vec![0; 60]].concat();
    let datagram = Draft::new(frames).seal();
    let fastest = (0..200).map(|_| {
        let started = std::time::Instant::now();
        let mut connection = Connection::default();
        assert_eq!(connection.datagram(&datagram), Progress::Hello);
        started.elapsed()
    });
    let fastest = fastest.min().unwrap();
    println!("{} bytes opened in {fastest:?}", datagram.len());
    assert!(
        fastest < std::time::Duration::from_micros(100),
        "{fastest:?}"
    );
}
