//! Developer commands: see `cargo xtask --help`.
//!
//! Depends on `imblock`, which embeds the kernel object: without the committed one not even the task
//! that builds it could be built.

mod accuracy;
mod bench;
mod bpf;
mod build_ebpf;
mod ci;
mod drill;
mod executable;
mod fuzz;
mod kernel_object;
mod matrix;
mod records;
mod test;
mod tidy;
mod verify;
mod workspace;

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;

/// Developer commands.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
enum Task {
    /// Build the kernel object, imblock/bpf/imblock.o, byte for byte reproducibly.
    BuildEbpf(build_ebpf::Args),
    /// Run every test; the last line is the sum: N passed, N failed, N skipped.
    Test(test::Args),
    /// Measure what imblock costs, beside an empty program and its peers.
    Bench(bench::Args),
    /// Count the instructions that a packet takes, by class of frame.
    Count(bench::count::Args),
    /// Hold what a packet costs against the record: instructions, and ratios to xdp-filter.
    Guard(bench::guard::Args),
    /// Measure what imblock tells of the labelled captures, if they lie beside the project.
    Accuracy(accuracy::Args),
    /// Load every program and hold the verifier's steps under a budget.
    Verify(verify::Args),
    /// Run the tests of killed and confirmed applies with their full counts, and print the figures.
    Drill(drill::Args),
    /// Feed the reader of policies what nobody would write, under a bound of memory and time.
    Fuzz(fuzz::Args),
    /// Try older kernels of the distribution in virtual machines, with the real binaries inside.
    Matrix(matrix::Args),
    /// Check the house rules that no compiler knows.
    Tidy,
    /// Run every check that a change must pass.
    Ci,
}

fn main() -> ExitCode {
    run(&Task::parse()).unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

fn run(task: &Task) -> Result<ExitCode> {
    match task {
        Task::BuildEbpf(args) => build_ebpf::run(args)?,
        Task::Test(args) => return test::run(args),
        Task::Bench(args) => bench::run(args)?,
        Task::Count(args) => bench::count::run(args)?,
        Task::Guard(args) => bench::guard::run(args)?,
        Task::Accuracy(args) => accuracy::run(args)?,
        Task::Verify(args) => verify::run(args)?,
        Task::Drill(args) => drill::run(args)?,
        Task::Fuzz(args) => fuzz::run(args)?,
        Task::Matrix(args) => return matrix::run(args),
        Task::Tidy => tidy::run()?,
        Task::Ci => return ci::run(),
    }
    Ok(ExitCode::SUCCESS)
}
