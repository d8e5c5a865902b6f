//! Debian's archive, by a configuration of apt that is ours alone.
//!
//! Invariant: the machine's own lists, cache and sources are read at most. Which server the archive is
//! fetched from is what the machine's own sources say.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::workspace::{call, output_of};

/// Where Debian's package `debian-archive-keyring` keeps the keys of all its suites.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// One suite of the archive.
pub(super) struct Archive {
    options: Vec<String>,
}

impl Archive {
    /// Fetches the list of the suite's packages into a folder of its own.
    pub(super) fn open(suite: &str, work: &Path) -> Result<Self> {
        let folder = work.join(suite);
        for part in ["lists/partial", "cache/archives/partial"] {
            std::fs::create_dir_all(folder.join(part))?;
        }
        let targets = output_of(Command::new("apt-get").args([
            "indextargets",
            "--format",
            "$(ORIGIN) $(LABEL) $(REPO_URI)",
            "Created-By: Packages",
        ]))?;
        let server = server(&targets)
            .context("the machine's apt has no source of Debian itself to take a kernel from")?;
        let source = folder.join("sources.list");
        let line = format!("deb [signed-by={KEYRING}] {server} {suite} main\n");
        std::fs::write(&source, line)?;
        let archive = Self {
            options: options(&source, &folder),
        };
        call(archive.apt("apt-get").args(["update", "-qq"]))?;
        Ok(archive)
    }

    /// The names of the packages that may be kernels.
    pub(super) fn packages(&self) -> Result<Vec<String>> {
        let mut search = self.apt("apt-cache");
        let listing = output_of(search.args(["search", "--names-only", "^linux-image-"]))?;
        let names = listing.lines().filter_map(|line| line.split(' ').next());
        Ok(names.map(ToOwned::to_owned).collect())
    }

    /// Fetches a package and checks its signature and sum, as apt does. Installs nothing.
    pub(super) fn download(&self, package: &str, into: &Path) -> Result<()> {
        call(
            self.apt("apt-get")
                .args(["download", "-qq", package])
                .current_dir(into),
        )
    }

    fn apt(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.args(&self.options);
        command
    }
}

fn options(source: &Path, folder: &Path) -> Vec<String> {
    let path = |part: &str| -> PathBuf { folder.join(part) };
    let settings = [
        format!("Dir::Etc::sourcelist={}", source.display()),
        "Dir::Etc::sourceparts=/dev/null".to_owned(),
        format!("Dir::State::lists={}", path("lists").display()),
        format!("Dir::Cache={}", path("cache").display()),
        // The checkout need not be readable for the user that apt fetches as.
        "APT::Sandbox::User=root".to_owned(),
        "Acquire::Languages=none".to_owned(),
        "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false".to_owned(),
    ];
    settings
        .into_iter()
        .flat_map(|setting| ["-o".to_owned(), setting])
        .collect()
}

/// The first source whose files say that they are Debian's main archive, which has all suites but
/// those of the security team.
fn server(targets: &str) -> Option<&str> {
    targets
        .lines()
        .find_map(|line| line.strip_prefix("Debian Debian "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_archive_is_where_the_machine_gets_debian_from() {
        let targets = "Tools Inc. tools https://tools.example/apt/\n\
                       Debian Debian-Security http://mirror.example/debian-security/\n\
                       Debian Debian http://mirror.example/debian/\n";
        assert_eq!(server(targets), Some("http://mirror.example/debian/"));
        assert_eq!(
            server("Ubuntu Ubuntu http://mirror.example/ubuntu/\n"),
            None
        );
    }

    #[test]
    fn nothing_of_the_machines_own_is_written_to() {
        let options = options(Path::new("/w/sources.list"), Path::new("/w"));
        for setting in ["Dir::State::lists=/w/lists", "Dir::Cache=/w/cache"] {
            assert!(options.iter().any(|option| option == setting), "{setting}");
        }
    }
}
