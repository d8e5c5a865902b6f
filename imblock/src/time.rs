//! Spans of time as people type and read them: `90s`, `5m`, `1h30m`, `2d`.

use std::time::Duration;

const UNITS: [(char, u64); 4] = [('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)];

/// Reads a span: numbers, each with a unit, the larger unit first.
pub fn parse(text: &str) -> Result<Duration, String> {
    let wrong = || {
        format!(
            "`{text}` is no span of time: write numbers with d, h, m or s, the larger unit first, such \
             as 90s, 30m, 1h30m or 2d"
        )
    };
    let mut units = UNITS.iter();
    let (mut seconds, mut number) = (0_u64, String::new());
    for letter in text.chars() {
        if letter.is_ascii_digit() {
            number.push(letter);
            continue;
        }
        let (_, unit) = units.find(|(name, _)| *name == letter).ok_or_else(wrong)?;
        let count: u64 = number.parse().map_err(|_| wrong())?;
        let more = count.checked_mul(*unit).ok_or_else(wrong)?;
        seconds = seconds.checked_add(more).ok_or_else(wrong)?;
        number.clear();
    }
    if !number.is_empty() || text.is_empty() {
        return Err(wrong());
    }
    Ok(Duration::from_secs(seconds))
}

/// Writes a span of seconds as [`parse`] reads it, its two largest units: `1h 30m`.
pub fn words(mut seconds: u64) -> String {
    let mut parts = Vec::new();
    for (name, unit) in UNITS {
        let count = seconds / unit;
        seconds %= unit;
        if count > 0 {
            parts.push(format!("{count}{name}"));
        }
    }
    parts.truncate(2);
    if parts.is_empty() {
        "0s".to_owned()
    } else {
        parts.join(" ")
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_people_type_is_understood() {
        for (text, seconds) in [
            ("60s", 60),
            ("5m", 300),
            ("2h", 7_200),
            ("1h30m", 5_400),
            ("1d12h", 129_600),
            ("0s", 0),
        ] {
            assert_eq!(parse(text).unwrap(), Duration::from_secs(seconds), "{text}");
        }
        for text in [
            "",
            "60",
            "s",
            "30m1h",
            "1h1h",
            "-5s",
            "1.5h",
            "5 m",
            "99999999999999999999s",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in ".*") {
            let _ = parse(&text);
        }

        #[test]
        fn what_is_written_is_the_span_but_for_its_small_units(seconds in 0_u64..10_000_000) {
            let read = parse(&words(seconds).replace(' ', "")).unwrap().as_secs();
            prop_assert!(read <= seconds && seconds - read < 3_600);
        }
    }
}
