//! Where things are in the checkout, and how programs are called from it.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use imblock_common::layout::programs;

/// The kernel object that users get, from the top of the checkout.
pub(crate) const OBJECT: &str = "imblock/bpf/imblock.o";

/// Programs that only the benchmark runs.
pub(crate) const BENCH_OBJECT: &str = "xtask/bpf/bench.o";

/// Every program in the kernel object.
pub(crate) const PROGRAMS: [&str; 10] = [
    programs::LAN_INGRESS,
    programs::LAN_EGRESS,
    programs::WAN_INGRESS,
    programs::WAN_EGRESS,
    programs::XDP_FLOW,
    programs::XDP_DEPTH,
    programs::XDP_REJECT,
    programs::SKB_FLOW,
    programs::SKB_DEPTH,
    programs::SKB_REJECT,
];

/// The top of the checkout.
pub(crate) fn root() -> PathBuf {
    // Cargo says at run time where the checkout is now; it may have moved since xtask was built.
    let xtask = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    xtask.parent().map_or(xtask.clone(), Path::to_path_buf)
}

/// Runs a program to its end; an error unless it succeeds.
pub(crate) fn call(command: &mut Command) -> Result<()> {
    let name = name_of(command);
    let status = command
        .status()
        .with_context(|| format!("cannot start {name}"))?;
    if !status.success() {
        bail!("{name} failed ({status})");
    }
    Ok(())
}

/// Runs a program and returns what it prints; an error unless it succeeds.
pub(crate) fn output_of(command: &mut Command) -> Result<String> {
    let name = name_of(command);
    let output = command
        .output()
        .with_context(|| format!("cannot start {name}"))?;
    if !output.status.success() {
        match String::from_utf8_lossy(&output.stderr).trim() {
            "" => bail!("{name} failed ({})", output.status),
            words => bail!("{name} failed ({}): {words}", output.status),
        }
    }
    String::from_utf8(output.stdout).with_context(|| format!("{name} printed no UTF-8"))
}

fn name_of(command: &Command) -> String {
    command.get_program().to_string_lossy().into_owned()
}
