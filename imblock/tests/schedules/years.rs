//! Ten years in many time zones, minute by minute, held against a clock that knows nothing but the
//! hours and days of a week.

use imblock_common::Action;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::{action, instant, plan_at};

const MINUTE: i64 = 60;
/// Minutes of a week by the clock on the wall.
const WEEK: usize = 7 * 1440;

/// Days (0 is Monday) and hours in minutes of the day, of a rule and what it does.
struct Plain {
    days: &'static [usize],
    hours: &'static [(usize, usize)],
    action: Action,
}

impl Plain {
    /// Which minutes of the week it holds in, marked one by one.
    fn minutes(&self) -> Vec<bool> {
        let mut week = vec![false; WEEK];
        for day in self.days {
            for (from, to) in self.hours {
                let mut minute = *from;
                while minute != *to {
                    week[(day * 1440 + minute) % WEEK] = true;
                    minute += 1;
                    // Past midnight, on the next day.
                    if minute == 1440 && *to < 1440 && from >= to {
                        for more in 0..*to {
                            week[((day + 1) * 1440 + more) % WEEK] = true;
                        }
                        break;
                    }
                }
            }
        }
        week
    }
}

/// The rules of the test, in the language and in plain numbers; a last one says `count`.
fn rules(zone: &str) -> (String, [Plain; 4]) {
    let text = format!(
        "  - {{ services: [acme], action: drop, when: {{ days: mon-fri, hours: \"21:30-07:00\", timezone: {zone} }} }}
  - {{ services: [acme], action: allow, when: {{ days: [sat-sun, wed], hours: [\"00:30-02:15\", \"02:45-03:30\", \"23:59-00:01\"], timezone: {zone} }} }}
  - {{ services: [acme], action: drop, when: {{ hours: [\"12:00-24:00\"], days: [sun, fri-sat], timezone: {zone} }} }}
  - {{ services: [acme], action: allow, when: {{ days: tue, timezone: {zone} }} }}
  - {{ services: [acme], action: count }}
"
    );
    let plain = [
        Plain {
            days: &[0, 1, 2, 3, 4],
            hours: &[(1290, 420)],
            action: Action::Drop,
        },
        Plain {
            days: &[5, 6, 2],
            hours: &[(30, 135), (165, 210), (1439, 1)],
            action: Action::Allow,
        },
        Plain {
            days: &[6, 4, 5],
            hours: &[(720, 1440)],
            action: Action::Drop,
        },
        Plain {
            days: &[1],
            hours: &[(0, 1440)],
            action: Action::Allow,
        },
    ];
    (text, plain)
}

/// Walks a plan's changes over ten years and looks at each minute between.
fn ten_years_in(zone: &str) {
    let (begin, end) = (
        instant("2020-01-01T00:00:00Z"),
        instant("2030-01-01T00:00:00Z"),
    );
    let (text, plain) = rules(zone);
    let weeks: Vec<(Vec<bool>, Action)> = plain
        .iter()
        .map(|plain| (plain.minutes(), plain.action))
        .collect();
    // What each minute of the week comes to, the first rule first.
    let week: Vec<Action> = (0..WEEK)
        .map(|minute| {
            let first = weeks.iter().find(|(holds, _)| holds[minute]);
            first.map_or(Action::Count, |(_, action)| *action)
        })
        .collect();
    let plan = plan_at(&text, begin);
    let clock = TimeZone::get(zone).unwrap();
    let (mut now, mut changes, mut actions) = (begin, 0, [0; 3]);
    let mut next = plan.timetable.next_change(now);
    let mut held = action(&plan, now, "everyone", "acme");
    while now < end {
        if next.is_some_and(|next| next <= now) {
            assert_eq!(
                next,
                Some(now),
                "{zone}: no change of these lies within a minute"
            );
            held = action(&plan, now, "everyone", "acme");
            next = plan.timetable.next_change(now);
            changes += 1;
        }
        let local = clock.to_datetime(now);
        let day = local.date().weekday().to_monday_zero_offset() as usize;
        let minute = day * 1440 + local.hour() as usize * 60 + local.minute() as usize;
        assert_eq!(held, week[minute], "{zone}: {now}, which is {local}");
        actions[held as usize] += 1;
        now = Timestamp::from_second(now.as_second() + MINUTE).unwrap();
    }
    assert!(changes > 10_000, "{zone}: only {changes} changes");
    assert!(
        actions.iter().all(|minutes| *minutes > 100_000),
        "{actions:?}"
    );
}

/// Every zone a test of its own, so that they run side by side.
macro_rules! ten_years {
    ($($name:ident $zone:literal)*) => {$(
        #[test]
        fn $name() {
            ten_years_in($zone);
        }
    )*};
}

ten_years! {
    utc "UTC"
    berlin "Europe/Berlin"
    dublin "Europe/Dublin"
    new_york "America/New_York"
    st_johns "America/St_Johns"
    havana "America/Havana"
    santiago "America/Santiago"
    casablanca "Africa/Casablanca"
    cairo "Africa/Cairo"
    beirut "Asia/Beirut"
    tehran "Asia/Tehran"
    kathmandu "Asia/Kathmandu"
    lord_howe "Australia/Lord_Howe"
    chatham "Pacific/Chatham"
    apia "Pacific/Apia"
    azores "Atlantic/Azores"
}
