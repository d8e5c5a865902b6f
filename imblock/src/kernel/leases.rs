//! Leases: what is done about a service until a time, which the programs hold against their clock.
//!
//! Invariant: a lease ends when its time is over, by the kernel alone, never before and less than a
//! second after.

use std::time::{Duration, SystemTime};

use bytemuck::{TransparentWrapper as _, Zeroable as _};
use imblock_common::layout::{ActionCell, ActionRow, Half, LeaseRow, maps};
use rustix::time::{ClockId, clock_gettime};

use super::KernelError;
use super::maps::Maps;
use super::tables::ActionChange;
use super::wire::Wire;
use crate::policy::plan::LeasePlan;

/// A second, in units of the programs' clock: how far apart two reckonings of one end may be.
const SLACK: u32 = 15;

/// The end of a lease on the programs' clock, from one on the wall, in seconds since 1970.
///
/// The programs' clock is not set by anybody: when the wall clock is, a lease keeps its span.
pub fn lease_end(until: u64) -> u32 {
    let wall = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    let left = Duration::from_secs(until).saturating_sub(wall);
    let left = u64::try_from(left.as_nanos()).unwrap_or(u64::MAX);
    // One more unit: what has begun counts as whole, so that no lease ends early.
    LeaseRow::time(since_boot().saturating_add(left)).wrapping_add(1)
}

impl Maps {
    /// Writes the ends of leases into a half, those of the cells that a plan has leased.
    pub(super) fn write_leases(
        &mut self,
        half: Half,
        leases: &[LeasePlan],
    ) -> Result<(), KernelError> {
        let mut groups: Vec<u16> = leases.iter().map(|lease| lease.group).collect();
        groups.sort_unstable();
        groups.dedup();
        for group in groups {
            let ends = leases.iter().filter(|lease| lease.group == group);
            let ends = ends.map(|lease| (lease.service, lease_end(lease.until)));
            self.write_ends(half, group, ends)?;
        }
        Ok(())
    }

    /// Writes the ends of some of a group's leases.
    pub(super) fn write_ends(
        &mut self,
        half: Half,
        group: u16,
        ends: impl Iterator<Item = (u16, u32)>,
    ) -> Result<(), KernelError> {
        let mut row = self.lease_row(half, group)?;
        for (service, end) in ends {
            if let Some(place) = row.0.get_mut(usize::from(service)) {
                *place = end;
            }
        }
        self.leases
            .set(ActionRow::index(half, group), Wire::wrap_ref(&row), 0)
            .map_err(KernelError::map(maps::LEASES, "write the ends of leases"))
    }

    /// A row of cells as they count now: where a lease is over, what the policy says.
    pub(super) fn in_force_now(
        &self,
        half: Half,
        group: u16,
        row: ActionRow,
    ) -> Result<ActionRow, KernelError> {
        let leased = |cell: &u8| ActionCell(*cell).is_leased();
        let ends = match row.0.iter().any(leased) {
            true => self.lease_row(half, group)?,
            false => LeaseRow::zeroed(),
        };
        let now = LeaseRow::time(since_boot());
        let mut row = row;
        for (cell, end) in row.0.iter_mut().zip(ends.0) {
            let in_force = ActionCell(*cell).in_force(|| LeaseRow::is_over(end, now));
            *cell = in_force.0;
        }
        Ok(row)
    }

    /// Whether a leased cell's time is the one that was reckoned just now, give or take what two readings of the
    /// clocks are apart.
    pub(super) fn ends_at(
        &self,
        half: Half,
        change: &ActionChange,
        end: u32,
    ) -> Result<bool, KernelError> {
        let row = self.lease_row(half, change.group)?;
        let known = row.0.get(usize::from(change.service));
        Ok(known.is_some_and(|known| known.abs_diff(end) <= SLACK))
    }

    fn lease_row(&self, half: Half, group: u16) -> Result<LeaseRow, KernelError> {
        self.leases
            .get(&ActionRow::index(half, group), 0)
            .map(|wire| wire.0)
            .map_err(KernelError::map(maps::LEASES, "read the ends of leases"))
    }
}

/// The clock of leases, in nanoseconds.
fn since_boot() -> u64 {
    const SECOND: u64 = 1_000_000_000;
    let now = clock_gettime(ClockId::Boottime);
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    let nanoseconds = u64::try_from(now.tv_nsec).unwrap_or(0);
    seconds.saturating_mul(SECOND).saturating_add(nanoseconds)
}
