//! A program on a host of the lab.

use std::fs::{self, File};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use imblock::lab::Host;
use rustix::process::{Pid, Signal, kill_process_group};

/// Where servers are, if the one who runs the tests has no such folders on the path.
const SERVERS: &str = "/usr/local/sbin:/usr/sbin:/sbin";
const TICK: Duration = Duration::from_millis(20);

/// The path of an installed program.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(std::env::split_paths(SERVERS))
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}

/// Killed when dropped, with all that it started.
pub(crate) struct Program {
    child: Child,
    log: PathBuf,
}

impl Program {
    /// What it prints goes into `log`.
    #[track_caller]
    pub(super) fn start(on: &Host, command: &mut Command, log: PathBuf) -> Self {
        let output = File::create(&log).unwrap();
        command
            .process_group(0)
            .stdout(output.try_clone().unwrap())
            .stderr(output);
        let child = on.namespace.spawn(command).unwrap();
        Self { child, log }
    }

    /// All that it said so far.
    pub(crate) fn said(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap()).into_owned()
    }

    /// Waits until it says something. False if it ends or the time is up before.
    pub(crate) fn says(&mut self, text: &str, within: Duration) -> bool {
        let deadline = Instant::now() + within;
        loop {
            // In this order, so that last words are heard.
            let over = self.is_over() || Instant::now() > deadline;
            if self.said().contains(text) {
                return true;
            }
            if over {
                return false;
            }
            std::thread::sleep(TICK);
        }
    }

    /// Waits until it ends. False if it ends badly or not in time.
    pub(crate) fn ends_well(&mut self, within: Duration) -> bool {
        let deadline = Instant::now() + within;
        while !self.is_over() && Instant::now() < deadline {
            std::thread::sleep(TICK);
        }
        let status = self.child.try_wait().unwrap();
        status.is_some_and(|status| status.success())
    }

    #[track_caller]
    pub(super) fn assert_alive(&mut self) {
        if let Some(status) = self.child.try_wait().unwrap() {
            panic!("it ended with {status}: {}", self.said());
        }
    }

    fn is_over(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // The group lives on while one of its members does, and keeps its number until then.
        let _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
        let _ = self.child.wait();
    }
}
