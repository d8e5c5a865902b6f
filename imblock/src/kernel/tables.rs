//! Putting a plan into the idle half and making it the live one; reading and toggling what is live.

mod write;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::{Duration, SystemTime};

use bytemuck::{TransparentWrapper as _, Zeroable as _};
use imblock_common::layout::{
    ActionCell, ActionRow, Control, Half, Name, PolicyHeader, PortEntry, PortTable, maps,
};
use imblock_common::{Action, Transport};
use rustix::thread::{MembarrierCommand, membarrier};

use super::KernelError;
use super::maps::Maps;
use super::wire::Wire;
use crate::policy::Plan;
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

    /// Whether the live cells do what these changes would make them do.
    pub fn does(&self, changes: &[ActionChange]) -> Result<bool, KernelError> {
        let half = self.live_half()?;
        for change in changes {
            let row = self.action_row(half, change.group)?;
            let now = cell(&self.in_force_now(half, change.group, row)?, change.service);
            let does = match (change.action, change.end) {
                (Some(action), None) => now == now.overridden(action),
                (Some(action), Some(end)) => {
                    now == now.leased(action) && self.ends_at(half, change, end)?
                }
                (None, _) => now == now.reset(),
            };
            if !does {
                return Ok(false);
            }
        }
        Ok(true)
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
        self.change_rates(half, cells)?;
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

    /// The ports through which the live policy lets operators reach the box, whatever its rules say.
    pub fn management_ports(&self) -> Result<Vec<(Transport, u16)>, KernelError> {
        let table = self.port_table(self.live_half()?)?;
        let ports = [Transport::Tcp, Transport::Udp]
            .into_iter()
            .flat_map(|transport| (0..=u16::MAX).map(move |port| (transport, port)));
        let entry = |transport, port| table.0.get(PortTable::index(transport, port)).copied();
        Ok(ports
            .filter(|(transport, port)| {
                entry(*transport, *port).is_some_and(|entry| PortEntry(entry).is_management())
            })
            .collect())
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
