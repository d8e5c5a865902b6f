//! Which half of the tables is in force: applying a policy, for good or until a deadline; confirming
//! it; going back.
//!
//! Invariant: the programs and every command agree about the half in force, for both ask
//! [`Control::in_force`] on the same clock; and each step below is one write after which each packet
//! is judged by one whole half, so that a process may be killed between any two of them.

use std::time::Duration;

use imblock_common::layout::{Control, Half};
use rustix::time::{ClockId, clock_gettime};

use super::KernelError;
use super::maps::Maps;
use crate::policy::Plan;

/// A policy that holds until a deadline unless it is confirmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unconfirmed {
    /// Its generation.
    pub generation: u32,
    /// The generation that comes back at the deadline.
    pub fallback: u32,
    /// How long it still holds.
    pub left: Duration,
}

impl Maps {
    /// Writes the plan into the idle half, then makes it live by one word. Returns the generation.
    ///
    /// A packet is judged by the old policy or the new one, never by a mix. When this fails, the
    /// old policy is in force, untouched. [`KernelError::Unconfirmed`] while another policy waits
    /// for its confirmation: there is no idle half then.
    pub fn apply(&mut self, plan: &Plan) -> Result<u32, KernelError> {
        let (control, generation) = self.prepare(plan)?;
        self.set_control(Control {
            generation,
            ..control
        })?;
        Ok(generation)
    }

    /// As [`Maps::apply`], but for so long only, unless [`Maps::confirm`] comes in time: the
    /// programs themselves go back at the deadline, whoever lives then.
    pub fn apply_for(&mut self, plan: &Plan, time: Duration) -> Result<u32, KernelError> {
        if self.control()?.generation == 0 {
            return Err(KernelError::NoPrevious(
                "no other policy was applied before",
            ));
        }
        let (mut control, generation) = self.prepare(plan)?;
        // While both generations are the old one, the deadline means nothing to any packet.
        control.fallback = control.generation;
        self.set_control(control)?;
        let time = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        control.deadline = now().saturating_add(time).max(1);
        self.set_control(control)?;
        self.set_control(Control {
            generation,
            ..control
        })?;
        Ok(generation)
    }

    /// Makes the policy stay that is in force until a deadline. Returns its generation.
    pub fn confirm(&mut self) -> Result<u32, KernelError> {
        self.settle()?;
        let Some(waiting) = self.unconfirmed()? else {
            return Err(KernelError::NothingToConfirm);
        };
        let control = self.control()?;
        self.set_control(Control {
            deadline: 0,
            ..control
        })?;
        Ok(waiting.generation)
    }

    /// Goes back to the generation before the one in force, at once. Returns the former.
    pub fn rollback(&mut self) -> Result<u32, KernelError> {
        self.settle()?;
        let previous = self.previous()?;
        self.go_back_to(previous)?;
        Ok(previous)
    }

    /// The generation to which a rollback leads; [`KernelError::NoPrevious`] says why to none.
    pub fn previous(&self) -> Result<u32, KernelError> {
        let live = self.generation()?;
        let previous = self.generation_in(Half::of_generation(live).other())?;
        // Generations wrap; a difference in the upper half is one backwards.
        let is_earlier = live.wrapping_sub(previous) < 1 << 31;
        Err(KernelError::NoPrevious(match previous {
            0 if live <= 1 => "no other policy was applied before",
            0 => "its tables were overwritten by an apply that did not come to its end",
            _ if !is_earlier => "it was rolled back already, and of earlier ones nothing is kept",
            previous => return Ok(previous),
        }))
    }

    /// Writes down what the programs have done by themselves: that a policy was not confirmed in
    /// time, and the one before it is in force again. Returns the generation that did not stay.
    pub fn settle(&mut self) -> Result<Option<u32>, KernelError> {
        let control = self.control()?;
        if control.deadline == 0 || self.unconfirmed()?.is_some() {
            return Ok(None);
        }
        self.go_back_to(control.in_force(now))?;
        let rejected = control.generation;
        Ok((rejected != control.fallback).then_some(rejected))
    }

    /// Whether there is something for [`Maps::settle`] to write down.
    pub fn is_overdue(&self) -> Result<bool, KernelError> {
        Ok(self.control()?.deadline != 0 && self.unconfirmed()?.is_none())
    }

    /// The policy that waits for its confirmation, if there is one.
    pub fn unconfirmed(&self) -> Result<Option<Unconfirmed>, KernelError> {
        let control = self.control()?;
        let now = now();
        // An apply that was killed before its last step has left a deadline that means nothing.
        let waits = control.deadline > now && control.generation != control.fallback;
        Ok(waits.then(|| Unconfirmed {
            generation: control.generation,
            fallback: control.fallback,
            left: Duration::from_nanos(control.deadline.saturating_sub(now)),
        }))
    }

    /// The generation in force; 0 before the first policy.
    pub fn generation(&self) -> Result<u32, KernelError> {
        Ok(self.control()?.in_force(now))
    }

    /// The half in force.
    pub(super) fn live_half(&self) -> Result<Half, KernelError> {
        self.generation().map(Half::of_generation)
    }

    /// Makes the generation of the other half live: that half must be whole.
    pub(super) fn go_back_to(&mut self, generation: u32) -> Result<(), KernelError> {
        let control = Control {
            generation,
            ..self.control()?
        };
        // First the generation: a deadline that is over leads to the fallback until it is gone. One
        // that is not must not lead away from it later.
        self.set_control(Control {
            fallback: generation,
            ..control
        })?;
        self.set_control(Control {
            deadline: 0,
            fallback: generation,
            ..control
        })
    }

    /// Puts a plan into the idle half. Returns the control word to go on with, and the generation
    /// that would make the half the live one.
    fn prepare(&mut self, plan: &Plan) -> Result<(Control, u32), KernelError> {
        self.settle()?;
        if let Some(Unconfirmed { left, .. }) = self.unconfirmed()? {
            return Err(KernelError::Unconfirmed { left });
        }
        let control = self.control()?;
        let idle = Half::of_generation(control.generation).other();
        let generation = next_generation(control.generation, self.generation_in(idle)?);
        self.write_half(idle, plan, generation)?;
        // Nobody reads the idle half's flags before the generation says so.
        let mut policy_flags = control.policy_flags;
        match policy_flags.each_mut() {
            [even, _] if idle.index() == 0 => *even = plan.flags(),
            [_, odd] => *odd = plan.flags(),
        }
        let control = Control {
            policy_flags,
            ..control
        };
        self.set_control(control)?;
        Ok((control, generation))
    }
}

/// The generation after the live one, in the half of the idle one: no number is given twice, not
/// even that of a policy which was rolled back.
fn next_generation(live: u32, idle: u32) -> u32 {
    let was_rolled_back = idle != 0 && idle.wrapping_sub(live) < 1 << 31;
    let next = if was_rolled_back {
        idle.wrapping_add(2)
    } else {
        live.wrapping_add(1)
    };
    // 0 means that nothing was applied yet, so the counter skips it when it wraps; the half must
    // alternate all the same.
    if next == 0 { 2 } else { next }
}

/// The clock of [`Control::deadline`].
fn now() -> u64 {
    const SECOND: u64 = 1_000_000_000;
    let now = clock_gettime(ClockId::MonotonicCoarse);
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    let nanoseconds = u64::try_from(now.tv_nsec).unwrap_or(0);
    seconds.saturating_mul(SECOND).saturating_add(nanoseconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_generation_is_given_twice() {
        assert_eq!(next_generation(0, 0), 1);
        assert_eq!(next_generation(1, 0), 2);
        assert_eq!(next_generation(7, 6), 8);
        // 8 was rolled back to 7.
        assert_eq!(next_generation(7, 8), 10);
        // The idle half was left half-written.
        assert_eq!(next_generation(7, 0), 8);
        assert_eq!(next_generation(u32::MAX, u32::MAX - 1), 2);
    }
}
