//! When a rule holds: days, hours and a time zone.
//!
//! Invariant: a schedule is a question to the wall clock of its zone and to nothing else. Where a
//! clock is put back the same hour is told twice and judged alike both times; hours that it skips
//! never come.

mod words;

use std::collections::BTreeSet;
use std::fmt;

use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::AmbiguousOffset;
use serde::{Deserialize, Serialize};

use super::error_kind::PolicyErrorKind;

pub use words::{Days, Hours, HoursFault, WhenFault, Zone};

/// Seconds of a day on the wall clock.
const DAY: u32 = 86_400;
/// Days that are looked at in one go for the next change: what a schedule says repeats weekly.
const WEEK: i32 = 7;
/// Weeks in which nothing changes before a schedule is taken for one that never does: a range in
/// hours that the clock skips misses one a year.
const WEEKS_MAX: usize = 60;

/// When a rule holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Words", into = "Words")]
pub struct Schedule {
    days: Days,
    /// Sorted, none twice, at least one.
    hours: Vec<Hours>,
    zone: Zone,
}

impl Schedule {
    /// A schedule of some hours on some days by the wall clock of a zone. Without days it is every
    /// day, without hours the whole day.
    pub fn new(days: &[Days], hours: &[Hours], zone: Zone) -> Self {
        let any = days.iter().fold(Days(0), |all, days| Days(all.0 | days.0));
        let hours: BTreeSet<Hours> = hours.iter().copied().collect();
        Self {
            days: match days {
                [] => Days::ALL,
                _ => any,
            },
            hours: match hours.is_empty() {
                true => vec![Hours::WHOLE_DAY],
                false => hours.into_iter().collect(),
            },
            zone,
        }
    }

    /// Whether it holds at an instant.
    pub fn holds(&self, at: Timestamp) -> bool {
        self.holds_on_the_clock(self.zone.zone.to_datetime(at))
    }

    /// The first instant after this one, to the second, at which it begins or ends to hold. `None`
    /// when it never does.
    pub fn next_change(&self, after: Timestamp) -> Option<Timestamp> {
        let now = self.holds(after);
        let mut from = after;
        for _ in 0..WEEKS_MAX {
            let today = self.zone.zone.to_datetime(from).date();
            let horizon = self.first_instant(later(today, WEEK))?;
            let mut instants = self.instants(today);
            instants.retain(|at| *at > from && *at <= horizon);
            instants.sort_unstable();
            if let Some(change) = instants.into_iter().find(|at| self.holds(*at) != now) {
                return Some(change);
            }
            from = horizon;
        }
        None
    }

    /// Whether it holds whatever the clock says.
    pub fn is_always(&self) -> bool {
        self.days == Days::ALL
            && self.boundaries().all(|second| {
                self.hours
                    .iter()
                    .any(|hours| hours.hold(true, true, second))
            })
    }

    fn holds_on_the_clock(&self, clock: DateTime) -> bool {
        let second = second_of_day(clock.time());
        let day = clock.date().weekday().to_monday_zero_offset();
        let (today, yesterday) = (self.days.has(day), self.days.has((day + 6) % 7));
        self.hours
            .iter()
            .any(|hours| hours.hold(today, yesterday, second))
    }

    /// Seconds of the day at which something may change, midnight among them.
    fn boundaries(&self) -> impl Iterator<Item = u32> {
        let ends = self.hours.iter().flat_map(|hours| [hours.from, hours.to]);
        [0].into_iter().chain(ends.map(|second| second % DAY))
    }

    /// Every instant of the week from `today` at which something may change, and some around it: the
    /// clock shows a boundary, or jumps.
    fn instants(&self, today: Date) -> Vec<Timestamp> {
        let boundaries: BTreeSet<u32> = self.boundaries().collect();
        let mut instants = Vec::new();
        for day in -1..=WEEK + 1 {
            let date = later(today, day);
            for second in &boundaries {
                instants.extend(self.shown(date.to_datetime(time_of(*second))));
            }
        }
        if let (Some(first), Some(last)) = (instants.iter().min(), instants.iter().max()) {
            let (first, last) = (*first, *last);
            let jumps = self.zone.zone.following(first);
            let jumps = jumps.map(|jump| jump.timestamp());
            instants.extend(jumps.take_while(|at| *at <= last));
        }
        instants
    }

    /// The instants at which the clock shows this: two where it is put back, none where it skips it.
    fn shown(&self, clock: DateTime) -> impl Iterator<Item = Timestamp> {
        let offsets = match self.zone.zone.to_ambiguous_timestamp(clock).offset() {
            AmbiguousOffset::Unambiguous { offset } => [Some(offset), None],
            AmbiguousOffset::Fold { before, after } => [Some(before), Some(after)],
            AmbiguousOffset::Gap { .. } => [None, None],
        };
        let instant = move |offset: jiff::tz::Offset| offset.to_timestamp(clock).ok();
        offsets.into_iter().flatten().filter_map(instant)
    }

    /// When a day begins; `None` at the end of all time.
    fn first_instant(&self, date: Date) -> Option<Timestamp> {
        let midnight = self
            .zone
            .zone
            .to_ambiguous_timestamp(date.to_datetime(Time::midnight()));
        midnight.compatible().ok()
    }
}

/// `mon,tue,wed 21:30-07:00 Europe/Berlin`: equal for equal schedules.
impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let days: Vec<&str> = self.days.names().collect();
        let hours: Vec<String> = self.hours.iter().map(ToString::to_string).collect();
        let zone = self.zone.name.as_deref().unwrap_or("local time");
        write!(f, "{} {} {zone}", days.join(","), hours.join(","))
    }
}

/// A schedule as policies and the state have it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Words {
    days: Vec<String>,
    hours: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    timezone: Option<String>,
}

impl From<Schedule> for Words {
    fn from(schedule: Schedule) -> Self {
        Self {
            days: schedule.days.names().map(str::to_owned).collect(),
            hours: schedule.hours.iter().map(ToString::to_string).collect(),
            timezone: schedule.zone.name,
        }
    }
}

impl TryFrom<Words> for Schedule {
    type Error = PolicyErrorKind;

    fn try_from(words: Words) -> Result<Self, Self::Error> {
        let days: Vec<Days> = words
            .days
            .iter()
            .map(|text| Days::parse(text))
            .collect::<Result<_, _>>()?;
        let hours: Vec<Hours> = words
            .hours
            .iter()
            .map(|text| Hours::parse(text))
            .collect::<Result<_, _>>()?;
        let zone = words
            .timezone
            .as_deref()
            .map_or_else(|| Ok(Zone::of_the_box()), Zone::parse)?;
        Ok(Self::new(&days, &hours, zone))
    }
}

fn second_of_day(time: Time) -> u32 {
    let part = |part: i8| u32::try_from(part).unwrap_or(0);
    part(time.hour()) * 3600 + part(time.minute()) * 60 + part(time.second())
}

/// `second` is within a day.
fn time_of(second: u32) -> Time {
    let part = |part: u32| i8::try_from(part).unwrap_or(0);
    Time::new(
        part(second / 3600),
        part(second / 60 % 60),
        part(second % 60),
        0,
    )
    .unwrap_or(Time::midnight())
}

fn later(date: Date, days: i32) -> Date {
    date.saturating_add(jiff::Span::new().days(days))
}
