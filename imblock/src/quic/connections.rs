//! The connections whose hello has not been read yet.
//!
//! Invariant: never more than the capacity, and none is older than the age that was allowed at the
//! last datagram. Only who can make a valid Initial packet gets a place, and whoever has the most of
//! them pays for a place that is missing.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::time::Duration;

use super::connection::{Connection, NotRead, Progress};
use super::shares::Shares;

/// What tells connections apart, and whose they are.
pub trait Key: Hash + Eq + Clone {
    /// Who answers for the room that a connection takes.
    type Host: Copy + Hash + Eq;

    /// The host of this connection.
    fn host(&self) -> Self::Host;
}

/// Connections by whatever tells them apart: usually the two ends of the flow.
#[derive(Debug)]
pub struct Connections<K: Key> {
    capacity: usize,
    age: Duration,
    entries: HashMap<K, Entry>,
    /// Keys in the order in which they came.
    order: BTreeMap<u64, K>,
    shares: Shares<K::Host>,
    next: u64,
}

/// What a datagram brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome<'a> {
    /// A piece of the handshake, but its beginning is still missing.
    Waiting,
    /// A piece of the handshake.
    Hello {
        /// All of it up to the first gap, for [`super::client_hello`].
        bytes: &'a [u8],
    },
    /// Nothing.
    Nothing(NotRead),
}

#[derive(Debug)]
struct Entry {
    connection: Connection,
    /// When its first datagram came.
    since: Duration,
    /// Its place in the order.
    number: u64,
}

impl<K: Key> Connections<K> {
    /// A table of at most `capacity` connections (at least one). Each is given up `age` after its
    /// first datagram. Where there is no room, the host that has most loses its oldest; of several
    /// such hosts, the one whose oldest is older. So a host alone may have the whole table, and one
    /// that floods it pushes out its own.
    ///
    /// Who can send under many addresses is many hosts: with `n` of them it pushes out what a host has
    /// beyond `capacity / n` connections. As many addresses as there are places leave every host its
    /// latest one, until as many more have come: a hello gets lost if they come between its
    /// datagrams, which a client sends at once. Then the flow is told by address and port, as where
    /// nobody reads. The memory does not grow: [`CONNECTION_BYTES`](super::CONNECTION_BYTES) a
    /// connection at the most, and usually some 3 to 5 KiB.
    pub fn new(capacity: usize, age: Duration) -> Self {
        Self {
            capacity: capacity.max(1),
            age,
            entries: HashMap::new(),
            order: BTreeMap::new(),
            shares: Shares::default(),
            next: 0,
        }
    }

    /// Reads what the client sent in one UDP datagram. `now` is the time on any clock, always the
    /// same one; that it goes back does no harm.
    pub fn datagram(&mut self, key: &K, now: Duration, payload: &[u8]) -> Outcome<'_> {
        self.expire(now);
        let progress = match self.entries.get_mut(key) {
            Some(entry) => entry.connection.datagram(payload),
            None => self.begin(key, now, payload),
        };
        match progress {
            Progress::Nothing(reason) => Outcome::Nothing(reason),
            Progress::Waiting => Outcome::Waiting,
            Progress::Hello => Outcome::Hello {
                bytes: self.hello(key),
            },
        }
    }

    /// Gives a connection up: its name is known, or nobody wants it any more.
    pub fn forget(&mut self, key: &K) {
        if let Some(entry) = self.entries.remove(key) {
            self.order.remove(&entry.number);
            self.shares.take(key.host(), entry.number);
        }
    }

    /// How many connections are kept.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether none is kept.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    fn hello(&self, key: &K) -> &[u8] {
        self.entries
            .get(key)
            .map_or(&[], |entry| entry.connection.hello())
    }

    /// A connection gets its place if the datagram brings something.
    fn begin(&mut self, key: &K, now: Duration, payload: &[u8]) -> Progress {
        let mut connection = Connection::default();
        let progress = connection.datagram(payload);
        if !matches!(progress, Progress::Nothing(_)) {
            let number = self.next;
            self.next += 1;
            self.order.insert(number, key.clone());
            self.shares.give(key.host(), number);
            let entry = Entry {
                connection,
                since: now,
                number,
            };
            self.entries.insert(key.clone(), entry);
            // Never the new one: where its host has only this, another's is older.
            while self.entries.len() > self.capacity {
                let Some(number) = self.shares.dearest() else {
                    break;
                };
                self.give_up(number);
            }
        }
        progress
    }

    fn expire(&mut self, now: Duration) {
        while let Some((&number, oldest)) = self.order.first_key_value() {
            let since = self.entries.get(oldest).map_or(now, |entry| entry.since);
            if now.saturating_sub(since) <= self.age {
                return;
            }
            self.give_up(number);
        }
    }

    fn give_up(&mut self, number: u64) {
        if let Some(key) = self.order.get(&number).cloned() {
            self.forget(&key);
        }
    }
}
