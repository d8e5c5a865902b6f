//! The time that a run of the interpreter sees: it stands still, so that counts are the same each time.

use anyhow::{Context as _, Result};
use rustix::time::{ClockId, Timespec, clock_gettime};

pub(super) struct Clock {
    /// `CLOCK_BOOTTIME`, in nanoseconds.
    pub(super) boot: u64,
    /// `CLOCK_MONOTONIC_COARSE`, in nanoseconds.
    pub(super) coarse: u64,
    /// Ticks.
    pub(super) jiffies: u64,
}

impl Clock {
    pub(super) fn read() -> Result<Self> {
        let timers = std::fs::read_to_string("/proc/timer_list")
            .context("cannot read /proc/timer_list, which has the time in ticks")?;
        let jiffies = timers
            .lines()
            .find_map(|line| line.strip_prefix("jiffies: "))
            .context("no time in ticks in /proc/timer_list")?;
        Ok(Self {
            boot: nanoseconds(clock_gettime(ClockId::Boottime))?,
            coarse: nanoseconds(clock_gettime(ClockId::MonotonicCoarse))?,
            jiffies: jiffies.trim().parse().context("ticks are a number")?,
        })
    }
}

fn nanoseconds(time: Timespec) -> Result<u64> {
    let since = std::time::Duration::try_from(time)?;
    Ok(u64::try_from(since.as_nanos())?)
}
