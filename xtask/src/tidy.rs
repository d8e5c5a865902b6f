//! `cargo xtask tidy`: the house rules that no compiler knows.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::workspace::root;

/// A leaf that grows past this is two leaves. Unit tests at its end are not counted.
const LINES_MAX: usize = 400;
/// Files that may be longer, and why.
const LONG_FILES: [(&str, &str); 10] = [
    (
        "imblock-ebpf/src/maps.rs",
        "one list of every map, next to the answers that come from it",
    ),
    (
        "imblock-ebpf/src/steps.rs",
        "one list of every function that the verifier walks by itself",
    ),
    (
        "imblock-common/src/layout.rs",
        "one list of every type that both homes share, next to its assertions",
    ),
    (
        "imblock-common/src/testkit/frame.rs",
        "one builder, a short method for each thing that a frame can be",
    ),
    (
        "imblock/tests/captures/formats.rs",
        "one list of captures, good and bad, of every kind that is read",
    ),
    (
        "imblock/tests/policies.rs",
        "one list of what the catalogue and the ready policies promise",
    ),
    (
        "imblock/tests/names.rs",
        "one list of what names and prefixes promise",
    ),
    (
        "imblock/tests/markers.rs",
        "one list of what markers promise, and the naive reader they are held against",
    ),
    (
        "imblock-common/tests/names.rs",
        "one list of the messages that carry names, good and bad",
    ),
    (
        "imblock/tests/policy_errors.rs",
        "one list of mistakes, each with the whole text that people read",
    ),
];

/// Where memory is touched by hand, or threads are moved between namespaces: the kernel boundary.
const UNSAFE_FILES: [&str; 16] = [
    "imblock-ebpf/src/bench.rs", // writes an address into a packet
    "imblock-ebpf/src/hook.rs",  // contexts, and what the kernel offers there
    "imblock-ebpf/src/main.rs",  // the licence's section
    "imblock-ebpf/src/maps.rs",
    "imblock-ebpf/src/reader.rs",
    "imblock-ebpf/src/reject.rs",       // frames that are rewritten
    "imblock/src/kernel/batch.rs",      // bpf(2) itself
    "imblock/src/kernel/handshakes.rs", // a promise about a descriptor
    "imblock/src/kernel/mapped.rs",     // memory shared with the kernel
    "imblock-ebpf/src/steps.rs",        // exported names, and pointers of the caller's
    "imblock/src/kernel/wire.rs",
    "imblock/src/lab/namespace.rs",
    "imblock/tests/netns/support/frames.rs", // a raw socket's address
    "xtask/src/bench/veth/offload.rs",       // an ioctl
    "xtask/src/bpf.rs",                      // bpf(2) itself
    "xtask/src/tidy.rs",                     // looks for the word
];

/// A crate that one place alone may know, in `imblock/src`.
struct Border {
    names: &'static str,
    only_in: &'static [&'static str],
}

const BORDERS: [Border; 2] = [
    Border {
        names: "aya::",
        only_in: &["imblock/src/kernel/", "imblock/src/testing.rs"],
    },
    Border {
        names: "serde_yaml::",
        only_in: &["imblock/src/policy/document"],
    },
];

pub(crate) fn run() -> Result<()> {
    let root = root();
    let mut findings = Vec::new();
    for path in files_below(&root, "rs")? {
        let text = fs::read_to_string(root.join(&path))?;
        findings.extend(check_source(&path.to_string_lossy(), &text));
    }
    findings.extend(check_policies(&root)?);
    for finding in &findings {
        println!("{finding}");
    }
    if !findings.is_empty() {
        bail!("{} house rules broken", findings.len());
    }
    Ok(())
}

/// Breaches of the rules in one source file. `path` is from the top of the checkout.
fn check_source(path: &str, text: &str) -> Vec<String> {
    let mut findings = Vec::new();
    let lines = match text.rsplit_once("\n#[cfg(test)]\n") {
        Some((leaf, tests)) if tests.contains("mod tests {") => leaf.lines().count(),
        _ => text.lines().count(),
    };
    if lines > LINES_MAX && !LONG_FILES.iter().any(|(long, _)| *long == path) {
        findings.push(format!(
            "{path}: {lines} lines, more than {LINES_MAX}: split it"
        ));
    }
    if !text.starts_with("//!") && !text.starts_with("#![") {
        findings.push(format!(
            "{path}: does not begin by saying what the file is for (//!)"
        ));
    }
    for (number, line) in (1..).zip(text.lines()) {
        let code = line.split("//").next().unwrap_or_default();
        if has_unsafe(code) && !UNSAFE_FILES.contains(&path) {
            findings.push(format!(
                "{path}:{number}: unsafe outside {}",
                UNSAFE_FILES.join(", ")
            ));
        }
        for Border { names, only_in } in BORDERS {
            let foreign = path.starts_with("imblock/src/")
                && !only_in.iter().any(|home| path.starts_with(home));
            if foreign && code.contains(names) {
                findings.push(format!(
                    "{path}:{number}: {names} outside {}",
                    only_in.join(", ")
                ));
            }
        }
    }
    findings
}

/// Whether code opens something unsafe.
fn has_unsafe(code: &str) -> bool {
    ["{", "fn ", "impl ", "extern ", "trait "]
        .iter()
        .any(|what| code.contains(&format!("unsafe {what}")))
        || code.contains("unsafe(")
}

/// Every ready policy and every service of the catalogue is embedded in the binary.
fn check_policies(root: &Path) -> Result<Vec<String>> {
    let list = root.join("imblock/src/catalogue.rs");
    let embedded =
        fs::read_to_string(&list).with_context(|| format!("cannot read {}", list.display()))?;
    Ok(files_below(&root.join("policies"), "yaml")?
        .iter()
        .filter(|path| !path.starts_with("tests"))
        .filter(|path| !embedded.contains(&*path.to_string_lossy()))
        .filter_map(|path| path.file_stem()?.to_str().map(str::to_owned))
        .filter(|id| !embedded.contains(&format!("\"{id}\"")))
        .map(|id| format!("policies: {id}.yaml is not embedded by imblock/src/catalogue.rs"))
        .collect())
}

/// Files with an extension below a folder, as paths from it, build products left out.
fn files_below(folder: &Path, extension: &str) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(next) = folders.pop() {
        let entries =
            fs::read_dir(&next).with_context(|| format!("cannot list {}", next.display()))?;
        for entry in entries {
            let entry = entry?;
            let path = entry.path();
            if entry.file_type()?.is_dir() {
                let name = entry.file_name();
                if name != "target" && !name.to_string_lossy().starts_with('.') {
                    folders.push(path);
                }
            } else if path.extension().is_some_and(|found| found == extension) {
                found.push(path.strip_prefix(folder)?.to_path_buf());
            }
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_good_file_has_no_findings() {
        let text = "//! What it is for.\n// unsafe { } in a comment, aya:: too\nfn f() {}\n";
        assert_eq!(check_source("imblock/src/f.rs", text), [""; 0]);
    }

    #[test]
    fn each_rule_finds_its_breach() {
        let long = format!("//! Long.\n{}", "\n".repeat(LINES_MAX));
        for (text, finding) in [
            (long.as_str(), "imblock/src/f.rs: 401 lines"),
            ("fn f() {}", "does not begin"),
            (
                "//! F.\nlet x = unsafe { f() };",
                "imblock/src/f.rs:2: unsafe outside",
            ),
            (
                "//! F.\n#[unsafe(no_mangle)]",
                "imblock/src/f.rs:2: unsafe outside",
            ),
            (
                "//! F.\nuse aya::Ebpf;",
                "imblock/src/f.rs:2: aya:: outside",
            ),
        ] {
            let findings = check_source("imblock/src/f.rs", text);
            assert_eq!(findings.len(), 1, "{findings:?}");
            assert!(
                findings.iter().all(|found| found.contains(finding)),
                "{findings:?}"
            );
        }
    }
}
