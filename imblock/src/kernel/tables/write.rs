//! The tables of a plan, one after the other, written into a half that is idle.

use std::collections::HashMap;

use bytemuck::TransparentWrapper as _;
use imblock_common::Transport;
use imblock_common::layout::{
    ActionRow, GROUPS_MAX, Half, MacKey, Marker, MarkerSets, Name, PortTable, Rate, maps,
};

use crate::kernel::KernelError;
use crate::kernel::maps::Maps;
use crate::kernel::wire::Wire;
use crate::policy::plan::{MacPlan, MarkerPlans, stun_table};
use crate::policy::{Plan, TimedCell};

impl Maps {
    pub(in crate::kernel) fn write_row(
        &mut self,
        half: Half,
        group: u16,
        row: &ActionRow,
    ) -> Result<(), KernelError> {
        self.actions
            .set(ActionRow::index(half, group), Wire::wrap_ref(row), 0)
            .map_err(KernelError::map(maps::ACTIONS, "write a group's actions"))
    }

    pub(in crate::kernel) fn action_row(
        &self,
        half: Half,
        group: u16,
    ) -> Result<ActionRow, KernelError> {
        self.actions
            .get(&ActionRow::index(half, group), 0)
            .map(|wire| wire.0)
            .map_err(KernelError::map(maps::ACTIONS, "read a group's actions"))
    }

    pub(in crate::kernel) fn write_groups(
        &mut self,
        half: Half,
        plan: &Plan,
    ) -> Result<(), KernelError> {
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

    pub(in crate::kernel) fn write_rates(
        &mut self,
        half: Half,
        plan: &Plan,
    ) -> Result<(), KernelError> {
        for (number, rate) in (0..=u8::MAX).zip(&plan.rates) {
            self.rates
                .set(Rate::index(half, number), Wire(*rate), 0)
                .map_err(KernelError::map(maps::RATES, "write a rate"))?;
        }
        // Where nothing is limited, nobody asks for the rows.
        for (group, row) in (0..=u16::MAX).zip(&plan.rate_rows) {
            self.write_rate_row(half, group, row)?;
        }
        Ok(())
    }

    fn write_rate_row(
        &mut self,
        half: Half,
        group: u16,
        row: &ActionRow,
    ) -> Result<(), KernelError> {
        self.rate_rows
            .set(ActionRow::index(half, group), Wire::wrap_ref(row), 0)
            .map_err(KernelError::map(
                maps::RATE_ROWS,
                "write which rate a service has",
            ))
    }

    /// Brings the rates of cells to what the policy says at another instant, before the cells ask for
    /// them. Those that don't limit then keep what they had.
    pub(in crate::kernel) fn change_rates(
        &mut self,
        half: Half,
        cells: &[TimedCell<'_>],
    ) -> Result<(), KernelError> {
        let mut rows: HashMap<u16, [ActionRow; 2]> = HashMap::new();
        for timed in cells.iter().filter(|timed| timed.rate != 0) {
            let [_, row] = match rows.get_mut(&timed.group) {
                Some(row) => row,
                None => {
                    let row = self.rate_row(half, timed.group)?;
                    rows.entry(timed.group).or_insert([row; 2])
                }
            };
            if let Some(cell) = row.0.get_mut(usize::from(timed.service)) {
                *cell = timed.rate;
            }
        }
        for (group, [old, new]) in rows {
            if new != old {
                self.write_rate_row(half, group, &new)?;
            }
        }
        Ok(())
    }

    fn rate_row(&self, half: Half, group: u16) -> Result<ActionRow, KernelError> {
        self.rate_rows
            .get(&ActionRow::index(half, group), 0)
            .map(|wire| wire.0)
            .map_err(KernelError::map(
                maps::RATE_ROWS,
                "read which rate a service has",
            ))
    }

    /// Touches only what differs.
    pub(in crate::kernel) fn write_macs(
        &mut self,
        half: Half,
        plan: &Plan,
    ) -> Result<(), KernelError> {
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

    pub(in crate::kernel) fn write_calls(
        &mut self,
        half: Half,
        plan: &Plan,
    ) -> Result<(), KernelError> {
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

    pub(in crate::kernel) fn write_markers(
        &mut self,
        half: Half,
        plan: &Plan,
    ) -> Result<(), KernelError> {
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

    pub(in crate::kernel) fn read_groups(
        &self,
        half: Half,
        count: u32,
    ) -> Result<Vec<String>, KernelError> {
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

    pub(in crate::kernel) fn write_service_names(
        &mut self,
        plan: &Plan,
    ) -> Result<(), KernelError> {
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

    pub(in crate::kernel) fn port_table(&self, half: Half) -> Result<Box<PortTable>, KernelError> {
        let table = self.ports.get(&half.index(), 0);
        table
            .map(|wire| Box::new(wire.0))
            .map_err(KernelError::map(maps::PORTS, "read the port table"))
    }
}
