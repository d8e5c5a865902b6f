//! What the demo found, for machines.

use serde::Serialize;

use super::matrix::Cell;

/// `imblock demo --json`.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    /// Version of this document.
    pub(super) version: u32,
    /// The instance that was used.
    pub(super) instance: String,
    /// Whether everything was as it should be.
    pub(super) ok: bool,
    /// How long it took.
    pub(super) seconds: f64,
    /// What was done, in order.
    pub(super) steps: Vec<Step>,
    /// Counters that were compared.
    pub(super) counters_compared: usize,
    /// What was not as it should be, in words.
    pub(super) failures: Vec<String>,
}

/// One step.
#[derive(Debug, Serialize)]
pub(super) struct Step {
    /// What it shows.
    pub(super) title: String,
    /// What was typed at the router.
    pub(super) commands: Vec<String>,
    /// Who reached what afterwards.
    pub(super) cells: Vec<Cell>,
}
