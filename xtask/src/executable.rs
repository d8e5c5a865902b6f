//! The executables of imblock's package, for tasks that run them. Cargo builds them, and says itself
//! where it has put them.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::workspace::{output_of, root};

/// imblock as users get it.
pub(crate) fn release() -> Result<PathBuf> {
    println!("building imblock, if it is not built");
    build(&["build", "--release", "--bin", "imblock"], "imblock")
}

/// imblock unoptimised, which takes seconds to build and not minutes.
pub(crate) fn debug() -> Result<PathBuf> {
    build(&["build", "--bin", "imblock"], "imblock")
}

/// One of its test binaries.
pub(crate) fn tests(name: &str) -> Result<PathBuf> {
    build(&["test", "--no-run", "--test", name], name)
}

fn build(command: &[&str], name: &str) -> Result<PathBuf> {
    let messages = output_of(
        Command::new("cargo")
            .current_dir(root())
            .args(command)
            .args(["--package", "imblock", "--locked", "--quiet"])
            .args(["--message-format", "json-render-diagnostics"])
            .stderr(Stdio::inherit()),
    )?;
    named(&messages, name).with_context(|| format!("cargo made no executable {name}"))
}

/// The path of an executable in what cargo says, a document a line.
fn named(messages: &str, name: &str) -> Option<PathBuf> {
    messages.lines().find_map(|line| {
        let message: Value = serde_json::from_str(line).ok()?;
        let is_it = message.pointer("/target/name")? == name;
        let path = message.get("executable")?.as_str()?;
        is_it.then(|| path.into())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_executable_is_where_cargo_says() {
        let messages = "{\"reason\":\"compiler-artifact\",\"target\":{\"name\":\"kernel\"},\"executable\":null}\n\
                        {\"reason\":\"compiler-artifact\",\"target\":{\"name\":\"imblock\"},\"executable\":\"/t/imblock\"}\n\
                        {\"reason\":\"compiler-artifact\",\"target\":{\"name\":\"kernel\"},\"executable\":\"/t/kernel-1\"}\n\
                        {\"reason\":\"build-finished\",\"success\":true}\n";
        assert_eq!(named(messages, "kernel"), Some("/t/kernel-1".into()));
        assert_eq!(named(messages, "netns"), None);
    }
}
