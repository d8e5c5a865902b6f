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
        match answer_some(&maps, &mut inspector, handshakes, started.elapsed()) {
            Ok(Left::Nothing) => guard.clear_ready(),
            // Under a flood there is always more, and others have work to do as well.
            Ok(Left::More) => tokio::task::yield_now().await,
            Err(error) if complained => drop(error),
            Err(error) => {
                complain(&error.into());
                complained = true;
            }
        }
    }
}

/// What there is still to be answered.
enum Left {
    Nothing,
    More,
}

/// Answers what is there, but no more than a turn's share.
fn answer_some(
    maps: &Maps,
    inspector: &mut Inspector,
    handshakes: &mut Handshakes,
    now: Duration,
) -> Result<Left, KernelError> {
    /// Some milliseconds of work.
    const SHARE: usize = 256;
    for _ in 0..SHARE {
        let Some(handed) = handshakes.next() else {
            return Ok(Left::Nothing);
        };
        let mut failed = None;
        let verdict = inspector.read(&handed, now, |kind, name| {
            maps.service_of_name(kind, name).unwrap_or_else(|error| {
                failed = Some(error);
                0
            })
        });
        if let Some(error) = failed {
            return Err(error);
        }
        if let Some(state) = verdict {
            handshakes.settle(&handed.flow, handed.entry, state);
        }
    }
    Ok(Left::More)
}
