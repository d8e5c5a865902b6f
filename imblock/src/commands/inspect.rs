//! The controller's answers to QUIC handshakes, beside everything else that `run` does.

use std::io;
use std::time::{Duration, Instant};

use super::say::complain;
use crate::kernel::{Handshakes, KernelError, Maps};
use crate::quic::Inspector;

/// Reads handshakes until the task is aborted. What can't be looked up is told once, for a flood of
/// handshakes must not become one of messages; its flow stays what address and port say.
pub(super) async fn answer(maps: Maps, mut handshakes: Handshakes) -> io::Result<()> {
    // What was left when nobody read is about flows of long ago.
    while handshakes.next().is_some() {}
    let started = Instant::now();
    let mut inspector = Inspector::default();
    let mut complained = false;
    let mut ready = handshakes.watched()?;
    loop {
        let mut guard = ready.readable_mut().await?;
        let handshakes = guard.get_inner_mut();
        while let Some(error) = answer_all(&maps, &mut inspector, handshakes, started.elapsed()) {
            if !complained {
                complain(&error.into());
                complained = true;
            }
        }
        guard.clear_ready();
    }
}

/// Answers all that is there, or until something fails.
fn answer_all(
    maps: &Maps,
    inspector: &mut Inspector,
    handshakes: &mut Handshakes,
    now: Duration,
) -> Option<KernelError> {
    while let Some(handed) = handshakes.next() {
        let mut failed = None;
        let verdict = inspector.read(&handed, now, |kind, name| {
            maps.service_of_name(kind, name).unwrap_or_else(|error| {
                failed = Some(error);
                0
            })
        });
        if failed.is_some() {
            return failed;
        }
        if let Some(state) = verdict {
            handshakes.settle(&handed.flow, handed.entry, state);
        }
    }
    None
}
