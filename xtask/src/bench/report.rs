//! The figures, for people and as JSON.

use anyhow::Result;
use serde_json::json;

/// What an empty XDP program takes by test run on a machine that has nothing else to do, in
/// nanoseconds: an Intel Xeon of 2023 under Linux 6.18.
const QUIET_EMPTY: f64 = 10.0;

/// Medians of one class, in nanoseconds a frame; the programs over the empty one.
pub(super) struct Row {
    pub(super) class: &'static str,
    pub(super) target: Option<f64>,
    pub(super) empty: f64,
    pub(super) ours: f64,
    pub(super) quartiles: [f64; 2],
    pub(super) xdp_filter: Option<f64>,
}

impl Row {
    fn ratio(&self) -> Option<f64> {
        self.xdp_filter.map(|theirs| self.ours / theirs)
    }
}

/// A promise, and the class that comes closest to breaking it.
pub(super) struct Target {
    limit: f64,
    worst: f64,
    class: &'static str,
}

impl Target {
    pub(super) fn met(&self) -> bool {
        self.worst <= self.limit
    }
}

/// The targets of the classes, each limit once.
pub(super) fn targets(rows: &[Row]) -> Vec<Target> {
    let mut targets: Vec<Target> = Vec::new();
    for row in rows {
        let Some(limit) = row.target else { continue };
        let (worst, class) = (row.ours, row.class);
        match targets
            .iter_mut()
            .find(|target| target.limit.total_cmp(&limit).is_eq())
        {
            Some(target) if target.worst >= worst => {}
            Some(target) => {
                *target = Target {
                    limit,
                    worst,
                    class,
                }
            }
            None => targets.push(Target {
                limit,
                worst,
                class,
            }),
        }
    }
    targets
}

pub(super) fn print(rows: &[Row], targets: &[Target]) {
    println!(
        "{:<32} {:>8} {:>13} {:>8} {:>11} {:>6}",
        "ns a packet over the empty one", "imblock", "quartiles", "empty", "xdp-filter", "ratio"
    );
    for row in rows {
        let [low, high] = row.quartiles;
        println!(
            "{:<32} {:>8.1} {:>13} {:>8.1} {:>11} {:>6}",
            row.class,
            row.ours,
            format!("{low:.1}..{high:.1}"),
            row.empty,
            or_dash(row.xdp_filter, 1),
            or_dash(row.ratio(), 2),
        );
    }
    if let Some(first) = rows.first()
        && first.empty > 2.0 * QUIET_EMPTY
    {
        println!(
            "the empty program alone takes {:.0} ns here, more than twice the {QUIET_EMPTY:.0} that \
             the targets were set by: compare ratios",
            first.empty
        );
    }
    for target in targets {
        let word = if target.met() { "PASS" } else { "MISS" };
        println!(
            "{word}: at most {} ns; worst {:.1} ({})",
            target.limit, target.worst, target.class
        );
    }
}

fn or_dash(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.digits$}"))
}

pub(super) fn json(rows: &[Row], targets: &[Target], rounds: u32, repeat: u32) -> Result<String> {
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let rows: Vec<_> = rows
        .iter()
        .map(|row| {
            json!({
                "class": row.class,
                "imblock_ns": row.ours,
                "imblock_quartiles_ns": row.quartiles,
                "empty_ns": row.empty,
                "xdp_filter_ns": row.xdp_filter,
                "ratio": row.ratio(),
            })
        })
        .collect();
    let targets: Vec<_> = targets
        .iter()
        .map(|target| {
            json!({
                "limit_ns": target.limit,
                "worst_ns": target.worst,
                "class": target.class,
                "met": target.met(),
            })
        })
        .collect();
    let document = json!({
        "version": 1,
        "kernel": kernel.trim(),
        "rounds": rounds,
        "repeat": repeat,
        "classes": rows,
        "targets": targets,
    });
    Ok(serde_json::to_string_pretty(&document)? + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(class: &'static str, ours: f64, target: Option<f64>) -> Row {
        Row {
            class,
            target,
            empty: 9.0,
            ours,
            quartiles: [ours, ours],
            xdp_filter: None,
        }
    }

    #[test]
    fn the_worst_class_decides_about_a_target() {
        let rows = [
            row("a", 10.0, Some(15.0)),
            row("b", 16.0, Some(15.0)),
            row("c", 29.0, Some(30.0)),
            row("d", 500.0, None),
        ];
        let found: Vec<_> = targets(&rows)
            .iter()
            .map(|target| (target.class, target.met()))
            .collect();
        assert_eq!(found, [("b", false), ("c", true)]);
    }
}
