//! Letting go of interfaces, and waiting until the kernel has.

use std::time::{Duration, Instant};

use imblock_common::Hook;

use super::attach::has_tcx_program;
use super::links::linked_program;
use super::netlink::{Interface, interfaces};
use super::pins::Pins;
use super::{KernelError, clsact};

/// Removes one link; the program is gone from the hook when this returns.
pub(super) fn detach(pins: &Pins, interface: &str, hook: Hook) -> Result<(), KernelError> {
    detach_all(pins, vec![(interface.to_owned(), hook)])
}

/// Removes links; their programs are gone from the hooks when this returns. All are let go first: the
/// kernel takes its time, for many hardly more than for one.
pub(super) fn detach_all(pins: &Pins, links: Vec<(String, Hook)>) -> Result<(), KernelError> {
    let mut waiting = Vec::new();
    for (interface, hook) in links {
        if hook == Hook::Egress {
            clsact::detach(pins, &interface)?;
        }
        let program = linked_program(pins, &interface, hook)?;
        Pins::remove(&pins.link(&interface, hook))?;
        waiting.extend(program.map(|program| Waiting {
            interface,
            hook,
            program,
        }));
    }
    await_detached(waiting)
}

/// A program whose link was let go.
struct Waiting {
    interface: String,
    hook: Hook,
    program: u32,
}

/// Waits until programs whose links were let go are off their hooks. The kernel frees the link of a
/// removed pin in its own time, some milliseconds later, and meanwhile the program still drops.
fn await_detached(mut waiting: Vec<Waiting>) -> Result<(), KernelError> {
    const PAUSE: Duration = Duration::from_millis(2);
    const PATIENCE: Duration = Duration::from_secs(5);
    let begin = Instant::now();
    while !waiting.is_empty() {
        let present = interfaces()?;
        waiting.retain(|link| link.is_attached(&present));
        match waiting.first() {
            Some(stuck) if begin.elapsed() > PATIENCE => {
                return Err(KernelError::StillAttached {
                    interface: stuck.interface.clone(),
                    program: stuck.program,
                });
            }
            Some(_) => std::thread::sleep(PAUSE),
            None => {}
        }
    }
    Ok(())
}

impl Waiting {
    fn is_attached(&self, present: &[Interface]) -> bool {
        match self.hook {
            Hook::Ingress => present.iter().any(|found| {
                found.name == self.interface
                    && found.xdp.is_some_and(|xdp| xdp.program == self.program)
            }),
            Hook::Egress => has_tcx_program(&self.interface, self.program),
        }
    }
}
