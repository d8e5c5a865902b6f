//! `rate` and `burst`: how fast a service may be used.
//!
//! Invariant: a [`Limit`] can only be made by `Limit::read`, so the programs can reckon with it.

use std::fmt;

use imblock_common::layout::Rate;
use serde::Serialize;

use super::error_kind::PolicyErrorKind;

/// Bits, or packets, in a second, at most: what no interface reaches.
const MOST: u64 = 1_000_000_000_000;
/// The least: below it a single packet takes minutes.
const LEAST_BITS: u64 = 1_000;
/// The coarsest clock of a kernel has ticks of 10 ms; between two of them a bucket is not filled.
const SHORTEST_BURST: u64 = 20;
/// What a burst is that nobody sets, in milliseconds of the rate.
const USUAL_BURST: u64 = 100;
/// A minute of the rate.
const LONGEST_BURST: u64 = 60_000;

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    Bits,
    Packets,
}

/// So much in a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct PerSecond {
    amount: u64,
    unit: Unit,
}

/// A rate, and how much may come at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    rate: PerSecond,
    /// In bytes or packets; none for the usual one.
    burst: Option<u64>,
}

const RATES: [(&str, Unit, u64); 5] = [
    ("bit/s", Unit::Bits, 1),
    ("kbit/s", Unit::Bits, 1_000),
    ("mbit/s", Unit::Bits, 1_000_000),
    ("gbit/s", Unit::Bits, 1_000_000_000),
    ("packets/s", Unit::Packets, 1),
];
const BURSTS: [(&str, Unit, u64); 4] = [
    ("byte", Unit::Bits, 1),
    ("kbyte", Unit::Bits, 1_000),
    ("mbyte", Unit::Bits, 1_000_000),
    ("packets", Unit::Packets, 1),
];

impl Limit {
    /// Reads a rate.
    pub(super) fn rate(text: &str) -> Result<Self, PolicyErrorKind> {
        let wrong = || PolicyErrorKind::BadRate(text.to_owned());
        let (amount, unit) = amount(text, &RATES).ok_or_else(wrong)?;
        let least = match unit {
            Unit::Bits => LEAST_BITS,
            Unit::Packets => 1,
        };
        if !(least..=MOST).contains(&amount) {
            return Err(wrong());
        }
        Ok(Self {
            rate: PerSecond { amount, unit },
            burst: None,
        })
    }

    /// The same with a burst.
    pub(super) fn with_burst(self, text: &str) -> Result<Self, PolicyErrorKind> {
        let (shortest, longest) = (self.worth(SHORTEST_BURST), self.worth(LONGEST_BURST));
        let wrong = || PolicyErrorKind::BadBurst {
            text: text.to_owned(),
            range: format!("{} to {}", self.written(shortest), self.written(longest)),
        };
        match amount(text, &BURSTS) {
            Some((burst, unit))
                if unit == self.rate.unit && (shortest..=longest).contains(&burst) =>
            {
                Ok(Self {
                    burst: Some(burst),
                    ..self
                })
            }
            _ => Err(wrong()),
        }
    }

    /// As the programs have it.
    pub fn table(self) -> Rate {
        let burst = self.burst.unwrap_or_else(|| self.worth(USUAL_BURST));
        let packets = self.rate.unit == Unit::Packets;
        // Bits are reckoned by the byte, in thousandths of which no rate is off.
        let (per_second, burst) = match self.rate.unit {
            Unit::Bits => (self.rate.amount / 8, burst),
            Unit::Packets => (self.rate.amount, burst),
        };
        Rate::new(per_second, burst, packets)
    }

    /// What the rate lets through in so many milliseconds, in bytes or packets, at least one.
    fn worth(self, milliseconds: u64) -> u64 {
        let per_second = match self.rate.unit {
            Unit::Bits => self.rate.amount / 8,
            Unit::Packets => self.rate.amount,
        };
        (per_second.saturating_mul(milliseconds) / 1_000).max(1)
    }

    fn written(self, burst: u64) -> String {
        in_largest(burst, self.rate.unit, &BURSTS)
    }

    pub(super) fn burst_text(self) -> Option<String> {
        self.burst.map(|burst| self.written(burst))
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&in_largest(self.rate.amount, self.rate.unit, &RATES))
    }
}

impl Serialize for Limit {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeMap as _;
        let mut map = to.serialize_map(None)?;
        map.serialize_entry("rate", &self.to_string())?;
        if let Some(burst) = self.burst_text() {
            map.serialize_entry("burst", &burst)?;
        }
        map.end()
    }
}

/// `1 mbit/s` in its smallest unit.
fn amount(text: &str, units: &[(&str, Unit, u64)]) -> Option<(u64, Unit)> {
    let (number, name) = text.split_once(' ')?;
    let (_, unit, factor) = units.iter().find(|(known, ..)| *known == name)?;
    if !number.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let number: u64 = number.parse().ok()?;
    Some((number.checked_mul(*factor)?, *unit))
}

/// In the largest unit that leaves nothing over.
fn in_largest(amount: u64, unit: Unit, units: &[(&str, Unit, u64)]) -> String {
    let mut fitting = units.iter().rev();
    let found = fitting.find(|(_, of, factor)| *of == unit && amount.is_multiple_of(*factor));
    found.map_or_else(String::new, |(name, _, factor)| {
        format!("{} {name}", amount / factor)
    })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn rates_and_bursts_are_read_and_written() {
        for text in [
            "1 mbit/s",
            "64 kbit/s",
            "1000 gbit/s",
            "100 packets/s",
            "1 packets/s",
        ] {
            let limit = Limit::rate(text).unwrap();
            let again = Limit::rate(&limit.to_string()).unwrap();
            assert_eq!(limit, again, "{text}");
        }
        let limit = Limit::rate("1 mbit/s").unwrap();
        let with = limit.with_burst("64 kbyte").unwrap();
        assert_eq!(with.burst_text().unwrap(), "64 kbyte");
        assert!(limit.with_burst("20 packets").is_err());
        assert!(limit.with_burst("1 byte").is_err());
        assert!(limit.with_burst("100 mbyte").is_err());
        let packets = Limit::rate("100 packets/s").unwrap();
        assert!(packets.with_burst("20 packets").is_ok());
        for text in [
            "",
            "1",
            "1mbit/s",
            "-1 mbit/s",
            "1.5 mbit/s",
            "999 bit/s",
            "0 packets/s",
            "1 mb/s",
            "1001 gbit/s",
        ] {
            assert!(Limit::rate(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_table_has_the_rate_in_time() {
        let rate = Limit::rate("8 mbit/s").unwrap().table();
        // A byte takes a microsecond.
        assert_eq!(rate.time >> 16, 1_000);
        assert_eq!(rate.burst, 100_000_000);
        let rate = Limit::rate("100 packets/s").unwrap().table();
        assert_eq!((rate.time >> 16, rate.counts_packets()), (10_000_000, true));
        assert_eq!(rate.burst, 100_000_000);
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in ".*", burst in ".*") {
            if let Ok(limit) = Limit::rate(&text) {
                let _ = limit.with_burst(&burst);
            }
        }
    }
}
