//! The operator at the router: runs this very executable there, with an instance, a state
//! directory and files of its own.
//!
//! Invariant: when it is dropped, the instance is down and its directory is gone.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::de::DeserializeOwned;

use super::DemoError;
use crate::exit::Exit;
use crate::lab::Namespace;

/// Where the product keeps its state; see `docs/OPERATIONS.md`.
const STATE_DIR: &str = "IMBLOCK_STATE_DIR";

/// Runs commands at the router.
pub(super) struct Operator<'a> {
    router: &'a Namespace,
    executable: PathBuf,
    instance: String,
    directory: PathBuf,
}

impl<'a> Operator<'a> {
    pub(super) fn new(router: &'a Namespace) -> Result<Self, DemoError> {
        let executable = std::env::current_exe().map_err(|source| DemoError::File {
            what: "find",
            path: PathBuf::from("/proc/self/exe"),
            source,
        })?;
        let process = std::process::id();
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let moment = now.map_or(0, |since| since.subsec_nanos());
        let directory = std::env::temp_dir().join(format!("imblock-demo-{process}-{moment:09}"));
        // Never an existing one: the name can be guessed, and the operator is root.
        fs::create_dir(&directory).map_err(|source| DemoError::File {
            what: "make the directory",
            path: directory.clone(),
            source,
        })?;
        Ok(Self {
            router,
            executable,
            instance: format!("demo-{process}"),
            directory,
        })
    }

    /// The instance that every command is for.
    pub(super) fn instance(&self) -> &str {
        &self.instance
    }

    /// Runs a command to its end, and gives what it printed.
    pub(super) fn run(&self, arguments: &[&str]) -> Result<String, DemoError> {
        let output = self.output(arguments)?;
        let command = arguments.join(" ");
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let code = output
            .status
            .code()
            .and_then(|code| u8::try_from(code).ok());
        Err(match code {
            Some(code) => DemoError::Command {
                command,
                code,
                stderr: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
            },
            None => DemoError::Killed {
                command,
                status: output.status,
            },
        })
    }

    /// Runs a command with `--json`, and reads what it printed.
    pub(super) fn read<T: DeserializeOwned>(&self, command: &str) -> Result<T, DemoError> {
        let text = self.run(&[command, "--json"])?;
        serde_json::from_str(&text).map_err(|source| DemoError::Json {
            command: format!("{command} --json"),
            source,
        })
    }

    /// Whether there is anything of the instance in the kernel.
    pub(super) fn is_up(&self) -> Result<bool, DemoError> {
        match self.run(&["status"]) {
            Ok(_) => Ok(true),
            Err(DemoError::Command { code, .. }) if code == Exit::NotRunning as u8 => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Writes a file into the directory in which the commands run.
    pub(super) fn write(&self, name: &str, content: &str) -> Result<(), DemoError> {
        let path = self.directory.join(name);
        fs::write(&path, content).map_err(|source| DemoError::File {
            what: "write",
            path,
            source,
        })
    }

    fn output(&self, arguments: &[&str]) -> Result<Output, DemoError> {
        let mut command = Command::new(&self.executable);
        command
            .args(["--instance", &self.instance])
            .args(arguments)
            .current_dir(&self.directory)
            .env(STATE_DIR, self.state())
            .stdin(Stdio::null())
            // Out of the terminal's group: a Ctrl-C is for the demo, which then cleans up.
            .process_group(0);
        Ok(self.router.output(&mut command)?)
    }

    fn state(&self) -> PathBuf {
        self.directory.join("state")
    }
}

impl Drop for Operator<'_> {
    fn drop(&mut self) {
        // Down twice is no harm, and there is nobody left to tell of one that never came up.
        let _ = self.output(&["down"]);
        let _ = fs::remove_dir_all(Path::new(&self.directory));
    }
}
