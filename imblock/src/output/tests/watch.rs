//! What `hosts --watch` shows.

use std::time::Duration;

use imblock_common::layout::Counts;
use insta::assert_snapshot;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{raw, text};
use crate::output::hosts::HostQuery;
use crate::output::sample::{SECOND, counts, snapshot, status};
use crate::output::watch::Changes;
use crate::output::{Format, ServiceNames};

/// Half a second more: irc grew, xmpp made its tables anew, the rest stood still.
fn changes() -> Changes {
    let before = snapshot();
    let mut after = snapshot();
    after.taken_at += SECOND / 2;
    after.hosts[2].record.refused[0].packets += 3;
    after.hosts[2].record.refused[0].bytes += 180;
    after.hosts[1].record.passed = [counts(2, 200), Counts::default()];
    after.services[0].overflow.refused[0].packets += 1;
    after.services[0].overflow.refused[0].bytes += 60;
    let status = status();
    let names = ServiceNames::of_status(&status);
    let at = Timestamp::from_second(1_750_000_000).unwrap();
    Changes::between(&names, &before, &after, HostQuery::default(), at)
}

#[test]
fn changes_as_rates() {
    let written = text(|to| changes().render(&status(), Format::Text, to));
    assert_snapshot!(written, @r#"
    imblock main, 2025-06-15T15:06:40Z, the last 0.5 s
                                       PASSED             REFUSED
    HOST          SERVICE  packets/s  bytes/s  packets/s  bytes/s
    2001:db8::17  xmpp           4.0    400 B          -        -
    10.0.0.2      irc              -        -        6.0    360 B
    (no room)     irc              -        -        2.0    120 B
    (no room): hosts that came when the table was full, and those whose place was given to another
    after a day of silence, together. To give each its own row, raise
    `limits: hosts` in the policy, then `imblock down` and start again (which resets the counters).
    "#);
}

#[test]
fn no_changes() {
    let quiet = Changes {
        rows: Vec::new(),
        ..changes()
    };
    let written = text(|to| quiet.render(&status(), Format::Text, to));
    assert_snapshot!(written, @r#"
    imblock main, 2025-06-15T15:06:40Z, the last 0.5 s
    No traffic of any known service.
    "#);
    assert_eq!(raw(|to| quiet.render(&status(), Format::Json, to)), "");
}

#[test]
fn changes_as_one_document_a_line() {
    let written = raw(|to| changes().render(&status(), Format::Json, to));
    let lines: Vec<Value> = written
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 3);
    assert_eq!(
        lines[1],
        json!({
            "version": 1,
            "instance": "main",
            "at": "2025-06-15T15:06:40.000Z",
            "interval_seconds": 0.5,
            "host": "10.0.0.2",
            "service": "irc",
            "passed": {
                "sent": {"packets": 0, "bytes": 0},
                "received": {"packets": 0, "bytes": 0},
            },
            "refused": {
                "sent": {"packets": 3, "bytes": 180},
                "received": {"packets": 0, "bytes": 0},
            },
        })
    );
    assert_eq!(lines[2]["host"], Value::Null);
}

#[test]
fn no_rates_without_a_clock() {
    let unclocked = Changes {
        interval: Duration::ZERO,
        ..changes()
    };
    let written = text(|to| unclocked.render(&status(), Format::Text, to));
    assert!(!written.contains("B"), "{written}");
}
