//! In which format a scrape is answered.
//!
//! As Prometheus' own client libraries do it: OpenMetrics for who asks for it by name, and the text format
//! for everybody else, also for who takes anything or says nothing. Every reader of metrics knows that
//! one; who knows more says so.

use axum::http::{HeaderMap, header};

/// A format of metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// The text format of Prometheus, version 0.0.4.
    Text,
    /// OpenMetrics text, version 1.0.0.
    OpenMetrics,
}

impl Format {
    /// The one that a request accepts, or [`Format::Text`] where it accepts neither (RFC 9110, section
    /// 12.5.1, lets a server disregard that): a reader that names neither may still read what it gets.
    pub(super) fn accepted(request: &HeaderMap) -> Self {
        let accept = request.get_all(header::ACCEPT);
        let accept = accept.iter().filter_map(|line| line.to_str().ok());
        let ranges: Vec<Range<'_>> = accept
            .flat_map(|line| line.split(','))
            .filter_map(Range::parse)
            .collect();
        let best = |format: Self| {
            let fitting = ranges.iter().filter(|range| range.includes(format));
            // The most precise range says how welcome a format is, and of several the first one.
            let most = fitting.clone().map(Range::precision).max()?;
            fitting.clone().find(|range| range.precision() == most)
        };
        let weight = |range: Option<&Range<'_>>| range.map_or(0.0, |range| range.weight);
        let (text, open) = (best(Self::Text), best(Self::OpenMetrics));
        let named = open.is_some_and(|range| range.kind != "*" && range.subtype != "*");
        let wins = match named {
            true => weight(open) > 0.0 && weight(open) >= weight(text),
            false => weight(open) > weight(text),
        };
        if wins { Self::OpenMetrics } else { Self::Text }
    }

    /// What an answer in it is called.
    pub(super) fn media_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }

    fn kind(self) -> (&'static str, &'static str) {
        match self {
            Self::Text => ("text", "plain"),
            Self::OpenMetrics => ("application", "openmetrics-text"),
        }
    }

    fn version(self) -> &'static str {
        match self {
            Self::Text => "0.0.4",
            Self::OpenMetrics => "1.0.0",
        }
    }
}

/// A media range of an Accept header: `text/*;q=0.5`, say.
#[derive(Debug)]
struct Range<'a> {
    kind: String,
    subtype: String,
    /// Names and values, without the weight.
    parameters: Vec<(String, &'a str)>,
    /// From 0, not at all, to 1.
    weight: f32,
}

impl<'a> Range<'a> {
    /// None for what is none, which says nothing then.
    fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.split(';').map(str::trim);
        let (kind, subtype) = parts.next()?.split_once('/')?;
        let mut range = Self {
            kind: kind.to_ascii_lowercase(),
            subtype: subtype.to_ascii_lowercase(),
            parameters: Vec::new(),
            weight: 1.0,
        };
        for parameter in parts.filter(|part| !part.is_empty()) {
            let (name, value) = parameter.split_once('=')?;
            let (name, value) = (name.trim_end().to_ascii_lowercase(), value.trim_start());
            if name == "q" {
                range.weight = value.parse().ok()?;
            } else {
                range.parameters.push((name, value.trim_matches('"')));
            }
        }
        (0.0..=1.0).contains(&range.weight).then_some(range)
    }

    fn includes(&self, format: Format) -> bool {
        let (kind, subtype) = format.kind();
        let all = self.kind == "*" && self.subtype == "*";
        let some = self.kind == kind && (self.subtype == "*" || self.subtype == subtype);
        (all || some)
            && self.parameters.iter().all(|(name, value)| {
                match name.as_str() {
                    "version" => *value == format.version(),
                    "charset" => value.eq_ignore_ascii_case("utf-8"),
                    // How names that are no ASCII words are to be written: there are none.
                    "escaping" => true,
                    _ => false,
                }
            })
    }

    /// More for a range that says more.
    fn precision(&self) -> (bool, bool, usize) {
        (self.kind != "*", self.subtype != "*", self.parameters.len())
    }
}

#[cfg(test)]
mod tests {
    use super::Format::{self, OpenMetrics, Text};
    use axum::http::{HeaderMap, HeaderValue, header};

    fn accepted(lines: &[&'static str]) -> Format {
        let mut request = HeaderMap::new();
        for line in lines {
            request.append(header::ACCEPT, HeaderValue::from_static(line));
        }
        Format::accepted(&request)
    }

    #[test]
    fn readers_get_the_format_that_they_want_most() {
        for (accept, expected) in [
            // curl, and a browser
            ("*/*", Text),
            (
                "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
                Text,
            ),
            // Prometheus 3, 2.40, and 2.5; one that is told to use the text format
            (
                "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
                 application/openmetrics-text;version=0.0.1;q=0.5,\
                 text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
                OpenMetrics,
            ),
            (
                "application/openmetrics-text;version=1.0.0,\
                 application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
                OpenMetrics,
            ),
            (
                "application/openmetrics-text; version=0.0.1,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
                Text,
            ),
            ("text/plain;version=0.0.4;q=0.2,*/*;q=0.1", Text),
            // Telegraf, which knows protocol buffers as well; an agent of VictoriaMetrics
            (
                "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;\
                 encoding=delimited;q=0.7,text/plain;version=0.0.4;q=0.3",
                Text,
            ),
            ("text/plain;version=0.0.4;q=1,*/*;q=0.1", Text),
        ] {
            assert_eq!(accepted(&[accept]), expected, "{accept}");
        }
        assert_eq!(accepted(&[]), Text);
    }

    #[test]
    fn weights_and_precision_decide() {
        for (accept, expected) in [
            ("application/openmetrics-text", OpenMetrics),
            (
                "APPLICATION/OpenMetrics-Text; Version=\"1.0.0\" ; Q=0.1",
                OpenMetrics,
            ),
            ("application/openmetrics-text; charset=UTF-8", OpenMetrics),
            ("application/openmetrics-text;version=2.0.0", Text),
            // As welcome as the other, and asked for by name
            ("text/plain, application/openmetrics-text", OpenMetrics),
            ("*/*, application/openmetrics-text", OpenMetrics),
            ("application/openmetrics-text;q=0.4, text/plain;q=0.5", Text),
            ("application/openmetrics-text;q=0.4, text/*;q=0.5", Text),
            ("application/openmetrics-text;q=0.4, */*;q=0.5", Text),
            // By a wildcard, and nothing else will do
            ("application/*", OpenMetrics),
            ("text/plain;q=0, */*", OpenMetrics),
            ("application/openmetrics-text;q=0, */*", Text),
            ("application/openmetrics-text;q=0, application/*", Text),
            // The range that says more, not the first and not the kindest
            (
                "application/openmetrics-text;q=0.9, application/openmetrics-text;version=1.0.0;q=0.1, \
                 text/plain;q=0.5",
                Text,
            ),
            // What can't be read says nothing
            ("application/openmetrics-text;q=much, */*", Text),
            ("application/openmetrics-text;q=2", Text),
            ("application/openmetrics-text;q=NaN", Text),
            ("openmetrics", Text),
            (",;,=;q, application/openmetrics-text;", OpenMetrics),
            ("application/json", Text),
            ("", Text),
        ] {
            assert_eq!(accepted(&[accept]), expected, "{accept}");
        }
        let over_two_lines = ["text/plain;q=0.5", "application/openmetrics-text"];
        assert_eq!(accepted(&over_two_lines), OpenMetrics);
    }
}
