//! `cargo xtask verify`: what the kernel's verifier has to do for each program, under a budget.
//!
//! The verifier gives up at a million steps. The budget leaves room for what comes, and the figures
//! on record make growth visible in the change that causes it.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};

use crate::kernel_object;
use crate::workspace::{PROGRAMS, root};

/// 60 % of what the verifier is ready to do: the readers of names and the gathering of hellos take
/// half of it.
const BUDGET: u32 = 600_000;
/// Growth over the figure on record that somebody should look at, in percent.
const GROWTH_PERCENT: u32 = 10;

#[derive(clap::Args, Default)]
pub(crate) struct Args {
    /// Put the figures of this kernel on record.
    #[arg(long)]
    record: bool,
}

/// Steps by program, by kernel release (`6.18`): every verifier counts in its own way.
type Records = BTreeMap<String, BTreeMap<String, u32>>;

pub(crate) fn run(args: &Args) -> Result<()> {
    if let Some(reason) = kernel_object::why_not_permitted() {
        if std::env::var_os("IMBLOCK_REQUIRE_KERNEL").is_some_and(|value| value == "1") {
            bail!("{reason}");
        }
        println!("skipped: verify: {reason}");
        return Ok(());
    }
    let kernel = kernel_release()?;
    let mut records = read_records()?;
    let mut steps = BTreeMap::new();
    let mut complaints = Vec::new();
    let mut object = kernel_object::open()?;
    println!(
        "{:<12} {:>9} {:>8} {:>9}  on record",
        "program", "steps", "BPF B", "machine B"
    );
    for program in PROGRAMS {
        let info = kernel_object::load(&mut object, program)?;
        let now = info
            .verified_instruction_count()
            .context("this kernel does not tell the verifier's steps (5.16 does)")?;
        let before = records
            .get(&kernel)
            .and_then(|record| record.get(program))
            .copied();
        println!(
            "{program:<12} {now:>9} {:>8} {:>9}  {}",
            info.size_translated().unwrap_or(0),
            info.size_jitted(),
            before.map_or_else(
                || format!("nothing for {kernel}"),
                |steps| steps.to_string()
            ),
        );
        complaints.extend(complaint(program, now, before));
        steps.insert(program.to_owned(), now);
    }
    if args.record {
        records.insert(kernel, steps);
        complaints.retain(|complaint| !complaint.growth);
        fs::write(
            records_path(),
            serde_json::to_string_pretty(&records)? + "\n",
        )?;
    }
    if complaints.is_empty() {
        return Ok(());
    }
    let texts: Vec<String> = complaints
        .into_iter()
        .map(|complaint| complaint.text)
        .collect();
    bail!("{}", texts.join("; "))
}

/// Something about a program that should not be.
struct Complaint {
    text: String,
    /// It is about growth alone, which a new record settles.
    growth: bool,
}

fn complaint(program: &str, steps: u32, before: Option<u32>) -> Option<Complaint> {
    if steps > BUDGET {
        let text = format!("{program} takes {steps} of the {BUDGET} steps we allow ourselves");
        return Some(Complaint {
            text,
            growth: false,
        });
    }
    let before = before?;
    let limit = u64::from(before) * u64::from(100 + GROWTH_PERCENT) / 100;
    (u64::from(steps) > limit).then(|| Complaint {
        text: format!(
            "{program} grew from {before} to {steps} steps, by more than {GROWTH_PERCENT} %; \
             `cargo xtask verify --record` if that is meant"
        ),
        growth: true,
    })
}

/// The first two numbers of the running kernel's version.
fn kernel_release() -> Result<String> {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let numbers: Vec<&str> = release.split(['.', '-']).take(2).collect();
    Ok(numbers.join("."))
}

fn records_path() -> PathBuf {
    root().join("xtask/verifier.json")
}

fn read_records() -> Result<Records> {
    let path = records_path();
    match fs::read_to_string(&path) {
        Ok(text) => serde_json::from_str(&text)
            .with_context(|| format!("{} is not what `--record` writes", path.display())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Records::new()),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn within_budget_and_record_nobody_complains() {
        assert!(complaint("p", 11_000, Some(10_000)).is_none());
        assert!(complaint("p", 11_000, None).is_none());
        assert!(complaint("p", BUDGET, None).is_none());
    }

    #[test]
    fn growth_is_noticed() {
        assert!(complaint("p", 11_001, Some(10_000)).is_some_and(|complaint| complaint.growth));
    }

    #[test]
    fn the_budget_holds_whatever_is_on_record() {
        let complaint = complaint("p", BUDGET + 1, Some(BUDGET));
        assert!(complaint.is_some_and(|complaint| !complaint.growth));
    }
}
