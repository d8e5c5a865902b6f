//! `cargo xtask guard`: whether a packet has become dearer than on record.
//!
//! Two figures that do not depend on the machine's mood are compared: the instructions of each class, and
//! what two classes cost over what xdp-filter takes for the same frame. Nanoseconds are not looked at.

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};

use super::classes::{self, Class};
use super::packets::{self, Pledge};
use super::programs::Programs;
use super::{count, timer};
use crate::kernel_object;
use crate::records::{GROWTH_PERCENT, Records};

/// Where the figures are on record.
const RECORD: &str = "xtask/instructions.json";
/// How much above the record a ratio may be before it is a regression: twice what it moves by itself.
const TOLERANCE: f64 = 0.10;
/// What is promised is fine, whatever is on record: another processor has other ratios.
const PROMISED: f64 = 0.60;
/// Enough for a median, and for a stage of less than a minute.
const ROUNDS: u32 = 9;
const REPEAT: u32 = 200_000;
/// How often the ratios are measured at most. Who shares the processor's caches makes ours dearer than
/// xdp-filter's, which has no counters; what a change makes dearer is so each time.
const ATTEMPTS: u32 = 5;

#[derive(clap::Args, Default)]
pub(crate) struct Args {
    /// Put the figures of this kernel on record.
    #[arg(long)]
    record: bool,
}

/// What packets cost on one kernel.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Record {
    /// Of BPF, by class.
    instructions: BTreeMap<String, u64>,
    /// To xdp-filter's cost, by class. None if it was not there.
    ratios: BTreeMap<String, f64>,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    if kernel_object::is_skipped("guard")? {
        return Ok(());
    }
    let records = Records::read(RECORD)?;
    let before = records.before();
    let now = measure(before)?;
    if args.record {
        return records.replace(now);
    }
    let Some(before) = before else {
        let kernel = records.kernel();
        println!("there is no record for Linux {kernel}; `cargo xtask guard --record` makes one");
        return Ok(());
    };
    let complaints = complaints(before, &now);
    if complaints.is_empty() {
        return Ok(());
    }
    bail!(
        "{}; `cargo xtask guard --record` if that is meant",
        complaints.join("; ")
    )
}

/// Measures, and prints what was found beside what is on record.
fn measure(before: Option<&Record>) -> Result<Record> {
    let classes = classes::all();
    let counts = count::of(&classes)?;
    let mut now = Record::default();
    for (class, run) in classes.iter().zip(&counts) {
        let known = before.and_then(|record| record.instructions.get(class.name));
        let known = known.map_or("none".to_owned(), u64::to_string);
        println!(
            "{:>6} instructions, {known:>6} on record: {}",
            run.instructions, class.name
        );
        now.instructions
            .insert(class.name.to_owned(), run.instructions);
    }
    now.ratios = ratios(classes)?;
    let is_dearer = |now: &Record| before.is_some_and(|before| !dearer(before, now).is_empty());
    for _ in 1..ATTEMPTS {
        if !is_dearer(&now) {
            break;
        }
        println!("again, for a ratio is above the record");
        for (class, ratio) in ratios(classes::all())? {
            let best = now.ratios.entry(class).or_insert(ratio);
            *best = best.min(ratio);
        }
    }
    for (class, ratio) in &now.ratios {
        let known = before.and_then(|record| record.ratios.get(class));
        let known = known.map_or("none".to_owned(), |ratio| format!("{ratio:.2}"));
        println!("{ratio:>6.2} of xdp-filter, {known:>6} on record: {class}");
    }
    Ok(now)
}

/// To xdp-filter's cost: the first class of those that are dropped, and of those that nothing is about.
fn ratios(mut classes: Vec<Class>) -> Result<BTreeMap<String, f64>> {
    let first = |pledge| {
        let class = classes.iter().find(|class| class.pledge == Some(pledge));
        class.map(|class| class.name)
    };
    let chosen = [first(Pledge::Drop), first(Pledge::Nothing)];
    classes.retain(|class| chosen.contains(&Some(class.name)));
    timer::bind_to_one_cpu()?;
    let programs = Programs::load(&classes)?;
    if let Some(reason) = programs.why_no_xdp_filter() {
        println!("skipped: the comparison with xdp-filter: {reason}");
        return Ok(BTreeMap::new());
    }
    let samples = packets::samples(&programs, &classes, ROUNDS, REPEAT)?;
    let ratios = classes.iter().zip(samples).filter_map(|(class, samples)| {
        let ratio = samples.row(class, 0).ratio()?;
        Some((class.name.to_owned(), (ratio * 100.0).round() / 100.0))
    });
    Ok(ratios.collect())
}

fn complaints(before: &Record, now: &Record) -> Vec<String> {
    let grown = now.instructions.iter().filter_map(|(class, now)| {
        let before = before.instructions.get(class)?;
        (now * 100 > before * u64::from(100 + GROWTH_PERCENT)).then(|| {
            format!(
                "{class}: {before} instructions became {now}, more than {GROWTH_PERCENT} % growth"
            )
        })
    });
    grown.chain(dearer(before, now)).collect()
}

/// Ratios that are above the record.
fn dearer(before: &Record, now: &Record) -> Vec<String> {
    let dearer = now.ratios.iter().filter_map(|(class, now)| {
        let before = before.ratios.get(class)?;
        (*now > PROMISED.max(before + TOLERANCE))
            .then(|| format!("{class}: {now:.2} of xdp-filter's cost, and {before:.2} on record"))
    });
    dearer.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(instructions: u64, ratio: f64) -> Record {
        Record {
            instructions: BTreeMap::from([("a".to_owned(), instructions)]),
            ratios: BTreeMap::from([("a".to_owned(), ratio)]),
        }
    }

    #[test]
    fn within_bounds_nobody_complains() {
        let before = record(1000, 0.40);
        for now in [record(1100, 0.40), record(10, 0.6), record(1000, 0.1)] {
            assert_eq!(complaints(&before, &now), Vec::<String>::new());
        }
    }

    #[test]
    fn growth_of_either_is_noticed() {
        let before = record(1000, 0.55);
        let [more] = &complaints(&before, &record(1101, 0.55))[..] else {
            unreachable!("one figure grew")
        };
        assert!(more.contains("1101"), "{more}");
        let [dearer] = &complaints(&before, &record(1000, 0.66))[..] else {
            unreachable!("one figure grew")
        };
        assert!(dearer.contains("0.66"), "{dearer}");
    }

    #[test]
    fn what_is_not_on_record_is_not_judged() {
        assert!(complaints(&Record::default(), &record(9999, 9.0)).is_empty());
    }
}
