//! `cargo xtask verify`: what the kernel's verifier has to do for each program, under a budget.
//!
//! The verifier gives up at a million steps and at 512 bytes of stack. The budget leaves room for
//! what comes, and the figures on record make growth visible in the change that causes it.
//!
//! What a program costs the verifier does not depend on the policy: it never looks into a map, and
//! the object has no global data (a build that has is refused here). It knows how large a map is,
//! so each program is loaded with the smallest tables that a policy may ask for and with those of a
//! large site; the figures are of the large ones, and it is an error if the steps differ.

mod calls;
mod load;
mod log;
mod record;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use aya::programs::ProgramInfo;
use imblock::policy::plan::Limits;
use imblock_common::layout::Inside;
use serde_json::{Value, json};

use crate::kernel_object;
use crate::records::Records;
use crate::workspace::{OBJECT, PROGRAMS};
use calls::Grain;
use load::Relocated;
use record::{COARSE_STACK, Complaint, Figure, Figures, PEAK_STATES, Record, STACK, STATES, STEPS};

/// Where the figures are on record.
const RECORD: &str = "xtask/verifier.json";
/// A site of 200,000 (host, service) pairs, a million flows, and 100,000 prefixes and names.
const LARGE: Limits = Limits {
    hosts: 200_000,
    prefixes: 262_144,
    flows: 1_000_000,
    inside: Inside::NONE,
};
/// As little as a policy may ask for.
const SMALL: Limits = Limits {
    hosts: 1,
    prefixes: 256,
    flows: 0,
    inside: Inside::NONE,
};

#[derive(clap::Args, Default)]
pub(crate) struct Args {
    /// Put the figures of this kernel on record.
    #[arg(long)]
    record: bool,
    /// Also write the figures to a file, as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// What one program costs.
struct Row {
    program: &'static str,
    figures: Figures,
    /// What it took to load it.
    time: Duration,
    /// Bytes, as BPF and as machine code.
    sizes: [u32; 2],
}

pub(crate) fn run(args: &Args) -> Result<()> {
    if kernel_object::is_skipped("verify")? {
        return Ok(());
    }
    let rows = rows()?;
    let records = Records::<Record>::read(RECORD)?;
    let (kernel, before) = (records.kernel(), records.before());
    print(kernel, &rows, before);
    let complaints = rows.iter().flat_map(|row| {
        let before = before.and_then(|record| record.get(row.program));
        record::complaints(row.program, &row.figures, before)
    });
    let mut complaints: Vec<Complaint> = complaints.collect();
    if let Some(path) = &args.json {
        let text = serde_json::to_string_pretty(&json(kernel, &rows))? + "\n";
        std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    if args.record {
        let now = rows.into_iter();
        let now = now.map(|row| (row.program.to_owned(), row.figures));
        records.replace(now.collect())?;
        complaints.retain(|complaint| !complaint.growth);
    }
    let texts: Vec<String> = complaints.into_iter().map(|found| found.text).collect();
    ensure!(texts.is_empty(), "{}", texts.join("; "));
    Ok(())
}

fn rows() -> Result<Vec<Row>> {
    let (small, large) = (Relocated::with(&SMALL)?, Relocated::with(&LARGE)?);
    let mut object = kernel_object::open(OBJECT)?;
    let programs = PROGRAMS.into_iter();
    programs
        .map(|program| {
            let info = kernel_object::load(&mut object, program)?;
            row(program, &small, &large, &info)
        })
        .collect()
}

fn row(
    program: &'static str,
    small: &Relocated,
    large: &Relocated,
    info: &ProgramInfo,
) -> Result<Row> {
    let said = |of: &Relocated| -> Result<_> {
        let accepted = of.load(program)?;
        let said = log::parse(&accepted.log);
        let said = said.with_context(|| format!("{program}: no figures in {:?}", accepted.log))?;
        Ok((said, accepted.time))
    };
    let (now, time) = said(large)?;
    let (with_small, _) = said(small)?;
    ensure!(
        with_small.steps == now.steps,
        "{program}: {} steps with large tables, {} with small ones: what the verifier does depends on \
         their size",
        now.steps,
        with_small.steps
    );
    // Two ways to load the same: what is measured is what the controller loads.
    if let Some(loaded) = info.verified_instruction_count() {
        ensure!(
            loaded == now.steps,
            "{program}: {} steps here, {loaded} as the controller loads it",
            now.steps
        );
    }
    let stack = |grain| {
        let stack = calls::deepest(large.instructions(program)?, &now.stacks, grain);
        stack.with_context(|| {
            format!("{program}: the verifier's functions are not those of the program")
        })
    };
    let named = |figure: Figure, value| (figure.name().to_owned(), value);
    Ok(Row {
        program,
        figures: Figures::from([
            named(STEPS, now.steps),
            named(STACK, stack(Grain::Fine)?),
            named(COARSE_STACK, stack(Grain::Coarse)?),
            named(STATES, now.states),
            named(PEAK_STATES, now.peak_states),
        ]),
        time,
        sizes: [info.size_translated().unwrap_or(0), info.size_jitted()],
    })
}

fn print(kernel: &str, rows: &[Row], before: Option<&Record>) {
    println!(
        "{:<16} {:>8} {:>8} {:>8} {:>6} {:>6} {:>8} {:>8} {:>9}  steps on record",
        "program", "steps", "states", "at once", "stack", "<6.9", "load ms", "BPF B", "machine B"
    );
    for row in rows {
        let figure = |figure: Figure| row.figures.get(figure.name()).copied().unwrap_or(0);
        let before = before.and_then(|record| record.get(row.program)?.get(STEPS.name()));
        let [translated, jitted] = row.sizes;
        println!(
            "{:<16} {:>8} {:>8} {:>8} {:>6} {:>6} {:>8.0} {translated:>8} {jitted:>9}  {}",
            row.program,
            figure(STEPS),
            figure(STATES),
            figure(PEAK_STATES),
            figure(STACK),
            figure(COARSE_STACK),
            row.time.as_secs_f64() * 1e3,
            before.map_or_else(|| format!("nothing for {kernel}"), u32::to_string),
        );
    }
}

fn json(kernel: &str, rows: &[Row]) -> Value {
    let programs: Vec<_> = rows
        .iter()
        .map(|row| {
            let [translated, jitted] = row.sizes;
            json!({
                "program": row.program,
                "figures": row.figures,
                "load_ms": row.time.as_secs_f64() * 1e3,
                "bpf_bytes": translated,
                "machine_bytes": jitted,
            })
        })
        .collect();
    json!({ "version": 1, "kernel": kernel, "programs": programs })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_has_every_figure_by_its_name() {
        let row = Row {
            program: "p",
            figures: Figures::from([("steps".to_owned(), 7)]),
            time: Duration::from_millis(3),
            sizes: [10, 20],
        };
        let json = json("6.18", &[row]);
        assert_eq!(json.pointer("/programs/0/figures/steps"), Some(&json!(7)));
        assert_eq!(json.pointer("/programs/0/load_ms"), Some(&json!(3.0)));
        assert_eq!(json.pointer("/kernel"), Some(&json!("6.18")));
    }
}
