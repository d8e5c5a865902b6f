//! Where an instance keeps its maps and links in the BPF file system.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use imblock_common::Hook;
use rustix::fs::statfs;
use rustix::mount::{MountFlags, mount};

use super::KernelError;

/// Environment variable that names another BPF file system than `/sys/fs/bpf`.
pub const BPFFS_VARIABLE: &str = "IMBLOCK_BPFFS";
const BPFFS: &str = "/sys/fs/bpf";
/// `BPF_FS_MAGIC` of `linux/magic.h`.
const BPFFS_MAGIC: u64 = 0xcafe_4a11;

/// The name of an instance: a directory name without surprises.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstanceName(String);

impl FromStr for InstanceName {
    type Err = KernelError;

    fn from_str(name: &str) -> Result<Self, KernelError> {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if (1..=32).contains(&name.len()) && name.chars().all(plain) {
            Ok(Self(name.to_owned()))
        } else {
            Err(KernelError::InstanceName(name.to_owned()))
        }
    }
}

impl InstanceName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for InstanceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The pin directory of an instance: `maps/NAME`, `links/INTERFACE-HOOK`, and `filters/INTERFACE/…`
/// where egress has no link. An interface has there the name that it had when it was attached.
#[derive(Clone, Debug)]
pub struct Pins {
    root: PathBuf,
    home: PathBuf,
}

impl Pins {
    /// Of an instance, under the BPF file system that the environment names.
    pub fn of(instance: &InstanceName) -> Self {
        let root = std::env::var_os(BPFFS_VARIABLE).map_or_else(|| BPFFS.into(), PathBuf::from);
        let home = root.join("imblock").join(instance.as_str());
        Self { root, home }
    }

    /// Whether the instance has maps.
    pub fn exist(&self) -> bool {
        self.home.join("maps").is_dir()
    }

    pub(super) fn map(&self, name: &str) -> PathBuf {
        self.home.join("maps").join(name)
    }

    pub(super) fn link(&self, interface: &str, hook: Hook) -> PathBuf {
        // The BPF file system refuses dots, and no interface name may have a colon.
        let interface = interface.replace('.', ":");
        self.home
            .join("links")
            .join(format!("{interface}-{}", hook_name(hook)))
    }

    /// The folder of an interface's egress filter, see `clsact`.
    pub(super) fn filter(&self, interface: &str) -> PathBuf {
        self.home.join("filters").join(interface.replace('.', ":"))
    }

    /// The interfaces and hooks that have a link, or a filter in the place of one.
    pub(super) fn links(&self) -> Result<Vec<(String, Hook)>, KernelError> {
        let mut links = Vec::new();
        for name in names_in(&self.home.join("links"))? {
            let Some((interface, hook)) = name.rsplit_once('-') else {
                continue;
            };
            let Some(hook) = hook_from_name(hook) else {
                continue;
            };
            links.push((interface.replace(':', "."), hook));
        }
        for name in names_in(&self.home.join("filters"))? {
            links.push((name.replace(':', "."), Hook::Egress));
        }
        links.sort_by(|a, b| (&a.0, hook_name(a.1)).cmp(&(&b.0, hook_name(b.1))));
        links.dedup();
        Ok(links)
    }

    /// Makes the directories, mounting the BPF file system if nobody has.
    pub(super) fn create(&self) -> Result<(), KernelError> {
        ensure_bpffs(&self.root)?;
        for dir in ["maps", "links"] {
            let dir = self.home.join(dir);
            std::fs::create_dir_all(&dir)
                .map_err(|source| pins_error(dir, "could not be made", source))?;
        }
        Ok(())
    }

    /// Removes one pin; a pin that is not there is as good as removed.
    pub(super) fn remove(path: &Path) -> Result<(), KernelError> {
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(pins_error(path.to_owned(), "could not be removed", error))
            }
            _ => Ok(()),
        }
    }

    /// Renames a pin; one that is not there is no trouble.
    pub(super) fn rename(from: &Path, to: &Path) -> Result<(), KernelError> {
        match std::fs::rename(from, to) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(pins_error(from.to_owned(), "could not be renamed", error))
            }
            _ => Ok(()),
        }
    }

    /// Removes every file and directory of the instance.
    pub(super) fn remove_all(&self) -> Result<(), KernelError> {
        // Each filter took its folder along.
        let _ = std::fs::remove_dir(self.home.join("filters"));
        for dir in ["links", "maps"] {
            let dir = self.home.join(dir);
            let entries = match std::fs::read_dir(&dir) {
                Ok(entries) => entries,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(source) => return Err(pins_error(dir, "could not be listed", source)),
            };
            for entry in entries.flatten() {
                Self::remove(&entry.path())?;
            }
            std::fs::remove_dir(&dir)
                .map_err(|source| pins_error(dir, "could not be removed", source))?;
        }
        match std::fs::remove_dir(&self.home) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                return Err(pins_error(
                    self.home.clone(),
                    "could not be removed",
                    source,
                ));
            }
            _ => {}
        }
        // Shared by all instances: whoever is last takes it along, and others keep it.
        if let Some(shared) = self.home.parent() {
            let _ = std::fs::remove_dir(shared);
        }
        Ok(())
    }
}

/// The names in a directory; none if it is not there.
fn names_in(dir: &Path) -> Result<Vec<String>, KernelError> {
    let error = |source| pins_error(dir.to_owned(), "could not be listed", source);
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(error(source)),
    };
    let name = |entry: io::Result<std::fs::DirEntry>| {
        Ok(entry
            .map_err(error)?
            .file_name()
            .to_string_lossy()
            .into_owned())
    };
    entries.map(name).collect()
}

fn pins_error(path: PathBuf, what: &'static str, source: io::Error) -> KernelError {
    KernelError::Pins { path, what, source }
}

fn hook_name(hook: Hook) -> &'static str {
    match hook {
        Hook::Ingress => "ingress",
        Hook::Egress => "egress",
    }
}

fn hook_from_name(name: &str) -> Option<Hook> {
    [Hook::Ingress, Hook::Egress]
        .into_iter()
        .find(|hook| hook_name(*hook) == name)
}

/// A box that boots without systemd often has nobody who mounts it.
fn ensure_bpffs(root: &Path) -> Result<(), KernelError> {
    let no_bpffs = |source| KernelError::NoBpffs {
        path: root.to_owned(),
        source,
    };
    let found = statfs(root).map_err(|error| no_bpffs(error.into()))?;
    if u64::try_from(found.f_type).is_ok_and(|magic| magic == BPFFS_MAGIC) {
        return Ok(());
    }
    mount("bpf", root, "bpf", MountFlags::empty(), None).map_err(|error| no_bpffs(error.into()))
}
