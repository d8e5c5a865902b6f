//! `cargo xtask bench`: what the kernel program costs a packet, in nanoseconds of CPU time.
//!
//! Method: `BPF_PROG_TEST_RUN` over one frame a class, many times a call, in CPU time of this
//! thread, which is bound to one CPU. Every round measures an empty program, ours and, where it is
//! installed, xdp-filter's, one after the other, so that all three share the machine's mood; the
//! cost is the median over the rounds of (program − empty). Where a class has many hosts or flows, a
//! small program in front writes a random one of them into each frame, for ours as for the empty one.
//! The policy is the whole catalogue's, so the tables are as full as anybody's.
//! On a noisy machine the ratio to xdp-filter means more than the nanoseconds.

mod classes;
mod policy;
mod programs;
mod report;
mod sheet;
mod timer;

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail, ensure};

use crate::kernel_object;
use classes::Class;
use programs::Programs;
use report::Row;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Also write the figures to a file, as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// How often each class is measured; the median counts.
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Frames a measurement.
    #[arg(long, default_value_t = 500_000, value_parser = clap::value_parser!(u32).range(1000..))]
    repeat: u32,
    /// Measure only the classes with this in their name.
    #[arg(long, value_name = "WORDS", default_value = "")]
    only: String,
    /// Fail when a target is missed.
    #[arg(long)]
    enforce: bool,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    if let Some(reason) = kernel_object::why_not_permitted() {
        bail!("{reason}: the benchmark needs root, or CAP_BPF and CAP_NET_ADMIN");
    }
    timer::bind_to_one_cpu()?;
    let mut classes = classes::all();
    classes.retain(|class| class.name.contains(&args.only));
    ensure!(
        !classes.is_empty(),
        "no class has `{}` in its name",
        args.only
    );
    let programs = Programs::load(&classes)?;
    if let Some(reason) = programs.why_no_xdp_filter() {
        println!("skipped: the comparison with xdp-filter: {reason}");
    }
    for class in &classes {
        programs.prove(class)?;
    }
    let mut samples: Vec<Samples> = classes.iter().map(|_| Samples::default()).collect();
    for _ in 0..args.rounds {
        for (class, samples) in classes.iter().zip(&mut samples) {
            samples.measure(&programs, class, args.repeat)?;
        }
    }
    let rows: Vec<Row> = classes
        .iter()
        .zip(&samples)
        .map(|(class, samples)| samples.row(class))
        .collect();
    let targets = report::targets(&rows);
    report::print(&rows, &targets);
    if let Some(path) = &args.json {
        let json = report::json(&rows, &targets, args.rounds, args.repeat)?;
        std::fs::write(path, json).with_context(|| format!("cannot write {}", path.display()))?;
    }
    if args.enforce && targets.iter().any(|target| !target.met()) {
        bail!("a target is missed");
    }
    Ok(())
}

/// Nanoseconds a frame, a value a round.
#[derive(Default)]
struct Samples {
    empty: Vec<f64>,
    ours: Vec<f64>,
    xdp_filter: Vec<f64>,
}

impl Samples {
    fn measure(&mut self, programs: &Programs, class: &Class, repeat: u32) -> Result<()> {
        let empty = timer::nanoseconds(programs.empty(class)?, &class.frame, repeat)?;
        let ours = timer::nanoseconds(programs.ours(class)?, &class.frame, repeat)?;
        self.empty.push(empty);
        self.ours.push(ours - empty);
        if let Some(xdp_filter) = programs.xdp_filter(class) {
            let xdp_filter = timer::nanoseconds(xdp_filter, &class.frame, repeat)?;
            self.xdp_filter.push(xdp_filter - empty);
        }
        Ok(())
    }

    fn row(&self, class: &Class) -> Row {
        Row {
            class: class.name,
            target: class.target,
            empty: timer::median(&self.empty),
            ours: timer::median(&self.ours),
            quartiles: timer::quartiles(&self.ours),
            xdp_filter: (!self.xdp_filter.is_empty()).then(|| timer::median(&self.xdp_filter)),
        }
    }
}
