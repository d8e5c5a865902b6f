//! A second copy of the programs, for questions: it judges by the tables of an instance, and what it
//! learns and counts is its own.
//!
//! Invariant: nothing that the attached programs read or write is written to. The maps of
//! [`BY_POLICY`] are those of the instance, and no program writes to them; all others are made for the
//! copy and die with it. The control word, which says which half is live and how big the tables are, and
//! the actions are copies too, so the whole answer is by one generation.

use std::time::{Duration, Instant};

use aya::programs::loaded_programs;
use imblock_common::layout::{ActionRow, Control, Inside, maps};
use imblock_common::{Hook, View};

use super::attach::{Attachment, attachments};
use super::handshakes::Handshakes;
use super::instance::Instance;
use super::maps::Maps;
use super::netlink::interfaces;
use super::object::Loaded;
use super::stages::{self, Tags};
use super::{KernelError, features};
use crate::policy::plan::Limits;
use crate::quic::Inspector;
use crate::snapshot::Snapshot;

/// The maps that a policy is made of, which the copy shares with the instance.
pub const BY_POLICY: [&str; 19] = [
    maps::POLICIES,
    maps::PORTS,
    maps::LEASES,
    maps::RATES,
    maps::RATE_ROWS,
    maps::HOST_PREFIXES,
    maps::MACS,
    maps::REMOTES,
    maps::REMOTE_GATES,
    maps::NAMES,
    maps::GENERICS,
    maps::CALLS,
    maps::CARRIERS,
    maps::HOP_RULES,
    maps::MARKER_SETS,
    maps::MARKERS,
    maps::STUN,
    maps::GROUP_NAMES,
    maps::SERVICE_NAMES,
];

/// The maps that programs write to, the control word, and the actions, which a question about another
/// time changes: the copy has its own.
pub const OWN_MAPS: [&str; 21] = [
    maps::CONTROL,
    maps::ACTIONS,
    maps::TOTALS,
    maps::HOSTS,
    maps::INSIDE,
    maps::FLOW_CELLS,
    maps::FLOWS,
    maps::HEADS,
    maps::OVERFLOW,
    maps::FRAMES,
    maps::RECENT,
    maps::HOPS,
    maps::PARTS,
    maps::LIMITS,
    maps::LIMIT_SHARED,
    maps::REJECTIONS,
    maps::INITIALS,
    maps::INITIAL_COUNTS,
    maps::SIGHTINGS,
    maps::XDP_STAGES,
    maps::SKB_STAGES,
];

/// Sizes of the copy's own tables: a question is about one flow.
const OWN: Limits = Limits {
    hosts: 64,
    prefixes: 0,
    flows: 1024,
    inside: Inside::NONE,
};

/// A program that is attached somewhere, and one that would answer for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttachedProgram {
    /// The interface.
    pub interface: String,
    /// Which program it is.
    pub view: View,
    /// What the kernel made of it, and of the programs behind it.
    pub tags: Tags,
}

/// The copy.
pub struct Probe {
    loaded: Loaded,
    maps: Maps,
    /// Held open in any case: the programs name the ring by its descriptor.
    handshakes: Option<Handshakes>,
    answering: bool,
    inspector: Inspector,
    started: Instant,
    generation: u32,
}

impl Instance {
    /// The programs that are attached, by interface.
    pub fn attached(&self) -> Result<Vec<AttachedProgram>, KernelError> {
        let programs = attachments(self.pins(), &interfaces()?)?;
        let sightings = Maps::id(self.pins(), maps::SIGHTINGS)?;
        let behind_ingress = stages::tags(Hook::Ingress, sightings);
        let behind_egress = stages::tags(Hook::Egress, sightings);
        let attached = programs.iter().map(|attachment: &Attachment| {
            let tag = loaded_programs()
                .filter_map(Result::ok)
                .find(|program| program.id() == attachment.program)
                .map(|program| program.tag());
            let [flow, depth, reject] = match attachment.hook {
                Hook::Ingress => behind_ingress,
                Hook::Egress => behind_egress,
            };
            AttachedProgram {
                interface: attachment.interface.clone(),
                view: View {
                    side: attachment.side,
                    hook: attachment.hook,
                },
                tags: [tag.unwrap_or_default(), flow, depth, reject],
            }
        });
        Ok(attached.collect())
    }

    /// A copy of the programs that answers by what is live now, or with these actions by group
    /// instead. With `answering`, names in QUIC handshakes are read as a controller would.
    pub fn probe(
        &self,
        answering: bool,
        actions: Option<&[ActionRow]>,
    ) -> Result<Probe, KernelError> {
        features::require_right()?;
        let (loaded, mut maps) = Loaded::beside(&OWN, self.pins(), &BY_POLICY)?;
        let own = maps.control()?;
        let live = self.maps.control()?;
        maps.set_control(Control {
            host_slots: own.host_slots,
            host_keys: own.host_keys,
            inside: own.inside,
            flow_cells: own.flow_cells,
            // Nobody else counts for the copy.
            flags: Control::WAN_COUNTS_RECEIVED | Control::WAN_COUNTS_SENT,
            ..live
        })?;
        let half = self.maps.live_half()?;
        for group in (0..=u16::MAX).take(self.maps.groups()?.len()) {
            let row = match actions.and_then(|rows| rows.get(usize::from(group))) {
                Some(row) => *row,
                None => self.maps.action_row(half, group)?,
            };
            maps.write_row(half, group, &row)?;
        }
        let handshakes = maps.take_handshakes()?;
        Ok(Probe {
            answering,
            loaded,
            maps,
            handshakes,
            inspector: Inspector::default(),
            started: Instant::now(),
            generation: self.maps.generation()?,
        })
    }
}

impl Probe {
    /// Verifies the program of a view and those behind it, if that has not happened, and says their
    /// tags.
    pub fn tags(&mut self, view: View) -> Result<Tags, KernelError> {
        self.loaded.tags(view)
    }

    /// Runs the program of a view over a frame: whether it goes on. Only after [`Probe::tags`].
    pub fn run(&mut self, view: View, frame: &[u8]) -> Result<bool, KernelError> {
        let passes = self.loaded.test_run(view, frame, None)?;
        self.answer()?;
        Ok(passes)
    }

    /// What the copy has counted since it was made.
    pub fn counted(&self) -> Result<Snapshot, KernelError> {
        self.maps.snapshot()
    }

    /// The generation by which it answers.
    pub fn generation(&self) -> u32 {
        self.generation
    }

    /// The controller's part: what was handed over is read, and written down before the next frame.
    fn answer(&mut self) -> Result<(), KernelError> {
        let Some(handshakes) = &mut self.handshakes else {
            return Ok(());
        };
        if !self.answering {
            return Ok(());
        }
        let now: Duration = self.started.elapsed();
        while let Some(handed) = handshakes.next() {
            let mut failed = None;
            let state = self.inspector.read(&handed, now, |kind, name| {
                self.maps
                    .service_of_name(kind, name)
                    .unwrap_or_else(|error| {
                        failed = Some(error);
                        0
                    })
            });
            if let Some(error) = failed {
                return Err(error);
            }
            if let Some(state) = state {
                handshakes.settle(&handed.flow, handed.entry, state);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_map_is_the_policys_or_the_traffics() {
        let mut both: Vec<&str> = BY_POLICY.into_iter().chain(OWN_MAPS).collect();
        assert_eq!(both.len(), maps::ALL.len());
        both.sort_unstable();
        both.dedup();
        let all: BTreeSet<&str> = maps::ALL.into_iter().collect();
        assert!(
            both.into_iter().eq(all),
            "a map is in neither list or in both"
        );
    }
}
