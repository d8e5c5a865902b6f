//! `cargo xtask matrix`: older kernels of the distribution, booted in virtual machines with the real
//! binaries inside.
//!
//! Invariant: the machine stays as it is. Kernels come from the distribution's archive by a private
//! configuration of apt, everything lies under `target/matrix/`, and the guests have no disk and no
//! network. The kernel of the machine itself is what `cargo xtask test` tries.

mod apt;
mod guest;
mod inside;
mod kernels;
mod modules;
mod outcome;
mod programs;
mod report;
mod table;
mod vm;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result, ensure};

use crate::workspace::root;
use guest::Guest;
use kernels::{SERIES, Series};
use outcome::{Row, Trial};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only these series (`6.1`), separated by commas.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Write the results to this file, as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Ask the archive for newer kernels than those fetched before.
    #[arg(long)]
    update: bool,
    /// Only the verifier: a minute instead of many.
    #[arg(long)]
    load: bool,
    /// Only kernel tests with this in their names.
    #[arg(long, value_name = "NAME")]
    tests: Option<String>,
    /// What runs inside of a guest: verify every program, and print the outcome as JSON.
    #[arg(long, hide = true)]
    inside: bool,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    if args.inside {
        return inside::run();
    }
    let chosen = choose(&args.only)?;
    programs::require()?;
    let work = root().join("target/matrix");
    std::fs::create_dir_all(&work)?;
    let guest = Guest::build(&work, args.load, args.tests.as_deref())?;
    let mut rows = Vec::new();
    for series in chosen {
        println!("Linux {}: {}", series.number, series.suite);
        let trial = try_one(series, &guest, args.update);
        if let Err(error) = &trial {
            println!("{error:#}\n");
        }
        rows.push(Row {
            series,
            trial: trial.map_err(|error| format!("{error:#}")),
        });
    }
    print!("{}", table::text(&rows));
    if let Some(path) = &args.json {
        let text = serde_json::to_string_pretty(&table::json(&rows))? + "\n";
        std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    let failed = rows
        .iter()
        .any(|row| row.series.supported && !row.is_good());
    Ok(ExitCode::from(u8::from(failed)))
}

fn choose(only: &[String]) -> Result<Vec<&'static Series>> {
    for wanted in only {
        let numbers: Vec<&str> = SERIES.iter().map(|series| series.number).collect();
        ensure!(
            numbers.contains(&wanted.as_str()),
            "there is no series {wanted} here, but {}",
            numbers.join(", ")
        );
    }
    let is_wanted =
        |series: &&Series| only.is_empty() || only.iter().any(|wanted| wanted == series.number);
    Ok(SERIES.iter().filter(is_wanted).collect())
}

fn try_one(series: &Series, guest: &Guest, update: bool) -> Result<Trial> {
    let kernel = kernels::provide(series, &guest.work, update)?;
    let initramfs = guest.initramfs(&kernel)?;
    let logs = guest.work.join("logs").join(series.number);
    let report = vm::boot(&kernel.image, &initramfs, &logs, guest.patience())?;
    Trial::read(&kernel.release, &report::sections(&report), &guest.names())
        .with_context(|| format!("what the guest said is in {}", logs.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_are_chosen_by_number() {
        let numbers = |only: &[&str]| -> Option<Vec<&str>> {
            let only: Vec<String> = only.iter().map(ToString::to_string).collect();
            let chosen = choose(&only).ok()?;
            Some(chosen.iter().map(|series| series.number).collect())
        };
        assert_eq!(numbers(&["6.1"]), Some(vec!["6.1"]));
        assert_eq!(numbers(&[]).map(|all| all.len()), Some(SERIES.len()));
        assert_eq!(numbers(&["2.4"]), None);
    }
}
