//! `cargo xtask ci`: everything that must hold before a change goes in.

use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Instant;

use anyhow::Result;

use crate::workspace::{call, root};
use crate::{build_ebpf, test, tidy, verify};

/// The stages, cheapest first. The tests' sum is printed last of all.
pub(crate) fn run() -> Result<ExitCode> {
    let root = root();
    stage("format", || {
        call(cargo(&root).args(["fmt", "--all", "--check"]))?;
        call(cargo(&root.join("imblock-ebpf")).args(["fmt", "--check"]))
    })?;
    stage("tidy", tidy::run)?;
    stage("clippy", || {
        let clippy = [
            "clippy",
            "--workspace",
            "--all-targets",
            "--locked",
            "--",
            "-Dwarnings",
        ];
        call(cargo(&root).args(clippy))
    })?;
    stage("clippy for the kernel", build_ebpf::clippy)?;
    stage("kernel object", build_ebpf::check)?;
    stage("verifier", || verify::run(&verify::Args::default()))?;
    let summary = stage("tests", || test::run_tests(&[]))?;
    stage("demo", || {
        call(cargo(&root).args(["run", "--release", "--locked", "--", "demo"]))
    })?;
    println!("{summary}");
    Ok(summary.exit_code())
}

/// Runs a stage and says how long it took.
fn stage<T>(name: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    println!("=== {name}");
    let start = Instant::now();
    let result = work();
    let end = if result.is_ok() { "done" } else { "FAILED" };
    println!("=== {name}: {end} after {} s", start.elapsed().as_secs());
    result
}

fn cargo(folder: &Path) -> Command {
    let mut cargo = Command::new("cargo");
    cargo.current_dir(folder);
    cargo
}
