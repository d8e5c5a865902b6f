//! What an instance takes: its maps, as the kernel accounts for them, and its controller.

use std::fs;
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::path::Path;

use anyhow::{Context as _, Result};
use aya::maps::MapData;

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

/// The number behind a name at a line's beginning.
fn field(about: &str, name: &str) -> Option<f64> {
    let line = about.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
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
}
