//! The programs of the machine that the matrix needs, and how to get those that are missing.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

/// Debian packages, and the program that is wanted from each.
const NEEDED: [(&str, &str); 6] = [
    ("qemu-system-x86", "qemu-system-x86_64"),
    ("busybox-static", "busybox"),
    ("cpio", "cpio"),
    ("xz-utils", "xz"),
    ("dpkg", "dpkg-deb"),
    ("apt", "apt-get"),
];

/// An error that names every missing package at once.
pub(super) fn require() -> Result<()> {
    let missing = missing_packages(|program| find(program).is_some());
    if missing.is_empty() {
        return Ok(());
    }
    let packages = missing.join(" ");
    bail!(
        "missing here: {packages}; `apt-get install --no-install-recommends {packages}` brings them"
    )
}

fn missing_packages(is_there: impl Fn(&str) -> bool) -> Vec<&'static str> {
    NEEDED
        .into_iter()
        .filter(|(_, program)| !is_there(program))
        .map(|(package, _)| package)
        .collect()
}

/// Where a program is, on the path or where administrators' programs are.
pub(super) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let fixed = ["/usr/sbin", "/sbin"].map(PathBuf::from);
    std::env::split_paths(&path)
        .chain(fixed)
        .map(|folder: PathBuf| folder.join(program))
        .find(|path: &PathBuf| Path::is_file(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_are_named_for_the_programs_that_lack() {
        let there = |program: &str| !["cpio", "qemu-system-x86_64"].contains(&program);
        assert_eq!(missing_packages(there), ["qemu-system-x86", "cpio"]);
        assert!(missing_packages(|_| true).is_empty());
    }
}
