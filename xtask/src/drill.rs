//! `cargo xtask drill`: the tests that are about many repetitions, with all of them.

use std::process::Command;

use anyhow::Result;

use crate::workspace::{call, root};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only tests with this in their name.
    #[arg(default_value = "commit::")]
    name: String,
}

/// Minutes, not seconds: policies that cut the operator off, applies that are killed, applies under
/// traffic.
pub(crate) fn run(args: &Args) -> Result<()> {
    call(
        Command::new("cargo")
            .current_dir(root())
            .args(["test", "-p", "imblock", "--test", "netns", "--locked", "--"])
            .args(["--nocapture", "--test-threads=1", &args.name])
            .env("IMBLOCK_DRILL", "1")
            .env("IMBLOCK_REQUIRE_KERNEL", "1"),
    )
}
