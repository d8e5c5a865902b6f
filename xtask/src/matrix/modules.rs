//! Kernel modules, in the order in which they can be inserted.
//!
//! Packages have no `modules.dep`, which is made when they are installed; but each module says itself
//! whom it needs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

/// A module's own name, and its file, decompressed.
pub(super) struct Module {
    pub(super) name: String,
    pub(super) image: Vec<u8>,
}

/// The wanted modules of a kernel and those that they need, each behind what it needs. A module that
/// is built into the kernel is left out.
pub(super) fn in_order(folder: &Path, wanted: &[&str]) -> Result<Vec<Module>> {
    let files = files_of(folder)?;
    let listing = folder.join("modules.builtin");
    let built_in = std::fs::read_to_string(&listing)
        .with_context(|| format!("cannot read {}", listing.display()))?;
    let mut images: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    let names = order(wanted, |name| {
        if is_built_in(&built_in, name) {
            return Ok(None);
        }
        let file = files.get(name);
        let file = file.with_context(|| format!("the kernel has no module {name}"))?;
        let image = read(file)?;
        let needs = needs(&image);
        images.insert(name.to_owned(), image);
        Ok(Some(needs))
    })?;
    let module = |name: String| {
        let image = images.remove(&name)?;
        Some(Module { name, image })
    };
    Ok(names.into_iter().filter_map(module).collect())
}

/// Depth first. `needs` says whom a module needs, or nothing for one that need not be inserted.
fn order(
    wanted: &[&str],
    mut needs: impl FnMut(&str) -> Result<Option<Vec<String>>>,
) -> Result<Vec<String>> {
    let mut known: BTreeMap<String, Option<Vec<String>>> = BTreeMap::new();
    let mut done: Vec<String> = Vec::new();
    let mut stack: Vec<String> = wanted.iter().rev().map(ToString::to_string).collect();
    while let Some(name) = stack.last().cloned() {
        ensure!(
            stack.len() < 256,
            "modules need each other in a circle: {stack:?}"
        );
        let needed = match known.get(&name) {
            Some(needed) => needed.clone(),
            None => {
                let needed = needs(&name)?;
                known.insert(name.clone(), needed.clone());
                needed
            }
        };
        let Some(needed) = needed else {
            stack.pop();
            continue;
        };
        let open = needed
            .into_iter()
            .filter(|other| !done.contains(other) && !matches!(known.get(other), Some(None)));
        let before = stack.len();
        stack.extend(open);
        if stack.len() == before {
            stack.pop();
            if !done.contains(&name) {
                done.push(name);
            }
        }
    }
    Ok(done)
}

/// Every module's file, by the module's name: file names may have hyphens where names have none.
fn files_of(folder: &Path) -> Result<BTreeMap<String, PathBuf>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = std::fs::read_dir(&folder)
            .with_context(|| format!("cannot list {}", folder.display()))?;
        for entry in entries {
            let entry = entry?;
            let path = entry.path();
            if entry.file_type()?.is_dir() {
                folders.push(path);
            } else if let Some((name, _)) = entry.file_name().to_string_lossy().split_once(".ko") {
                files.insert(name.replace('-', "_"), path);
            }
        }
    }
    Ok(files)
}

fn is_built_in(listing: &str, name: &str) -> bool {
    listing.lines().any(|line| {
        let file = line.rsplit('/').next().unwrap_or_default();
        file.strip_suffix(".ko")
            .is_some_and(|stem| stem.replace('-', "_") == name)
    })
}

fn read(path: &Path) -> Result<Vec<u8>> {
    if path.extension().is_none_or(|extension| extension != "xz") {
        return std::fs::read(path).with_context(|| format!("cannot read {}", path.display()));
    }
    let output = Command::new("xz").arg("-dc").arg(path).output()?;
    ensure!(output.status.success(), "xz refuses {}", path.display());
    Ok(output.stdout)
}

/// What a module says in its section `.modinfo`: `depends=a,b` between zero bytes.
fn needs(image: &[u8]) -> Vec<String> {
    const KEY: &[u8] = b"depends=";
    let says = image
        .split(|byte| *byte == 0)
        .find_map(|field| field.strip_prefix(KEY))
        .unwrap_or_default();
    String::from_utf8_lossy(says)
        .split(',')
        .filter(|name| !name.is_empty())
        .map(|name| name.replace('-', "_"))
        .collect()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn ordered(wanted: &[&str], table: &[(&str, Option<&[&str]>)]) -> Result<Vec<String>> {
        order(wanted, |name| {
            let found = table.iter().find(|(known, _)| *known == name);
            let (_, needs) = found.with_context(|| format!("no module {name}"))?;
            Ok(needs.map(|needs| needs.iter().map(ToString::to_string).collect()))
        })
    }

    #[test]
    fn what_is_needed_comes_first_and_once() {
        let table: [(&str, Option<&[&str]>); 5] = [
            ("bridge", Some(&["stp", "llc"])),
            ("stp", Some(&["llc"])),
            ("llc", Some(&[])),
            ("8021q", Some(&["garp", "stp"])),
            ("garp", None),
        ];
        let order = ordered(&["bridge", "8021q"], &table).unwrap();
        assert_eq!(order, ["llc", "stp", "bridge", "8021q"]);
    }

    #[test]
    fn a_circle_and_a_missing_module_are_errors() {
        assert!(ordered(&["a"], &[("a", Some(&["b"])), ("b", Some(&["a"]))]).is_err());
        assert!(ordered(&["a"], &[("a", Some(&["b"]))]).is_err());
    }

    #[test]
    fn a_module_says_whom_it_needs() {
        assert_eq!(
            needs(b"\x7fELF\0license=GPL\0depends=stp,llc\0name=bridge\0"),
            ["stp", "llc"]
        );
        assert!(needs(b"\0depends=\0name=veth\0").is_empty());
        assert!(needs(b"").is_empty());
    }

    #[test]
    fn built_in_modules_are_known_by_name() {
        let listing = "kernel/net/sched/cls_bpf.ko\nkernel/lib/crc-t10dif.ko\n";
        assert!(is_built_in(listing, "cls_bpf"));
        assert!(is_built_in(listing, "crc_t10dif"));
        assert!(!is_built_in(listing, "bpf"));
    }
}
