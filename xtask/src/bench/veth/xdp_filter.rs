//! xdp-filter's programs, as `xdp-filter load` attaches them to a veth: without a dispatcher.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow, bail};
use aya::maps::{MapData, PerCpuArray, PerCpuValues};
use aya::{Ebpf, EbpfLoader};

use super::peers;
use crate::kernel_object;

/// What it can look at: the fewer features, the faster.
#[derive(Clone, Copy, Debug)]
pub(super) enum Features {
    /// `-f all`.
    All,
    /// `-f udp`.
    Udp,
}

impl Features {
    /// Policy allow: what is listed is dropped.
    pub(super) const fn program(self) -> &'static str {
        match self {
            Self::All => "xdpfilt_alw_all",
            Self::Udp => "xdpfilt_alw_udp",
        }
    }
}

/// Loads a program with the ports listed. Its maps ask to be pinned; `pins` is where, and is empty
/// again afterwards.
pub(super) fn load(features: Features, pins: &Path) -> Result<Ebpf> {
    /// `MAP_FLAG_DST | MAP_FLAG_TCP | MAP_FLAG_UDP` of xdp-filter's `common_kern_user.h`.
    const LISTED: u64 = 0b1110;

    let path = path(features.program())?;
    let folder = pins.join("xdp-filter");
    fs::create_dir(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let object = EbpfLoader::new()
        .default_map_pin_directory(&folder)
        .load_file(&path);
    fs::remove_dir_all(&folder)?;
    let mut object = object.with_context(|| format!("cannot load {}", path.display()))?;
    kernel_object::load(&mut object, features.program())?;
    let map = object
        .map_mut("filter_ports")
        .context("no map filter_ports")?;
    let mut ports: PerCpuArray<&mut MapData, u64> = map.try_into()?;
    let cpus = aya::util::nr_cpus().map_err(|(what, error)| anyhow!("{what}: {error}"))?;
    for port in peers::ports() {
        let listed = PerCpuValues::try_from(vec![LISTED; cpus])?;
        ports.set(u32::from(port.to_be()), listed, 0)?;
    }
    Ok(object)
}

fn path(program: &str) -> Result<PathBuf> {
    let folders = fs::read_dir("/usr/lib")?.flatten();
    let paths = folders.map(|folder| folder.path().join("bpf").join(program).with_extension("o"));
    let mut found = paths.filter(|path| path.is_file());
    match found.next() {
        Some(path) => Ok(path),
        None => bail!("xdp-tools is not installed"),
    }
}
