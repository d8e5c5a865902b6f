//! Quantities as people read them. The JSON has them exact.

use std::fmt::Display;

use jiff::Timestamp;

/// Bytes in powers of 1000, with one decimal from 1 kB on: `999 B`, `1.2 MB`.
pub fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["kB", "MB", "GB", "TB", "PB", "EB"];
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    // In tenths of the unit, rounded. u128: adding half a tenth may pass 2^64.
    let mut unit = 1000_u128;
    let mut text = String::new();
    for name in UNITS {
        let tenths = (u128::from(bytes) * 10 + unit / 2) / unit;
        text = format!("{}.{} {name}", tenths / 10, tenths % 10);
        if tenths < 10_000 {
            break;
        }
        unit *= 1000;
    }
    text
}

/// A duration in its largest unit, rounded down: `42 s`, `5 min`, `3 h`, `2 d`.
pub fn duration(seconds: u64) -> String {
    const MINUTE: u64 = 60;
    const HOUR: u64 = 60 * MINUTE;
    const DAY: u64 = 24 * HOUR;
    if seconds < MINUTE {
        format!("{seconds} s")
    } else if seconds < HOUR {
        format!("{} min", seconds / MINUTE)
    } else if seconds < 2 * DAY {
        format!("{} h", seconds / HOUR)
    } else {
        format!("{} d", seconds / DAY)
    }
}

/// How long ago, from an idle time: `now`, `3 s ago`.
pub fn ago(seconds: u64) -> String {
    if seconds == 0 {
        "now".to_owned()
    } else {
        format!("{} ago", duration(seconds))
    }
}

/// Seconds since 1970 as RFC 3339 in UTC. Times past the year 9999 become its last second.
pub fn rfc3339(seconds: u64) -> String {
    let timestamp = i64::try_from(seconds)
        .ok()
        .and_then(|seconds| Timestamp::from_second(seconds).ok())
        .unwrap_or(Timestamp::MAX);
    format!("{timestamp:.0}")
}

/// `1 packet`, `2 packets`.
pub fn plural<N: Copy + Display + PartialEq + From<bool>>(
    count: N,
    singular: &str,
    plural: &str,
) -> String {
    let word = if count == N::from(true) {
        singular
    } else {
        plural
    };
    format!("{count} {word}")
}

#[cfg(test)]
mod tests {
    use super::{ago, bytes, duration, rfc3339};

    #[test]
    fn quantities_at_their_limits() {
        for (amount, text) in [
            (0, "0 B"),
            (999, "999 B"),
            (1_000, "1.0 kB"),
            (1_049, "1.0 kB"),
            (1_050, "1.1 kB"),
            (999_949, "999.9 kB"),
            (999_950, "1.0 MB"),
            (1_234_567, "1.2 MB"),
            (u64::MAX, "18.4 EB"),
        ] {
            assert_eq!(bytes(amount), text);
        }
        for (seconds, text) in [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (3_599, "59 min"),
            (3_600, "1 h"),
            (172_799, "47 h"),
            (172_800, "2 d"),
            (u64::MAX, "213503982334601 d"),
        ] {
            assert_eq!(duration(seconds), text);
        }
        assert_eq!(ago(0), "now");
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00Z");
        assert!(rfc3339(u64::MAX).starts_with("9999-12-3"));
    }
}
