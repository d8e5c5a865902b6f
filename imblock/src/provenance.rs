//! Which rule, in which file and line, each cell of the live policy comes from.
//!
//! The kernel's tables hold actions and no reasons. These are written down beside the state when a
//! policy is applied, under the hash of its tables. Invariant: what is told of a live policy was
//! written down for exactly these tables, whatever became of the file since; where nothing fits,
//! nothing is told.

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::policy::Plan;
use crate::policy::plan::{CellOrigin, PlanSource};
use crate::state::{Prepared, StateDir, StateError};

/// The file in the state directory.
pub(crate) const FILE: &str = "origins.json";
const VERSION: u32 = 1;
/// How many policies are remembered: the one in force, and earlier ones to which somebody may go
/// back.
const KEPT: usize = 4;

/// Where the cells of one policy come from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provenance {
    /// [`Plan::hash`] of its tables, in hexadecimal.
    hash: String,
    /// The texts that it was compiled from.
    pub sources: Vec<SourceFile>,
    /// The cells that some rule set.
    pub origins: Vec<CellOrigin>,
}

/// A text that a policy was compiled from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceFile {
    /// What it was when it was compiled.
    #[serde(flatten)]
    pub source: PlanSource,
    /// Where it lay then; none for a ready policy, which is part of the program.
    pub path: Option<PathBuf>,
}

/// What became of a text since it was compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Since {
    /// The file says what it said, or is part of the program.
    Unchanged,
    /// The file says something else by now: lines may have moved.
    Changed,
    /// There is no such file any more, or it can't be read.
    Gone,
}

#[derive(Default, Serialize, Deserialize)]
struct Document {
    version: u32,
    /// The latest first.
    policies: Vec<Provenance>,
}

/// Writes down where the cells of a plan come from, which is to be put in force; it counts once that is
/// committed.
pub(crate) fn prepare(state: &StateDir, plan: &Plan) -> Result<Prepared, StateError> {
    let new = Provenance::of(plan);
    let mut policies = load(state)?;
    policies.retain(|known| known.hash != new.hash);
    policies.insert(0, new);
    policies.truncate(KEPT);
    let document = Document {
        version: VERSION,
        policies,
    };
    // Plain data with text for keys: writing it to memory can't fail.
    let text = serde_json::to_vec(&document).unwrap_or_default();
    state.prepare(FILE, &text)
}

/// Where the cells of the policy with this hash come from; none if nobody wrote it down.
pub fn recall(state: &StateDir, hash: &[u8; 32]) -> Result<Option<Provenance>, StateError> {
    let hash = hexadecimal(hash);
    let policies = load(state)?;
    Ok(policies.into_iter().find(|known| known.hash == hash))
}

/// What another version wrote, or nobody did, is nothing that is known.
fn load(state: &StateDir) -> Result<Vec<Provenance>, StateError> {
    let text = state.read(FILE)?.unwrap_or_default();
    let document: Document = serde_json::from_slice(&text).unwrap_or_default();
    Ok(match document.version {
        VERSION => document.policies,
        _ => Vec::new(),
    })
}

impl Provenance {
    /// Of a plan that was compiled here.
    pub fn of(plan: &Plan) -> Self {
        let file = |source: &PlanSource| SourceFile {
            source: source.clone(),
            path: std::path::absolute(&source.name)
                .ok()
                .filter(|path| path.is_file()),
        };
        Self {
            hash: hexadecimal(&plan.hash()),
            sources: plan.sources.iter().map(file).collect(),
            origins: plan.origins.clone(),
        }
    }

    /// Why a cell is what it is, in words: a rule with its file and line, or `defaults`.
    pub fn reason(&self, group: u16, service: u16) -> String {
        match self.origin(group, service) {
            Some(origin) => format!("rule {} ({})", origin.rule, origin.place),
            None => "defaults".to_owned(),
        }
    }

    /// The rule that set a cell; none if it comes from `defaults`.
    pub fn origin(&self, group: u16, service: u16) -> Option<&CellOrigin> {
        let mut origins = self.origins.iter();
        origins.find(|origin| (origin.group, origin.service) == (group, service))
    }
}

impl SourceFile {
    /// Whether the file still says what was compiled.
    pub fn since(&self) -> Since {
        let Some(path) = &self.path else {
            return Since::Unchanged;
        };
        match digest(path) {
            Ok(digest) if digest == self.source.sha256 => Since::Unchanged,
            Ok(_) => Since::Changed,
            Err(_) => Since::Gone,
        }
    }
}

fn digest(path: &Path) -> io::Result<String> {
    Ok(hexadecimal(&Sha256::digest(std::fs::read(path)?)))
}

/// Bytes as people compare them.
pub fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
