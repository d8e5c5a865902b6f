//! The connections whose hello has not been read yet.
//!
//! Invariant: never more than the capacity, and none is older than the age that was allowed at the
//! last datagram. Only who can make a valid Initial packet gets a place.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::time::Duration;

use super::connection::{Connection, NotRead, Progress};

/// Connections by whatever tells them apart: usually the two ends of the flow.
#[derive(Debug)]
pub struct Connections<K> {
    capacity: usize,
    age: Duration,
    entries: HashMap<K, Entry>,
    /// Keys in the order in which they came.
    order: BTreeMap<u64, K>,
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

impl<K: Hash + Eq + Clone> Connections<K> {
    /// A table of at most `capacity` connections (at least one). Each is given up `age` after its
    /// first datagram; where there is no room, the oldest goes. A connection takes some 3 KiB, and
    /// at most 40 KiB if its client wants that.
    pub fn new(capacity: usize, age: Duration) -> Self {
        Self {
            capacity: capacity.max(1),
            age,
            entries: HashMap::new(),
            order: BTreeMap::new(),
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
            while self.entries.len() >= self.capacity {
                self.drop_oldest();
            }
            let number = self.next;
            self.next += 1;
            self.order.insert(number, key.clone());
            let entry = Entry {
                connection,
                since: now,
                number,
            };
            self.entries.insert(key.clone(), entry);
        }
        progress
    }

    fn expire(&mut self, now: Duration) {
        while let Some((_, oldest)) = self.order.first_key_value() {
            let since = self.entries.get(oldest).map_or(now, |entry| entry.since);
            if now.saturating_sub(since) <= self.age {
                return;
            }
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) {
        if let Some((_, key)) = self.order.pop_first() {
            self.entries.remove(&key);
        }
    }
}
