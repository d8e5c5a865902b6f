//! The table: its room, its age, and who gets a place.

use std::time::Duration;

use super::super::{Connections, NotRead, Outcome};
use super::{datagram, hello, large_hello, sni};

const AGE: Duration = Duration::from_secs(10);

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn connections_are_kept_apart() {
    let mut connections = Connections::new(8, AGE);
    let (one, two) = (large_hello("one.example"), large_hello("two.example"));
    let now = seconds(1);
    connections.datagram(&"one", now, &datagram(0, 0, &one[..500]));
    // Both have the same connection ids; only their keys in the table differ.
    assert_eq!(
        connections.datagram(&"two", now, &datagram(1, 500, &two[500..])),
        Outcome::Waiting
    );
    assert_eq!(
        connections.datagram(&"one", now, &datagram(1, 500, &one[500..])),
        Outcome::Hello { bytes: &one }
    );
    assert_eq!(
        connections.datagram(&"two", now, &datagram(0, 0, &two[..500])),
        Outcome::Hello { bytes: &two }
    );
    assert_eq!(connections.len(), 2);
    connections.forget(&"one");
    connections.forget(&"one");
    assert_eq!(connections.len(), 1);
}

#[test]
fn only_initial_packets_get_a_place() {
    let mut connections = Connections::new(8, AGE);
    let outcome = connections.datagram(&1, seconds(1), b"hello");
    assert_eq!(outcome, Outcome::Nothing(NotRead::NotInitial));
    let mut damaged = datagram(0, 0, b"x");
    *damaged.last_mut().unwrap() ^= 1;
    let outcome = connections.datagram(&1, seconds(1), &damaged);
    assert_eq!(outcome, Outcome::Nothing(NotRead::Undecryptable));
    assert!(connections.is_empty());
}

#[test]
fn the_oldest_makes_room() {
    let mut connections = Connections::new(3, AGE);
    let whole = hello(&[sni("a.example")]);
    let (start, rest) = whole.split_at(20);
    for key in 0..3 {
        connections.datagram(&key, seconds(key), &datagram(0, 0, start));
    }
    // That it was heard of again makes the first no younger.
    connections.datagram(&0, seconds(3), &datagram(1, 0, start));
    connections.datagram(&3, seconds(3), &datagram(0, 0, start));
    assert_eq!(connections.len(), 3);
    for (key, known) in [(1, true), (2, true), (3, true), (0, false)] {
        let outcome = connections.datagram(&key, seconds(4), &datagram(1, 20, rest));
        let expected = if known {
            Outcome::Hello { bytes: &whole }
        } else {
            Outcome::Waiting
        };
        assert_eq!(outcome, expected, "{key}");
    }
}

#[test]
fn a_connection_is_given_up_when_it_is_too_old() {
    let mut connections = Connections::new(3, AGE);
    let whole = hello(&[sni("a.example")]);
    connections.datagram(&1, seconds(5), &datagram(0, 0, &whole[..20]));
    connections.datagram(&2, seconds(6), &datagram(0, 0, &whole[..20]));
    connections.datagram(&3, seconds(15), b"not QUIC");
    assert_eq!(connections.len(), 2);
    connections.datagram(&3, seconds(16), b"not QUIC");
    assert_eq!(connections.len(), 1);
    // A clock that goes back throws nothing away.
    let outcome = connections.datagram(&2, seconds(2), &datagram(1, 20, &whole[20..]));
    assert_eq!(outcome, Outcome::Hello { bytes: &whole });
}

#[test]
fn there_is_room_for_one_at_least() {
    let mut connections = Connections::new(0, AGE);
    connections.datagram(&1, seconds(1), &datagram(0, 0, b"x"));
    connections.datagram(&2, seconds(1), &datagram(0, 0, b"x"));
    assert_eq!(connections.len(), 1);
}
