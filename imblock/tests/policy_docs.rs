//! docs/POLICY.md is true: its policies load, its mistakes are told as it shows them.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

use imblock::policy::{self, PolicyErrors, ServiceNumbers, Source, Surroundings};

const DOCUMENT: &str = include_str!("../../docs/POLICY.md");

/// The fenced blocks of a document: what stands behind the fence, and the text.
fn blocks(document: &str) -> Vec<(&str, &str)> {
    let mut blocks = Vec::new();
    let mut rest = document;
    while let Some((_, after)) = rest.split_once("\n```") {
        let (info, after) = after.split_once('\n').unwrap();
        let end = if after.starts_with("```") {
            0
        } else {
            after.find("\n```").unwrap() + 1
        };
        let (text, after) = after.split_at(end);
        blocks.push((info, text));
        rest = after.strip_prefix("```").unwrap();
    }
    blocks
}

/// Does what `policy check` does.
fn check(text: &str) -> Result<(), PolicyErrors> {
    let policy = policy::parse(Source::new("office.yaml".to_owned(), text.to_owned()))?;
    let plan = policy.compile(&mut ServiceNumbers::default(), &Surroundings::default())?;
    policy.try_out(&plan, jiff::Timestamp::now())
}

fn must_compile(text: &str) {
    check(text).unwrap_or_else(|errors| panic!("{}", errors.report(100, false)));
}

#[test]
fn examples_load() {
    let mut seen = 0;
    for (info, text) in blocks(DOCUMENT) {
        match info {
            "yaml" if text.contains("version:") => must_compile(text),
            "yaml" => must_compile(&format!("version: 1\nname: example\n{text}")),
            "yaml service" => {
                let item = text.trim_end().replace('\n', "\n    ");
                must_compile(&format!(
                    "version: 1\nname: example\nservices:\n  - {item}\n"
                ));
            }
            _ => continue,
        }
        seen += 1;
    }
    assert_eq!(seen, 7);
}

#[test]
fn mistakes_are_told_as_shown() {
    let blocks = blocks(DOCUMENT);
    let pairs: Vec<_> = blocks
        .windows(2)
        .filter(|pair| matches!(pair, [("yaml wrong", _), _]))
        .collect();
    assert_eq!(pairs.len(), 3);
    for pair in pairs {
        let [(_, wrong), (info, shown)] = pair else {
            continue;
        };
        assert_eq!(*info, "text");
        let told = check(wrong).unwrap_err().report(80, false);
        assert_eq!(
            told.trim_end(),
            shown.trim_end(),
            "docs/POLICY.md should show:\n{told}"
        );
    }
}
