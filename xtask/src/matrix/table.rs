//! The outcome for people and as JSON, from the same values.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::outcome::Row;

const HEADS: [&str; 7] = [
    "kernel",
    "load",
    "attach native",
    "egress",
    "kernel tests",
    "attach tests",
    "demo",
];

/// A line a kernel, and below what failed and what the controller said.
pub(super) fn text(rows: &[Row]) -> String {
    let mut table: Vec<Vec<String>> = vec![HEADS.map(ToOwned::to_owned).to_vec()];
    table.extend(rows.iter().map(cells));
    let columns = HEADS.len();
    let width = |column: usize| {
        let cells = table.iter().filter_map(|cells| cells.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for cells in &table {
        let padded = cells
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:<width$}"));
        let line = padded.collect::<Vec<_>>().join("  ");
        let _ = writeln!(text, "{}", line.trim_end());
    }
    for row in rows {
        write_words(row, &mut text);
    }
    text
}

fn cells(row: &Row) -> Vec<String> {
    let Ok(trial) = &row.trial else {
        let mut cells = vec!["-".to_owned(); HEADS.len()];
        if let Some(first) = cells.first_mut() {
            *first = format!("{}: not tried", row.series.number);
        }
        return cells;
    };
    let words = trial.checks().map(|(_, check)| check.word.clone());
    std::iter::once(trial.release.clone())
        .chain(words)
        .collect()
}

fn write_words(row: &Row, text: &mut String) {
    let number = row.series.number;
    let trial = match &row.trial {
        Ok(trial) => trial,
        Err(error) => {
            let _ = writeln!(text, "\n{number}: {error}");
            return;
        }
    };
    for note in &trial.notes {
        let _ = writeln!(text, "\n{number}: {note}");
    }
    for (name, check) in trial.checks() {
        if let Some(why) = &check.why {
            let _ = writeln!(text, "\n{number}: {name}: {}", why.replace('\n', "\n    "));
        }
    }
}

/// The same as a document.
pub(super) fn json(rows: &[Row]) -> Value {
    let kernels: Vec<Value> = rows.iter().map(kernel).collect();
    json!({"version": 1, "kernels": kernels})
}

fn kernel(row: &Row) -> Value {
    let mut kernel = json!({
        "series": row.series.number,
        "suite": row.series.suite,
        "supported": row.series.supported,
        "good": row.is_good(),
    });
    let Some(fields) = kernel.as_object_mut() else {
        return kernel;
    };
    match &row.trial {
        Err(error) => {
            fields.insert("error".to_owned(), json!(error));
        }
        Ok(trial) => {
            fields.insert("release".to_owned(), json!(trial.release));
            fields.insert("notes".to_owned(), json!(trial.notes));
            let steps = trial
                .steps
                .iter()
                .cloned()
                .map(|(name, steps)| (name, json!(steps)));
            fields.insert("steps".to_owned(), Value::Object(steps.collect()));
            for (name, check) in trial.checks() {
                fields.insert(name.to_owned(), check.json());
            }
        }
    }
    kernel
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::super::kernels::SERIES;
    use super::super::outcome::{Check, Trial};
    use super::*;

    fn rows() -> Vec<Row> {
        let check = |word: &str, why: Option<&str>| Check {
            good: why.is_none(),
            word: word.to_owned(),
            why: why.map(ToOwned::to_owned),
        };
        let trial = Trial {
            release: "6.1.0-1".to_owned(),
            steps: vec![("lan_ingress".to_owned(), Some(7))],
            load: check("yes", None),
            attach: check("yes", None),
            egress: check("clsact", None),
            kernel_tests: check("1 passed, 1 failed, 0 skipped", Some("limit: too\nmuch")),
            attach_tests: check("3 passed, 0 failed, 0 skipped", None),
            demo: check("yes", None),
            notes: vec!["no TCX".to_owned()],
        };
        let [old, middle, _] = &SERIES;
        vec![
            Row {
                series: old,
                trial: Err("no such package".to_owned()),
            },
            Row {
                series: middle,
                trial: Ok(trial),
            },
        ]
    }

    #[test]
    fn a_table_says_what_works_and_below_why_not() {
        let expected = "\
kernel           load  attach native  egress  kernel tests                   attach tests                   demo
5.10: not tried  -     -              -       -                              -                              -
6.1.0-1          yes   yes            clsact  1 passed, 1 failed, 0 skipped  3 passed, 0 failed, 0 skipped  yes

5.10: no such package

6.1: no TCX

6.1: kernel_tests: limit: too
    much
";
        assert_eq!(text(&rows()), expected);
    }

    #[test]
    fn json_says_the_same() {
        let document = json(&rows());
        let of = |pointer: &str| document.pointer(pointer).cloned().unwrap();
        assert_eq!(of("/kernels/0/error"), "no such package");
        assert_eq!(of("/kernels/1/good"), false);
        assert_eq!(of("/kernels/1/egress/word"), "clsact");
        assert_eq!(of("/kernels/1/steps/lan_ingress"), 7);
        assert_eq!(of("/kernels/1/kernel_tests/why"), "limit: too\nmuch");
    }
}
