//! `cargo xtask test`: every test of the workspace, and one sum over all of them as the last line.
//!
//! A test that fails beside others is run once more, alone: on a busy machine, what must happen within
//! a time may come late. It counts by how it ends alone, and is named, for a test that needs quiet wants
//! to be mended.

mod printed;

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io::{BufRead as _, BufReader};
use std::num::NonZero;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context as _, Result, ensure};
use printed::Printed;

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
    let company = cargo_test(args, &threads(), skip_log.path())?;
    let (mut summary, failures) = (company.summary, company.failures);
    if summary.failed != 0 && summary.failed == failures.len() {
        println!("=== alone: {}", list(&failures));
        let mut names = Vec::from(["--".to_owned(), "--exact".to_owned()]);
        names.extend(failures.iter().cloned());
        let alone = cargo_test(&names, "1".as_ref(), skip_log.path())?;
        let (needs_quiet, failed): (BTreeSet<String>, BTreeSet<String>) = failures
            .into_iter()
            .partition(|name| alone.passes.contains(name) && !alone.failures.contains(name));
        summary.passed += needs_quiet.len();
        summary.failed = failed.len();
        if !needs_quiet.is_empty() {
            println!("failed beside others, passed alone: {}", list(&needs_quiet));
        }
        if !failed.is_empty() {
            println!("failed alone, too: {}", list(&failed));
        }
    } else if !company.succeeded && summary.failed == 0 {
        println!("cargo test failed outside of any test: see above");
        summary.failed = 1;
    }
    let skips = std::fs::read_to_string(skip_log.path())?;
    summary.take_skips(&skips);
    if !skips.is_empty() {
        print!("\n{skips}");
    }
    Ok(summary)
}

fn list(names: &BTreeSet<String>) -> String {
    names
        .iter()
        .map(String::as_str)
        .collect::<Vec<_>>()
        .join(", ")
}

/// Runs `cargo test` with so many tests of a binary at the same time, and shows what it prints.
fn cargo_test(args: &[String], threads: &OsStr, skip_log: &Path) -> Result<Printed> {
    let mut cargo = Command::new("cargo")
        .current_dir(root())
        .args(["test", "--workspace", "--locked", "--no-fail-fast"])
        .args(args)
        .env("IMBLOCK_SKIP_LOG", skip_log)
        .env(THREADS, threads)
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start cargo")?;
    let mut printed = Printed::default();
    let stdout = cargo.stdout.take().context("cargo has no output")?;
    for line in BufReader::new(stdout).lines() {
        let line = line?;
        println!("{line}");
        printed.take_line(&line);
    }
    printed.succeeded = cargo.wait()?.success();
    Ok(printed)
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
