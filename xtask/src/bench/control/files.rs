//! Policies with as many names, prefixes, rules and services as one wants.

use std::fmt::{Display, Write as _};
use std::fs;
use std::path::Path;

use anyhow::Result;

/// The service that a large policy drops, and those that it counts: `own-1` on.
pub(in crate::bench) const DROPPED: &str = "own-0";
/// A service that it counts.
pub(in crate::bench) const COUNTED: &str = "own-1";

/// The remote port of a service of a large policy.
pub(in crate::bench) fn port(service: u16) -> u16 {
    15_050 + service
}

/// How large a policy is to be.
pub(in crate::bench) struct Size {
    pub(in crate::bench) names: u32,
    pub(in crate::bench) prefixes: u32,
    /// (host, service) pairs that have room.
    pub(in crate::bench) hosts: u32,
    /// Flows that have room.
    pub(in crate::bench) flows: u32,
}

/// Files that a large policy is made of, for one may not be larger than a mebibyte.
const PARTS: u16 = 8;

/// Writes `NAME.yaml` and the files that it includes. Their services are [`DROPPED`], [`COUNTED`] and
/// others like that. `edition` changes one name in each file, as an update of a list does.
pub(in crate::bench) fn write(folder: &Path, name: &str, size: &Size, edition: u32) -> Result<()> {
    let mut files = Vec::new();
    for part in 0..PARTS {
        let file = format!("{name}-{part}.yaml");
        fs::write(folder.join(&file), self::part(part, size, edition))?;
        files.push(file);
    }
    let files = files.join(", ");
    let Size { hosts, flows, .. } = size;
    let policy = format!(
        "version: 1
name: large
include: [{files}]
limits: {{ hosts: {hosts}, flows: {flows} }}
defaults: {{ action: count }}
rules:
  - {{ services: [{DROPPED}], action: drop }}
"
    );
    fs::write(folder.join(format!("{name}.yaml")), policy)?;
    Ok(())
}

fn part(part: u16, size: &Size, edition: u32) -> String {
    let share = |all: u32| {
        let (part, parts) = (u32::from(part), u32::from(PARTS));
        all * part / parts..all * (part + 1) / parts
    };
    let names = share(size.names).map(|number| match number % (size.names / u32::from(PARTS)) {
        0 => format!("n{number}-{edition}.large.example"),
        _ => format!("n{number}.large.example"),
    });
    // /24 from 20.0.0.0 on.
    let prefixes = share(size.prefixes).map(|number| {
        let [_, a, b, c] = number.to_be_bytes();
        format!("{}.{b}.{c}.0/24", 20 + u32::from(a))
    });
    let port = port(part);
    format!(
        "version: 1
services:
  - id: own-{part}
    name: number {part}
    category: im
    ports: [tcp/{port}, udp/{port}]
    names: {}
    prefixes: {}
",
        list(names),
        list(prefixes)
    )
}

/// A YAML list in lines that an editor can show.
fn list(items: impl Iterator<Item = impl Display>) -> String {
    let mut text = "[".to_owned();
    for (number, item) in items.enumerate() {
        let separator = match number {
            0 => "",
            number if number % 32 == 0 => ",\n      ",
            _ => ", ",
        };
        let _ = write!(text, "{separator}{item}"); // into a string, which takes everything
    }
    text.push(']');
    text
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use imblock::policy::{self, PolicySource, ServiceNumbers, Surroundings};

    use super::*;

    #[test]
    fn a_policy_has_what_was_ordered() {
        let folder = tempfile::tempdir().unwrap();
        let size = Size {
            names: 2000,
            prefixes: 1000,
            hosts: 70_000,
            flows: 1_000,
        };
        let plan = |edition| {
            write(folder.path(), "large", &size, edition).unwrap();
            let path = folder.path().join("large.yaml");
            let policy = policy::load(&PolicySource::File(path)).unwrap();
            let numbers = &mut ServiceNumbers::default();
            policy.compile(numbers, &Surroundings::default()).unwrap()
        };
        let (first, second) = (plan(1), plan(2));
        let own = |name: &str| name.ends_with(".large.example");
        let names = first.names.iter().filter(|name| own(&name.suffix));
        assert_eq!(names.count(), 2000);
        assert!(first.remotes.len() >= 1000);
        assert_eq!(first.limits.hosts, 70_000);
        let changed = second
            .names
            .iter()
            .filter(|name| !first.names.contains(name));
        assert_eq!(changed.count(), usize::from(PARTS));
    }
}
