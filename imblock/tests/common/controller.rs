//! `imblock run` in the background.

use std::fs::{self, File};
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::Duration;

use super::{Rig, eventually};

/// Killed when dropped.
pub(crate) struct Controller {
    pub(crate) child: Child,
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
        controller
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
}

impl Drop for Controller {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
