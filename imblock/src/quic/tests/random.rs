//! Whatever comes, nothing panics and nothing grows; and however a hello is cut, it is read.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use super::super::{
    Connection, Connections, HANDSHAKE_MAX, Named, client_hello, client_hello_name,
};
use super::{Draft, Of, V1, V2, crypto, datagrams, large_hello};

/// Pieces of a hello of `length` bytes, which overlap and together are all of it, in any order.
fn pieces(length: usize) -> impl Strategy<Value = Vec<(usize, usize)>> {
    let cuts = vec((1..length, 0..60_usize), 0..40);
    let pieces = cuts.prop_map(move |mut cuts| {
        cuts.sort_unstable();
        let starts = std::iter::once((0, 0)).chain(cuts.iter().copied());
        let ends = cuts.iter().map(|&(end, _)| end).chain([length]);
        let piece =
            |((start, overlap), end): ((usize, usize), usize)| (start.saturating_sub(overlap), end);
        starts.zip(ends).map(piece).collect::<Vec<_>>()
    });
    pieces.prop_shuffle()
}

proptest! {
    #[test]
    fn a_hello_is_read_however_it_is_cut(
        pieces in pieces(large_hello("any.example").len()),
        each in 1..6_usize,
        version in prop_oneof![Just(V1), Just(V2)],
    ) {
        let hello = large_hello("any.example");
        let mut connection = Connection::default();
        for (number, pieces) in (0..).zip(pieces.chunks(each)) {
            let frames = pieces.iter().map(|&(start, end)| crypto(start, &hello[start..end]));
            let frames = frames.collect::<Vec<_>>().join(&[0, 0, 1][..]);
            let draft = Draft { version, number, ..Draft::new(frames) };
            connection.datagram(&draft.seal());
        }
        prop_assert_eq!(connection.hello(), hello);
    }

    #[test]
    fn no_datagrams_panic(datagrams in vec(vec(any::<u8>(), 0..200), 0..4)) {
        let mut connection = Connection::default();
        for datagram in datagrams {
            connection.datagram(&datagram);
        }
        prop_assert_eq!(connection.hello(), b"");
    }

    /// Behind the protection, where bytes that were not made to order never get.
    #[test]
    fn no_frames_panic(packets in vec(vec(0..40_u8, 0..400), 0..6)) {
        let mut connections = Connections::new(1, std::time::Duration::MAX);
        for (number, frames) in (0..).zip(packets) {
            let datagram = Draft { number, ..Draft::new(frames) }.seal();
            connections.datagram(&Of(0, 0), std::time::Duration::ZERO, &datagram);
        }
        prop_assert!(connections.len() <= 1);
    }

    #[test]
    fn no_hello_panics(bytes in vec(any::<u8>(), 0..300)) {
        client_hello(&bytes);
        client_hello(&[&[1, 0, 1, 0][..], &bytes].concat());
    }

    #[test]
    fn a_damaged_hello_does_not_panic(
        damage in vec((any::<Index>(), any::<u8>()), 1..8),
        end in any::<Index>(),
    ) {
        let mut hello = large_hello("damaged.example");
        for (at, byte) in damage {
            *at.get_mut(&mut hello) = byte;
        }
        client_hello(&hello[..end.index(hello.len())]);
        client_hello(&hello);
    }

    #[test]
    fn a_damaged_packet_is_not_read(at in any::<Index>(), damage in 1..=255_u8) {
        let packet = &datagrams(include_str!("fixtures/rfc9001_a2.hex"))[0];
        let mut damaged = packet.clone();
        *at.get_mut(&mut damaged) ^= damage;
        let mut connection = Connection::default();
        connection.datagram(&damaged);
        prop_assert_eq!(connection.hello(), b"");
    }

    #[test]
    fn a_cut_datagram_does_not_panic(end in any::<Index>()) {
        for lines in [
            include_str!("fixtures/two_datagrams.hex"),
            include_str!("fixtures/version_2.hex"),
        ] {
            let mut connection = Connection::default();
            for packet in datagrams(lines) {
                connection.datagram(&packet[..end.index(packet.len())]);
            }
            prop_assert_eq!(client_hello_name(connection.hello()), Named::More);
        }
    }
}

proptest! {
    // Each case is some hundred packets.
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn no_offsets_make_it_grow(frames in vec((0..HANDSHAKE_MAX * 2, 0..3000_usize), 0..200)) {
        let mut connection = Connection::default();
        for (number, &(offset, length)) in (0..).zip(&frames) {
            let draft = Draft { number, number_length: 2, ..Draft::new(crypto(offset, &vec![1; length])) };
            connection.datagram(&draft.seal());
        }
        prop_assert!(connection.hello().len() <= HANDSHAKE_MAX);
        prop_assert!(connection.hello().iter().all(|&byte| byte == 1));
    }
}
