//! The texts that policies are read from, and places in them.
//!
//! Invariant: a [`Span`] is only ever used with the [`Source`] that it was read from, or with the one
//! that includes it.

use std::fs::OpenOptions;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::OFlags;
use serde::{Serialize, Serializer};
use sha2::{Digest as _, Sha256};

use super::error::PolicyError;
use super::error_kind::PolicyErrorKind;
use super::plan::PlanSource;
use crate::catalogue;

/// The largest policy file that is read, in bytes.
pub const MAX_BYTES: usize = 1 << 20;

/// What stands for the standard input.
pub const STDIN: &str = "-";

/// Whether to wait for what is not there yet, as in a pipe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Patience {
    /// As long as it takes.
    Waits,
    /// Not at all: what is no regular file is refused.
    None,
}

/// Where a policy comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PolicySource {
    /// A file.
    File(PathBuf),
    /// The standard input, which gives its text once.
    Stdin,
    /// A ready policy in the binary, by its name. See [`catalogue::POLICIES`].
    Embedded(&'static str),
}

impl PolicySource {
    /// What `-p` means: the name of a ready policy, `-` for the standard input, or else a path. A file that
    /// has the name of a ready policy is reached as `./audit`, one that is called `-` as `./-`.
    pub fn parse(text: &str) -> Self {
        if text == STDIN {
            return Self::Stdin;
        }
        match catalogue::POLICIES.iter().find(|(name, _)| *name == text) {
            Some((name, _)) => Self::Embedded(name),
            None => Self::File(PathBuf::from(text)),
        }
    }

    /// Reads the text.
    pub(super) fn read(&self, patience: Patience) -> Result<Source, PolicyError> {
        match self {
            Self::File(path) => read_file(path, patience),
            Self::Stdin => read_stdin(patience),
            Self::Embedded(name) => match catalogue::ready_policy(name) {
                Some(text) => Ok(Source::new(format!("{name} (built in)"), text.to_owned())),
                None => Err(PolicyError::without_place(
                    &Source::new((*name).to_owned(), String::new()).into(),
                    PolicyErrorKind::NoSuchPolicy((*name).to_owned()),
                )),
            },
        }
    }
}

/// Reads a file up to [`MAX_BYTES`]; never more, whatever the file system says of its size.
pub(super) fn read_file(path: &Path, patience: Patience) -> Result<Source, PolicyError> {
    let name = path.display().to_string();
    let source = read_text(name, || open(path, patience))?;
    Ok(Source {
        path: Some(path.to_owned()),
        patience,
        ..source
    })
}

fn read_stdin(patience: Patience) -> Result<Source, PolicyError> {
    read_text("standard input".to_owned(), || match patience {
        Patience::Waits => Ok(io::stdin().lock()),
        Patience::None => Err(PolicyErrorKind::NotRegular),
    })
}

/// A file to be read. Who does not wait opens it without waiting, too: a pipe that nobody writes to would
/// block there.
fn open(path: &Path, patience: Patience) -> Result<impl Read, PolicyErrorKind> {
    let mut options = OpenOptions::new();
    options.read(true);
    if patience == Patience::None {
        options.custom_flags(OFlags::NONBLOCK.bits().cast_signed());
    }
    let file = options.open(path).map_err(PolicyErrorKind::Unreadable)?;
    let kind = file.metadata().map_err(PolicyErrorKind::Unreadable)?;
    if patience == Patience::None && !kind.is_file() {
        return Err(PolicyErrorKind::NotRegular);
    }
    Ok(file)
}

fn read_text<R: Read>(
    name: String,
    open: impl FnOnce() -> Result<R, PolicyErrorKind>,
) -> Result<Source, PolicyError> {
    let fail = |kind| {
        let source = Source::new(name.clone(), String::new());
        PolicyError::without_place(&source.into(), kind)
    };
    let bytes = open().and_then(|from| read_at_most(from, MAX_BYTES));
    String::from_utf8(bytes.map_err(fail)?)
        .map_err(|error| not_utf8(&name, error.as_bytes(), error.utf8_error().valid_up_to()))
        .map(|text| Source::new(name, text))
}

fn read_at_most(from: impl Read, limit: usize) -> Result<Vec<u8>, PolicyErrorKind> {
    let mut bytes = Vec::new();
    let within = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    from.take(within)
        .read_to_end(&mut bytes)
        .map_err(PolicyErrorKind::Unreadable)?;
    if bytes.len() > limit {
        return Err(PolicyErrorKind::TooLarge);
    }
    Ok(bytes)
}

/// Shows the bytes that are not UTF-8 as replacement characters, and points at the first.
fn not_utf8(name: &str, bytes: &[u8], valid_up_to: usize) -> PolicyError {
    let source = Source::new(name.to_owned(), String::from_utf8_lossy(bytes).into_owned());
    let at = source.span(valid_up_to, char::REPLACEMENT_CHARACTER.len_utf8());
    PolicyError::new(&source.into(), at, PolicyErrorKind::NotUtf8)
}

/// A text and its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    name: String,
    text: String,
    /// The text as a terminal may see it, where that differs.
    shown: Option<String>,
    /// Where it was read, if it is a file.
    path: Option<PathBuf>,
    /// How what it includes is read.
    patience: Patience,
    /// Sources that it includes, in the order of [`Span::file`], from 1.
    included: Vec<Arc<Source>>,
}

impl Source {
    /// A text that errors will call by `name`.
    pub fn new(name: String, text: String) -> Self {
        let shown = text
            .contains(is_harmful)
            .then(|| text.chars().map(harmless).collect());
        Self {
            name,
            text,
            shown,
            path: None,
            patience: Patience::Waits,
            included: Vec::new(),
        }
    }

    /// The same source, with those that it includes.
    pub(super) fn with(&self, included: Vec<Arc<Self>>) -> Self {
        Self {
            included,
            ..self.clone()
        }
    }

    /// How long what it includes may take, too.
    pub(super) fn patience(&self) -> Patience {
        self.patience
    }

    /// The file, if it is one.
    pub(super) fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// The source of a place: this one, or one that it includes.
    pub(super) fn of(self: &Arc<Self>, at: Span) -> &Arc<Self> {
        let number = usize::from(at.file).checked_sub(1);
        let included = number.and_then(|number| self.included.get(number));
        included.unwrap_or(self)
    }

    /// What it and the sources that it includes are, for whoever wants to know later whether they are
    /// still the same.
    pub(super) fn digests(&self) -> Vec<PlanSource> {
        let included = self.included.iter().map(|source| source.digest());
        [self.digest()].into_iter().chain(included).collect()
    }

    fn digest(&self) -> PlanSource {
        let digest = Sha256::digest(self.text.as_bytes());
        PlanSource {
            name: self.name.clone(),
            sha256: digest.iter().map(|byte| format!("{byte:02x}")).collect(),
        }
    }

    /// The text without control characters, byte for byte as long: a policy from somewhere else
    /// must not move the cursor of whoever checks it.
    pub(super) fn shown(&self) -> &str {
        self.shown.as_deref().unwrap_or(&self.text)
    }

    /// What errors call the text; for a file its path.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The place at a line and column, both from 1.
    pub(super) fn point(&self, line: usize, column: usize) -> Span {
        let lines = self.text.split_inclusive('\n').take(line.saturating_sub(1));
        let line_start: usize = lines.map(str::len).sum();
        let rest = self.text.get(line_start..).unwrap_or_default();
        let before = rest.chars().take(column.saturating_sub(1));
        let offset = line_start + before.map(char::len_utf8).sum::<usize>();
        self.span(offset, 0)
    }

    /// The part of a span that lies in its first line, and in the text.
    pub(super) fn within_line(&self, span: Span) -> Span {
        let offset = self.text.floor_char_boundary(span.offset);
        let rest = self.text.get(offset..).unwrap_or_default();
        let line = rest.lines().next().unwrap_or_default();
        let length = line.floor_char_boundary(span.length);
        Span {
            offset,
            length,
            ..span
        }
    }

    /// The span of `length` bytes from `offset`, cut to the text.
    pub(super) fn span(&self, offset: usize, length: usize) -> Span {
        let offset = self.text.floor_char_boundary(offset);
        let before = self.text.get(..offset).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let column = before.get(line_start..).unwrap_or_default().chars().count() + 1;
        Span {
            offset,
            length: length.min(self.text.len() - offset),
            line: before.matches('\n').count() + 1,
            column,
            file: 0,
        }
    }
}

fn is_harmful(c: char) -> bool {
    c.is_control() && !matches!(c, '\n' | '\r' | '\t')
}

/// A character that is shown instead, of the same length in UTF-8: one byte for C0 and DEL, two for
/// C1.
fn harmless(c: char) -> char {
    match (is_harmful(c), c.is_ascii()) {
        (false, _) => c,
        (true, true) => '?',
        (true, false) => '·',
    }
}

/// A place in a source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// Bytes before it.
    pub(super) offset: usize,
    /// Its length in bytes.
    pub(super) length: usize,
    /// Line, from 1; 0 when the place is unknown.
    pub(super) line: usize,
    /// Column in characters, from 1; 0 when the place is unknown.
    pub(super) column: usize,
    /// Which of the files of a policy: 0 is its own, then those that it includes.
    pub(super) file: u16,
}

/// A value and where it was read. It prints and serializes as the value alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed<T> {
    /// The value.
    pub value: T,
    /// Where it stands.
    pub at: Span,
}

impl<T> Placed<T> {
    /// The same place, with what the value means.
    pub(super) fn map<U>(&self, value: U) -> Placed<U> {
        Placed { value, at: self.at }
    }
}

impl<T: Serialize> Serialize for Placed<T> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.value.serialize(to)
    }
}
