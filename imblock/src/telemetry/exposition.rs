//! A strict reader of both formats, for tests.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that fails may panic"
)]

use std::collections::{BTreeMap, BTreeSet};

use super::formats::Format;

pub(super) type Labels = BTreeMap<String, String>;

/// What a strict reader finds in an exposition.
pub(super) struct Exposition {
    pub(super) text: String,
    pub(super) types: BTreeMap<String, String>,
    pub(super) samples: Vec<(String, Labels, u64)>,
}

impl Exposition {
    /// Refuses what a format refuses: a sample outside its family, a family twice, the same labels
    /// twice; in OpenMetrics no EOF or something after it, and a unit that the name doesn't end in; in the
    /// text format what only OpenMetrics has.
    pub(super) fn parse(format: Format, text: &str) -> Self {
        let body = match format {
            Format::OpenMetrics => text.strip_suffix("# EOF\n").unwrap(),
            Format::Text => text,
        };
        assert!(body.ends_with('\n'));
        let (mut types, mut samples) = (BTreeMap::new(), Vec::new());
        let (mut family, mut seen) = (String::new(), BTreeSet::new());
        for line in body.lines() {
            if let Some(comment) = line.strip_prefix("# ") {
                let (word, rest) = comment.split_once(' ').unwrap();
                let (name, value) = rest.split_once(' ').unwrap();
                match word {
                    "HELP" => {
                        assert!(value.len() > 10, "{line}");
                        family = name.to_owned();
                    }
                    "TYPE" => {
                        assert_eq!(name, family);
                        let former = types.insert(name.to_owned(), value.to_owned());
                        assert_eq!(former, None, "{line}");
                    }
                    "UNIT" if format == Format::OpenMetrics => {
                        assert!(name.ends_with(&format!("_{value}")), "{line}");
                    }
                    _ => panic!("{line}"),
                }
                continue;
            }
            let (name, labels, value) = parse_sample(line);
            let suffix = match (format, types[&family].as_str()) {
                (Format::OpenMetrics, "counter") => "_total",
                (Format::OpenMetrics, "info") => "_info",
                (_, "gauge") | (Format::Text, "counter") => "",
                (_, other) => panic!("{other}"),
            };
            assert_eq!(name, format!("{family}{suffix}"), "{line}");
            assert!(seen.insert((name.clone(), labels.clone())), "twice: {line}");
            samples.push((name, labels, value));
        }
        Self {
            text: text.to_owned(),
            types,
            samples,
        }
    }

    /// The samples of a name whose labels include `labels`.
    pub(super) fn values(&self, name: &str, labels: &[(&str, &str)]) -> Vec<u64> {
        let fits = |of: &Labels| {
            labels
                .iter()
                .all(|(key, value)| of.get(*key).is_some_and(|v| v == value))
        };
        self.samples
            .iter()
            .filter(|(n, of, _)| n == name && fits(of))
            .map(|(_, _, value)| *value)
            .collect()
    }

    pub(super) fn sum(&self, name: &str, labels: &[(&str, &str)]) -> u64 {
        self.values(name, labels).iter().sum()
    }

    pub(super) fn has(&self, name: &str, labels: &[(&str, &str)], value: u64) {
        assert_eq!(self.values(name, labels), [value], "{name} {labels:?}");
    }
}

/// `name{key="value",…} 1` or `name 1`.
fn parse_sample(line: &str) -> (String, Labels, u64) {
    let mut labels = Labels::new();
    let end = line.find(['{', ' ']).unwrap();
    let (name, mut rest) = line.split_at(end);
    if let Some(inner) = rest.strip_prefix('{') {
        rest = inner;
        loop {
            let (key, after) = rest.split_once("=\"").unwrap();
            let (value, after) = parse_value(after);
            assert!(labels.insert(key.to_owned(), value).is_none(), "{line}");
            match after.strip_prefix(',') {
                Some(next) => rest = next,
                None => {
                    rest = after.strip_prefix('}').unwrap();
                    break;
                }
            }
        }
    }
    let value = rest.strip_prefix(' ').unwrap();
    (name.to_owned(), labels, value.parse().unwrap())
}

/// An escaped label value up to its closing quote, and what follows.
fn parse_value(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return (value, &text[at + 1..]),
            '\\' => value.push(match characters.next().unwrap().1 {
                'n' => '\n',
                other => other,
            }),
            other => value.push(other),
        }
    }
    panic!("no closing quote: {text}");
}
