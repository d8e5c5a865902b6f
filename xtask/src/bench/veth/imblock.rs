//! imblock as users run it: the built program puts it into a network, under an instance name, pins and
//! state of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context as _, Result, ensure};
use imblock::lab::Namespace;
use serde_json::Value;
use tempfile::TempDir;

use super::policy::{DROPPED_SERVICE, Policy};
use super::rig::{ENTRANCE, EXIT};
use crate::executable;

/// Where a process of the benchmark has its pins; its number follows.
const PINS: &str = "/sys/fs/bpf/imblock-bench-veth-";

/// The program, and where all instances of this process have their pins and their state.
pub(super) struct Tool {
    binary: PathBuf,
    pins: PathBuf,
    state: TempDir,
    instances: AtomicU32,
}

impl Tool {
    /// Builds the program, as it is shipped. Without a change since, that is quickly done.
    pub(super) fn build() -> Result<Self> {
        let binary = executable::release()?;
        remove_leftovers();
        let pins = PathBuf::from(format!("{PINS}{}", std::process::id()));
        fs::create_dir(&pins).with_context(|| {
            format!(
                "cannot make {}: is the BPF file system mounted?",
                pins.display()
            )
        })?;
        Ok(Self {
            binary,
            pins,
            state: tempfile::tempdir()?,
            instances: AtomicU32::new(0),
        })
    }

    /// Attaches in a network, as a policy says.
    pub(super) fn up(&self, namespace: &Arc<Namespace>, policy: &Policy) -> Result<Instance> {
        let number = self.instances.fetch_add(1, Ordering::Relaxed);
        let name = format!("bench{number}");
        let file = self.state.path().join(format!("{name}.yaml"));
        fs::write(&file, policy.text())?;
        let instance = Instance {
            binary: self.binary.clone(),
            pins: self.pins.clone(),
            state: self.state.path().to_owned(),
            name,
            namespace: Arc::clone(namespace),
            counted_in: match policy.inside {
                true => "inside_in_use",
                false => "hosts_in_use",
            },
        };
        instance.ask(&["up", "--policy", &file.to_string_lossy()])?;
        let status = instance.json(&["status"])?;
        let interfaces = status.get("interfaces").and_then(Value::as_array);
        let told = |interface: &str, key: &str| {
            let mut interfaces = interfaces.into_iter().flatten();
            let found = interfaces.find(|one| text(one, "name") == Some(interface));
            found.and_then(|one| one.get(key).cloned())
        };
        let (xdp, egress) = (told(ENTRANCE, "xdp"), told(EXIT, "egress"));
        ensure!(xdp == Some("native".into()), "{ENTRANCE}: XDP is {xdp:?}");
        ensure!(
            !policy.egress || egress == Some(true.into()),
            "{EXIT} is not watched"
        );
        Ok(instance)
    }
}

impl Drop for Tool {
    fn drop(&mut self) {
        // Pins can be removed as files are. What is not there is no longer in the way.
        let _ = fs::remove_dir_all(&self.pins);
    }
}

/// An instance in a network. It goes with this value.
pub(super) struct Instance {
    binary: PathBuf,
    pins: PathBuf,
    state: PathBuf,
    name: String,
    namespace: Arc<Namespace>,
    /// The field of a status that says how many hosts are counted where the policy wants them.
    counted_in: &'static str,
}

impl Instance {
    /// How many packets of the listed service it has dropped.
    pub(super) fn refused(&self) -> Result<u64> {
        let answer = self.json(&["services", DROPPED_SERVICE])?;
        let packets = answer.pointer("/services/0/refused/packets");
        packets
            .and_then(Value::as_u64)
            .context("imblock does not say what it refused")
    }

    /// Of how many packets that came in it told a service.
    pub(super) fn identified(&self) -> Result<u64> {
        let status = self.json(&["status"])?;
        let frames = status.get("frames").and_then(Value::as_array);
        let identified = frames.into_iter().flatten().filter(|frames| {
            text(frames, "view") == Some("lan_ingress")
                && text(frames, "outcome") == Some("identified")
        });
        Ok(identified
            .filter_map(|frames| frames.get("packets")?.as_u64())
            .sum())
    }

    /// How many pairs of host and service have counters of their own, where the policy wants them.
    pub(super) fn hosts(&self) -> Result<u64> {
        let status = self.json(&["status"])?;
        let hosts = status.get(self.counted_in).and_then(Value::as_u64);
        hosts.context("imblock does not say how many hosts it knows")
    }

    fn json(&self, arguments: &[&str]) -> Result<Value> {
        let text = self.ask(&[arguments, &["--json"]].concat())?;
        serde_json::from_str(&text).context("imblock printed no JSON")
    }

    fn ask(&self, arguments: &[&str]) -> Result<String> {
        let mut command = Command::new(&self.binary);
        command
            .args(["--instance", &self.name])
            .args(arguments)
            .env("IMBLOCK_BPFFS", &self.pins)
            .env("IMBLOCK_STATE_DIR", &self.state);
        // The network alone: the pins are in this process's file systems.
        let output = self.namespace.output(&mut command)?;
        let words = String::from_utf8_lossy(&output.stderr);
        ensure!(
            output.status.success(),
            "imblock {}: {}",
            arguments.join(" "),
            words.trim()
        );
        Ok(String::from_utf8(output.stdout)?)
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        if let Err(error) = self.ask(&["down"]) {
            eprintln!("error: {error:#}");
        }
    }
}

/// A field of an object.
fn text<'v>(value: &'v Value, key: &str) -> Option<&'v str> {
    value.get(key)?.as_str()
}

/// Takes away the pins of processes that were killed.
fn remove_leftovers() {
    let (folder, prefix) = PINS.rsplit_once('/').unwrap_or_default();
    for pins in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = pins.file_name().to_string_lossy().into_owned();
        let Some(process) = name.strip_prefix(prefix) else {
            continue;
        };
        if !Path::new("/proc").join(process).exists() {
            let _ = fs::remove_dir_all(pins.path());
        }
    }
}
