//! How a metric family is written: description, then samples. The one place that knows in what the
//! formats differ.
//!
//! Both are lines of text. In the older one a family is called as its samples are, and there are no
//! infos, no units and no end. prometheus-client, which wrote these pages first, knows the newer one alone.

use std::fmt::{self, Display, Write as _};

use super::formats::Format;

/// Labels of a sample: names and values. Values are escaped when written.
pub(super) type Labels<'a, const N: usize> = [(&'static str, &'a str); N];

/// What a family is. `name` is without unit and suffix, which are appended when it is written. `help` is
/// written as it is: no line feed, backslash or quote.
#[derive(Clone, Copy)]
pub(super) struct Family {
    pub(super) name: &'static str,
    pub(super) unit: Option<Quantity>,
    pub(super) help: &'static str,
}

/// What is counted, as the end of a metric's name says it.
#[derive(Clone, Copy)]
pub(super) enum Quantity {
    Packets,
    Bytes,
    Seconds,
}

/// What the samples of a family are.
#[derive(Clone, Copy)]
enum Kind {
    /// Only grows, or begins anew.
    Counter,
    Gauge,
    /// Always 1: its labels are what it says.
    Info,
}

/// A page of families in the making.
pub(super) struct Page {
    format: Format,
    text: String,
}

impl Page {
    /// An empty one.
    pub(super) fn new(format: Format) -> Self {
        Self {
            format,
            text: String::new(),
        }
    }

    /// The whole page.
    pub(super) fn end(mut self) -> String {
        if self.format == Format::OpenMetrics {
            self.line(format_args!("# EOF"));
        }
        self.text
    }

    fn line(&mut self, line: fmt::Arguments<'_>) {
        let _ = writeln!(self.text, "{line}"); // into a string, which takes everything
    }
}

impl Quantity {
    fn name(self) -> &'static str {
        match self {
            Self::Packets => "packets",
            Self::Bytes => "bytes",
            Self::Seconds => "seconds",
        }
    }
}

impl Kind {
    /// What ends the name of a sample.
    fn suffix(self) -> &'static str {
        match self {
            Self::Counter => "_total",
            Self::Gauge => "",
            Self::Info => "_info",
        }
    }

    fn name(self, format: Format) -> &'static str {
        match (self, format) {
            (Self::Counter, _) => "counter",
            (Self::Gauge, _) | (Self::Info, Format::Text) => "gauge",
            (Self::Info, Format::OpenMetrics) => "info",
        }
    }
}

impl Family {
    /// Writes counters.
    pub(super) fn counters<'a, const N: usize>(
        self,
        to: &mut Page,
        samples: impl IntoIterator<Item = (Labels<'a, N>, u64)>,
    ) {
        self.write(to, Kind::Counter, samples);
    }

    /// Writes a counter without labels.
    pub(super) fn counter(self, to: &mut Page, value: u64) {
        self.write(to, Kind::Counter, [([], value)]);
    }

    /// Writes gauges.
    pub(super) fn gauges<'a, const N: usize>(
        self,
        to: &mut Page,
        samples: impl IntoIterator<Item = (Labels<'a, N>, u64)>,
    ) {
        self.write(to, Kind::Gauge, samples);
    }

    /// Writes a gauge without labels.
    pub(super) fn gauge(self, to: &mut Page, value: u64) {
        self.write(to, Kind::Gauge, [([], value)]);
    }

    /// Writes text as the labels of a sample that is always 1.
    pub(super) fn info<const N: usize>(self, to: &mut Page, labels: Labels<'_, N>) {
        self.write(to, Kind::Info, [(labels, 1)]);
    }

    fn write<'a, const N: usize>(
        self,
        to: &mut Page,
        kind: Kind,
        samples: impl IntoIterator<Item = (Labels<'a, N>, u64)>,
    ) {
        let unit = self.unit.map(Quantity::name);
        let family = match unit {
            Some(unit) => format!("{}_{unit}", self.name),
            None => self.name.to_owned(),
        };
        let sample = format!("{family}{}", kind.suffix());
        let described = match to.format {
            Format::Text => &sample,
            Format::OpenMetrics => &family,
        };
        to.line(format_args!("# HELP {described} {}", self.help));
        to.line(format_args!("# TYPE {described} {}", kind.name(to.format)));
        if let (Format::OpenMetrics, Some(unit)) = (to.format, unit) {
            to.line(format_args!("# UNIT {described} {unit}"));
        }
        for (labels, value) in samples {
            to.line(format_args!("{sample}{} {value}", Braced(&labels)));
        }
    }
}

/// Labels in braces; nothing where there are none.
struct Braced<'a>(&'a [(&'static str, &'a str)]);

impl Display for Braced<'_> {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut before = '{';
        for (name, value) in self.0 {
            write!(to, "{before}{name}=\"{}\"", Escaped(value))?;
            before = ',';
        }
        match self.0.is_empty() {
            true => Ok(()),
            false => to.write_char('}'),
        }
    }
}

/// A label's value: what would end it, or the line, stands behind a backslash.
struct Escaped<'a>(&'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            match character {
                '\\' => to.write_str("\\\\")?,
                '"' => to.write_str("\\\"")?,
                '\n' => to.write_str("\\n")?,
                other => to.write_char(other)?,
            }
        }
        Ok(())
    }
}
