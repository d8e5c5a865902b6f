//! The two formats: that both say the same, and what Prometheus' own readers think of them.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;

use super::{Running, Sample, top};
use crate::telemetry::Options;
use crate::telemetry::formats::Format;
use crate::testing;

/// A server with everything that it can tell, and names that must be escaped.
async fn full() -> Running {
    let source = Sample {
        odd_names: true,
        ..Sample::default()
    };
    Running::start(Arc::new(source), top(2)).await
}

#[tokio::test]
async fn who_asks_for_no_format_gets_the_text_format() {
    let server = Running::start(Arc::default(), Options::default()).await;
    for accepts in [&[][..], &["*/*"], &["text/plain; version=0.0.4"]] {
        let answer = server.ask("/metrics", accepts).await;
        answer.is_of(Format::Text);
        assert!(!answer.body.contains("# EOF"), "{accepts:?}");
        let counter = "\n# TYPE imblock_service_packets_total counter\n";
        assert!(answer.body.contains(counter), "{}", answer.body);
        // What is between us and the reader must not give one's answer to another.
        assert!(
            answer.headers.contains("vary: accept"),
            "{}",
            answer.headers
        );
    }
}

#[tokio::test]
async fn both_formats_tell_the_same() {
    let server = full().await;
    let text = server.scrape_as(Format::Text).await;
    let open = server.scrape_as(Format::OpenMetrics).await;
    assert_eq!(text.samples, open.samples);
    assert_eq!(text.types.len(), open.types.len());
    for (family, kind) in &open.types {
        let (name, kind) = match kind.as_str() {
            "counter" => (format!("{family}_total"), "counter"),
            "info" => (format!("{family}_info"), "gauge"),
            other => (family.clone(), other),
        };
        assert_eq!(text.types.get(&name).map(String::as_str), Some(kind));
    }
    let kinds: BTreeSet<_> = open.types.values().map(String::as_str).collect();
    assert_eq!(kinds, BTreeSet::from(["counter", "gauge", "info"]));
}

/// The reader of the text format, and what Prometheus holds good custom.
#[tokio::test]
async fn promtool_finds_nothing_in_the_text_format() {
    if !has_promtool("promtool_finds_nothing_in_the_text_format") {
        return;
    }
    let page = full().await.scrape_as(Format::Text).await.text;
    let read = check(&page);
    assert!(read.status.success(), "{read:?}\n{page}");
    assert!(read.stdout.is_empty() && read.stderr.is_empty(), "{read:?}");
    // Or the check above proves nothing.
    assert!(!check(&spoilt(&page)).status.success());
}

/// The reader of OpenMetrics, which wants a time on each sample.
#[tokio::test]
async fn promtool_reads_openmetrics() {
    if !has_promtool("promtool_reads_openmetrics") {
        return;
    }
    let seen = full().await.scrape_as(Format::OpenMetrics).await;
    assert!(seen.types.len() > 12);
    let timed: String = seen
        .text
        .lines()
        .map(|line| match line.starts_with('#') {
            true => format!("{line}\n"),
            false => format!("{line} 1750000000\n"),
        })
        .collect();
    let read = store(&timed);
    assert!(read.status.success(), "{read:?}\n{timed}");
    let said = String::from_utf8(read.stdout).unwrap();
    let series = seen.samples.len().to_string();
    assert!(
        said.split_whitespace().any(|word| word == series),
        "{series} series: {said}"
    );
    // Or the check above proves nothing.
    assert!(!store(&spoilt(&timed)).status.success());
}

fn has_promtool(test: &str) -> bool {
    let found = Command::new("promtool").arg("--version").output().is_ok();
    if !found {
        testing::skip(test, "promtool is not installed (Debian: prometheus)");
    }
    found
}

fn spoilt(page: &str) -> String {
    page.replace("verdict=\"dropped\"", "verdict=\"dropped")
}

fn check(page: &str) -> Output {
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = promtool.stdin.take().unwrap();
    input.write_all(page.as_bytes()).unwrap();
    drop(input);
    promtool.wait_with_output().unwrap()
}

fn store(page: &str) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("exposition");
    std::fs::write(&file, page).unwrap();
    Command::new("promtool")
        .args(["tsdb", "create-blocks-from", "openmetrics"])
        .arg(file)
        .arg(folder.path().join("blocks"))
        .output()
        .unwrap()
}
