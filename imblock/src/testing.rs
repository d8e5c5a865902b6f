//! For tests alone: how a test that can't run says so, and the clock of those that measure.
//!
//! A test never passes in silence without having run. It prints a line and, under `cargo xtask
//! test`, is counted as skipped; where the kernel is required (`IMBLOCK_REQUIRE_KERNEL=1`), a test
//! that lacks it fails.

use std::io::Write as _;
use std::path::Path;
use std::time::Duration;
use std::{env, fmt, fs, io};

use aya::programs::ProgramType;
use rustix::time::{ClockId, clock_gettime};

/// Set to `1` where the kernel must be there: a test that lacks it then fails.
const REQUIRE_KERNEL: &str = "IMBLOCK_REQUIRE_KERNEL";
/// File that skips are appended to, a line each. libtest swallows what passing tests print.
const SKIP_LOG: &str = "IMBLOCK_SKIP_LOG";

/// Whether this process may load BPF programs. If not, the test is noted as skipped and should
/// return.
///
/// # Panics
///
/// When it may not, and `IMBLOCK_REQUIRE_KERNEL=1`.
pub fn kernel_or_skip(test: &str) -> bool {
    match aya::sys::is_program_supported(ProgramType::Xdp) {
        Ok(true) => true,
        Ok(false) => {
            skip_for_kernel(test, "this kernel has no XDP");
            false
        }
        Err(error) => {
            skip_for_kernel(test, format_args!("BPF is not permitted here ({error})"));
            false
        }
    }
}

/// The processor time that this thread has used: what a test measures by that takes no longer while the
/// machine has other things to do.
pub fn worked() -> Duration {
    let spent = clock_gettime(ClockId::ThreadCPUTime);
    Duration::try_from(spent).unwrap_or_default()
}

/// Notes that a test was skipped because the kernel refuses something it needs.
///
/// # Panics
///
/// When `IMBLOCK_REQUIRE_KERNEL=1`.
pub fn skip_for_kernel(test: &str, reason: impl fmt::Display) {
    let required = env::var_os(REQUIRE_KERNEL).is_some_and(|value| value == "1");
    fail_if_required(required, test, &reason);
    skip(test, reason);
}

/// Notes that a test was skipped for want of something that nobody is obliged to have.
pub fn skip(test: &str, reason: impl fmt::Display) {
    let line = format!("skipped: {test}: {reason}\n");
    eprint!("{line}");
    let Some(log) = env::var_os(SKIP_LOG) else {
        return;
    };
    if let Err(error) = append(Path::new(&log), &line) {
        eprintln!("{SKIP_LOG} can't be written: {error}");
    }
}

#[expect(clippy::panic, reason = "a test that must not be skipped has to fail")]
fn fail_if_required(required: bool, test: &str, reason: &impl fmt::Display) {
    if required {
        panic!("{test} must run here ({REQUIRE_KERNEL}=1), but {reason}");
    }
}

/// One write, so that the lines of tests that run side by side stay whole.
fn append(log: &Path, line: &str) -> io::Result<()> {
    let mut log = fs::OpenOptions::new().create(true).append(true).open(log)?;
    log.write_all(line.as_bytes())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn skips_add_up_in_the_log() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("skips");
        append(&log, "one\n").unwrap();
        append(&log, "two\n").unwrap();
        assert_eq!(fs::read_to_string(log).unwrap(), "one\ntwo\n");
    }

    #[test]
    fn a_test_may_be_skipped_where_the_kernel_is_not_required() {
        fail_if_required(false, "some_test", &"it is a teapot");
    }

    #[test]
    #[should_panic(expected = "some_test must run here (IMBLOCK_REQUIRE_KERNEL=1), but it is a")]
    fn no_test_is_skipped_where_the_kernel_is_required() {
        fail_if_required(true, "some_test", &"it is a teapot");
    }
}
