//! What the tables say of markers: which of them each answer to a few questions leaves.
//!
//! Invariant: a marker that fits a packet is in the sets of all the packet's answers.

use std::collections::BTreeMap;

use imblock_common::content::Sender;
use imblock_common::layout::{MarkerSet, MarkerSets, NeedleGate};

use super::marker::MarkerFrom;
use super::pattern::ByteSet;
use super::plan::{MarkerPlan, MarkerPlans};

impl MarkerPlans {
    /// What the tables say of markers by their first bytes, the payload's length and its place in
    /// the flow, and by the beginnings of their needles.
    pub fn sets(plans: &[MarkerPlan]) -> Box<MarkerSets> {
        let mut sets = Box::new(MarkerSets {
            rows: [[MarkerSet::default(); 256]; MarkerSets::ROWS],
            needles: NeedleGate::EMPTY,
        });
        for (number, plan) in (0..=u8::MAX).zip(plans) {
            sets.needles.insert(number, &plan.record);
        }
        for (row_number, row) in sets.rows.iter_mut().enumerate() {
            // Of hundreds of markers most admit the same, often everything: their answers are gone
            // through once for all of them.
            let mut alike: BTreeMap<ByteSet, MarkerSet> = BTreeMap::new();
            for (number, plan) in (0..=u8::MAX).zip(plans) {
                alike
                    .entry(plan.admitted(row_number))
                    .or_default()
                    .insert(number);
            }
            for (answers, markers) in alike {
                for (answer, set) in (0..=u8::MAX).zip(row.iter_mut()) {
                    if answers.contains(answer) {
                        *set = union(*set, markers);
                    }
                }
            }
        }
        sets
    }
}

fn union(MarkerSet([a, b, c, d]): MarkerSet, MarkerSet([e, f, g, h]): MarkerSet) -> MarkerSet {
    MarkerSet([a | e, b | f, c | g, d | h])
}

impl MarkerPlan {
    /// The answers in a row of the sets that a packet may give which the marker still fits.
    fn admitted(&self, row: usize) -> ByteSet {
        let length = |length: u16| MarkerSets::length(length.into());
        match row {
            MarkerSets::LENGTH => {
                (length(self.record.shortest)..=length(self.record.longest)).collect()
            }
            MarkerSets::PLACE => self.places().collect(),
            row => self.head.get(row).copied().unwrap_or(ByteSet::ANY),
        }
    }

    /// The places in a flow where it may be.
    fn places(&self) -> impl Iterator<Item = u8> {
        let senders: &[Sender] = match self.from {
            MarkerFrom::Client => &[Sender::Unknown, Sender::Client],
            MarkerFrom::Server => &[Sender::Unknown, Sender::Server],
            MarkerFrom::Either => &[Sender::Unknown, Sender::Client, Sender::Server],
        };
        let needs = |needed: bool| [false, true].into_iter().filter(move |has| *has || !needed);
        senders.iter().flat_map(move |sender| {
            needs(self.first).flat_map(move |first| {
                needs(self.record.within != 0)
                    .map(move |known| MarkerSets::place(*sender as u8, first, known))
            })
        })
    }
}
