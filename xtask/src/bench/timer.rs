//! CPU time of test runs, and the middle of many.

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
    let mut one = CpuSet::new();
    one.set(cpu);
    sched_setaffinity(None, &one).with_context(|| format!("cannot stay on CPU {cpu}"))?;
    Ok(cpu)
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
    let used = std::time::Duration::try_from(end - start)?;
    Ok(used.as_secs_f64() * 1e9)
}

/// The middle value; not a number if there is none.
pub(super) fn median(values: &[f64]) -> f64 {
    quantile(values, 1, 2)
}

/// The values a quarter from either end.
pub(super) fn quartiles(values: &[f64]) -> [f64; 2] {
    [quantile(values, 1, 4), quantile(values, 3, 4)]
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

fn quantile(values: &[f64], part: usize, of: usize) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let place = sorted.len().saturating_sub(1) * part / of;
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
    fn of_nothing_there_is_no_middle() {
        assert!(median(&[]).is_nan());
        assert!(middle_mean(&[]).is_nan());
    }
}
