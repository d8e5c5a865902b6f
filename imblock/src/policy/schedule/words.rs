//! Days, hours and time zones as they are written.

use std::fmt;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::DAY;
use crate::policy::error_kind::PolicyErrorKind;
use crate::policy::words::{Suggestion, one_of};

/// Some days of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Days(pub(super) u8);

/// Monday first, as bit 0.
const DAY_NAMES: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

impl Days {
    pub(super) const ALL: Self = Self(0x7f);

    /// Reads `mon`, or `fri-mon` with both ends.
    pub fn parse(text: &str) -> Result<Self, PolicyErrorKind> {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let (first, last) = (day(first.trim())?, day(last.trim())?);
        let mut days = Self(0);
        for more in 0..7 {
            let day = (first + more) % 7;
            days.0 |= 1 << day;
            if day == last {
                break;
            }
        }
        Ok(days)
    }

    /// Whether a day is among them, 0 is Monday.
    pub(super) fn has(self, day: i8) -> bool {
        self.0 >> day & 1 == 1
    }

    pub(super) fn names(self) -> impl Iterator<Item = &'static str> {
        (0..)
            .zip(DAY_NAMES)
            .filter_map(move |(day, name)| self.has(day).then_some(name))
    }
}

fn day(text: &str) -> Result<u8, PolicyErrorKind> {
    one_of("day", text, &DAY_NAMES, &[0, 1, 2, 3, 4, 5, 6])
}

/// A range of the day, in seconds of the wall clock. Where it ends no later than it begins, it
/// reaches into the next day, and belongs to the day on which it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hours {
    /// At most 23:59:59.
    pub(super) from: u32,
    /// The first second that is no longer in it; at most 24:00. Never equal to `from`.
    pub(super) to: u32,
}

impl Hours {
    pub(super) const WHOLE_DAY: Self = Self { from: 0, to: DAY };

    /// Reads `21:30-07:00`, with seconds where they matter.
    pub fn parse(text: &str) -> Result<Self, PolicyErrorKind> {
        let fail = |fault| {
            PolicyErrorKind::from(WhenFault::Hours {
                text: text.to_owned(),
                fault,
            })
        };
        let (from, to) = text.split_once('-').ok_or(fail(HoursFault::NoRange))?;
        let clock = |text: &str| clock(text.trim()).ok_or(fail(HoursFault::NotAClock));
        let (from, to) = (clock(from)?, clock(to)?);
        match from {
            DAY => Err(fail(HoursFault::BeginsAtTheEnd)),
            _ if from == to => Err(fail(HoursFault::Nothing)),
            _ => Ok(Self { from, to }),
        }
    }

    pub(super) fn hold(self, today: bool, yesterday: bool, second: u32) -> bool {
        match self.from < self.to {
            true => today && (self.from..self.to).contains(&second),
            false => today && second >= self.from || yesterday && second < self.to,
        }
    }
}

impl fmt::Display for Hours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let clock = |second: u32| {
            let (hour, minute) = (second / 3600, second / 60 % 60);
            match second % 60 {
                0 => format!("{hour:02}:{minute:02}"),
                second => format!("{hour:02}:{minute:02}:{second:02}"),
            }
        };
        write!(f, "{}-{}", clock(self.from), clock(self.to))
    }
}

/// Why a text is no range of hours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HoursFault {
    /// No `-` in it.
    #[error("it has no beginning and end")]
    NoRange,
    /// `25:00`, `8am`.
    #[error("one of its ends is no time of day from 00:00 to 24:00")]
    NotAClock,
    /// `24:00-07:00`.
    #[error("a day that begins at 24:00 is the next one's 00:00")]
    BeginsAtTheEnd,
    /// `08:00-08:00`.
    #[error("it ends when it begins, so it never holds")]
    Nothing,
}

/// Seconds of the day of `HH:MM` or `HH:MM:SS`, up to 24:00.
fn clock(text: &str) -> Option<u32> {
    let mut parts = text.split(':').map(|part| {
        let digits = part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| part.parse::<u32>().ok()).flatten()
    });
    let (hour, minute) = (parts.next()??, parts.next()??);
    let second = match parts.next() {
        Some(second) => second?,
        None => 0,
    };
    let total = hour * 3600 + minute * 60 + second;
    (parts.next().is_none() && minute < 60 && second < 60 && total <= DAY).then_some(total)
}

/// A time zone, as typed. The box's own where there is no name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone {
    pub(super) name: Option<String>,
    pub(super) zone: TimeZone,
}

impl Zone {
    /// The one that the box is set to.
    pub fn of_the_box() -> Self {
        Self {
            name: None,
            zone: TimeZone::system(),
        }
    }

    /// Reads a name such as `Europe/Berlin`: by the box's own zone files, or else by those in the
    /// binary.
    pub fn parse(text: &str) -> Result<Self, PolicyErrorKind> {
        let unknown = || {
            let known: Vec<String> = jiff::tz::db()
                .available()
                .map(|name| name.to_string())
                .collect();
            let known: Vec<&str> = known.iter().map(String::as_str).collect();
            WhenFault::Zone {
                text: text.to_owned(),
                suggestion: Suggestion::of(text, &known),
            }
        };
        let zone = TimeZone::get(text).map_err(|_| PolicyErrorKind::from(unknown()))?;
        Ok(Self {
            name: Some(text.to_owned()),
            zone,
        })
    }

    /// The instant at which its clock shows this. Where the clock is put back it is the first, where
    /// it skips that time it is as long after the jump.
    pub(in crate::policy) fn instant(&self, clock: DateTime) -> Option<Timestamp> {
        self.zone.to_ambiguous_timestamp(clock).compatible().ok()
    }
}

/// What is wrong with a `when`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WhenFault {
    /// Neither days nor hours.
    #[error("`when` has neither `days` nor `hours`")]
    Nothing,
    /// Not a range of hours.
    #[error("`{text}` is no range of hours: {fault}")]
    Hours {
        /// What was typed.
        text: String,
        /// What is wrong with it.
        fault: HoursFault,
    },
    /// No such time zone.
    #[error("unknown time zone `{text}`{suggestion}")]
    Zone {
        /// What was typed.
        text: String,
        /// The nearest that exists.
        suggestion: Suggestion,
    },
}

impl WhenFault {
    /// What to do about it.
    pub(in crate::policy) fn help(&self) -> &'static str {
        match self {
            Self::Nothing => "write `{ days: mon-fri, hours: \"21:30-07:00\" }`, or one of the two",
            Self::Hours { .. } => "write 08:00-12:30, 21:30-07:00 past midnight, or 00:00-24:00",
            Self::Zone { .. } => "write Europe/Berlin or UTC; left out, it is the box's own",
        }
    }
}
