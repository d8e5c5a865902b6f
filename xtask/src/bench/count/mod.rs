//! `cargo xtask count`: how many instructions a packet takes, by class of frame.
//!
//! The programs that the kernel runs, as its verifier has rewritten them, are interpreted here over the
//! contents of their maps. The figure depends on the kernel and on the policy, and on nothing else: it is
//! the same each time. It is not a time: an instruction may wait for memory, and what the kernel's own
//! functions take is not in it. Other tables than the policy's are empty at a class's beginning, and the
//! fronts that choose hosts and flows are left out.
//!
//! Each frame is given to the kernel, too, and an answer of its that differs from the one found here is
//! an error: then the figure would be of another way through the program.

mod arithmetic;
mod clock;
mod helpers;
mod instruction;
mod machine;
mod maps;
mod memory;
mod symbols;

use anyhow::{Context as _, Result, bail, ensure};
use aya::programs::{TestRun as _, TestRunOptions, Xdp};
use imblock_common::Side;

use super::classes::{self, Class};
use super::{policy, programs, timer};
use crate::kernel_object;
use machine::Machine;
pub(super) use machine::Run;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Count only the classes with this in their name.
    #[arg(long, value_name = "WORDS", default_value = "")]
    only: String,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    if let Some(reason) = kernel_object::why_not_permitted() {
        bail!("{reason}: to count needs root");
    }
    let mut classes = classes::all();
    classes.retain(|class| class.name.contains(&args.only));
    let runs = of(&classes)?;
    let width = classes.iter().map(|class| class.name.len()).max();
    let width = width.unwrap_or(0);
    println!(
        "{:<width$}  instructions  functions  tail calls  helpers",
        "BPF instructions a packet"
    );
    for (class, run) in classes.iter().zip(&runs) {
        println!(
            "{:<width$}  {:>12}  {:>9}  {:>10}  {}",
            class.name,
            run.instructions,
            run.calls,
            run.tail_calls,
            helpers_of(run)
        );
    }
    Ok(())
}

/// The kernel's functions that were called, and how often, if more than once.
fn helpers_of(run: &Run) -> String {
    let names = run.helpers.iter().map(|(name, count)| match count {
        1 => name.clone(),
        _ => format!("{count} {name}"),
    });
    names.collect::<Vec<_>>().join(", ")
}

/// What a frame of each class takes.
pub(super) fn of(classes: &[Class]) -> Result<Vec<Run>> {
    let cpu = timer::bind_to_one_cpu()?;
    ensure_not_hardened()?;
    let (ours, _maps) = programs::with_policy(&policy::plan()?)?;
    let program = ours.ingress(Side::Lan)?;
    let id = program.info()?.id();
    let mut machine = Machine::new(cpu)?;
    let mut runs = Vec::new();
    for class in classes {
        let mut frames = class.before.iter().chain([&class.frame]);
        let run = frames.try_fold(Run::default(), |_, frame| {
            proven(&mut machine, id, program, frame)
        });
        let run = run.with_context(|| class.name)?;
        ensure!(
            run.verdict == class.verdict as u32,
            "{}: the verdict is {}, not {:?}",
            class.name,
            run.verdict,
            class.verdict
        );
        runs.push(run);
        machine.memory.restore()?;
    }
    Ok(runs)
}

/// Interprets a program over a frame, and gives the frame to the kernel: the answers must be the same.
fn proven(machine: &mut Machine, id: u32, program: &Xdp, frame: &[u8]) -> Result<Run> {
    let run = machine.run(id, frame)?;
    let length = machine.memory.frame_length();
    let found = machine.memory.frame(0, length).context("no frame")?;
    let mut after = vec![0; found.len() + frame.len()];
    let options = TestRunOptions {
        data_in: Some(frame),
        data_out: Some(&mut after),
        ..TestRunOptions::new()
    };
    let kernel = program.test_run(options)?;
    after.truncate(usize::try_from(kernel.data_size_out)?);
    ensure!(
        run.verdict == kernel.return_value && found == after,
        "interpreted, the verdict is {} and the frame has {length} bytes; the kernel's is {}, and the \
         frame has {}: the count would be wrong",
        run.verdict,
        kernel.return_value,
        after.len(),
    );
    Ok(run)
}

/// A hardened kernel hides constants in more instructions, also from root.
fn ensure_not_hardened() -> Result<()> {
    const SETTING: &str = "/proc/sys/net/core/bpf_jit_harden";
    let setting = std::fs::read_to_string(SETTING).unwrap_or_default();
    ensure!(
        setting.trim() != "2",
        "net.core.bpf_jit_harden is 2, which changes programs: with 0 or 1 they can be counted"
    );
    Ok(())
}
