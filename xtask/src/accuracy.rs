//! `cargo xtask accuracy`: how much of what is in the labelled captures imblock tells, and how much
//! it tells that is not there.
//!
//! The captures and their scorer are not part of this repository: they lie beside it or the command
//! does nothing. What is good enough is said here and nowhere else.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use crate::executable;
use crate::workspace::{output_of, root};

/// The folder beside the checkout.
const SHARED: &str = "shared";

/// Shares of flows that must be told, by the scorer's names. `seen`: of the flows that show something
/// on the wire; `all`: of all; `named`: of those told, how many by the right service.
const AT_LEAST: [(&str, f64); 9] = [
    ("im_seen", 0.97),
    ("voip_seen", 0.95),
    ("p2p_seen", 0.95),
    ("dns_seen", 0.97),
    ("im_all", 0.93),
    ("im_named", 0.97),
    ("voip_named", 0.97),
    ("p2p_named", 0.97),
    ("dns_named", 0.97),
];

/// Flows of no service that may be told all the same: all of them, and those told by better evidence
/// than a port.
const AT_MOST: [(&str, f64); 2] = [("fp", 30.0), ("fp_strong", 4.0)];

#[derive(clap::Args, Default)]
pub(crate) struct Args {
    /// List up to N flows that were missed, and N that were told wrongly.
    #[arg(long, value_name = "N", default_value_t = 0)]
    misses: u32,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let Some(material) = Material::beside(&root()) else {
        println!(
            "skipped: accuracy: no labelled captures and scorer in ../{SHARED} beside the project"
        );
        return Ok(());
    };
    let report = material.score(&replay(&material.captures)?, args)?;
    print!("{report}");
    let missed = missed(&figures(&report)?);
    ensure!(missed.is_empty(), "{}", missed.join("; "));
    Ok(())
}

/// What is measured against.
struct Material {
    captures: PathBuf,
    scorer: PathBuf,
}

impl Material {
    /// What lies beside the checkout, if both are there.
    fn beside(root: &Path) -> Option<Self> {
        let shared = root.parent()?.join(SHARED);
        let material = Self {
            captures: shared.join("captures"),
            scorer: shared.join("tools/score_captures.py"),
        };
        (material.captures.is_dir() && material.scorer.is_file()).then_some(material)
    }

    /// What the scorer says of the flows that were told.
    fn score(&self, flows: &tempfile::NamedTempFile, args: &Args) -> Result<String> {
        let misses = args.misses.to_string();
        let mut python = Command::new("python3");
        python.arg(&self.scorer).arg(flows.path());
        output_of(python.args(["--misses", &misses]))
    }
}

/// The flows that imblock tells, in lines of JSON.
fn replay(captures: &Path) -> Result<tempfile::NamedTempFile> {
    // Unoptimised: all captures take seconds, an optimised build takes minutes.
    let imblock = executable::debug()?;
    let flows = tempfile::NamedTempFile::new()?;
    let replay = ["replay", "-p", "audit", "--flows", "--format", "ndjson"];
    let run = Command::new(imblock)
        .args(replay)
        .arg(captures)
        .stdout(File::create(flows.path())?)
        .output()
        .context("cannot start imblock")?;
    // Some of the captures are broken on purpose, of which it complains.
    if flows.as_file().metadata()?.len() == 0 {
        let complaints = String::from_utf8_lossy(&run.stderr);
        bail!("imblock replay told nothing ({}): {complaints}", run.status);
    }
    Ok(flows)
}

/// The scorer's last line: its figures by name.
fn figures(report: &str) -> Result<Value> {
    let line = report.lines().next_back().unwrap_or_default();
    serde_json::from_str(line).context("the scorer's last line is no JSON")
}

/// The measures that are not met, one text each.
fn missed(figures: &Value) -> Vec<String> {
    // A figure that is not there fails either way.
    let figure = |name: &str| figures.get(name).and_then(Value::as_f64);
    let too_low = AT_LEAST.iter().filter_map(|&(name, bound)| {
        let figure = figure(name).unwrap_or(0.0);
        (figure < bound).then(|| format!("{name} is {figure}, less than {bound}"))
    });
    let too_high = AT_MOST.iter().filter_map(|&(name, bound)| {
        let figure = figure(name).unwrap_or(f64::INFINITY);
        (figure > bound).then(|| format!("{name} is {figure}, more than {bound}"))
    });
    too_low.chain(too_high).collect()
}

#[cfg(test)]
#[expect(clippy::indexing_slicing, reason = "tests")]
mod tests {
    use super::*;

    /// Figures that just meet every measure.
    fn just_met() -> Value {
        let bounds = AT_LEAST.iter().chain(&AT_MOST);
        bounds
            .map(|&(name, bound)| (name.to_owned(), Value::from(bound)))
            .collect()
    }

    #[test]
    fn measures_that_are_just_met_are_met() {
        assert_eq!(missed(&just_met()), Vec::<String>::new());
    }

    #[test]
    fn each_measure_is_missed_by_a_little() {
        for (name, bound) in AT_LEAST {
            let mut figures = just_met();
            figures[name] = Value::from(bound - 0.001);
            assert_eq!(missed(&figures).len(), 1, "{name}");
        }
        for (name, bound) in AT_MOST {
            let mut figures = just_met();
            figures[name] = Value::from(bound + 1.0);
            assert_eq!(missed(&figures).len(), 1, "{name}");
        }
    }

    #[test]
    fn figures_that_are_not_there_meet_nothing() {
        let none = figures("a table\n{}\n").unwrap_or_default();
        assert_eq!(missed(&none).len(), AT_LEAST.len() + AT_MOST.len());
        assert!(figures("").is_err());
    }
}
