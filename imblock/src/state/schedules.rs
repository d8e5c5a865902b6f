//! The schedules of policies that may be live, for whoever keeps them or says that nobody does.
//!
//! Invariant: they belong to a plan by its hash, so that who goes back to an earlier one finds its own.

use std::collections::HashSet;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{State, groups_of};
use crate::policy::{Plan, Timetable};
use crate::provenance::hexadecimal;
use crate::status::ScheduleStatus;

/// Plans whose schedules are remembered: the live one, and the one to go back to.
const SCHEDULES_KEPT: usize = 2;
/// How late a controller that is at work may be.
const PATIENCE: Duration = Duration::from_secs(2);

/// The schedules of a policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KnownSchedules {
    /// SHA-256 of its plan, in hexadecimal.
    pub hash: String,
    /// The instant that its cells were last brought to, in seconds since 1970.
    pub as_of: i64,
    /// What they say.
    pub timetable: Timetable,
}

impl State {
    /// Remembers the schedules of a plan that is in force with the cells of an instant.
    pub fn remember_schedules(&mut self, plan: &Plan, at: Timestamp) {
        let hash = hexadecimal(&plan.hash());
        self.schedules.retain(|known| known.hash != hash);
        // One without schedules takes a place too: it pushes out what can't be gone back to.
        self.schedules.insert(
            0,
            KnownSchedules {
                hash,
                as_of: at.as_second(),
                timetable: plan.timetable.clone(),
            },
        );
        self.schedules.truncate(SCHEDULES_KEPT);
    }

    /// The schedules of the policy with this hash; none where it has none.
    pub fn schedules_of(&self, hash: &[u8; 32]) -> Option<&KnownSchedules> {
        let hash = hexadecimal(hash);
        let mut known = self.schedules.iter();
        known.find(|known| known.hash == hash && !known.timetable.is_empty())
    }

    /// Notes that the cells of a policy were brought to an instant.
    pub fn keep_until(&mut self, hash: &[u8; 32], at: Timestamp) {
        let hash = hexadecimal(hash);
        let mut known = self.schedules.iter_mut();
        if let Some(known) = known.find(|known| known.hash == hash) {
            known.as_of = at.as_second();
        }
    }

    /// The cells that do what was set by hand, by group and service number.
    pub fn toggled(&self, groups: &[String]) -> HashSet<(u16, u16)> {
        let mut cells = HashSet::new();
        for toggle in &self.overrides {
            let mut services = self.services.iter();
            let service = services.find(|service| service.id == toggle.service);
            let groups = groups_of(toggle.group.as_deref(), groups).unwrap_or_default();
            cells.extend(service.into_iter().flat_map(|service| {
                let number = service.number;
                groups.clone().map(move |group| (group, number))
            }));
        }
        cells
    }
}

impl KnownSchedules {
    /// What became of them by now.
    pub fn status(&self, controlled: bool, now: Timestamp) -> ScheduleStatus {
        let as_of = Timestamp::from_second(self.as_of).unwrap_or(now);
        let seconds = |at: Timestamp| u64::try_from(at.as_second()).ok();
        let due = self.timetable.next_change(as_of);
        let patience = match controlled {
            true => PATIENCE,
            false => Duration::ZERO,
        };
        let late = |due: Timestamp| Duration::try_from(now.duration_since(due)).ok();
        let stale = due.filter(|due| late(*due).is_some_and(|late| late >= patience));
        ScheduleStatus {
            kept: controlled,
            stale_since: stale.and_then(seconds),
            next_change: self.timetable.next_change(now).and_then(seconds),
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::policy::{ServiceNumbers, Source, Surroundings, parse};

    const MORNING: &str = "08:00-12:00";

    fn at(text: &str) -> Timestamp {
        format!("2026-01-05T{text}Z").parse().unwrap()
    }

    fn seconds(text: &str) -> Option<u64> {
        u64::try_from(at(text).as_second()).ok()
    }

    fn plan(hours: Option<&str>) -> Plan {
        let when = hours.map_or(String::new(), |hours| {
            format!(", when: {{ hours: \"{hours}\", timezone: UTC }}")
        });
        let text = format!(
            "version: 1\nname: clock\nrules: [{{ services: [irc], action: drop{when} }}]\n"
        );
        let policy = parse(Source::new("clock.yaml".to_owned(), text)).unwrap();
        let numbers = &mut ServiceNumbers::default();
        policy.compile(numbers, &Surroundings::default()).unwrap()
    }

    #[test]
    fn schedules_are_stale_from_the_change_that_nobody_made() {
        let mut state = State::default();
        let plan = plan(Some(MORNING));
        state.remember_schedules(&plan, at("07:00:00"));
        let status = |state: &State, controlled, now| {
            let known = state.schedules_of(&plan.hash()).unwrap();
            known.status(controlled, at(now))
        };
        let fresh = status(&state, false, "07:59:59");
        assert_eq!((fresh.kept, fresh.stale_since), (false, None));
        assert_eq!(fresh.next_change, seconds("08:00:00"));
        let stale = status(&state, false, "13:00:00");
        assert_eq!(stale.stale_since, seconds("08:00:00"));
        // Whoever is at work gets a moment, and no more.
        assert_eq!(status(&state, true, "08:00:01").stale_since, None);
        let stuck = status(&state, true, "08:00:02");
        assert_eq!((stuck.kept, stuck.stale_since), (true, seconds("08:00:00")));
        state.keep_until(&plan.hash(), at("08:00:00"));
        assert_eq!(status(&state, true, "11:59:59").stale_since, None);
        assert_eq!(
            status(&state, false, "12:00:00").stale_since,
            seconds("12:00:00")
        );
    }

    #[test]
    fn the_policy_to_go_back_to_is_remembered_too() {
        let mut state = State::default();
        let plans = [plan(Some(MORNING)), plan(Some("09:00-10:00")), plan(None)];
        let knows = |state: &State| {
            let known = |plan: &Plan| state.schedules_of(&plan.hash()).is_some();
            plans.each_ref().map(known)
        };
        let [one, two, none] = &plans;
        state.remember_schedules(one, at("07:00:00"));
        state.remember_schedules(two, at("07:00:00"));
        assert_eq!(knows(&state), [true, true, false]);
        state.remember_schedules(one, at("07:00:00"));
        assert_eq!(knows(&state), [true, true, false]);
        state.remember_schedules(none, at("07:00:00"));
        assert_eq!(knows(&state), [true, false, false]);
    }
}
