//! Developer commands: see `cargo xtask --help`.
//!
//! Depends on `imblock-common` but not on `imblock`, so that the kernel object can be built when
//! the controller, which embeds it, can't.

mod build_ebpf;
mod workspace;

use std::process::ExitCode;

use clap::Parser;

/// Developer commands.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
enum Task {
    /// Build the kernel object, imblock/bpf/imblock.o, byte for byte reproducibly.
    BuildEbpf(build_ebpf::Args),
}

fn main() -> ExitCode {
    let result = match Task::parse() {
        Task::BuildEbpf(args) => build_ebpf::run(&args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
