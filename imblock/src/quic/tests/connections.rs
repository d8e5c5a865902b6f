//! The table: its room, its age, and who gets a place.

use std::time::Duration;

use super::super::{CONNECTION_BYTES, Connection, Connections, HANDSHAKE_MAX, PIECES_MAX};
use super::super::{NotRead, Outcome};
use super::{Draft, Of, crypto, datagram, hello, large_hello, sni};

const AGE: Duration = Duration::from_secs(10);

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn connections_are_kept_apart() {
    let mut connections = Connections::new(8, AGE);
    let (one, two) = (large_hello("one.example"), large_hello("two.example"));
    let now = seconds(1);
    connections.datagram(&Of(0, 1), now, &datagram(0, 0, &one[..500]));
    // Both have the same connection ids; only their keys in the table differ.
    assert_eq!(
        connections.datagram(&Of(0, 2), now, &datagram(1, 500, &two[500..])),
        Outcome::Waiting
    );
    assert_eq!(
        connections.datagram(&Of(0, 1), now, &datagram(1, 500, &one[500..])),
        Outcome::Hello { bytes: &one }
    );
    assert_eq!(
        connections.datagram(&Of(0, 2), now, &datagram(0, 0, &two[..500])),
        Outcome::Hello { bytes: &two }
    );
    assert_eq!(connections.len(), 2);
    connections.forget(&Of(0, 1));
    connections.forget(&Of(0, 1));
    assert_eq!(connections.len(), 1);
}

#[test]
fn only_initial_packets_get_a_place() {
    let mut connections = Connections::new(8, AGE);
    let outcome = connections.datagram(&Of(0, 1), seconds(1), b"hello");
    assert_eq!(outcome, Outcome::Nothing(NotRead::NotInitial));
    let mut damaged = datagram(0, 0, b"x");
    *damaged.last_mut().unwrap() ^= 1;
    let outcome = connections.datagram(&Of(0, 1), seconds(1), &damaged);
    assert_eq!(outcome, Outcome::Nothing(NotRead::Undecryptable));
    assert!(connections.is_empty());
}

#[test]
fn the_oldest_makes_room() {
    let mut connections = Connections::new(3, AGE);
    let whole = hello(&[sni("a.example")]);
    let (start, rest) = whole.split_at(20);
    for key in 0..3 {
        connections.datagram(&Of(0, key), seconds(key.into()), &datagram(0, 0, start));
    }
    // That it was heard of again makes the first no younger.
    connections.datagram(&Of(0, 0), seconds(3), &datagram(1, 0, start));
    connections.datagram(&Of(0, 3), seconds(3), &datagram(0, 0, start));
    assert_eq!(connections.len(), 3);
    for (key, known) in [(1, true), (2, true), (3, true), (0, false)] {
        let outcome = connections.datagram(&Of(0, key), seconds(4), &datagram(1, 20, rest));
        let expected = if known {
            Outcome::Hello { bytes: &whole }
        } else {
            Outcome::Waiting
        };
        assert_eq!(outcome, expected, "{key}");
    }
}

/// Two pieces of a hello, and what comes of the second one.
struct Halves {
    whole: Vec<u8>,
    first: Vec<u8>,
    second: Vec<u8>,
}

impl Halves {
    fn new() -> Self {
        let whole = hello(&[sni("a.example")]);
        Self {
            first: datagram(0, 0, &whole[..20]),
            second: datagram(1, 20, &whole[20..]),
            whole,
        }
    }

    /// Whether the first piece was still there.
    fn is_put_together(&self, connections: &mut Connections<Of>, key: Of) -> bool {
        let outcome = connections.datagram(&key, seconds(2), &self.second);
        outcome == Outcome::Hello { bytes: &self.whole }
    }
}

#[test]
fn a_host_that_finishes_nothing_pushes_out_its_own() {
    let mut connections = Connections::new(16, AGE);
    let halves = Halves::new();
    let victims = [Of(1, 0), Of(2, 0), Of(2, 1)];
    for key in &victims {
        connections.datagram(key, seconds(1), &halves.first);
    }
    for number in 0..100 {
        connections.datagram(&Of(9, number), seconds(1), &halves.first);
        assert!(connections.len() <= 16);
    }
    for key in victims {
        assert!(halves.is_put_together(&mut connections, key), "{key:?}");
    }
    // Its latest ones have what the others leave.
    for number in 87..100 {
        assert!(halves.is_put_together(&mut connections, Of(9, number)));
    }
    assert!(!halves.is_put_together(&mut connections, Of(9, 86)));
}

#[test]
fn many_addresses_leave_every_host_its_share() {
    let mut connections = Connections::new(16, AGE);
    let halves = Halves::new();
    for number in 0..4 {
        connections.datagram(&Of(0, number), seconds(1), &halves.first);
    }
    // Seven hosts more: two places for each, however many they want.
    for number in 0..20 {
        for host in 1..8 {
            connections.datagram(&Of(host, number), seconds(1), &halves.first);
        }
    }
    // Those that are known first: a second piece without a first takes a place.
    for (number, known) in [(2, true), (3, true), (0, false), (1, false)] {
        let is_known = halves.is_put_together(&mut connections, Of(0, number));
        assert_eq!(is_known, known, "{number}");
    }
}

#[test]
fn as_many_addresses_as_places_push_out_by_age() {
    let mut connections = Connections::new(16, AGE);
    let halves = Halves::new();
    connections.datagram(&Of(0, 0), seconds(1), &halves.first);
    for host in 1..16 {
        connections.datagram(&Of(host, 0), seconds(1), &halves.first);
    }
    assert!(halves.is_put_together(&mut connections, Of(0, 0)));
    connections.datagram(&Of(16, 0), seconds(1), &halves.first);
    assert_eq!(connections.len(), 16);
    assert!(!halves.is_put_together(&mut connections, Of(0, 0)));
}

#[test]
fn who_is_done_counts_no_more() {
    let mut connections = Connections::new(4, AGE);
    let halves = Halves::new();
    for number in 0..3 {
        connections.datagram(&Of(0, number), seconds(1), &halves.first);
        connections.forget(&Of(0, number));
    }
    connections.datagram(&Of(0, 3), seconds(1), &halves.first);
    for number in 0..4 {
        connections.datagram(&Of(1, number), seconds(1), &halves.first);
    }
    assert!(halves.is_put_together(&mut connections, Of(0, 3)));
    assert!(!halves.is_put_together(&mut connections, Of(1, 0)));
}

/// Everything that a client can make grow, at once.
#[test]
fn a_connection_takes_no_more_than_it_may() {
    let mut connection = Connection::default();
    for id in [[1; 255], [2; 255]] {
        let pieces = (0..PIECES_MAX).map(|piece| crypto(HANDSHAKE_MAX - 1 - 2 * piece, b"x"));
        let mut pieces: Vec<_> = pieces.collect();
        pieces.reverse();
        // What makes a vector grow by more than it needs.
        for (number, offset) in (0..).zip([0, 4_500]) {
            let draft = Draft {
                keys_from: id.to_vec(),
                destination_id: id.to_vec(),
                number,
                ..Draft::new(crypto(offset, &vec![7; 2000]))
            };
            connection.datagram(&draft.seal());
        }
        for (number, piece) in (2..).zip(pieces) {
            let draft = Draft {
                keys_from: id.to_vec(),
                destination_id: id.to_vec(),
                number,
                ..Draft::new(piece)
            };
            connection.datagram(&draft.seal());
        }
    }
    let held = connection.heap();
    assert!(held <= CONNECTION_BYTES, "{held} > {CONNECTION_BYTES}");
    assert!(
        held > CONNECTION_BYTES * 9 / 10,
        "{held}, but {CONNECTION_BYTES}"
    );
}

#[test]
fn a_connection_is_given_up_when_it_is_too_old() {
    let mut connections = Connections::new(3, AGE);
    let whole = hello(&[sni("a.example")]);
    connections.datagram(&Of(0, 1), seconds(5), &datagram(0, 0, &whole[..20]));
    connections.datagram(&Of(0, 2), seconds(6), &datagram(0, 0, &whole[..20]));
    connections.datagram(&Of(0, 3), seconds(15), b"not QUIC");
    assert_eq!(connections.len(), 2);
    connections.datagram(&Of(0, 3), seconds(16), b"not QUIC");
    assert_eq!(connections.len(), 1);
    // A clock that goes back throws nothing away.
    let outcome = connections.datagram(&Of(0, 2), seconds(2), &datagram(1, 20, &whole[20..]));
    assert_eq!(outcome, Outcome::Hello { bytes: &whole });
}

#[test]
fn there_is_room_for_one_at_least() {
    let mut connections = Connections::new(0, AGE);
    connections.datagram(&Of(0, 1), seconds(1), &datagram(0, 0, b"x"));
    connections.datagram(&Of(0, 2), seconds(1), &datagram(0, 0, b"x"));
    assert_eq!(connections.len(), 1);
}
