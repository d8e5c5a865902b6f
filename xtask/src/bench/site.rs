//! A place where the real executable works: a namespace with cables, an instance and a state of its
//! own. Nothing is left of it when it is dropped.

use std::fs::{self, File};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use imblock::kernel::{BPFFS_VARIABLE, InstanceName};
use imblock::lab::{Namespace, cable};
use tempfile::TempDir;

use super::timer;

/// How long anything may take before it counts as stuck.
const PATIENCE: Duration = Duration::from_secs(60);

/// See above.
pub(super) struct Site {
    pub(super) namespace: Namespace,
    instance: String,
    home: TempDir,
    executable: PathBuf,
}

/// A call of the executable that succeeded.
pub(super) struct Called {
    pub(super) began: Instant,
    /// From its start to its end.
    pub(super) time: Duration,
    /// What it took of the CPUs, to a hundredth of a second.
    pub(super) cpu: Duration,
    /// What it printed.
    pub(super) output: String,
}

impl Site {
    /// With so many cables, `lan0` on. `word` keeps several sites of one process apart.
    pub(super) fn new(executable: &Path, word: &str, cables: u32) -> Result<Self> {
        let namespace = Namespace::new("bench")?;
        for number in 0..cables {
            let (near, far) = (interface(number), format!("far{number}"));
            cable((&namespace, &near), (&namespace, &far))?;
        }
        Ok(Self {
            namespace,
            instance: format!("bench-{}-{word}", std::process::id()),
            home: TempDir::new()?,
            executable: executable.to_owned(),
        })
    }

    /// Where its files are, and commands run.
    pub(super) fn home(&self) -> &Path {
        self.home.path()
    }

    pub(super) fn instance(&self) -> Result<InstanceName> {
        Ok(self.instance.parse()?)
    }

    /// Where its maps are pinned, in `maps`, and its links, in `links`.
    pub(super) fn pins(&self) -> PathBuf {
        let bpffs = std::env::var_os(BPFFS_VARIABLE);
        let bpffs = bpffs.map_or_else(|| PathBuf::from("/sys/fs/bpf"), PathBuf::from);
        bpffs.join("imblock").join(&self.instance)
    }

    pub(super) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.executable);
        command
            .args(["--instance", &self.instance])
            .args(arguments)
            .current_dir(self.home())
            .env("IMBLOCK_STATE_DIR", self.home().join("state"))
            .stdin(Stdio::null());
        command
    }

    /// Runs a command to its end; an error unless it succeeds.
    pub(super) fn call(&self, arguments: &[&str]) -> Result<Called> {
        let mut command = self.command(arguments);
        let before = timer::cpu_time_of_children()?;
        let (began, time, output) = self.namespace.run(|| {
            let began = Instant::now();
            let output = command.output();
            (began, began.elapsed(), output)
        })?;
        let output = output.context("cannot start imblock")?;
        ensure!(
            output.status.success(),
            "imblock {}: {}",
            arguments.join(" "),
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(Called {
            began,
            time,
            cpu: timer::cpu_time_of_children()?.saturating_sub(before),
            output: String::from_utf8(output.stdout)?,
        })
    }

    /// Starts `imblock run`, and waits until it says that it is at work. How long that took.
    pub(super) fn controller(&self, arguments: &[&str]) -> Result<(Controller, Duration)> {
        let notify = self.home().join("notify");
        let _ = fs::remove_file(&notify);
        let ready = UnixDatagram::bind(&notify)?;
        ready.set_read_timeout(Some(Duration::from_millis(500)))?;
        let log = self.home().join("run.log");
        let mut command = self.command(&["run"]);
        command
            .args(arguments)
            .env("NOTIFY_SOCKET", &notify)
            .stdout(Stdio::null())
            .stderr(File::create(&log)?);
        let begin = Instant::now();
        let mut controller = Controller(self.namespace.spawn(&mut command)?);
        let mut message = [0; 256];
        loop {
            let length = ready.recv(&mut message).unwrap_or(0);
            if message
                .get(..length)
                .is_some_and(|said| said.starts_with(b"READY=1"))
            {
                return Ok((controller, begin.elapsed()));
            }
            if let Some(status) = controller.0.try_wait()? {
                let said = fs::read_to_string(&log)?;
                bail!("imblock run ended with {status}: {said}");
            }
            ensure!(begin.elapsed() < PATIENCE, "imblock run does not get ready");
        }
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        // Not up any more, or never: there is nothing to take down then.
        let mut down = self.command(&["down"]);
        let _ = self.namespace.output(&mut down);
    }
}

/// `imblock run` at work. Killed when dropped.
pub(super) struct Controller(Child);

impl Controller {
    pub(super) fn process(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Controller {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The near end of a cable.
pub(super) fn interface(number: u32) -> String {
    format!("lan{number}")
}
