//! `cargo xtask bench`: what imblock costs, beside an empty program and its peers.
//!
//! Each part is a module that answers with sheets: figures, promises, and what was left out and why.
//! Candidates are measured in turn within one run, so that all share the machine's mood, and medians
//! count. On a noisy machine a ratio means more than nanoseconds.

mod classes;
mod control;
pub(crate) mod count;
pub(crate) mod guard;
mod packets;
mod policy;
mod programs;
mod scale;
mod script;
mod sheet;
mod site;
mod timer;
mod veth;
mod xdp_filter;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use serde_json::json;

use crate::kernel_object;

use sheet::Sheet;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// What to measure; everything if nothing is named.
    parts: Vec<Part>,
    /// Also write the figures to a file, as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Also write the tables to a file, as Markdown.
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// How often each candidate is measured; the median counts.
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Frames a measurement.
    #[arg(long, default_value_t = 500_000, value_parser = clap::value_parser!(u32).range(1000..))]
    repeat: u32,
    /// Measure only what has this in its name.
    #[arg(long, value_name = "WORDS", default_value = "")]
    only: String,
    /// Fail when a promise is broken.
    #[arg(long)]
    enforce: bool,
}

/// A part of the benchmark.
#[derive(Clone, Copy, clap::ValueEnum)]
enum Part {
    /// One frame over and over, by class: nanoseconds and instructions.
    Packets,
    /// Filters on a cable: dropping, forwarding, payloads, many hosts, queues, latency.
    Veth,
    /// Commands and the controller: milliseconds and memory.
    Control,
    /// Small and large policies and tables: nanoseconds and memory.
    Scale,
}

impl Part {
    fn run(self, args: &Args) -> Result<Vec<Sheet>> {
        match self {
            Self::Packets => packets::run(args),
            Self::Veth => veth::run(args),
            Self::Control => control::run(args),
            Self::Scale => scale::run(args),
        }
    }
}

pub(crate) fn run(args: &Args) -> Result<()> {
    if let Some(reason) = kernel_object::why_not_permitted() {
        bail!("{reason}: the benchmark needs root, or CAP_BPF and CAP_NET_ADMIN");
    }
    let every = <Part as clap::ValueEnum>::value_variants();
    let parts = if args.parts.is_empty() {
        every
    } else {
        &args.parts
    };
    let mut sheets = Vec::new();
    for part in parts {
        for sheet in part.run(args)? {
            println!("{}", sheet::text(&sheet));
            sheets.push(sheet);
        }
    }
    if let Some(path) = &args.json {
        write(path, &json(&sheets, args)?)?;
    }
    if let Some(path) = &args.markdown {
        let tables: Vec<String> = sheets.iter().map(sheet::markdown).collect();
        write(path, &tables.join("\n"))?;
    }
    let promises = sheets.iter().flat_map(|sheet| &sheet.promises);
    let broken = promises.filter(|promise| promise.is_kept() == Some(false));
    match broken.count() {
        0 => Ok(()),
        broken if args.enforce => bail!("{broken} promises are broken"),
        _ => Ok(()),
    }
}

/// All sheets, and where they come from.
fn json(sheets: &[Sheet], args: &Args) -> Result<String> {
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let document = json!({
        "version": 2,
        "kernel": kernel.trim(),
        "cpu": cpu_model()?,
        "date": jiff::Timestamp::now().strftime("%Y-%m-%d").to_string(),
        "rounds": args.rounds,
        "repeat": args.repeat,
        "sheets": sheets.iter().map(sheet::json).collect::<Vec<_>>(),
    });
    Ok(serde_json::to_string_pretty(&document)? + "\n")
}

/// The processor's name; nothing where the kernel tells none.
fn cpu_model() -> Result<Option<String>> {
    let about = std::fs::read_to_string("/proc/cpuinfo")?;
    let line = about.lines().find(|line| line.starts_with("model name"));
    let name = line.and_then(|line| line.split_once(':'));
    Ok(name.map(|(_, name)| name.trim().to_owned()))
}

fn write(path: &Path, text: &str) -> Result<()> {
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}
