//! Putting a plan into the idle half and making it the live one; reading and toggling what is live.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::{Duration, SystemTime};

use bytemuck::{TransparentWrapper as _, Zeroable as _};
use imblock_common::layout::{
    ActionCell, ActionRow, Control, GROUPS_MAX, Half, MacKey, Marker, MarkerSets, Name,
    PolicyHeader, PortTable, Rate, maps,
};
use imblock_common::{Action, Transport};
use rustix::thread::{MembarrierCommand, membarrier};

use super::KernelError;
use super::maps::Maps;
use super::wire::Wire;
use crate::policy::Plan;
use crate::policy::plan::{MacPlan, MarkerPlans, stun_table};
use crate::policy::{PortRange, ServiceNumbers, TimedCell, ports_by_service};

/// What is live, read back from the kernel.
#[derive(Clone, Debug)]
pub struct Live {
    /// The header of the live half.
    pub header: PolicyHeader,
    /// Names of the groups, by number.
    pub groups: Vec<String>,
    /// Every service that has a number.
    pub services: Vec<LiveService>,
}

/// A service as the live tables have it.
#[derive(Clone, Debug)]
pub struct LiveService {
    /// Its number.
    pub number: u16,
    /// Its id.
    pub id: String,
    /// What each group does with it, by group number.
    pub cells: Vec<ActionCell>,
}

/// One toggle: what a group does with a service from now on; `None` is what the policy says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ActionChange {
    /// Group number.
    pub group: u16,
    /// Service number.
    pub service: u16,
    /// What to do.
    pub action: Option<Action>,
    /// Until when, on the programs' clock; see [`super::lease_end`].
    pub end: Option<u32>,
}

impl Maps {
    /// Writes a plan into the half that is idle, with the generation that it is to be. What was
    /// there is gone from the first write on, and the half is not whole until the last.
    pub(super) fn write_half(
        &mut self,
        idle: Half,
        plan: &Plan,
        generation: u32,
    ) -> Result<(), KernelError> {
        await_readers();
        self.write_header(idle, PolicyHeader::zeroed())?;
        self.ports
            .set(idle.index(), Wire::wrap_ref(plan.ports.as_ref()), 0)
            .map_err(KernelError::map(maps::PORTS, "write the port table"))?;
        self.write_groups(idle, plan)?;
        self.write_rates(idle, plan)?;
        self.write_leases(idle, &plan.leases)?;
        self.write_calls(idle, plan)?;
        self.write_macs(idle, plan)?;
        self.write_tries(idle, plan)?;
        self.write_markers(idle, plan)?;
        self.write_service_names(plan)?;
        self.write_header(idle, header(plan, generation))
    }

    /// The generation that lies in a half; 0 if the half is not whole.
    pub(super) fn generation_in(&self, half: Half) -> Result<u32, KernelError> {
        Ok(self.read_header(half)?.generation)
    }

    /// Changes single cells in place: each takes effect at once.
    ///
    /// `changes` says what to change, given the names of a policy's groups. It is asked for the live
    /// half, and for the idle one if a whole policy lies there: what is set by hand outlives a
    /// rollback and an apply that nobody confirms.
    pub fn toggle(
        &mut self,
        changes: impl Fn(&[String]) -> Vec<ActionChange>,
    ) -> Result<(), KernelError> {
        let live = self.live_half()?;
        for half in [live, live.other()] {
            let header = self.read_header(half)?;
            if half == live || header.generation != 0 {
                let groups = self.read_groups(half, header.groups)?;
                self.change_cells(half, &changes(&groups))?;
            }
        }
        Ok(())
    }

    fn change_cells(&mut self, half: Half, changes: &[ActionChange]) -> Result<(), KernelError> {
        let mut rows: HashMap<u16, ActionRow> = HashMap::new();
        for change in changes {
            let row = match rows.get_mut(&change.group) {
                Some(row) => row,
                None => {
                    let row = self.action_row(half, change.group)?;
                    rows.entry(change.group).or_insert(row)
                }
            };
            if let Some(cell) = row.0.get_mut(usize::from(change.service)) {
                let old = ActionCell(*cell);
                *cell = match (change.action, change.end) {
                    (Some(action), None) => old.overridden(action).0,
                    (Some(action), Some(_)) => old.leased(action).0,
                    (None, _) => old.reset().0,
                };
            }
        }
        for (group, row) in rows {
            let of_group = changes.iter().filter(|change| change.group == group);
            let mut ends = of_group
                .filter_map(|change| Some((change.service, change.end?)))
                .peekable();
            // The ends before the cells that ask for them.
            if ends.peek().is_some() {
                self.write_ends(half, group, ends)?;
            }
            self.write_row(half, group, &row)?;
        }
        Ok(())
    }

    /// Brings cells of the live half to what the policy says at another instant. Those in `toggled`,
    /// by group and service, go on doing what was set by hand. Returns how many cells changed.
    pub fn reschedule(
        &mut self,
        cells: &[TimedCell<'_>],
        toggled: &HashSet<(u16, u16)>,
    ) -> Result<usize, KernelError> {
        let half = self.live_half()?;
        let mut rows: HashMap<u16, (ActionRow, usize)> = HashMap::new();
        for timed in cells {
            let (row, changed) = match rows.get_mut(&timed.group) {
                Some(row) => row,
                None => {
                    let row = self.action_row(half, timed.group)?;
                    rows.entry(timed.group).or_insert((row, 0))
                }
            };
            if let Some(cell) = row.0.get_mut(usize::from(timed.service)) {
                let old = ActionCell(*cell);
                let new = old.with_policy(timed.action);
                let new = match toggled.contains(&(timed.group, timed.service)) {
                    true => new,
                    false => new.reset(),
                };
                *changed += usize::from(new != old);
                *cell = new.0;
            }
        }
        let mut all = 0;
        for (group, (row, changed)) in rows {
            if changed > 0 {
                self.write_row(half, group, &row)?;
            }
            all += changed;
        }
        Ok(all)
    }

    /// The header of the live half.
    pub fn header(&self) -> Result<PolicyHeader, KernelError> {
        self.read_header(self.live_half()?)
    }

    /// Reads what is live.
    pub fn live(&self) -> Result<Live, KernelError> {
        let half = self.live_half()?;
        let header = self.read_header(half)?;
        let groups = self.read_groups(half, header.groups)?;
        let rows = (0..groups.len())
            .filter_map(|group| u16::try_from(group).ok())
            .map(|group| {
                let row = self.action_row(half, group)?;
                self.in_force_now(half, group, row)
            })
            .collect::<Result<Vec<_>, _>>()?;
        let services = self
            .service_numbers()?
            .iter()
            .map(|(id, number)| LiveService {
                number,
                id: id.to_owned(),
                cells: rows.iter().map(|row| cell(row, number)).collect(),
            })
            .collect();
        Ok(Live {
            header,
            groups,
            services,
        })
    }

    /// The remote ports that tell each service in the live policy, by service number.
    pub fn ports(&self) -> Result<BTreeMap<u16, Vec<PortRange>>, KernelError> {
        let half = self.live_half()?;
        Ok(ports_by_service(self.port_table(half)?.as_ref()))
    }

    /// Names of the live policy's groups, by number.
    pub fn groups(&self) -> Result<Vec<String>, KernelError> {
        let half = self.live_half()?;
        let header = self.read_header(half)?;
        self.read_groups(half, header.groups)
    }

    /// The numbers that are in force.
    pub fn service_numbers(&self) -> Result<ServiceNumbers, KernelError> {
        let names = self
            .service_names
            .iter()
            .collect::<Result<Vec<_>, _>>()
            .map_err(KernelError::map(
                maps::SERVICE_NAMES,
                "read the services' names",
            ))?;
        Ok(ServiceNumbers::from_names(
            names.iter().map(|name| name.0.as_str()),
        ))
    }

    /// Sets which passing packets WAN sides count; see [`Control`].
    pub fn set_flags(&mut self, flags: u32) -> Result<(), KernelError> {
        let control = self.control()?;
        self.set_control(Control { flags, ..control })
    }

    pub(super) fn read_header(&self, half: Half) -> Result<PolicyHeader, KernelError> {
        self.policies
            .get(&half.index(), 0)
            .map(|wire| wire.0)
            .map_err(KernelError::map(maps::POLICIES, "read the policy's header"))
    }

    fn write_header(&mut self, half: Half, header: PolicyHeader) -> Result<(), KernelError> {
        self.policies
            .set(half.index(), Wire(header), 0)
            .map_err(KernelError::map(
                maps::POLICIES,
                "write the policy's header",
            ))
    }

    fn write_row(&mut self, half: Half, group: u16, row: &ActionRow) -> Result<(), KernelError> {
        self.actions
            .set(ActionRow::index(half, group), Wire::wrap_ref(row), 0)
            .map_err(KernelError::map(maps::ACTIONS, "write a group's actions"))
    }

    pub(super) fn action_row(&self, half: Half, group: u16) -> Result<ActionRow, KernelError> {
        self.actions
            .get(&ActionRow::index(half, group), 0)
            .map(|wire| wire.0)
            .map_err(KernelError::map(maps::ACTIONS, "read a group's actions"))
    }

    fn write_groups(&mut self, half: Half, plan: &Plan) -> Result<(), KernelError> {
        for (group, (name, row)) in plan.groups.iter().zip(&plan.actions).enumerate() {
            let group = u16::try_from(group).unwrap_or(u16::MAX);
            self.write_row(half, group, row)?;
            let name = Name::new(name).unwrap_or(Name([0; _]));
            self.group_names
                .set(ActionRow::index(half, group), Wire(name), 0)
                .map_err(KernelError::map(maps::GROUP_NAMES, "write a group's name"))?;
        }
        Ok(())
    }

    fn write_rates(&mut self, half: Half, plan: &Plan) -> Result<(), KernelError> {
        for (number, rate) in (0..=u8::MAX).zip(&plan.rates) {
            self.rates
                .set(Rate::index(half, number), Wire(*rate), 0)
                .map_err(KernelError::map(maps::RATES, "write a rate"))?;
        }
        // Where nothing is limited, nobody asks for the rows.
        for (group, row) in (0..=u16::MAX).zip(&plan.rate_rows) {
            self.rate_rows
                .set(ActionRow::index(half, group), Wire::wrap_ref(row), 0)
                .map_err(KernelError::map(
                    maps::RATE_ROWS,
                    "write which rate a service has",
                ))?;
        }
        Ok(())
    }

    /// Touches only what differs.
    fn write_macs(&mut self, half: Half, plan: &Plan) -> Result<(), KernelError> {
        let key = |plan: &MacPlan| MacKey::new(half, plan.mac.octets());
        let mut wanted: HashMap<MacKey, u32> = plan
            .macs
            .iter()
            .map(|plan| (key(plan), u32::from(plan.group)))
            .collect();
        let mut stale = Vec::new();
        for entry in self.macs.iter() {
            let (key, group) = entry.map_err(KernelError::map(maps::MACS, "list the entries"))?;
            if u32::from(key.0.half) != half.index() {
                continue;
            }
            match wanted.get(&key.0) {
                Some(wanted_group) if *wanted_group == group => {
                    wanted.remove(&key.0);
                }
                Some(_) => {}
                None => stale.push(key),
            }
        }
        for key in stale {
            self.macs
                .remove(&key)
                .map_err(KernelError::map(maps::MACS, "remove an entry"))?;
        }
        for (key, group) in wanted {
            self.macs
                .insert(Wire(key), group, 0)
                .map_err(KernelError::map(maps::MACS, "write an entry"))?;
        }
        Ok(())
    }

    fn write_calls(&mut self, half: Half, plan: &Plan) -> Result<(), KernelError> {
        let index = half.index();
        self.generics
            .set(index, Wire(plan.generics), 0)
            .map_err(KernelError::map(
                maps::GENERICS,
                "write the services that stand for a protocol",
            ))?;
        self.calls
            .set(index, Wire(plan.calls), 0)
            .map_err(KernelError::map(
                maps::CALLS,
                "write the services that can be called with",
            ))?;
        self.carriers
            .set(index, Wire(plan.carriers), 0)
            .map_err(KernelError::map(
                maps::CARRIERS,
                "write the services in which others travel",
            ))?;
        self.hop_rules
            .set(index, Wire(plan.hops), 0)
            .map_err(KernelError::map(maps::HOP_RULES, "write the rule for hops"))
    }

    fn write_markers(&mut self, half: Half, plan: &Plan) -> Result<(), KernelError> {
        for transport in [Transport::Tcp, Transport::Udp] {
            let plans = plan.markers.of(transport);
            // Records beyond the last one are in no set, so nobody asks for them.
            for (number, marker) in (0..=u8::MAX).zip(plans) {
                self.markers
                    .set(
                        Marker::index(half, transport, number),
                        Wire(marker.record),
                        0,
                    )
                    .map_err(KernelError::map(maps::MARKERS, "write a marker"))?;
            }
            let sets = MarkerPlans::sets(plans);
            self.marker_sets
                .set(
                    MarkerSets::index(half, transport),
                    Wire::wrap_ref(sets.as_ref()),
                    0,
                )
                .map_err(KernelError::map(
                    maps::MARKER_SETS,
                    "write which markers fit what",
                ))?;
        }
        let stun = stun_table(&plan.stun_attributes);
        self.stun
            .set(half.index(), Wire::wrap_ref(stun.as_ref()), 0)
            .map_err(KernelError::map(maps::STUN, "write the STUN attributes"))
    }

    pub(super) fn read_groups(&self, half: Half, count: u32) -> Result<Vec<String>, KernelError> {
        let count = usize::try_from(count)
            .unwrap_or(GROUPS_MAX)
            .clamp(1, GROUPS_MAX);
        (0..=u16::MAX)
            .take(count)
            .map(|group| {
                let name = self
                    .group_names
                    .get(&ActionRow::index(half, group), 0)
                    .map_err(KernelError::map(maps::GROUP_NAMES, "read a group's name"))?;
                Ok(name.0.as_str().to_owned())
            })
            .collect()
    }

    fn write_service_names(&mut self, plan: &Plan) -> Result<(), KernelError> {
        for service in &plan.services {
            let name = Name::new(&service.id).unwrap_or(Name([0; _]));
            self.service_names
                .set(u32::from(service.number), Wire(name), 0)
                .map_err(KernelError::map(
                    maps::SERVICE_NAMES,
                    "write a service's name",
                ))?;
        }
        Ok(())
    }

    pub(super) fn port_table(&self, half: Half) -> Result<Box<PortTable>, KernelError> {
        let table = self.ports.get(&half.index(), 0);
        table
            .map(|wire| Box::new(wire.0))
            .map_err(KernelError::map(maps::PORTS, "read the port table"))
    }
}

/// Waits until no packet is still being judged by the half that is about to be rewritten: the
/// programs run under RCU, and this barrier waits for all of it (kernel 4.3). Where the kernel
/// refuses (`nohz_full`), a judgement has long ended after the pause.
fn await_readers() {
    if membarrier(MembarrierCommand::Global).is_err() {
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn header(plan: &Plan, generation: u32) -> PolicyHeader {
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    PolicyHeader {
        groups: u32::try_from(plan.groups.len()).unwrap_or(u32::MAX),
        generation,
        applied_at: now.as_secs(),
        hash: plan.hash(),
        name: Name::new(&plan.name).unwrap_or(Name([0; _])),
    }
}

fn cell(row: &ActionRow, service: u16) -> ActionCell {
    ActionCell(row.0.get(usize::from(service)).copied().unwrap_or_default())
}
