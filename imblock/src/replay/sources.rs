//! Which captures are replayed: files as given, directories walked.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::capture::CaptureError;

/// Endings of what counts as a capture in a directory, in lower case.
const EXTENSIONS: [&str; 3] = ["pcap", "pcapng", "cap"];

/// A capture to be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A file.
    File(PathBuf),
    /// The standard input, given as `-`.
    Stdin,
}

impl Source {
    /// The name that reports and errors give: the path as given.
    pub fn name(&self) -> String {
        match self {
            Self::File(path) => path.display().to_string(),
            Self::Stdin => "-".to_owned(),
        }
    }

    /// Size in bytes, where it can be known beforehand.
    pub fn size(&self) -> Option<u64> {
        match self {
            Self::File(path) => fs::metadata(path)
                .ok()
                .filter(fs::Metadata::is_file)
                .map(|file| file.len()),
            Self::Stdin => None,
        }
    }
}

/// The captures that the given paths stand for, in the order given; those of a directory sorted.
pub fn sources(paths: &[PathBuf]) -> Vec<Result<Source, CaptureError>> {
    let mut sources = Vec::new();
    for path in paths {
        if path.as_os_str() == "-" {
            sources.push(Ok(Source::Stdin));
        } else if path.is_dir() {
            directory(path, &mut sources);
        } else {
            sources.push(Ok(Source::File(path.clone())));
        }
    }
    sources
}

fn directory(path: &Path, sources: &mut Vec<Result<Source, CaptureError>>) {
    let before = sources.len();
    walk(path, sources);
    if sources.len() == before {
        sources.push(Err(CaptureError::NoCaptures {
            directory: path.display().to_string(),
        }));
    }
}

/// Links to directories are not followed: they may lead in a circle.
fn walk(path: &Path, sources: &mut Vec<Result<Source, CaptureError>>) {
    let entries = match entries(path) {
        Ok(entries) => entries,
        Err(source) => {
            let file = path.display().to_string();
            return sources.push(Err(CaptureError::Open { file, source }));
        }
    };
    for (path, kind) in entries {
        if kind.is_dir() {
            walk(&path, sources);
        } else if is_capture(&path) && path.is_file() {
            sources.push(Ok(Source::File(path)));
        }
    }
}

fn entries(path: &Path) -> io::Result<Vec<(PathBuf, fs::FileType)>> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        entries.push((entry.path(), entry.file_type()?));
    }
    entries.sort_by(|(one, _), (other, _)| one.cmp(other));
    Ok(entries)
}

fn is_capture(path: &Path) -> bool {
    path.extension()
        .and_then(|extension| extension.to_str())
        .is_some_and(|extension| {
            EXTENSIONS
                .iter()
                .any(|known| extension.eq_ignore_ascii_case(known))
        })
}
