//! The controller's clock: brings the live cells to what the policy's schedules say, to the second.
//!
//! Invariant: whoever puts a policy in force, and however the clock is set, a second later the cells
//! are those of the present instant. What is set by hand is not touched.

use std::time::Duration;

use jiff::Timestamp;

use super::CommandError;
use super::say::{Trouble, complain, say};
use super::target::Target;
use crate::kernel::Instance;

/// The longest sleep: how late a set clock, or a policy that somebody else applied, is noticed.
const LONGEST: Duration = Duration::from_secs(1);
/// The shortest: the next change may lie less than a tick of the timer ahead.
const SHORTEST: Duration = Duration::from_millis(1);

/// Keeps the schedules of an instance.
pub(super) struct Clockwork {
    target: Target,
    instance: Instance,
    watch: Watch,
    trouble: Trouble,
}

impl Clockwork {
    pub(super) fn of(target: &Target) -> Result<Self, CommandError> {
        Ok(Self {
            target: Target::new(target.name.clone()),
            instance: target.open()?,
            watch: Watch::default(),
            trouble: Trouble::default(),
        })
    }

    /// Does what is due, and says how long there is nothing to do.
    pub(super) fn tick(&mut self) -> Duration {
        let now = Timestamp::now();
        let kept = self.keep_up(now);
        let is_news = self.trouble.is_news(kept.is_ok());
        match kept {
            Ok(()) if is_news => say("the schedules are kept again"),
            Ok(()) => {}
            Err(error) => {
                if is_news {
                    complain(&error);
                    if !error.is_done() {
                        say("what the policy's schedules say is not done until this is put right");
                    }
                }
                self.watch = Watch::default();
            }
        }
        self.watch.pause(Timestamp::now())
    }

    fn keep_up(&mut self, now: Timestamp) -> Result<(), CommandError> {
        let generation = self.instance.maps.generation()?;
        if !self.watch.is_due(generation, now) {
            return Ok(());
        }
        // Under the lock nobody applies or toggles; what came between is seen here.
        let lock = self.target.lock()?;
        // A policy that was not confirmed in time is settled first: what is written down must be of the one
        // in force.
        drop(self.target.open_under(&lock)?);
        let mut state = self.target.state.load()?;
        let live = self.instance.maps.header()?;
        let Some(schedules) = state.schedules_of(&live.hash) else {
            self.watch.set(live.generation, now, None);
            return Ok(());
        };
        let cells = schedules.timetable.cells_at(now);
        let next = schedules.timetable.next_change(now);
        let toggled = state.toggled(&self.instance.maps.groups()?);
        let changed = self.instance.maps.reschedule(&cells, &toggled)?;
        if changed > 0 {
            say(format_args!(
                "the schedules change what is done in {changed} pairs of group and service"
            ));
        }
        state.keep_until(&live.hash, now);
        let written = self.target.state.store(&state);
        written.map_err(CommandError::ScheduleNotWrittenDown)?;
        self.watch.set(live.generation, now, next);
        Ok(())
    }
}

/// When to look at the schedules again.
#[derive(Debug, Default)]
struct Watch {
    /// That of the policy which was looked at last; none for not yet, or not with success.
    generation: Option<u32>,
    /// When a schedule changes next.
    next: Option<Timestamp>,
    /// The clock when it was last looked at.
    last: Timestamp,
}

impl Watch {
    fn set(&mut self, generation: u32, now: Timestamp, next: Option<Timestamp>) {
        *self = Self {
            generation: Some(generation),
            next,
            last: now,
        };
    }

    /// Whether the cells may be others than those of this instant.
    fn is_due(&mut self, generation: u32, now: Timestamp) -> bool {
        let is_set_back = now < self.last;
        self.last = now;
        let is_over = self.next.is_some_and(|next| next <= now);
        self.generation != Some(generation) || is_over || is_set_back
    }

    /// How long nothing is due, if nobody sets the clock.
    fn pause(&self, now: Timestamp) -> Duration {
        let left = self.next.map(|next| {
            let left = next.duration_since(now);
            Duration::try_from(left).unwrap_or_default()
        });
        left.unwrap_or(LONGEST).clamp(SHORTEST, LONGEST)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn it_is_due_at_the_next_change_and_after_a_new_policy() {
        let mut watch = Watch::default();
        assert!(watch.is_due(1, at(1000)), "nothing was looked at yet");
        watch.set(1, at(1000), Some(at(2000)));
        assert!(!watch.is_due(1, at(1000)) && !watch.is_due(1, at(1999)));
        assert!(watch.is_due(1, at(2000)) && watch.is_due(1, at(2001)));
        watch.set(1, at(2001), None);
        assert!(!watch.is_due(1, at(9000)));
        assert!(watch.is_due(2, at(9000)), "somebody applied a policy");
    }

    #[test]
    fn a_clock_that_is_set_makes_it_due() {
        let mut watch = Watch::default();
        watch.set(1, at(1000), Some(at(2000)));
        assert!(!watch.is_due(1, at(1001)));
        assert!(watch.is_due(1, at(500)), "set back");
        watch.set(1, at(500), Some(at(700)));
        assert!(watch.is_due(1, at(5000)), "set forward");
    }

    #[test]
    fn it_sleeps_up_to_the_change_and_never_long() {
        let mut watch = Watch::default();
        assert_eq!(watch.pause(at(1000)), LONGEST);
        watch.set(1, at(1000), Some(at(2000)));
        assert_eq!(watch.pause(at(1000)), LONGEST);
        let shortly = at(2000) - Duration::from_millis(300);
        assert_eq!(watch.pause(shortly), Duration::from_millis(300));
        assert_eq!(watch.pause(at(2000)), SHORTEST);
        assert_eq!(watch.pause(at(3000)), SHORTEST);
    }
}
