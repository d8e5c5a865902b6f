//! What a part of the benchmark found: figures in a table, promises, and what was left out and why.
//! For people, as JSON and as Markdown, from the same values.

use std::fmt::Write as _;

use serde_json::{Value, json};

/// One table of figures.
pub(super) struct Sheet {
    /// The key in JSON: one word, as on the command line.
    pub(super) part: &'static str,
    /// What the figures are, with their unit.
    pub(super) title: String,
    /// The heads of the columns, without that of the first, which holds the lines' names.
    pub(super) columns: Vec<&'static str>,
    pub(super) lines: Vec<Line>,
    pub(super) promises: Vec<Promise>,
    /// What was skipped, and why; what a reader should know of the figures.
    pub(super) notes: Vec<String>,
}

/// One line of a table.
pub(super) struct Line {
    pub(super) name: String,
    /// A cell a column; `None` where nothing was measured.
    pub(super) cells: Vec<Option<f64>>,
}

/// A figure that has a bound.
pub(super) struct Promise {
    pub(super) what: String,
    pub(super) bound: Bound,
    /// `None` where it could not be measured; the notes say why.
    pub(super) figure: Option<f64>,
}

/// Which side of a number is good.
#[derive(Clone, Copy)]
pub(super) enum Bound {
    AtMost(f64),
    AtLeast(f64),
}

impl Promise {
    /// `None` where nothing was measured.
    pub(super) fn is_kept(&self) -> Option<bool> {
        let figure = self.figure?;
        Some(match self.bound {
            Bound::AtMost(limit) => figure <= limit,
            Bound::AtLeast(limit) => figure >= limit,
        })
    }

    fn verdict(&self) -> &'static str {
        match self.is_kept() {
            Some(true) => "PASS",
            Some(false) => "MISS",
            None => "SKIP",
        }
    }
}

impl Bound {
    fn words(self) -> String {
        match self {
            Self::AtMost(limit) => format!("at most {limit}"),
            Self::AtLeast(limit) => format!("at least {limit}"),
        }
    }

    fn limit(self) -> f64 {
        let (Self::AtMost(limit) | Self::AtLeast(limit)) = self;
        limit
    }
}

/// For a terminal: numbers to the right, under their heads.
pub(super) fn text(sheet: &Sheet) -> String {
    let first = sheet.lines.iter().map(|line| line.name.chars().count());
    let first = first.max().unwrap_or(0).max(sheet.title.chars().count());
    let mut text = format!("{:<first$}", sheet.title);
    for column in &sheet.columns {
        let _ = write!(text, "  {column:>9}");
    }
    text.push('\n');
    for line in &sheet.lines {
        let _ = write!(text, "{:<first$}", line.name);
        for (column, cell) in sheet.columns.iter().zip(&line.cells) {
            let width = column.chars().count().max(9);
            let _ = write!(text, "  {:>width$}", number(*cell));
        }
        text.push('\n');
    }
    for promise in &sheet.promises {
        let (verdict, what) = (promise.verdict(), &promise.what);
        let (figure, bound) = (number(promise.figure), promise.bound.words());
        let _ = writeln!(text, "{verdict}: {what}: {figure} ({bound})");
    }
    for note in &sheet.notes {
        let _ = writeln!(text, "note: {note}");
    }
    text
}

/// For a page of the documentation.
pub(super) fn markdown(sheet: &Sheet) -> String {
    let mut text = format!("| {} |", sheet.title);
    for column in &sheet.columns {
        let _ = write!(text, " {column} |");
    }
    text.push_str("\n|---|");
    text.push_str(&"---:|".repeat(sheet.columns.len()));
    text.push('\n');
    for line in &sheet.lines {
        let _ = write!(text, "| {} |", line.name);
        for cell in &line.cells {
            let _ = write!(text, " {} |", number(*cell));
        }
        text.push('\n');
    }
    if !sheet.promises.is_empty() {
        text.push_str("\n| target | | measured | |\n|---|---|---:|---|\n");
    }
    for promise in &sheet.promises {
        let (what, bound) = (&promise.what, promise.bound.words());
        let (figure, verdict) = (number(promise.figure), promise.verdict());
        let _ = writeln!(text, "| {what} | {bound} | {figure} | {verdict} |");
    }
    for note in &sheet.notes {
        let _ = writeln!(text, "\n{note}");
    }
    text
}

/// For programs. Figures are not rounded.
pub(super) fn json(sheet: &Sheet) -> Value {
    let lines: Vec<_> = sheet
        .lines
        .iter()
        .map(|line| json!({"name": line.name, "cells": line.cells}))
        .collect();
    let promises: Vec<_> = sheet
        .promises
        .iter()
        .map(|promise| {
            json!({
                "what": promise.what,
                "bound": match promise.bound {
                    Bound::AtMost(_) => "at_most",
                    Bound::AtLeast(_) => "at_least",
                },
                "limit": promise.bound.limit(),
                "figure": promise.figure,
                "kept": promise.is_kept(),
            })
        })
        .collect();
    json!({
        "part": sheet.part,
        "title": sheet.title,
        "columns": sheet.columns,
        "lines": lines,
        "targets": promises,
        "notes": sheet.notes,
    })
}

/// Three digits that mean something, more than which nobody measured here.
fn number(value: Option<f64>) -> String {
    match value {
        None => "-".to_owned(),
        Some(value) if value.abs() < 10.0 => format!("{value:.2}"),
        Some(value) if value.abs() < 100.0 => format!("{value:.1}"),
        Some(value) => format!("{value:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sheet() -> Sheet {
        let promise = |bound, figure| Promise {
            what: "added".to_owned(),
            bound,
            figure,
        };
        Sheet {
            part: "veth",
            title: "ns a packet".to_owned(),
            columns: vec!["whole", "added"],
            lines: vec![Line {
                name: "nothing".to_owned(),
                cells: vec![Some(49.72), None],
            }],
            promises: vec![
                promise(Bound::AtMost(0.7), Some(0.7)),
                promise(Bound::AtLeast(3.6), Some(3.5)),
                promise(Bound::AtLeast(1.0), None),
            ],
            notes: vec!["skipped: ipset: not installed".to_owned()],
        }
    }

    #[test]
    fn a_promise_is_kept_broken_or_was_not_measured() {
        let kept: Vec<_> = sheet().promises.iter().map(Promise::is_kept).collect();
        assert_eq!(kept, [Some(true), Some(false), None]);
    }

    #[test]
    fn a_table_has_a_number_under_each_head() {
        let text = text(&sheet());
        let lines: Vec<_> = text.lines().take(2).collect();
        assert_eq!(
            lines,
            [
                "ns a packet      whole      added",
                "nothing           49.7          -"
            ]
        );
        assert!(text.contains("MISS: added: 3.50 (at least 3.6)"));
    }

    #[test]
    fn markdown_has_as_many_cells_in_each_line() {
        let markdown = markdown(&sheet());
        let cells: Vec<_> = markdown
            .lines()
            .take(3)
            .map(|line| line.matches('|').count())
            .collect();
        assert_eq!(cells, [4, 4, 4]);
    }

    #[test]
    fn json_keeps_what_was_measured_as_it_is() {
        let json = json(&sheet());
        let at = |path| json.pointer(path).cloned();
        assert_eq!(at("/lines/0/cells"), Some(json!([49.72, null])));
        assert_eq!(at("/targets/1/kept"), Some(json!(false)));
    }
}
