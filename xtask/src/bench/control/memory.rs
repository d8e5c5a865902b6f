//! What an instance takes: its maps, as the kernel accounts for them, and its controller.

use std::fs;
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::path::Path;

use anyhow::{Context as _, Result};
use aya::maps::MapData;

use super::super::sheet::{Line, Sheet};

/// Kibibytes of each pinned map, by name.
pub(in crate::bench) fn maps(pins: &Path) -> Result<Vec<(String, f64)>> {
    let mut maps = Vec::new();
    for entry in fs::read_dir(pins).with_context(|| format!("cannot list {}", pins.display()))? {
        let entry = entry?;
        let map = MapData::from_pin(entry.path())?;
        let descriptor = map.fd().as_fd().as_raw_fd();
        let about = fs::read_to_string(format!("/proc/self/fdinfo/{descriptor}"))?;
        let bytes = field(&about, "memlock:").context("the kernel does not tell a map's size")?;
        maps.push((
            entry.file_name().to_string_lossy().into_owned(),
            bytes / 1024.0,
        ));
    }
    maps.sort_by(|(a, _), (b, _)| a.cmp(b));
    Ok(maps)
}

/// What a process holds in memory now, and the most that it held, in kibibytes.
pub(in crate::bench) fn resident(process: u32) -> Result<[f64; 2]> {
    let about = fs::read_to_string(format!("/proc/{process}/status"))?;
    let read = |name| field(&about, name).context("the kernel does not tell a process's memory");
    Ok([read("VmRSS:")?, read("VmHWM:")?])
}

/// Maps that take less are told of together, in kibibytes.
const SMALL_MAP: f64 = 256.0;

/// The maps of a small and of a large instance, and what the controller of the large one held at work
/// and after scrapes.
pub(super) fn sheet(
    small: &[(String, f64)],
    large: &[(String, f64)],
    at_work: [f64; 2],
    scraped: [f64; 2],
) -> Sheet {
    let mut lines = of_maps(small, large);
    let [now, most] = at_work;
    lines.push(line("controller, at work", [None, Some(now)]));
    lines.push(line("controller, at most until then", [None, Some(most)]));
    let [now, most] = scraped;
    lines.push(line("controller, after scrapes", [None, Some(now)]));
    lines.push(line("controller, at most", [None, Some(most)]));
    Sheet {
        part: "memory",
        title: "memory, KiB".to_owned(),
        columns: vec!["audit", "large"],
        lines,
        promises: Vec::new(),
        notes: vec![
            "as the kernel accounts for each map; the host tables are one for each possible CPU"
                .to_owned(),
        ],
    }
}

/// The largest maps first, then what all others take, and all together.
fn of_maps(small: &[(String, f64)], large: &[(String, f64)]) -> Vec<Line> {
    let of = |maps: &[(String, f64)], name: &str| {
        let mut maps = maps.iter();
        maps.find(|(known, _)| known == name).map(|(_, size)| *size)
    };
    let sum = |maps: &[(String, f64)], wanted: &dyn Fn(&str) -> bool| {
        let sizes = maps.iter().filter(|(name, _)| wanted(name));
        Some(sizes.map(|(_, size)| size).sum())
    };
    let mut named: Vec<&(String, f64)> = large
        .iter()
        .filter(|(_, size)| *size >= SMALL_MAP)
        .collect();
    named.sort_by(|(_, a), (_, b)| b.total_cmp(a));
    let other = |name: &str| !named.iter().any(|(known, _)| known == name);
    let mut lines: Vec<Line> = named
        .iter()
        .map(|(name, size)| line(name, [of(small, name), Some(*size)]))
        .collect();
    lines.push(line(
        "all other maps",
        [sum(small, &other), sum(large, &other)],
    ));
    lines.push(line(
        "all maps",
        [sum(small, &|_| true), sum(large, &|_| true)],
    ));
    lines
}

fn line(name: &str, cells: [Option<f64>; 2]) -> Line {
    Line {
        name: name.to_owned(),
        cells: cells.into(),
    }
}

/// The number behind a name at a line's beginning.
fn field(about: &str, name: &str) -> Option<f64> {
    let line = about.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
#[expect(clippy::indexing_slicing, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_the_number_behind_its_name() {
        let about = "VmPeak:\t  9000 kB\nVmRSS:\t  1234 kB\nmemlock:\t8192\n";
        assert_eq!(field(about, "VmRSS:"), Some(1234.0));
        assert_eq!(field(about, "memlock:"), Some(8192.0));
        assert_eq!(field(about, "Vm"), None);
        assert_eq!(field(about, "VmHWM:"), None);
    }

    #[test]
    fn this_process_is_in_memory() {
        let found = resident(std::process::id());
        assert!(found.is_ok_and(|[now, most]| now > 0.0 && most >= now));
    }

    #[test]
    fn small_maps_are_told_of_together() {
        let maps = |host: f64| {
            vec![
                ("A".to_owned(), 100.0),
                ("B".to_owned(), 20.0),
                ("HOSTS".to_owned(), host),
            ]
        };
        let sheet = sheet(&maps(10.0), &maps(1000.0), [5.0, 6.0], [7.0, 8.0]);
        let lines: Vec<_> = sheet.lines.iter().take(3).collect();
        assert_eq!(lines[0].cells, [Some(10.0), Some(1000.0)]);
        assert_eq!(lines[1].cells, [Some(120.0), Some(120.0)]);
        assert_eq!(lines[2].cells, [Some(130.0), Some(1120.0)]);
    }
}
