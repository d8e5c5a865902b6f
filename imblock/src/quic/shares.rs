//! Who has how many places of a table, so that whoever has the most makes room.
//!
//! Invariant: a host stands in `ranks` once, by what it has now, and is forgotten with its last place.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::Hash;

/// Places by host. A place is a number, and a larger number is a younger place.
#[derive(Debug)]
pub(super) struct Shares<H> {
    places: HashMap<H, BTreeSet<u64>>,
    /// Who has the most is last; of several, the one whose oldest place is the oldest.
    ranks: BTreeMap<Rank, H>,
}

/// How many places, and the oldest of them.
type Rank = (usize, Reverse<u64>);

impl<H> Default for Shares<H> {
    fn default() -> Self {
        Self {
            places: HashMap::new(),
            ranks: BTreeMap::new(),
        }
    }
}

impl<H: Copy + Hash + Eq> Shares<H> {
    /// A host has one place more.
    pub(super) fn give(&mut self, host: H, place: u64) {
        self.change(host, |places| {
            places.insert(place);
        });
    }

    /// A host has this place no more.
    pub(super) fn take(&mut self, host: H, place: u64) {
        self.change(host, |places| {
            places.remove(&place);
        });
    }

    /// The oldest place of the host that has the most.
    pub(super) fn dearest(&self) -> Option<u64> {
        let (&(_, Reverse(oldest)), _) = self.ranks.last_key_value()?;
        Some(oldest)
    }

    fn change(&mut self, host: H, change: impl FnOnce(&mut BTreeSet<u64>)) {
        let places = self.places.entry(host).or_default();
        if let Some(rank) = rank(places) {
            self.ranks.remove(&rank);
        }
        change(places);
        match rank(places) {
            Some(rank) => {
                self.ranks.insert(rank, host);
            }
            None => {
                self.places.remove(&host);
            }
        }
    }
}

fn rank(places: &BTreeSet<u64>) -> Option<Rank> {
    let oldest = places.first()?;
    Some((places.len(), Reverse(*oldest)))
}
