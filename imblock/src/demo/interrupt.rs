//! Ctrl-C and its kin end the demo between two steps, so that one way of cleaning up serves all.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{SignalKind, signal};

use super::DemoError;

/// Remembers whether somebody wants the demo to end.
pub(super) struct Interrupt {
    wanted: Arc<AtomicBool>,
    /// Listens as long as this lives.
    runtime: Option<Runtime>,
}

impl Interrupt {
    /// From here on SIGINT, SIGTERM and SIGHUP do not end the process at once.
    pub(super) fn listen() -> Result<Self, DemoError> {
        let no_signals = |source| DemoError::File {
            what: "listen for",
            path: PathBuf::from("signals"),
            source,
        };
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .map_err(no_signals)?;
        let wanted = Arc::new(AtomicBool::new(false));
        let kinds = [
            SignalKind::interrupt(),
            SignalKind::terminate(),
            SignalKind::hangup(),
        ];
        for kind in kinds {
            let _inside = runtime.enter();
            let mut signal = signal(kind).map_err(no_signals)?;
            let wanted = Arc::clone(&wanted);
            runtime.spawn(async move {
                signal.recv().await;
                wanted.store(true, Ordering::Relaxed);
            });
        }
        Ok(Self {
            wanted,
            runtime: Some(runtime),
        })
    }

    /// An error once somebody wants the demo to end.
    pub(super) fn check(&self) -> Result<(), DemoError> {
        if self.wanted.load(Ordering::Relaxed) {
            return Err(DemoError::Interrupted);
        }
        Ok(())
    }
}

impl Drop for Interrupt {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Not by waiting: the caller may be a task itself, which must not block.
            runtime.shutdown_background();
        }
    }
}
