//! CPU time of test runs and of programs, on which CPUs it is spent, and the middle of many figures.

use std::time::Duration;

use anyhow::{Context as _, Result};
use aya::programs::{TestRun as _, TestRunOptions, Xdp};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use rustix::time::{ClockId, clock_gettime};

/// Keeps this thread on one CPU, so that its counters stay in one cache and in one CPU's copy.
/// Says which.
pub(super) fn bind_to_one_cpu() -> Result<usize> {
    let allowed = sched_getaffinity(None)?;
    let cpu = (0..CpuSet::MAX_CPU)
        .rev()
        .find(|cpu| allowed.is_set(*cpu))
        .context("this process may run on no CPU")?;
    stay_on(cpu)?;
    Ok(cpu)
}

/// Keeps this thread on a CPU.
pub(super) fn stay_on(cpu: usize) -> Result<()> {
    let mut one = CpuSet::new();
    one.set(cpu);
    sched_setaffinity(None, &one).with_context(|| format!("cannot stay on CPU {cpu}"))
}

/// Lets this thread, and what it starts, run where the machine lets it.
pub(super) fn use_every_cpu() -> Result<()> {
    let mut all = CpuSet::new();
    (0..CpuSet::MAX_CPU).for_each(|cpu| all.set(cpu));
    sched_setaffinity(None, &all).context("cannot leave one CPU")
}

/// What a program costs a frame, the kernel's loop included. The cost of the call itself is taken
/// off: that of a call of two frames, which prepares the same things.
pub(super) fn nanoseconds(program: &Xdp, frame: &[u8], repeat: u32) -> Result<f64> {
    const CALL: u32 = 2;
    let call = cpu_time(program, frame, CALL)?;
    let all = cpu_time(program, frame, repeat)?;
    Ok((all - call) / f64::from(repeat - CALL))
}

/// CPU time of one call, in nanoseconds. The kernel's own figure is in whole nanoseconds a frame.
fn cpu_time(program: &Xdp, frame: &[u8], repeat: u32) -> Result<f64> {
    let mut options = TestRunOptions::new();
    options.data_in = Some(frame);
    options.repeat = repeat;
    let start = clock_gettime(ClockId::ThreadCPUTime);
    program.test_run(options)?;
    let end = clock_gettime(ClockId::ThreadCPUTime);
    let used = Duration::try_from(end - start)?;
    Ok(used.as_secs_f64() * 1e9)
}

/// What the processes took that this one has started and waited for, to a hundredth of a second.
pub(super) fn cpu_time_of_children() -> Result<Duration> {
    children(&std::fs::read_to_string("/proc/self/stat")?)
        .context("the kernel does not tell CPU time")
}

/// `cutime` and `cstime` of proc(5), which are in hundredths of a second for every program.
fn children(stat: &str) -> Option<Duration> {
    // The name in front may have blanks in it.
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut fields = fields.split(' ').skip(13);
    let mut next = || fields.next()?.parse::<u64>().ok();
    let hundredths = next()? + next()?;
    Some(Duration::from_millis(hundredths * 10))
}

/// The middle value; not a number if there is none.
pub(super) fn median(values: &[f64]) -> f64 {
    quantile(values, 50)
}

/// The values a quarter from either end.
pub(super) fn quartiles(values: &[f64]) -> [f64; 2] {
    [quantile(values, 25), quantile(values, 75)]
}

/// The mean of the middle half: of whole numbers that differ by few, it says more than the middle one.
pub(super) fn middle_mean(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let quarter = sorted.len() / 4;
    let middle: Vec<f64> = sorted
        .iter()
        .skip(quarter)
        .take(sorted.len() - 2 * quarter)
        .copied()
        .collect();
    middle.iter().sum::<f64>() / middle.len() as f64
}

/// What so many in a hundred do not exceed; not a number if there is none.
pub(super) fn quantile(values: &[f64], hundredths: usize) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let place = sorted.len().saturating_sub(1) * hundredths / 100;
    sorted.get(place).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_ignores_outliers() {
        let values = [9.0, 900.0, 8.0, 10.0, 11.0];
        assert!((median(&values) - 10.0).abs() < f64::EPSILON);
        assert_eq!(quartiles(&values).map(f64::round), [9.0, 11.0]);
    }

    #[test]
    fn the_mean_of_the_middle_ignores_them_too() {
        let values = [9.0, 900.0, 10.0, 10.0, 11.0, 9.0, 0.0, 11.0];
        assert!((middle_mean(&values) - 10.0).abs() < f64::EPSILON);
    }

    #[test]
    fn one_in_a_hundred_is_later_than_the_tail() {
        let times: Vec<f64> = (0..=100).rev().map(f64::from).collect();
        assert!((quantile(&times, 99) - 99.0).abs() < f64::EPSILON);
        assert!((quantile(&times, 50) - 50.0).abs() < f64::EPSILON);
    }

    #[test]
    fn the_time_of_children_is_found_behind_any_name() {
        let stat = "12 (a b) c) S 1 12 12 0 -1 4194560 1 2 3 4 50 60 70 80 20 0 1 0";
        assert_eq!(children(stat), Some(Duration::from_millis(1500)));
        assert_eq!(children("12 (a) S 1"), None);
        assert!(cpu_time_of_children().is_ok());
    }

    #[test]
    fn of_nothing_there_is_no_middle() {
        assert!(median(&[]).is_nan());
        assert!(middle_mean(&[]).is_nan());
    }
}
