//! The ends that `imblock run` can come to.

use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::Controller;

impl Controller {
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

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }
}
