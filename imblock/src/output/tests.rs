#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that fails may panic"
)]

use insta::assert_snapshot;
use serde_json::{Value, json};

use super::hosts::HostQuery;
use super::sample::{bare_status, snapshot, status};
use super::services::ServiceFacts;
use super::{Format, hosts, services};
use crate::snapshot::Snapshot;

mod watch;

/// What is written, colour included.
fn raw(write: impl FnOnce(&mut dyn std::io::Write) -> std::io::Result<()>) -> String {
    let mut out = Vec::new();
    write(&mut out).unwrap();
    String::from_utf8(out).unwrap()
}

/// What a pipe gets.
fn text(write: impl FnOnce(&mut dyn std::io::Write) -> std::io::Result<()>) -> String {
    let mut out = anstream::AutoStream::never(Vec::new());
    write(&mut out).unwrap();
    String::from_utf8(out.into_inner()).unwrap()
}

fn json(write: impl FnOnce(&mut dyn std::io::Write) -> std::io::Result<()>) -> Value {
    serde_json::from_str(&raw(write)).unwrap()
}

fn hosts_text(snapshot: &Snapshot, query: HostQuery) -> String {
    text(|to| hosts::render(&status(), snapshot, query, Format::Text, to))
}

fn facts() -> Vec<ServiceFacts> {
    let service = |id: &str, name: &str, historic, ports: &[&str]| ServiceFacts {
        id: id.to_owned(),
        name: name.to_owned(),
        category: "im".to_owned(),
        historic,
        ports: ports.iter().map(|port| (*port).to_owned()).collect(),
    };
    vec![
        service("irc", "IRC", false, &["tcp/6667", "tcp/6697"]),
        service("xmpp", "XMPP", false, &["tcp/5222"]),
        service("icq", "ICQ", true, &["tcp/5190"]),
        service("unnumbered", "Not in the tables", true, &[]),
    ]
}

fn keys(value: &Value) -> Vec<&str> {
    value
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect()
}

#[test]
fn hosts_with_the_most_recent_first() {
    assert_snapshot!(hosts_text(&snapshot(), HostQuery::default()), @r#"
    imblock main, policy office: 3 pairs of host and service, most recent first
                                                  PASSED, SENT  PASSED, RECEIVED         REFUSED
    HOST          SERVICE  LAST SEEN  ACTIVE  packets    bytes  packets    bytes  packets  bytes
    10.0.0.2      irc        3 s ago    12 s       10   1.0 kB       20   3.0 kB        6  520 B
    2001:db8::17  xmpp       1 h ago     2 h      500  34.6 kB     1000   1.2 MB        -      -
    10.0.0.9      #9        25 h ago     1 s        1     60 B        -        -        -      -
    (no room)     irc      1 min ago     2 s        -        -        -        -        7  420 B
    (no room): hosts that came when the table was full, and those whose place was given to another
    after a day of silence, together. To give each its own row, raise
    `limits: hosts` in the policy, then `imblock down` and start again (which resets the counters).
    "#);
}

#[test]
fn top_hosts_are_those_with_the_most_bytes() {
    let query = HostQuery {
        top: Some(1),
        service: None,
    };
    assert_snapshot!(hosts_text(&snapshot(), query), @r#"
    imblock main, policy office: 1 of 3 pairs of host and service, most bytes first
                                                  PASSED, SENT  PASSED, RECEIVED         REFUSED
    HOST          SERVICE  LAST SEEN  ACTIVE  packets    bytes  packets    bytes  packets  bytes
    2001:db8::17  xmpp       1 h ago     2 h      500  34.6 kB     1000   1.2 MB        -      -
    (no room)     irc      1 min ago     2 s        -        -        -        -        7  420 B
    (no room): hosts that came when the table was full, and those whose place was given to another
    after a day of silence, together. To give each its own row, raise
    `limits: hosts` in the policy, then `imblock down` and start again (which resets the counters).
    "#);
}

#[test]
fn without_a_clock_the_most_bytes_come_first_and_nothing_is_recent() {
    let replay = Snapshot {
        taken_at: 0,
        ..snapshot()
    };
    let text = hosts_text(&replay, HostQuery::default());
    assert!(text.contains("most bytes first"));
    assert!(!text.contains("ago"));
    let first = text.lines().nth(3).unwrap();
    assert!(first.starts_with("2001:db8::17"), "{text}");
}

#[test]
fn no_hosts() {
    let empty = Snapshot::default();
    assert_snapshot!(hosts_text(&empty, HostQuery::default()), @"No host has used any known service yet.");
    let irc = HostQuery {
        service: Some(1),
        top: None,
    };
    assert_snapshot!(hosts_text(&empty, irc), @"No host has used irc yet.");
}

#[test]
fn hosts_of_one_service() {
    let xmpp = HostQuery {
        service: Some(2),
        top: None,
    };
    let document = json(|to| hosts::render(&status(), &snapshot(), xmpp, Format::Json, to));
    assert_eq!(
        document,
        json!({
            "version": 1,
            "instance": "main",
            "hosts": [{
                "host": "2001:db8::17",
                "service": "xmpp",
                "passed": {
                    "sent": {"packets": 500, "bytes": 34_567},
                    "received": {"packets": 1_000, "bytes": 1_200_000},
                },
                "refused": {
                    "sent": {"packets": 0, "bytes": 0},
                    "received": {"packets": 0, "bytes": 0},
                },
                "active_seconds": 7_500,
                "idle_seconds": 3_600,
            }],
            "overflow": [],
        })
    );
}

#[test]
fn hosts_as_json_begin_with_version_and_instance_and_tell_the_overflow() {
    let query = HostQuery::default();
    let written = raw(|to| hosts::render(&status(), &snapshot(), query, Format::Json, to));
    assert!(
        written.starts_with("{\n  \"version\": 1,\n  \"instance\": \"main\",\n  \"hosts\": ["),
        "{written}"
    );
    let document: Value = serde_json::from_str(&written).unwrap();
    assert_eq!(document["hosts"].as_array().unwrap().len(), 3);
    assert_eq!(document["hosts"][2]["service"], "#9");
    assert_eq!(
        document["overflow"],
        json!([{
            "service": "irc",
            "passed": {
                "sent": {"packets": 0, "bytes": 0},
                "received": {"packets": 0, "bytes": 0},
            },
            "refused": {
                "sent": {"packets": 7, "bytes": 420},
                "received": {"packets": 0, "bytes": 0},
            },
            "active_seconds": 2,
            "idle_seconds": 60,
        }])
    );
    let replay = Snapshot {
        taken_at: 0,
        ..snapshot()
    };
    let document = json(|to| hosts::render(&status(), &replay, query, Format::Json, to));
    assert_eq!(document["hosts"][0]["idle_seconds"], Value::Null);
}

#[test]
fn services_with_their_actions() {
    let written = text(|to| services::render(&facts(), &status(), &snapshot(), Format::Text, to));
    assert_snapshot!(written, @r#"
    imblock main, policy office, generation 3
                                                                         PASSED         REFUSED
    SERVICE     CATEGORY  STATUS    ACTION  GROUPS THAT DIFFER  packets   bytes  packets  bytes
    irc         im        live      drop*   support: count           30  4.0 kB       13  940 B
    xmpp        im        live      allow*  -                      1500  1.2 MB        -      -
    icq         im        historic  drop    support: allow            -       -        -      -
    unnumbered  im        historic  -       -                         -       -        -      -
    * set by hand; `imblock status` says by whom, `imblock reset` goes back to the policy
    "#);
}

#[test]
fn no_services() {
    let written = text(|to| services::render(&[], &status(), &snapshot(), Format::Text, to));
    assert_snapshot!(written, @"No service is selected.");
}

#[test]
fn services_as_json() {
    let document = json(|to| services::render(&facts(), &status(), &snapshot(), Format::Json, to));
    assert_eq!(document["version"], 1);
    assert_eq!(document["instance"], "main");
    assert_eq!(
        document["services"][0],
        json!({
            "id": "irc",
            "name": "IRC",
            "category": "im",
            "status": "live",
            "actions": {"everyone": "drop", "support": "count"},
            "policy": {"everyone": "count", "support": "count"},
            "ports": ["tcp/6667", "tcp/6697"],
            "passed": {"packets": 30, "bytes": 4_000},
            "refused": {"packets": 13, "bytes": 940},
        })
    );
    assert_eq!(document["services"][2]["status"], "historic");
    assert_eq!(document["services"][3]["actions"], json!({}));
}

#[test]
fn status_of_an_instance_with_everything() {
    let written = text(|to| super::status::render(&status(), &snapshot(), Format::Text, to));
    assert_snapshot!(written, @r#"
    imblock main
    policy      office, generation 3, since 2025-06-15T15:06:40Z
    hash        9f86d081884c7d65
    controller  process 1234
    schedules   kept, and change next at 2025-06-15T16:00:00Z
    hosts       3 pairs of host and service in the tables; room for 16384
    quic        3 datagrams of handshakes not read by the controller: it was not there, or they came faster than it reads
    rejected    46 packets answered, 15 dropped in silence; 14 more in silence: over 1000 answers a second and CPU
    overflow    7 packets of no single host: the table of hosts is full; raise `limits: hosts` in the policy

    INTERFACE       SIDE  MODE  XDP      EGRESS
    br-lan          lan   auto  native   gone
    eth0, now wan9  wan   auto  generic  no
    eth0 was renamed to wan9, and what is attached goes on there: the next `imblock up` or `run` must call it wan9.
    A program is gone from its interface: traffic there is not seen. `imblock up`, or a restart of the controller, attaches it again.

    SET BY HAND  GROUP     ACTION  BY       SINCE                 UNTIL
    irc          everyone  drop    root     2025-06-15T15:16:40Z  2025-06-15T17:16:40Z
    xmpp         (all)     allow   ada�[2J  2025-06-15T15:18:20Z  reset

    PACKETS     lan_ingress  wan_ingress
    identified          524         1020
    not_ip               44            -
    "#);
}

#[test]
fn status_of_an_instance_with_nothing() {
    let nothing = Snapshot::default();
    let written = text(|to| super::status::render(&bare_status(), &nothing, Format::Text, to));
    assert_snapshot!(written, @r#"
    imblock main
    policy      office, generation 3, since 2025-06-15T15:06:40Z
    hash        9f86d081884c7d65
    controller  none in the foreground; the kernel enforces on its own
    hosts       0 pairs of host and service in the tables; room for 16384

    No interface is attached: nothing is seen, nothing is blocked.

    Nothing is set by hand: the policy holds for everything.

    No packet has been seen yet.
    "#);
}

#[test]
fn status_as_json() {
    let document = json(|to| super::status::render(&status(), &snapshot(), Format::Json, to));
    assert_eq!(
        document,
        json!({
            "version": 1,
            "instance": "main",
            "controller": 1234,
            "policy": {
                "name": "office",
                "hash": "9f86d081884c7d65",
                "generation": 3,
                "applied_at": "2025-06-15T15:06:40Z",
                "unconfirmed": null,
            },
            "schedules": {
                "kept": true,
                "stale_since": null,
                "next_change": "2025-06-15T16:00:00Z",
            },
            "interfaces": [
                {"name": "br-lan", "renamed_to": null, "side": "lan", "mode": "auto", "xdp": "native", "egress": false, "egress_by": null},
                {"name": "eth0", "renamed_to": "wan9", "side": "wan", "mode": "auto", "xdp": "generic", "egress": false, "egress_by": null},
            ],
            "overrides": [
                {"service": "irc", "group": "everyone", "action": "drop", "by": "root",
                 "at": "2025-06-15T15:16:40Z", "until": "2025-06-15T17:16:40Z"},
                {"service": "xmpp", "group": null, "action": "allow", "by": "ada\u{1b}[2J",
                 "at": "2025-06-15T15:18:20Z", "until": null},
            ],
            "limits": {"hosts": 16_384, "prefixes": 262_144, "flows": 131_072, "inside": []},
            "hosts_in_use": 3,
            "inside_in_use": 0,
            "quic": {"handed_over": 41, "lost": 3},
            "rejections": {
                "reset": 10, "cut": 11, "unreachable": 12, "no_such_name": 13, "limited": 14,
                "silent": 15,
            },
            "frames": [
                {"view": "lan_ingress", "outcome": "identified", "packets": 524},
                {"view": "lan_ingress", "outcome": "not_ip", "packets": 44},
                {"view": "wan_ingress", "outcome": "identified", "packets": 1_020},
            ],
        })
    );
    let bare =
        json(|to| super::status::render(&bare_status(), &Snapshot::default(), Format::Json, to));
    assert_eq!(bare["controller"], Value::Null);
    assert_eq!(keys(&bare), keys(&document));
}

#[test]
fn refused_traffic_is_red_and_a_pipe_gets_no_colour() {
    let query = HostQuery::default();
    let write = |to: &mut dyn std::io::Write| {
        hosts::render(&status(), &snapshot(), query, Format::Text, to)
    };
    assert!(raw(write).contains("\u{1b}[31m520 B\u{1b}[0m"));
    assert!(!text(write).contains('\u{1b}'));
}

#[test]
fn a_name_cannot_steer_the_terminal() {
    let mut status = status();
    status.policy.name = "\u{1b}[2Jgone\r\n".to_owned();
    status.policy.services[0].id = "irc\u{1b}]0;title\u{7}".to_owned();
    let query = HostQuery::default();
    for written in [
        raw(|to| hosts::render(&status, &snapshot(), query, Format::Text, to)),
        raw(|to| services::render(&facts(), &status, &snapshot(), Format::Text, to)),
        raw(|to| super::status::render(&status, &snapshot(), Format::Text, to)),
    ] {
        assert!(!written.contains("\u{1b}[2J"), "{written:?}");
        assert!(!written.contains("\u{1b}]"), "{written:?}");
        assert!(!written.contains('\r'), "{written:?}");
    }
}
