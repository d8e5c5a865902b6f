//! xdp-filter's programs, as `xdp-filter load` attaches them to a veth: without a dispatcher.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result, anyhow, bail};
use aya::maps::{MapData, PerCpuArray, PerCpuValues};
use aya::{Ebpf, EbpfLoader};

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

/// Loads a program with the ports listed, for TCP and UDP.
pub(super) fn load(features: Features, ports: impl IntoIterator<Item = u16>) -> Result<Ebpf> {
    let mut object = open(features)?;
    kernel_object::load(&mut object, features.program())?;
    list(&mut object, ports)?;
    Ok(object)
}

/// Makes the maps. They ask to be pinned by name, which nobody needs here.
fn open(features: Features) -> Result<Ebpf> {
    let path = path(features.program())?;
    let pins = tempfile::Builder::new()
        .prefix("imblock-bench-xdp-filter-")
        .tempdir_in("/sys/fs/bpf")
        .context("cannot make a folder for pins: is the BPF file system mounted?")?;
    EbpfLoader::new()
        .default_map_pin_directory(pins.path())
        .load_file(&path)
        .with_context(|| format!("cannot load {}", path.display()))
}

fn list(object: &mut Ebpf, ports: impl IntoIterator<Item = u16>) -> Result<()> {
    /// `MAP_FLAG_DST | MAP_FLAG_TCP | MAP_FLAG_UDP` of xdp-filter's `common_kern_user.h`.
    const LISTED: u64 = 0b1110;

    let map = object.map_mut("filter_ports");
    let map = map.context("no map filter_ports")?;
    let mut listed: PerCpuArray<&mut MapData, u64> = map.try_into()?;
    let cpus = aya::util::nr_cpus().map_err(|(what, error)| anyhow!("{what}: {error}"))?;
    for port in ports {
        let on_each_cpu = PerCpuValues::try_from(vec![LISTED; cpus])?;
        listed.set(u32::from(port.to_be()), on_each_cpu, 0)?;
    }
    Ok(())
}

/// Where the package has a program: below `/usr/lib`, in the folder of the architecture.
fn path(program: &str) -> Result<PathBuf> {
    let folders = fs::read_dir("/usr/lib")?.flatten();
    let mut paths =
        folders.map(|folder| folder.path().join("bpf").join(program).with_extension("o"));
    match paths.find(|path| path.is_file()) {
        Some(path) => Ok(path),
        None => bail!("xdp-tools is not installed (apt-get install xdp-tools)"),
    }
}
