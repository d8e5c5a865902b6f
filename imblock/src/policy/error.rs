//! What can be wrong with a policy, and how people are told.
//!
//! Invariant: every error about a text has a place in it; the message says what is wrong, the help
//! what to do.

use std::fmt;
use std::io;
use std::sync::Arc;

use imblock_common::layout::NAME_MAX;
use miette::{
    Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteSpanContents,
    SourceCode, SourceSpan, SpanContents,
};

use super::model::VERSION;
use super::numbers::NumberError;
use super::source::{MAX_BYTES, Source, Span};
use super::words::{PortFault, PrefixFault, SelectorError, Suggestion, WordFault};

/// Errors that are shown before the rest is only counted.
const SHOWN: usize = 20;
/// Bytes of one line that are shown on each side of an error.
const CONTEXT_BYTES: usize = 160;

/// Everything that is wrong with a policy. Never empty.
#[derive(Debug)]
pub struct PolicyErrors(Vec<PolicyError>);

/// One thing that is wrong with a policy.
#[derive(Debug)]
pub struct PolicyError(Box<Details>);

#[derive(Debug)]
struct Details {
    kind: PolicyErrorKind,
    source: Arc<Source>,
    at: Option<Span>,
    /// Another place that has to do with it.
    also: Option<(Span, &'static str)>,
}

/// What is wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyErrorKind {
    /// The file can't be read.
    #[error("cannot read the policy: {0}")]
    Unreadable(#[source] io::Error),
    /// No ready policy has this name.
    #[error("there is no ready policy `{0}`")]
    NoSuchPolicy(String),
    /// The text is longer than is read.
    #[error("the policy is larger than {} KiB", MAX_BYTES / 1024)]
    TooLarge,
    /// The text is not UTF-8.
    #[error("the policy is not UTF-8 text")]
    NotUtf8,
    /// There is nothing in the text.
    #[error("the policy is empty")]
    Empty,
    /// The text is not YAML, or not of a form that the other kinds know.
    #[error("{0}")]
    Syntax(#[source] SyntaxError),
    /// Lists in lists in lists.
    #[error("the policy is nested deeper than {0} levels")]
    TooDeep(usize),
    /// Aliases that multiply the text.
    #[error("the aliases of the policy make it too large")]
    TooManyAliases,
    /// A second YAML document behind the first.
    #[error("a policy is one YAML document, and here a second one begins")]
    SecondDocument,
    /// A key that does not exist here.
    #[error("unknown key `{key}`{}", Suggestion::of(key, expected))]
    UnknownKey {
        /// What was typed.
        key: String,
        /// What could have been.
        expected: Vec<&'static str>,
    },
    /// A key that must be there.
    #[error("the key `{0}` is missing")]
    MissingKey(&'static str),
    /// A key that is there twice.
    #[error("the key `{0}` is there twice")]
    DuplicateKey(String),
    /// Text for a number, a list for a text and so on.
    #[error("expected {expected}, found {found}")]
    WrongType {
        /// What was typed.
        found: String,
        /// What belongs there.
        expected: String,
    },
    /// The policy is of another version of the language.
    #[error("this imblock reads policies of version {VERSION}, not {0}")]
    UnsupportedVersion(u64),
    /// A name that can't be one.
    #[error("`{text}` is no name for {what}: it {fault}")]
    BadName {
        /// What was typed.
        text: String,
        /// What it should name.
        what: &'static str,
        /// What is wrong with it.
        fault: WordFault,
    },
    /// A word that is not one of a few.
    #[error("unknown {what} `{text}`{suggestion}")]
    UnknownWord {
        /// What it should be.
        what: &'static str,
        /// What was typed.
        text: String,
        /// The words that exist.
        expected: &'static [&'static str],
        /// The nearest of them.
        suggestion: Suggestion,
    },
    /// An action of the design that this version lacks.
    #[error("the action `{0}` is not supported in this version; use `drop`")]
    UnsupportedAction(String),
    /// Not a port.
    #[error("`{text}` is no port: {fault}")]
    BadPort {
        /// What was typed.
        text: String,
        /// What is wrong with it.
        fault: PortFault,
    },
    /// Not a prefix.
    #[error("`{text}` is no prefix: {fault}")]
    BadPrefix {
        /// What was typed.
        text: String,
        /// What is wrong with it.
        fault: PrefixFault,
    },
    /// A date that is none.
    #[error("`{0}` is no date: write 2018-07-17, 2018-07 or 2018")]
    BadDate(String),
    /// Not a selector of services.
    #[error(transparent)]
    Selector(#[from] SelectorError),
    /// No such group.
    #[error("unknown group `{text}`{suggestion}")]
    UnknownGroup {
        /// What was typed.
        text: String,
        /// The nearest that exists.
        suggestion: Suggestion,
    },
    /// A list that must not be empty.
    #[error("{0} is an empty list")]
    EmptyList(&'static str),
    /// Two interfaces, groups or services of the same name.
    #[error("{what} `{name}` is there twice")]
    Twice {
        /// What.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// A service of the policy has the id of one in the catalogue.
    #[error("the catalogue has a service `{0}` already")]
    InCatalogue(String),
    /// A prefix in two groups.
    #[error("{net} is in the group `{first}` and in `{second}`")]
    InTwoGroups {
        /// The prefix.
        net: ipnet::IpNet,
        /// The group that has it first.
        first: String,
        /// The group that has it again.
        second: String,
    },
    /// More groups than the tables hold.
    #[error("there are more than {0} groups")]
    TooManyGroups(usize),
    /// A limit outside its range.
    #[error("{key} is {found}; it can be {least} to {most}")]
    LimitOutOfRange {
        /// Which limit.
        key: &'static str,
        /// What was typed.
        found: u64,
        /// The smallest.
        least: u32,
        /// The largest.
        most: u32,
    },
    /// The prefixes don't fit in the table.
    #[error("the policy has {found} prefixes; `limits.prefixes: {limit}` leaves room for {}", limit / 2)]
    TooManyPrefixes {
        /// Prefixes of the policy, the box's own addresses included.
        found: usize,
        /// The limit.
        limit: u32,
    },
    /// No number is left for a service.
    #[error(transparent)]
    Number(#[from] NumberError),
}

impl PolicyErrorKind {
    fn help(&self) -> Option<String> {
        let help = match self {
            Self::NoSuchPolicy(_) => format!("the ready policies are {}", ready_policies()),
            Self::Unreadable(error) if error.kind() == io::ErrorKind::NotFound => {
                format!("give a file, or a ready policy: {}", ready_policies())
            }
            Self::TooLarge => {
                "is this the right file? Wide prefixes say the same in fewer lines".into()
            }
            Self::NotUtf8 => "save the file as UTF-8".into(),
            Self::Empty => {
                "begin with `version: 1` and `name: …`; docs/POLICY.md has examples".into()
            }
            Self::TooManyAliases => {
                "write the lists out; groups and selectors keep them short".into()
            }
            Self::SecondDocument => "remove the `---`, or split the file".into(),
            Self::UnknownKey { key, expected } => match later_key(key) {
                true => format!("`{key}` is not supported in this version"),
                false => format!("the keys here are {}", expected.join(", ")),
            },
            Self::MissingKey("version") => {
                format!("begin with `version: {}`", VERSION)
            }
            Self::UnknownWord { expected, .. } => format!("it can be {}", expected.join(", ")),
            Self::BadName {
                fault: WordFault::TooLong,
                ..
            } => {
                format!("the kernel tables keep {NAME_MAX} bytes of a name")
            }
            Self::BadPort { .. } => "write tcp/5050, udp/4000 or tcp/6660-6669".into(),
            Self::BadPrefix { fault, .. } => fault.help(),
            Self::Selector(error) => error.help().into(),
            Self::UnknownGroup { .. } => {
                "groups are named under `groups:`; `everyone` is who is in none".into()
            }
            Self::EmptyList("groups") => {
                "leave `groups` out and the rule is for all of them".into()
            }
            Self::EmptyList(_) => "name a service, or `all`".into(),
            Self::InCatalogue(_) => "give yours another id; a rule can name both".into(),
            Self::InTwoGroups { .. } => {
                "a host has one group, that of the longest prefix around it; remove one of the two"
                    .into()
            }
            Self::TooManyPrefixes { found, .. } => format!(
                "a new policy is written beside the old one, so the limit must be at least twice the number: `limits: {{ prefixes: {} }}`",
                found.saturating_mul(2)
            ),
            _ => return None,
        };
        Some(help)
    }
}

/// Keys that the language will have.
fn later_key(key: &str) -> bool {
    matches!(key, "quic" | "tests" | "when" | "for" | "flows")
}

fn ready_policies() -> String {
    let names: Vec<_> = crate::catalogue::POLICIES
        .iter()
        .map(|(name, _)| *name)
        .collect();
    names.join(", ")
}

/// What the YAML reader says.
#[derive(Debug)]
pub struct SyntaxError(String);

impl SyntaxError {
    pub(super) fn new(error: impl fmt::Display) -> Self {
        Self(error.to_string())
    }
}

impl fmt::Display for SyntaxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for SyntaxError {}

impl PolicyError {
    /// An error at a place.
    pub(super) fn new(source: &Arc<Source>, at: Span, kind: PolicyErrorKind) -> Self {
        Self(Box::new(Details {
            kind,
            source: Arc::clone(source),
            at: Some(at),
            also: None,
        }))
    }

    /// An error about a text as a whole.
    pub(super) fn without_place(source: Source, kind: PolicyErrorKind) -> Self {
        Self(Box::new(Details {
            kind,
            source: Arc::new(source),
            at: None,
            also: None,
        }))
    }

    /// The same error with a second place, and what is there.
    pub(super) fn and(mut self, at: Span, label: &'static str) -> Self {
        self.0.also = Some((at, label));
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
        self.0.kind.help().map(|help| printable(&help))
    }
}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&printable(&self.0.kind.to_string()))
    }
}

/// Quoted parts of a policy must not move the cursor of whoever reads about them.
fn printable(message: &str) -> String {
    let shown = |c: char| {
        if c.is_control() {
            char::REPLACEMENT_CHARACTER
        } else {
            c
        }
    };
    message.chars().map(shown).collect()
}

impl std::error::Error for PolicyError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        // The message of a kind has its cause in it already.
        None
    }
}

impl Diagnostic for PolicyError {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(self.advice()?))
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.0.at.map(|_| &*self.0.source as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let at = self.0.at?;
        let here = LabeledSpan::new_primary_with_span(None, (at.offset, at.length));
        let also = self.0.also.map(|(at, label)| {
            LabeledSpan::new_with_span(Some(label.to_owned()), (at.offset, at.length))
        });
        Some(Box::new(std::iter::once(here).chain(also)))
    }
}

impl PolicyErrors {
    /// `Err` with the errors, in the order of the text, or `Ok` when there are none.
    pub(super) fn none_or(mut errors: Vec<PolicyError>) -> Result<(), Self> {
        if errors.is_empty() {
            return Ok(());
        }
        errors.sort_by_key(|error| error.0.at.map_or(0, |at| at.offset));
        Err(Self(errors))
    }

    /// Each error, in the order of the text.
    pub fn iter(&self) -> impl Iterator<Item = &PolicyError> {
        self.0.iter()
    }

    /// The errors as a person at a terminal reads them: place, line, mark, advice. After the first
    /// twenty, the rest is only counted. `width` is in columns.
    pub fn report(&self, width: usize, colour: bool) -> String {
        let theme = match colour {
            true => GraphicalTheme::unicode(),
            false => GraphicalTheme::unicode_nocolor(),
        };
        let handler = GraphicalReportHandler::new_themed(theme)
            .with_width(width)
            .with_context_lines(0)
            .with_links(false);
        let mut out = String::new();
        for error in self.0.iter().take(SHOWN) {
            if error.0.at.is_none() {
                out.push_str(error.file());
                out.push_str(":\n");
            }
            if handler.render_report(&mut out, error).is_err() {
                out.push_str(&error.to_string());
            }
            out.push('\n');
        }
        match self.0.len().saturating_sub(SHOWN) {
            0 => {}
            more => out.push_str(&format!("… and {more} more errors\n")),
        }
        out
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

impl SourceCode for Source {
    /// The lines of a span, whole but for what would fill the screen. Columns are characters.
    fn read_span<'a>(
        &'a self,
        span: &SourceSpan,
        _lines_before: usize,
        _lines_after: usize,
    ) -> Result<Box<dyn SpanContents<'a> + 'a>, miette::MietteError> {
        let all = self.shown();
        let (offset, behind) = (span.offset(), span.offset() + span.len());
        let (Some(before), Some(after)) = (all.get(..offset), all.get(behind..)) else {
            return Err(miette::MietteError::OutOfBounds);
        };
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line_end = after
            .find('\n')
            .map_or(all.len(), |newline| behind + newline);
        // The CR of a CRLF would be taken for a line of its own.
        let line_end = match all.get(behind..line_end) {
            Some(rest) if rest.ends_with('\r') => line_end - 1,
            _ => line_end,
        };
        let start = line_start.max(offset.saturating_sub(CONTEXT_BYTES));
        let start = all.floor_char_boundary(start);
        let end = all.floor_char_boundary(line_end.min(behind.saturating_add(CONTEXT_BYTES)));
        let text = all.get(start..end).unwrap_or_default();
        // Lines are numbered from that of `start`, which is that of `offset`; the column is for the
        // head of the report alone.
        let first = self.span(offset, 0);
        Ok(Box::new(MietteSpanContents::new_named(
            self.name().to_owned(),
            text.as_bytes(),
            (start, text.len()).into(),
            first.line.saturating_sub(1),
            first.column.saturating_sub(1),
            1,
        )))
    }
}
