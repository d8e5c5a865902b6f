//! `include`: a policy out of several files.
//!
//! Invariant: however files name each other, each is read once, and no more than [`FILES_MAX`] of
//! them, [`TOTAL_MAX`] bytes in all. What was read knows its file, so that every error shows it.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::document::{self, IncludedDocument, PolicyDocument};
use super::error::{PolicyError, PolicyErrors};
use super::error_kind::PolicyErrorKind;
use super::model::VERSION;
use super::source::{MAX_BYTES, Placed, Source, Span, read_file};

/// Files that may include each other in a row, the policy among them.
const DEPTH_MAX: usize = 8;
/// Files of a policy, itself among them.
const FILES_MAX: usize = 64;
/// Bytes of all of them.
const TOTAL_MAX: usize = 4 * MAX_BYTES;

/// The policy of a text with all that it includes: as if it stood there, in front of its own. The
/// source knows the included ones.
pub(super) fn policy(source: Source) -> Result<(PolicyDocument, Arc<Source>), PolicyErrors> {
    let source = Arc::new(source);
    let mut document = document::policy(&source)?;
    if document.include.is_empty() {
        return Ok((document, source));
    }
    let mut including = Including::of(&source);
    let included = std::mem::take(&mut document.include);
    including.files(&source, &included);
    // One that was not found says more than what is missing for it.
    PolicyErrors::none_or(including.errors)?;
    let mut all = including.all;
    let own = IncludedDocument {
        version: Placed {
            value: VERSION,
            at: Span::default(),
        },
        include: Vec::new(),
        groups: document.groups,
        protect: document.protect,
        rules: document.rules,
        services: document.services,
        trust: document.trust,
        tests: document.tests,
    };
    add(&mut all, own);
    let IncludedDocument {
        version: _,
        include: _,
        groups,
        protect,
        rules,
        services,
        trust,
        tests,
    } = all;
    let document = PolicyDocument {
        groups,
        protect,
        rules,
        services,
        trust,
        tests,
        ..document
    };
    Ok((document, Arc::new(source.with(including.sources))))
}

/// Files on their way into a policy.
struct Including {
    /// By their real paths, where each stands that was begun: in the row that leads to the current
    /// one, or done.
    seen: HashMap<PathBuf, Progress>,
    depth: usize,
    bytes: usize,
    /// In the order of their numbers, from 1.
    sources: Vec<Arc<Source>>,
    all: IncludedDocument,
    errors: Vec<PolicyError>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Progress {
    Open,
    Done,
}

impl Including {
    fn of(source: &Source) -> Self {
        let path = source.path().and_then(|path| path.canonicalize().ok());
        Self {
            seen: path
                .into_iter()
                .map(|path| (path, Progress::Open))
                .collect(),
            depth: 1,
            bytes: source.text().len(),
            sources: Vec::new(),
            all: IncludedDocument {
                version: Placed {
                    value: VERSION,
                    at: Span::default(),
                },
                include: Vec::new(),
                groups: Default::default(),
                protect: Default::default(),
                rules: Vec::new(),
                services: Vec::new(),
                trust: Vec::new(),
                tests: Vec::new(),
            },
            errors: Vec::new(),
        }
    }

    /// The files that a file includes.
    fn files(&mut self, of: &Arc<Source>, files: &[Placed<String>]) {
        for (place, file) in files.iter().enumerate() {
            let mut earlier = files.iter().take(place);
            if let Some(first) = earlier.find(|other| other.value == file.value) {
                let kind = PolicyErrorKind::Twice {
                    what: "the file",
                    name: file.value.clone(),
                };
                let error = PolicyError::new(of, file.at, kind);
                self.errors.push(error.and(first.at, "first here"));
            } else if let Err(fault) = self.file(of, &file.value) {
                self.errors
                    .push(PolicyError::new(of, file.at, fault.into()));
            }
        }
    }

    /// A file that another one includes. What is wrong in it goes to the errors; what is wrong with
    /// the wish to include it is returned.
    fn file(&mut self, of: &Arc<Source>, name: &str) -> Result<(), IncludeFault> {
        let folder = of.path().and_then(Path::parent);
        let path = folder.ok_or(IncludeFault::FromNowhere)?.join(name);
        let real = path.canonicalize();
        let unreadable = |source| IncludeFault::Unreadable {
            file: name.to_owned(),
            source,
        };
        let real = real.map_err(unreadable)?;
        match self.seen.get(&real) {
            Some(Progress::Done) => return Ok(()),
            Some(Progress::Open) => {
                return Err(IncludeFault::ByItself(name.to_owned()));
            }
            None => {}
        }
        if self.depth >= DEPTH_MAX {
            return Err(IncludeFault::TooDeep);
        }
        if self.sources.len() + 1 >= FILES_MAX {
            return Err(IncludeFault::TooManyFiles);
        }
        self.seen.insert(real.clone(), Progress::Open);
        match read_file(&path, of.patience()) {
            Ok(source) => self.source(source)?,
            Err(error) => self.errors.push(error),
        }
        self.seen.insert(real, Progress::Done);
        Ok(())
    }

    fn source(&mut self, source: Source) -> Result<(), IncludeFault> {
        self.bytes += source.text().len();
        if self.bytes > TOTAL_MAX {
            return Err(IncludeFault::TooLarge);
        }
        let number = u16::try_from(self.sources.len() + 1).unwrap_or(u16::MAX);
        let source = Arc::new(source);
        self.sources.push(Arc::clone(&source));
        let mut document = match document::included(&source, number) {
            Ok(document) => document,
            Err(error) => {
                self.errors.push(error);
                return Ok(());
            }
        };
        if document.version.value != VERSION {
            let kind = PolicyErrorKind::UnsupportedVersion(document.version.value);
            let error = PolicyError::new(&source, document.version.at, kind);
            self.errors.push(error);
        }
        self.depth += 1;
        let included = std::mem::take(&mut document.include);
        self.files(&source, &included);
        self.depth -= 1;
        add(&mut self.all, document);
        Ok(())
    }
}

/// Puts a file behind those that are there.
fn add(all: &mut IncludedDocument, more: IncludedDocument) {
    let IncludedDocument {
        version: _,
        include: _,
        groups,
        protect,
        rules,
        services,
        trust,
        tests,
    } = more;
    all.groups.0.extend(groups.0);
    all.protect.ports.extend(protect.ports);
    all.protect.hosts.extend(protect.hosts);
    all.rules.extend(rules);
    all.services.extend(services);
    all.trust.extend(trust);
    all.tests.extend(tests);
}

/// Why a file is not included.
#[derive(Debug, thiserror::Error)]
pub enum IncludeFault {
    /// It can't be read.
    #[error("cannot read `{file}`: {source}")]
    Unreadable {
        /// What was typed.
        file: String,
        /// Why not.
        source: io::Error,
    },
    /// It leads to where it is included.
    #[error("`{0}` includes itself, or a file that includes it")]
    ByItself(String),
    /// Files that include files that include files.
    #[error("more than {} files include each other in a row", DEPTH_MAX - 1)]
    TooDeep,
    /// More files than are read.
    #[error("the policy has more than {FILES_MAX} files")]
    TooManyFiles,
    /// The files are longer than is read.
    #[error("the policy and what it includes are larger than {} KiB", TOTAL_MAX / 1024)]
    TooLarge,
    /// A policy that is no file includes one.
    #[error("only a policy that is a file can include others")]
    FromNowhere,
}

impl IncludeFault {
    /// What to do about it.
    pub(super) fn help(&self) -> Option<&'static str> {
        match self {
            Self::Unreadable { .. } => {
                Some("a path counts from the folder of the file that includes")
            }
            Self::ByItself(_) => Some("remove one of the two from `include`"),
            Self::FromNowhere => Some("write what includes it into a file"),
            Self::TooDeep | Self::TooManyFiles | Self::TooLarge => None,
        }
    }
}
