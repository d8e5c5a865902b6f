//! What can be wrong with a policy, and how people are told.
//!
//! Invariant: every error about a text has a place in it; the message says what is wrong, the help
//! what to do.

use std::fmt;
use std::sync::Arc;

use super::error_kind::PolicyErrorKind;
use super::source::{Source, Span};

/// Everything that is wrong with a policy. Never empty.
#[derive(Debug)]
pub struct PolicyErrors(pub(super) Vec<PolicyError>);

/// One thing that is wrong with a policy.
#[derive(Debug)]
pub struct PolicyError(pub(super) Box<Details>);

#[derive(Debug)]
pub(super) struct Details {
    pub(super) kind: PolicyErrorKind,
    pub(super) source: Arc<Source>,
    pub(super) at: Option<Span>,
    /// Another place that has to do with it.
    pub(super) also: Option<(Span, &'static str)>,
    /// The same where it is in another file.
    pub(super) elsewhere: Option<String>,
}

impl PolicyError {
    /// An error at a place.
    pub(super) fn new(source: &Arc<Source>, at: Span, kind: PolicyErrorKind) -> Self {
        let source = source.of(at);
        Self(Box::new(Details {
            kind,
            source: Arc::clone(source),
            at: Some(source.within_line(at)),
            also: None,
            elsewhere: None,
        }))
    }

    /// An error about a text as a whole.
    pub(super) fn without_place(source: &Arc<Source>, kind: PolicyErrorKind) -> Self {
        Self(Box::new(Details {
            kind,
            source: Arc::clone(source),
            at: None,
            also: None,
            elsewhere: None,
        }))
    }

    /// The same error with a second place, and what is there.
    pub(super) fn and(mut self, at: Span, label: &'static str) -> Self {
        self.0.also = Some((self.0.source.within_line(at), label));
        self
    }

    /// The same error with a second place in another file.
    pub(super) fn and_elsewhere(mut self, place: &str, label: &'static str) -> Self {
        self.0.elsewhere = Some(format!("{label} {place}"));
        self
    }

    /// What is wrong.
    pub fn kind(&self) -> &PolicyErrorKind {
        &self.0.kind
    }

    /// The file, or the name of the ready policy.
    pub fn file(&self) -> &str {
        self.0.source.name()
    }

    /// Line and column, from 1; the column in characters.
    pub fn line_and_column(&self) -> Option<(usize, usize)> {
        self.0.at.map(|at| (at.line, at.column))
    }

    /// What to do about it.
    pub fn advice(&self) -> Option<String> {
        let help = self.0.kind.help();
        let help = match (help, &self.0.elsewhere) {
            (Some(help), Some(elsewhere)) => Some(format!("{elsewhere}; {help}")),
            (help, elsewhere) => help.or_else(|| elsewhere.clone()),
        };
        help.map(|help| printable(&help))
    }
}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&printable(&self.0.kind.to_string()))
    }
}

/// Quoted parts of a policy must not move the cursor of whoever reads about them.
fn printable(message: &str) -> String {
    let shown = |c: char| match c.is_control() {
        true => char::REPLACEMENT_CHARACTER,
        false => c,
    };
    message.chars().map(shown).collect()
}

impl std::error::Error for PolicyError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        // The message of a kind has its cause in it already.
        None
    }
}

impl PolicyErrors {
    /// `Err` with the errors, in the order of the text, or `Ok` when there are none.
    pub(super) fn none_or(mut errors: Vec<PolicyError>) -> Result<(), Self> {
        if errors.is_empty() {
            return Ok(());
        }
        errors.sort_by_key(|error| error.0.at.map_or((0, 0), |at| (at.file, at.offset)));
        Err(Self(errors))
    }

    /// Each error, in the order of the text.
    pub fn iter(&self) -> impl Iterator<Item = &PolicyError> {
        self.0.iter()
    }
}

impl From<PolicyError> for PolicyErrors {
    fn from(error: PolicyError) -> Self {
        Self(vec![error])
    }
}

/// One line an error: `file:line:column: message`.
impl fmt::Display for PolicyErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, error) in self.0.iter().enumerate() {
            if n != 0 {
                f.write_str("\n")?;
            }
            f.write_str(error.file())?;
            if let Some((line, column)) = error.line_and_column() {
                write!(f, ":{line}:{column}")?;
            }
            write!(f, ": {error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for PolicyErrors {}
