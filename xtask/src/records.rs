//! Figures on record, in a file that is committed: what growth is held against.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::workspace::root;

/// Growth over the figure on record that somebody should look at, in percent.
pub(crate) const GROWTH_PERCENT: u32 = 10;

/// A record for each kernel release: every verifier counts in its own way, and makes other instructions.
pub(crate) struct Records<R> {
    path: PathBuf,
    /// The first two numbers of the running kernel's version (`6.18`).
    kernel: String,
    by_kernel: BTreeMap<String, R>,
}

impl<R: Serialize + DeserializeOwned> Records<R> {
    /// Reads a file, which is named by its path from the top of the checkout. There may be none yet.
    pub(crate) fn read(file: &str) -> Result<Self> {
        let path = root().join(file);
        let by_kernel = match fs::read_to_string(&path) {
            Ok(text) => serde_json::from_str(&text)
                .with_context(|| format!("{file} is not what `--record` writes"))?,
            Err(error) if error.kind() == ErrorKind::NotFound => BTreeMap::new(),
            Err(error) => return Err(error).with_context(|| format!("cannot read {file}")),
        };
        let release = fs::read_to_string("/proc/sys/kernel/osrelease")?;
        let numbers: Vec<&str> = release.split(['.', '-']).take(2).collect();
        Ok(Self {
            path,
            kernel: numbers.join("."),
            by_kernel,
        })
    }

    pub(crate) fn kernel(&self) -> &str {
        &self.kernel
    }

    /// The record of the running kernel.
    pub(crate) fn before(&self) -> Option<&R> {
        self.by_kernel.get(&self.kernel)
    }

    /// Writes the file with this for the running kernel.
    pub(crate) fn replace(mut self, record: R) -> Result<()> {
        self.by_kernel.insert(self.kernel, record);
        let text = serde_json::to_string_pretty(&self.by_kernel)? + "\n";
        fs::write(&self.path, text).with_context(|| format!("cannot write {}", self.path.display()))
    }
}
