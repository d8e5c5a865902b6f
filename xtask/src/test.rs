//! `cargo xtask test`: every test of the workspace, and one sum over all of them as the last line.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fmt;
use std::io::{BufRead as _, BufReader};
use std::num::NonZero;
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context as _, Result, ensure};

use crate::workspace::root;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Passed on to `cargo test`: a part of the tests' names, or `-p PACKAGE`.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<String>,
}

/// What the test harness takes for the number of tests that run at the same time.
const THREADS: &str = "RUST_TEST_THREADS";

/// As many tests at once as the caller says, or else two a CPU: those that take long wait most of the
/// time, for clients, timers and the kernel.
fn threads() -> OsString {
    std::env::var_os(THREADS).unwrap_or_else(|| {
        let cpus = std::thread::available_parallelism().map_or(1, NonZero::get);
        (2 * cpus).to_string().into()
    })
}

/// How the tests ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Summary {
    passed: usize,
    failed: usize,
    skipped: usize,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let summary = run_tests(&args.args)?;
    println!("{summary}");
    Ok(summary.exit_code())
}

/// Runs the tests and shows what they print. The summary is left for the caller to print.
pub(crate) fn run_tests(args: &[String]) -> Result<Summary> {
    let skip_log = tempfile::NamedTempFile::new()?;
    let mut cargo = Command::new("cargo")
        .current_dir(root())
        .args(["test", "--workspace", "--locked", "--no-fail-fast"])
        .args(args)
        .env("IMBLOCK_SKIP_LOG", skip_log.path())
        .env(THREADS, threads())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start cargo")?;
    let mut summary = Summary::default();
    let stdout = cargo.stdout.take().context("cargo has no output")?;
    for line in BufReader::new(stdout).lines() {
        let line = line?;
        println!("{line}");
        summary.add_result_line(&line);
    }
    let succeeded = cargo.wait()?.success();
    let skips = std::fs::read_to_string(skip_log.path())?;
    summary.take_skips(&skips);
    if !skips.is_empty() {
        print!("\n{skips}");
    }
    if !succeeded && summary.failed == 0 {
        println!("cargo test failed outside of any test: see above");
        summary.failed = 1;
    }
    Ok(summary)
}

impl Summary {
    /// Of what one test binary printed, with its notes about skipped tests; none if it did not come
    /// to its end.
    pub(crate) fn of_binary(text: &str) -> Option<Self> {
        let result = text
            .lines()
            .find(|line| line.starts_with("test result: "))?;
        let mut summary = Self::default();
        summary.add_result_line(result);
        summary.take_skips(text);
        Some(summary)
    }

    /// Adds what a test binary says at its end: `test result: ok. 3 passed; 0 failed; 1 ignored; …`.
    fn add_result_line(&mut self, line: &str) {
        let Some(result) = line.strip_prefix("test result: ") else {
            return;
        };
        let number_before = |word: &str| {
            result
                .split([';', '.'])
                .find_map(|part| part.trim().strip_suffix(word)?.trim().parse::<usize>().ok())
                .unwrap_or(0)
        };
        self.passed += number_before("passed");
        self.failed += number_before("failed");
        self.skipped += number_before("ignored");
    }

    /// Moves the tests that noted themselves as skipped from the passed, where the test binaries
    /// count them. A test may note several reasons, a line each: `skipped: TEST: REASON`.
    fn take_skips(&mut self, log: &str) {
        let tests: BTreeSet<&str> = log
            .lines()
            .filter_map(|line| line.strip_prefix("skipped: ")?.split(": ").next())
            .collect();
        let skipped = tests.len().min(self.passed);
        self.passed -= skipped;
        self.skipped += skipped;
    }

    fn exit_code(self) -> ExitCode {
        if self.failed == 0 {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }
    }

    /// An error unless all went well.
    pub(crate) fn check(self) -> Result<()> {
        ensure!(self.failed == 0, "{self}");
        Ok(())
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            passed,
            failed,
            skipped,
        } = self;
        write!(f, "{passed} passed, {failed} failed, {skipped} skipped")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_of_all_binaries_add_up() {
        let mut summary = Summary::default();
        for line in [
            "running 12 tests",
            "test result: ok. 12 passed; 0 failed; 2 ignored; 0 measured; 3 filtered out; finished in 1.25s",
            "test result: FAILED. 3 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.10s",
        ] {
            summary.add_result_line(line);
        }
        assert_eq!(summary.to_string(), "15 passed, 1 failed, 2 skipped");
        assert_eq!(summary.exit_code(), ExitCode::FAILURE);
    }

    #[test]
    fn a_skipped_test_did_not_pass() {
        let mut summary = Summary {
            passed: 5,
            failed: 0,
            skipped: 0,
        };
        summary.take_skips(
            "skipped: a::b: no right\nskipped: a::b: no tool: tshark\nskipped: c: no capture\n",
        );
        assert_eq!(summary.to_string(), "3 passed, 0 failed, 2 skipped");
    }
}
