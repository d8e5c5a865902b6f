//! The systemd unit: what it starts exists, and systemd takes it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::Parser as _;
use imblock::cli::{Cli, Command as Typed};
use imblock::testing::skip;

fn unit() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging/imblock.service")
}

/// The value of a setting.
fn setting(name: &str) -> String {
    let text = fs::read_to_string(unit()).unwrap();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(&format!("{name}=")));
    line.unwrap_or_else(|| panic!("no {name}")).to_owned()
}

#[test]
fn the_unit_starts_what_exists() {
    let start = setting("ExecStart");
    let typed = Cli::try_parse_from(start.split_whitespace()).unwrap();
    let Typed::Run(run) = typed.command else {
        panic!("it does not run: {start}");
    };
    assert!(run.keep, "a restart must leave no gap");
    assert_eq!(setting("Type"), "notify");
    assert_eq!(setting("StateDirectory"), "imblock");
}

#[test]
fn systemd_takes_the_unit() {
    let dir = tempfile::tempdir().unwrap();
    // systemd wants the program to be there.
    let text = fs::read_to_string(unit()).unwrap();
    let binary = crate::support::executable();
    let here = text.replace("/usr/bin/imblock", binary.to_str().unwrap());
    assert_ne!(here, text);
    let path = dir.path().join("imblock.service");
    fs::write(&path, here).unwrap();
    let verified = Command::new("systemd-analyze")
        .args(["verify", "--man=no"])
        .arg(&path)
        .output();
    let Ok(output) = verified else {
        return skip("systemd_takes_the_unit", "there is no systemd-analyze here");
    };
    let said = String::from_utf8_lossy(&output.stderr);
    // Other units of the machine may be faulty.
    let ours: Vec<&str> = said
        .lines()
        .filter(|line| line.contains("imblock"))
        .collect();
    assert!(output.status.success() && ours.is_empty(), "{said}");
}
