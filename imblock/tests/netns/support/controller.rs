//! `imblock run` in the background.

use std::fs::{self, File};
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::{Rig, eventually};

/// Killed when dropped.
pub(crate) struct Controller {
    child: Child,
    log: PathBuf,
}

impl Controller {
    #[track_caller]
    pub(crate) fn start(rig: &Rig, arguments: &[&str]) -> Self {
        let log = rig.home.path().join("run.log");
        // As systemd does: the controller says when it is at work.
        let notify = rig.home.path().join("notify");
        let _ = fs::remove_file(&notify);
        let ready = UnixDatagram::bind(&notify).unwrap();
        ready
            .set_read_timeout(Some(Duration::from_millis(20)))
            .unwrap();
        let mut command = rig.command(&rig.instance, &["run"]);
        command
            .args(arguments)
            .env("NOTIFY_SOCKET", &notify)
            .stdout(Stdio::null())
            .stderr(File::create(&log).unwrap());
        let child = rig.lab.router.namespace.spawn(&mut command).unwrap();
        let mut controller = Self { child, log };
        eventually("`imblock run` is at work", || {
            controller.assert_alive();
            let mut message = [0; 256];
            let length = ready.recv(&mut message).unwrap_or(0);
            message[..length].starts_with(b"READY=1")
        });
        assert_eq!(rig.status().controller, Some(controller.child.id()));
        controller
    }

    /// Ends it as `kill -9` does: it can't clean up.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to end, which it must do well.
    #[track_caller]
    pub(crate) fn stop(mut self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
        let deadline = Instant::now() + Duration::from_secs(10);
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(
                Instant::now() < deadline,
                "`imblock run` ignores {signal:?}: {}",
                self.said()
            );
            std::thread::sleep(Duration::from_millis(10));
        };
        assert_eq!(status.code(), Some(0), "{signal:?}: {}", self.said());
    }

    /// Asks it to read its policy again.
    pub(crate) fn hang_up(&self) {
        kill_process(self.pid(), Signal::HUP).unwrap();
    }

    /// All that it said so far.
    pub(crate) fn said(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    #[track_caller]
    fn assert_alive(&mut self) {
        if let Some(status) = self.child.try_wait().unwrap() {
            panic!("`imblock run` ended with {status}: {}", self.said());
        }
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }
}

impl Drop for Controller {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
