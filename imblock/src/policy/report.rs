//! Errors as a person at a terminal reads them: the place, the line, a mark under it, advice.
//!
//! Invariant: whatever the text, a report shows at most [`SHOWN`] errors of a few short lines each.

use std::fmt;

use miette::{
    Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteSpanContents,
    SourceCode, SourceSpan, SpanContents,
};

use super::error::{PolicyError, PolicyErrors};
use super::source::Source;

/// Errors that are shown before the rest is only counted.
const SHOWN: usize = 20;
/// Bytes of one line that are shown on each side of an error.
const CONTEXT_BYTES: usize = 160;
/// Bytes of the longest piece of text that is shown at once.
const LONGEST_EXCERPT: usize = 1024;

impl PolicyErrors {
    /// The errors as a person at a terminal reads them: place, line, mark, advice. After the first
    /// twenty, the rest is only counted. `width` is in columns.
    pub fn report(&self, width: usize, colour: bool) -> String {
        let theme = match colour {
            true => GraphicalTheme::unicode(),
            false => GraphicalTheme::unicode_nocolor(),
        };
        let handler = GraphicalReportHandler::new_themed(theme)
            .with_width(width)
            .with_context_lines(1)
            .with_primary_span_start()
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
        out.truncate(out.trim_end().len());
        out.push('\n');
        out
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

impl SourceCode for Source {
    /// The lines of a span, whole but for what would fill the screen; the span alone when no context
    /// is asked for. Columns are characters.
    fn read_span<'a>(
        &'a self,
        span: &SourceSpan,
        lines_before: usize,
        lines_after: usize,
    ) -> Result<Box<dyn SpanContents<'a> + 'a>, miette::MietteError> {
        let all = self.shown();
        let (offset, behind) = (span.offset(), span.offset() + span.len());
        let (Some(before), Some(after)) = (all.get(..offset), all.get(behind..)) else {
            return Err(miette::MietteError::OutOfBounds);
        };
        if span.len() > LONGEST_EXCERPT {
            // Two places far apart are shown one by one.
            return Err(miette::MietteError::OutOfBounds);
        }
        let (start, end) = if lines_before + lines_after == 0 {
            (offset, behind)
        } else {
            let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
            let line_end = after
                .find('\n')
                .map_or(all.len(), |newline| behind + newline);
            // The CR of a CRLF would be taken for a line of its own.
            let line_end = match all.get(behind..line_end) {
                Some(rest) if rest.ends_with('\r') => line_end - 1,
                _ => line_end,
            };
            (
                line_start.max(offset.saturating_sub(CONTEXT_BYTES)),
                line_end.min(behind.saturating_add(CONTEXT_BYTES)),
            )
        };
        let start = all.floor_char_boundary(start);
        let end = all.floor_char_boundary(end);
        let text = all.get(start..end).unwrap_or_default();
        let first = self.span(start, 0);
        Ok(Box::new(MietteSpanContents::new_named(
            self.name().to_owned(),
            text.as_bytes(),
            (start, text.len()).into(),
            first.line.saturating_sub(1),
            first.column.saturating_sub(1),
            text.lines().count(),
        )))
    }
}
