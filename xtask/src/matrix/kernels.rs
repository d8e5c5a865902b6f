//! Which kernels are tried, and where their packages come from.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use super::apt::Archive;
use crate::workspace::call;

/// Kernels of one series, as a suite of Debian has them.
pub(super) struct Series {
    /// The first two numbers of their versions.
    pub(super) number: &'static str,
    /// The suite of the archive.
    pub(super) suite: &'static str,
    /// Whether imblock must work there.
    pub(super) supported: bool,
}

pub(super) const SERIES: [Series; 3] = [
    Series {
        number: "5.10",
        suite: "bullseye",
        supported: false,
    },
    Series {
        number: "6.1",
        suite: "bookworm",
        supported: false,
    },
    Series {
        number: "6.12",
        suite: "bookworm-backports",
        supported: true,
    },
];

/// An unpacked kernel.
pub(super) struct Kernel {
    /// Its release, as `uname -r` says it.
    pub(super) release: String,
    /// What is booted.
    pub(super) image: PathBuf,
    /// Its modules, `/lib/modules/RELEASE`.
    pub(super) modules: PathBuf,
}

/// The newest kernel of the series that was fetched before, or the archive's.
pub(super) fn provide(series: &Series, work: &Path, update: bool) -> Result<Kernel> {
    let packages = work.join("packages");
    std::fs::create_dir_all(&packages)?;
    let fetched = || -> Result<Option<String>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&packages)? {
            names.push(entry?.file_name().to_string_lossy().into_owned());
        }
        Ok(newest(names.iter().map(String::as_str), series.number).map(ToOwned::to_owned))
    };
    let file = match fetched()? {
        Some(file) if !update => file,
        _ => {
            fetch(series, work, &packages).with_context(|| {
                format!(
                    "no kernel {} from {}; any package of that series that lies in {} is taken instead",
                    series.number,
                    series.suite,
                    packages.display()
                )
            })?;
            fetched()?.context("apt-get left no package behind")?
        }
    };
    unpack(&packages.join(&file), &work.join("kernels"))
}

fn fetch(series: &Series, work: &Path, packages: &Path) -> Result<()> {
    let archive = Archive::open(series.suite, &work.join("apt"))?;
    let names = archive.packages()?;
    let package = newest(names.iter().map(String::as_str), series.number)
        .context("the suite has no such package")?;
    println!("  fetching {package}");
    archive.download(package, packages)
}

/// The newest package of a series among names of packages or of their files. The cloud kernels are
/// those with the fewest drivers; all else is configured alike.
fn newest<'a>(names: impl Iterator<Item = &'a str>, series: &str) -> Option<&'a str> {
    names
        .filter(|name| {
            let Some(version) = name.strip_prefix("linux-image-") else {
                return false;
            };
            let package = version.split('_').next().unwrap_or_default();
            let of_series = version
                .strip_prefix(series)
                .is_some_and(|rest| rest.starts_with(['.', '-']));
            let whole = !name.contains('_') || has_extension(name, "deb");
            of_series && whole && package.ends_with("-cloud-amd64")
        })
        .max_by_key(|name| numbers(name))
}

fn has_extension(name: &str, extension: &str) -> bool {
    Path::new(name)
        .extension()
        .is_some_and(|found| found == extension)
}

/// The numbers in a text, in order: versions are compared by them.
fn numbers(text: &str) -> Vec<u64> {
    text.split(|c: char| !c.is_ascii_digit())
        .filter_map(|digits| digits.parse().ok())
        .collect()
}

/// Unpacks a package once.
fn unpack(package: &Path, kernels: &Path) -> Result<Kernel> {
    let stem = package.file_stem().context("a package without a name")?;
    let folder = kernels.join(stem);
    if !folder.is_dir() {
        // Under another name until it is whole.
        let half = kernels.join("unpacking");
        let _ = std::fs::remove_dir_all(&half);
        std::fs::create_dir_all(&half)?;
        call(Command::new("dpkg-deb").arg("-x").arg(package).arg(&half))?;
        std::fs::rename(&half, &folder)?;
    }
    // Newer packages have their modules below /usr.
    let modules = ["lib/modules", "usr/lib/modules"].map(|place| folder.join(place));
    let modules = modules.iter().find(|place| place.is_dir());
    let modules = modules.context("the package has no modules")?;
    let release = std::fs::read_dir(modules)?
        .next()
        .context("the package has no modules")??
        .file_name()
        .to_string_lossy()
        .into_owned();
    Ok(Kernel {
        image: folder.join("boot").join(format!("vmlinuz-{release}")),
        modules: modules.join(&release),
        release,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_of_a_series_is_taken() {
        let names = [
            "linux-image-6.1.0-9-cloud-amd64",
            "linux-image-6.1.0-50-cloud-amd64",
            "linux-image-6.1.0-51-cloud-amd64-unsigned",
            "linux-image-6.1.0-51-amd64",
            "linux-image-6.12.90+deb12.1-cloud-amd64",
            "linux-image-6.12.95+deb12-cloud-amd64",
            "linux-image-cloud-amd64",
        ];
        let of = |series| newest(names.into_iter(), series);
        assert_eq!(of("6.1"), Some("linux-image-6.1.0-50-cloud-amd64"));
        assert_eq!(of("6.12"), Some("linux-image-6.12.95+deb12-cloud-amd64"));
        assert_eq!(of("5.10"), None);
    }

    #[test]
    fn half_a_download_is_no_package() {
        let names = [
            "linux-image-6.1.0-49-cloud-amd64_6.1.170-1_amd64.deb",
            "linux-image-6.1.0-50-cloud-amd64_6.1.176-1_amd64.deb.part",
        ];
        assert_eq!(newest(names.into_iter(), "6.1"), Some(names[0]));
    }
}
