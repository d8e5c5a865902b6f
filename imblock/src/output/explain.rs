//! `imblock services SERVICE`: all that is known of one service, for people who wonder whether to
//! drop it.

use std::collections::BTreeMap;
use std::io::{self, Write};

use imblock_common::Action;
use serde::Serialize;

use super::document::Document;
use super::marked::Marked;
use super::services::{ServiceEntry, ServiceFacts};
use super::table::printable;
use super::{Format, units};
use crate::policy::Service;
use crate::snapshot::Snapshot;
use crate::status::Status;

/// Columns of the text.
const WIDTH: usize = 100;
/// Where the values begin.
const INDENT: usize = 12;

/// What a service is told by, what dropping it breaks, and what else is worth knowing.
#[derive(Clone, Debug, Serialize)]
pub struct About<'a> {
    /// When it ended, as far as known.
    ended: Option<&'a str>,
    /// What to do about it when in doubt.
    advice: Option<&'static str>,
    names: Vec<String>,
    prefixes: Vec<String>,
    markers: Vec<Marked>,
    alpn: Vec<String>,
    stun: Vec<Marked>,
    collateral: Vec<Collateral>,
    notes: Option<&'a str>,
    /// What the ready policies do with it for everyone, by name.
    ready_policies: BTreeMap<&'static str, &'static str>,
}

/// What else a port, name or prefix carries.
#[derive(Clone, Debug, Serialize)]
struct Collateral {
    of: String,
    breaks: String,
}

/// The document: one service, in the form of the list, with what is known about it.
#[derive(Debug, Serialize)]
struct Explained<'a> {
    services: [Entry<'a>; 1],
}

#[derive(Debug, Serialize)]
struct Entry<'a> {
    #[serde(flatten)]
    entry: ServiceEntry<'a>,
    about: &'a About<'a>,
}

/// An instance that is up: what it does, and what it has seen.
#[derive(Clone, Copy, Debug)]
pub struct Running<'a> {
    /// What is in force.
    pub status: &'a Status,
    /// What was counted.
    pub snapshot: &'a Snapshot,
}

impl<'a> About<'a> {
    /// What the catalogue says. `ready_policies` are the names of the ready policies, each with what
    /// it does.
    pub fn new(
        service: &'a Service,
        ready_policies: impl IntoIterator<Item = (&'static str, Action)>,
    ) -> Self {
        let collateral = |collateral: &crate::policy::Collateral| Collateral {
            of: collateral.of.to_string(),
            breaks: collateral.breaks.clone(),
        };
        let ready = ready_policies.into_iter();
        Self {
            ended: service.ended.as_deref(),
            advice: service.default.map(Action::name),
            names: service.names.iter().map(ToString::to_string).collect(),
            prefixes: service.prefixes.iter().map(ToString::to_string).collect(),
            markers: service.markers.iter().map(Marked::from).collect(),
            alpn: service.alpn.clone(),
            stun: service.stun.iter().map(Marked::from).collect(),
            collateral: service.collateral.iter().map(collateral).collect(),
            notes: service.notes.as_deref(),
            ready_policies: ready.map(|(name, action)| (name, action.name())).collect(),
        }
    }
}

/// Writes what is known of a service, and what the instance does with it if that is up.
pub fn render(
    facts: &ServiceFacts,
    about: &About<'_>,
    instance: &str,
    running: Option<Running<'_>>,
    format: Format,
    to: &mut dyn Write,
) -> io::Result<()> {
    let entry = match running {
        Some(running) => ServiceEntry::new(facts, running.status, running.snapshot),
        None => ServiceEntry::unseen(facts),
    };
    let explained = Explained {
        services: [Entry { entry, about }],
    };
    match format {
        Format::Json => Document::new(instance, &explained).write_pretty(to),
        Format::Text => {
            let [entry] = &explained.services;
            entry.write_head(to)?;
            match running {
                Some(running) => entry.write_in_force(running.status, to)?,
                None => entry.write_ready(instance, to)?,
            }
            entry.write_evidence(to)?;
            entry.write_consequences(to)
        }
    }
}

impl Entry<'_> {
    fn write_head(&self, to: &mut dyn Write) -> io::Result<()> {
        let service = &self.entry;
        let ended = self.about.ended.map(|date| format!(" (ended {date})"));
        writeln!(
            to,
            "{}: {}, {}, {}{}",
            printable(service.id),
            printable(service.name),
            service.category,
            service.status,
            ended.unwrap_or_default()
        )
    }

    fn write_in_force(&self, status: &Status, to: &mut dyn Write) -> io::Result<()> {
        let service = &self.entry;
        let actions = service.in_words();
        let policy = printable(&status.policy.name);
        field("now", &[format!("{actions} (policy {policy})")], to)?;
        let seen = format!(
            "passed {} packets, {}; refused {} packets, {}",
            service.passed.packets,
            units::bytes(service.passed.bytes),
            service.refused.packets,
            units::bytes(service.refused.bytes)
        );
        field("seen", &[seen], to)
    }

    /// Nothing is in force: what would be.
    fn write_ready(&self, instance: &str, to: &mut dyn Write) -> io::Result<()> {
        let not_running = format!(
            "unknown: instance {} is not running, or can't be seen without rights",
            printable(instance)
        );
        field("now", &[not_running], to)?;
        let by_action = |action: Action| {
            let policies = self.about.ready_policies.iter();
            let names: Vec<&str> = policies
                .filter(|(_, done)| **done == action.name())
                .map(|(name, _)| *name)
                .collect();
            (!names.is_empty()).then(|| format!("{} by {}", action.name(), names.join(", ")))
        };
        let done: Vec<String> = Action::ALL.into_iter().filter_map(by_action).collect();
        field("policies", &[done.join("; ")], to)
    }

    fn write_evidence(&self, to: &mut dyn Write) -> io::Result<()> {
        let about = self.about;
        writeln!(to)?;
        let evidence = [
            (
                "ports",
                self.entry.ports.to_vec(),
                "sure: the port alone decides",
            ),
            (
                "names",
                about.names.clone(),
                "sure, and all names below them; only where they are said in the open",
            ),
            (
                "ALPN",
                about.alpn.clone(),
                "sure; only where they are said in the open",
            ),
            (
                "prefixes",
                shortened(&about.prefixes),
                "asked last, where nothing better was said",
            ),
        ];
        let mut none = about.markers.is_empty() && about.stun.is_empty();
        for (what, values, how_sure) in evidence {
            if !values.is_empty() {
                none = false;
                field(what, &[values.join(", "), format!("({how_sure})")], to)?;
            }
        }
        for (what, marked) in [("markers", &about.markers), ("STUN", &about.stun)] {
            let lines: Vec<String> = marked.iter().map(ToString::to_string).collect();
            if !lines.is_empty() {
                field(what, &lines, to)?;
            }
        }
        if none {
            field(
                "told by",
                &["nothing that one packet would show".to_owned()],
                to,
            )?;
        }
        Ok(())
    }

    fn write_consequences(&self, to: &mut dyn Write) -> io::Result<()> {
        let about = self.about;
        if about.collateral.is_empty() && about.notes.is_none() && about.advice.is_none() {
            return Ok(());
        }
        writeln!(to)?;
        let breaks = about.collateral.iter();
        let breaks: Vec<String> = breaks
            .map(|collateral| format!("{}: {}", collateral.of, printable(&collateral.breaks)))
            .collect();
        if !breaks.is_empty() {
            field("breaks", &breaks, to)?;
        }
        if let Some(advice) = about.advice {
            field("advice", &[format!("{advice}, when in doubt")], to)?;
        }
        if let Some(notes) = about.notes {
            field("notes", &[printable(notes.trim_end())], to)?;
        }
        Ok(())
    }
}

/// The first few, and how many more.
fn shortened(values: &[String]) -> Vec<String> {
    const SHOWN: usize = 8;
    let mut shown: Vec<String> = values.iter().take(SHOWN).cloned().collect();
    if values.len() > SHOWN {
        shown.push(format!(
            "and {} more (--json has them)",
            values.len() - SHOWN
        ));
    }
    shown
}

/// A label, and paragraphs that begin beside it and are broken between words.
fn field(label: &str, paragraphs: &[String], to: &mut dyn Write) -> io::Result<()> {
    let mut label = label;
    for paragraph in paragraphs {
        let mut line = format!("  {label:<width$}", width = INDENT - 2);
        let mut room = WIDTH - INDENT;
        for word in paragraph.split(' ') {
            let length = word.chars().count() + 1;
            if length > room && room < WIDTH - INDENT {
                writeln!(to, "{}", line.trim_end())?;
                line = " ".repeat(INDENT);
                room = WIDTH - INDENT;
            }
            line.push_str(word);
            line.push(' ');
            room = room.saturating_sub(length);
        }
        writeln!(to, "{}", line.trim_end())?;
        label = "";
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that fails may panic")]

    use std::sync::Arc;

    use insta::assert_snapshot;
    use serde_json::Value;

    use super::*;
    use crate::output::sample::{snapshot, status};
    use crate::policy::Source;

    const ALL: &str = r#"
id: irc
name: Internet Relay Chat
category: im
status: historic
ended: "2018-07"
ports: [tcp/6667]
names: [irc.example]
prefixes: [192.0.2.1, 192.0.2.2, 192.0.2.3, 192.0.2.4, 192.0.2.5, 192.0.2.6, 192.0.2.7, 192.0.2.8, 192.0.2.9]
markers:
  - { transport: tcp, from: client, packet: early, text: "NICK ", nocase: true, find: { text: "\n", from: 6, within: 64 } }
  - { transport: udp, offset: 2, bytes: "01 ?? 0? 83|31", length: { at: 2, size: 1, fits: true }, payload: "10..", last: "03", ports: ["7000"], use: with-port }
  - { transport: both, packet: any, text: "DCC", payload: "10..20", not_ports: ["25"], in: xmpp, use: count-first }
alpn: [irc]
stun: ["0x4000-0x4007", { attribute: "0xff03", use: count-first }]
collateral: [{ port: tcp/6667, breaks: bots of your own }]
default: drop
notes: >-
  A note that is long enough to be broken between two of its words, because it goes on and on for
  more than a line.
"#;

    fn service(text: &str) -> Service {
        Service::read(&Arc::new(Source::new("test".to_owned(), text.to_owned()))).unwrap()
    }

    fn written(service: &Service, running: bool, format: Format) -> String {
        let facts = ServiceFacts {
            id: service.id.as_str().to_owned(),
            name: service.name.clone(),
            category: service.category.name().to_owned(),
            historic: service.status.name() == "historic",
            ports: service.ports.iter().map(ToString::to_string).collect(),
        };
        let about = About::new(service, [("audit", Action::Count), ("home", Action::Drop)]);
        let (status, snapshot) = (status(), snapshot());
        let running = running.then_some(Running {
            status: &status,
            snapshot: &snapshot,
        });
        let mut out = Vec::new();
        render(&facts, &about, "main", running, format, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn all_that_is_known_of_a_service_in_force() {
        assert_snapshot!(written(&service(ALL), true, Format::Text), @r#"
        irc: Internet Relay Chat, im, historic (ended 2018-07)
          now       drop*; count for support (policy office)
          seen      passed 30 packets, 4.0 kB; refused 13 packets, 940 B

          ports     tcp/6667
                    (sure: the port alone decides)
          names     irc.example
                    (sure, and all names below them; only where they are said in the open)
          ALPN      irc
                    (sure; only where they are said in the open)
          prefixes  192.0.2.1/32, 192.0.2.2/32, 192.0.2.3/32, 192.0.2.4/32, 192.0.2.5/32, 192.0.2.6/32,
                    192.0.2.7/32, 192.0.2.8/32, and 1 more (--json has them)
                    (asked last, where nothing better was said)
          markers   tcp, the client's first packets: "NICK "; "\n" at 6 to 63; in any case (sure)
                    udp, either side's first packet: 01 ?? 0? 83|31 at 2; a length that fits at 2; 10 bytes
                    or more; 03 at the end; on 7000 (sure on these ports)
                    tcp and udp, either side's packets in xmpp: "DCC"; 10 to 20 bytes; not on 25 (not sure:
                    counts, and drops only if the policy trusts it)
          STUN      0x4000 to 0x4007 (sure)
                    0xff03 (not sure: counts, and drops only if the policy trusts it)

          breaks    tcp/6667: bots of your own
          advice    drop, when in doubt
          notes     A note that is long enough to be broken between two of its words, because it goes on
                    and on for more than a line.
        "#);
    }

    #[test]
    fn a_service_of_which_little_is_known_and_no_instance() {
        let text = "id: bare\nname: Bare\ncategory: voip\n";
        assert_snapshot!(written(&service(text), false, Format::Text), @r#"
        bare: Bare, voip, live
          now       unknown: instance main is not running, or can't be seen without rights
          policies  count by audit; drop by home

          told by   nothing that one packet would show
        "#);
    }

    #[test]
    fn json_has_what_the_list_has_and_more() {
        let json: Value =
            serde_json::from_str(&written(&service(ALL), true, Format::Json)).unwrap();
        let service = json.pointer("/services/0").unwrap();
        let at = |path: &str| service.pointer(path).unwrap().clone();
        assert_eq!(at("/passed/packets"), 30);
        assert_eq!(at("/actions/everyone"), "drop");
        assert_eq!(at("/about/markers/1/use"), "with-port");
        assert_eq!(at("/about/prefixes").as_array().unwrap().len(), 9);
        assert_eq!(at("/about/stun/1/use"), "count-first");
        assert_eq!(at("/about/ready_policies/home"), "drop");
    }
}
