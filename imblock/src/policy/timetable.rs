//! The cells of a plan that schedules decide, and what they are at an instant.
//!
//! Invariant: every cell that some schedule decides is in an entry without one as well, so that
//! whatever the clock says, each has an action; all other cells never change.

use std::fmt;

use imblock_common::Action;
use imblock_common::layout::{GROUPS_MAX, SERVICES_MAX};
use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::plan::action_name;
use super::schedule::Schedule;

/// What depends on the clock. Empty for a policy without `when`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timetable {
    /// Each once.
    pub(super) schedules: Vec<Schedule>,
    /// In the order of the rules, and what holds otherwise behind them. Of those that hold, the
    /// first that has a cell decides it.
    pub(super) entries: Vec<Entry>,
}

/// A rule, as far as it depends on the clock or on rules that do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry {
    /// Place among the schedules; none for what holds otherwise.
    pub(super) schedule: Option<usize>,
    #[serde(with = "action_name")]
    pub(super) action: Action,
    /// The number of its rate in [`Plan::rates`](super::plan::Plan::rates); 0 unless it limits.
    #[serde(default, skip_serializing_if = "is_none")]
    pub(super) rate: u8,
    /// Position of the rule in the policy, from 1; none for `defaults`.
    pub(super) rule: Option<usize>,
    /// File and line of the rule.
    pub(super) place: String,
    /// Which cells, but for those that earlier rules decide at all times.
    pub(super) areas: Vec<Area>,
}

/// Some services in some groups.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Area {
    pub(super) groups: Bits<GROUP_WORDS>,
    pub(super) services: Numbers,
}

/// A cell at an instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimedCell<'a> {
    /// Group number.
    pub group: u16,
    /// Service number.
    pub service: u16,
    /// What the policy says.
    pub action: Action,
    /// The number of the rate; 0 unless it limits.
    pub rate: u8,
    /// Position of the deciding rule in the policy, from 1, with its file and line; none for
    /// `defaults`.
    pub rule: Option<(usize, &'a str)>,
}

impl Timetable {
    /// Whether nothing depends on the clock.
    pub fn is_empty(&self) -> bool {
        self.schedules.is_empty()
    }

    /// The rules that depend on the clock, and when they hold.
    pub(super) fn rules(&self) -> impl Iterator<Item = (&Entry, &Schedule)> {
        self.entries.iter().filter_map(|entry| {
            let schedule = self.schedules.get(entry.schedule?)?;
            Some((entry, schedule))
        })
    }

    /// Every cell that depends on the clock, at an instant.
    pub fn cells_at(&self, at: Timestamp) -> Vec<TimedCell<'_>> {
        let holds: Vec<bool> = self.schedules.iter().map(|known| known.holds(at)).collect();
        let holds = |entry: &&Entry| {
            let schedule = entry.schedule.and_then(|place| holds.get(place));
            schedule.copied().unwrap_or(true)
        };
        let mut free = vec![Numbers::ALL; GROUPS_MAX];
        let mut cells = Vec::new();
        for entry in self.entries.iter().filter(holds) {
            for area in &entry.areas {
                for group in area.groups.iter() {
                    let Some(free) = free.get_mut(usize::from(group)) else {
                        continue;
                    };
                    cells.extend(free.take(&area.services).iter().map(|service| TimedCell {
                        group,
                        service,
                        action: entry.action,
                        rate: entry.rate,
                        rule: entry.rule.map(|rule| (rule, entry.place.as_str())),
                    }));
                }
            }
        }
        cells
    }

    /// The first instant after this one, to the second, at which a rule begins or ends to hold.
    pub fn next_change(&self, after: Timestamp) -> Option<Timestamp> {
        let changes = self
            .schedules
            .iter()
            .map(|schedule| schedule.next_change(after));
        changes.flatten().min()
    }

    /// Whether a group's traffic of a service is refused at some time.
    pub(super) fn may_drop(&self, service: u16) -> bool {
        self.entries.iter().any(|entry| {
            entry.action.refuses()
                && entry
                    .areas
                    .iter()
                    .any(|area| area.services.contains(service))
        })
    }

    /// Whether some rule with a schedule names one of two services and not the other.
    pub(super) fn tells_apart(&self, one: u16, other: u16) -> bool {
        let timed = self.entries.iter().filter(|entry| entry.schedule.is_some());
        timed
            .flat_map(|entry| &entry.areas)
            .any(|area| area.services.contains(one) != area.services.contains(other))
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
const fn is_none(rate: &u8) -> bool {
    *rate == 0
}

const SERVICE_WORDS: usize = SERVICES_MAX / 64;
pub(super) const GROUP_WORDS: usize = GROUPS_MAX / 64;

/// A set of service numbers.
pub(super) type Numbers = Bits<SERVICE_WORDS>;

/// A set of small numbers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Bits<const WORDS: usize>(pub(super) [u64; WORDS]);

impl<const WORDS: usize> Default for Bits<WORDS> {
    fn default() -> Self {
        Self([0; WORDS])
    }
}

impl<const WORDS: usize> Bits<WORDS> {
    pub(super) const ALL: Self = Self([u64::MAX; WORDS]);

    /// Numbers beyond the set are ignored.
    pub(super) fn insert(&mut self, number: u16) {
        if let Some(word) = self.0.get_mut(usize::from(number / 64)) {
            *word |= 1 << (number % 64);
        }
    }

    pub(super) fn contains(&self, number: u16) -> bool {
        let word = self.0.get(usize::from(number / 64));
        word.is_some_and(|word| word >> (number % 64) & 1 == 1)
    }

    /// Takes out what is in `wanted`, and returns it.
    pub(super) fn take(&mut self, wanted: &Self) -> Self {
        let mut taken = Self::default();
        for ((mine, wanted), taken) in self.0.iter_mut().zip(wanted.0).zip(&mut taken.0) {
            *taken = *mine & wanted;
            *mine &= !wanted;
        }
        taken
    }

    /// What is in both.
    pub(super) fn and(&self, other: &Self) -> Self {
        self.clone().take(other)
    }

    pub(super) fn add(&mut self, more: &Self) {
        for (mine, more) in self.0.iter_mut().zip(more.0) {
            *mine |= more;
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }

    /// The numbers, ascending.
    pub(super) fn iter(&self) -> impl Iterator<Item = u16> + use<WORDS> {
        (0u16..).zip(self.0).flat_map(|(index, mut word)| {
            std::iter::from_fn(move || {
                let bit = u16::try_from(word.trailing_zeros())
                    .ok()
                    .filter(|bit| *bit < 64)?;
                word &= word - 1;
                Some(index * 64 + bit)
            })
        })
    }
}

/// Sixteen digits a word: a list of numbers would be many times as long in the state.
impl<const WORDS: usize> Serialize for Bits<WORDS> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        struct Digits<'a>(&'a [u64]);

        impl fmt::Display for Digits<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|word| write!(f, "{word:016x}"))
            }
        }

        to.collect_str(&Digits(&self.0))
    }
}

impl<'de, const WORDS: usize> Deserialize<'de> for Bits<WORDS> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        let mut bits = Self::default();
        let mut rest = text.as_str();
        for word in &mut bits.0 {
            let wrong = || serde::de::Error::custom("a set of numbers is cut");
            let (digits, more) = rest.split_at_checked(16).ok_or_else(wrong)?;
            *word = u64::from_str_radix(digits, 16).map_err(|_| wrong())?;
            rest = more;
        }
        Ok(bits)
    }
}
