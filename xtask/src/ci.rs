//! `cargo xtask ci`: everything that must hold before a change goes in.
//!
//! A stage that fails stops no other, so that one run tells all there is to tell; the tests' sum is
//! printed last of all.

use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Instant;

use anyhow::Result;

use crate::bench::guard;
use crate::test::Summary;
use crate::workspace::{call, root};
use crate::{build_ebpf, test, tidy, verify};

pub(crate) fn run() -> Result<ExitCode> {
    let root = root();
    let mut summary = Summary::default();
    let mut stages = Stages::default();
    stages.run("format", || {
        call(cargo(&root).args(["fmt", "--all", "--check"]))?;
        call(cargo(&root.join("imblock-ebpf")).args(["fmt", "--check"]))
    });
    stages.run("tidy", tidy::run);
    stages.run("clippy", || {
        let workspace = ["clippy", "--workspace", "--all-targets", "--locked"];
        call(cargo(&root).args(workspace).args(["--", "-Dwarnings"]))
    });
    stages.run("clippy for the kernel", build_ebpf::clippy);
    stages.run("kernel object", build_ebpf::check);
    stages.run("verifier", || verify::run(&verify::Args::default()));
    stages.run("bench guard", || guard::run(&guard::Args::default()));
    stages.run("tests", || {
        summary = test::run_tests(&[])?;
        summary.check()
    });
    stages.run("demo", || {
        call(cargo(&root).args(["run", "--release", "--locked", "--", "demo"]))
    });
    let exit_code = stages.report();
    println!("{summary}");
    Ok(exit_code)
}

/// The stages that have run.
#[derive(Default)]
struct Stages {
    lines: Vec<String>,
    failed: bool,
}

impl Stages {
    fn run(&mut self, name: &str, work: impl FnOnce() -> Result<()>) {
        println!("=== {name}");
        let start = Instant::now();
        let result = work();
        let seconds = start.elapsed().as_secs();
        self.lines.push(match result {
            Ok(()) => format!("{seconds:>5} s  ok      {name}"),
            Err(error) => {
                self.failed = true;
                println!("error: {error:#}");
                format!("{seconds:>5} s  FAILED  {name}: {error:#}")
            }
        });
    }

    fn report(&self) -> ExitCode {
        println!("=== stages");
        for line in &self.lines {
            println!("{line}");
        }
        if self.failed {
            ExitCode::FAILURE
        } else {
            ExitCode::SUCCESS
        }
    }
}

fn cargo(folder: &Path) -> Command {
    let mut cargo = Command::new("cargo");
    cargo.current_dir(folder);
    cargo
}
