//! What the tests with real networks share: the lab with the executable at its router.
//!
//! Included by path, so everything here is used by each of them.

mod controller;

use std::collections::BTreeSet;
use std::fs;
use std::process::{Command, Output, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use imblock::lab::{Lab, LabError, Wiring};
use imblock::testing;
use tempfile::TempDir;

pub(crate) use controller::Controller;

/// A network with the executable at its router.
pub(crate) struct Rig {
    pub(crate) lab: Lab,
    pub(crate) instance: String,
    pub(crate) home: TempDir,
    /// Every instance that a command was run for.
    instances: Mutex<BTreeSet<String>>,
}

impl Rig {
    /// None, with the reason noted, where the kernel is not ours to use.
    pub(crate) fn bare(test: &str, wiring: Wiring) -> Option<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        if !testing::kernel_or_skip(test) {
            return None;
        }
        let lab = match Lab::new(wiring) {
            Ok(lab) => lab,
            Err(error @ LabError::NoPermission { .. }) => {
                testing::skip_for_kernel(test, error);
                return None;
            }
            // Tagged frames are proved without VLAN interfaces, too.
            Err(error @ LabError::KernelLacks { .. }) if wiring != Wiring::Plain => {
                testing::skip(test, error);
                return None;
            }
            Err(error) => panic!("{error}: {error:?}"),
        };
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        Some(Self {
            lab,
            instance: format!("test-{}-{number}", std::process::id()),
            home: tempfile::tempdir().unwrap(),
            instances: Mutex::default(),
        })
    }

    /// Writes a file into the directory where commands run.
    pub(crate) fn write(&self, name: &str, content: &str) {
        fs::write(self.home.path().join(name), content).unwrap();
    }

    /// Runs a command at the router.
    pub(crate) fn imblock(&self, arguments: &[&str]) -> Output {
        let mut command = self.command(&self.instance, arguments);
        self.lab.router.namespace.output(&mut command).unwrap()
    }

    pub(crate) fn command(&self, instance: &str, arguments: &[&str]) -> Command {
        self.instances.lock().unwrap().insert(instance.to_owned());
        let mut command = Command::new(env!("CARGO_BIN_EXE_imblock"));
        command
            .args(["--instance", instance])
            .args(arguments)
            .current_dir(self.home.path())
            .env("IMBLOCK_STATE_DIR", self.home.path().join("state"))
            .stdin(Stdio::null());
        command
    }

    /// Runs a command that must succeed, and gives what it printed.
    #[track_caller]
    pub(crate) fn ok(&self, arguments: &[&str]) -> String {
        let output = self.imblock(arguments);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success(),
            "{arguments:?}: {} {stderr}",
            output.status
        );
        String::from_utf8(output.stdout).unwrap()
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        // A test that failed half-way must not leave pins in the machine's bpffs.
        let instances = self.instances.lock().unwrap().clone();
        for instance in instances {
            let mut down = self.command(&instance, &["down"]);
            let _ = self.lab.router.namespace.output(&mut down);
        }
    }
}

/// Waits until something holds.
#[track_caller]
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !holds() {
        assert!(Instant::now() < deadline, "not within 60 s: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
