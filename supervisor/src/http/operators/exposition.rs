//! The two text formats of metrics, OpenMetrics 1.0.0 and Prometheus 0.0.4, and which of them a client prefers. Pure.

use axum::http::HeaderMap;
use axum::http::header::ACCEPT;
use std::fmt::Write;

/// A format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    OpenMetrics,
    Prometheus,
}

impl Format {
    /// The format that `Accept` prefers (RFC 9110, 12.5.1), OpenMetrics if it prefers neither.
    pub(super) fn accepted(headers: &HeaderMap) -> Self {
        let quality = |format| quality(headers, format);
        if quality(Self::Prometheus) > quality(Self::OpenMetrics) {
            Self::Prometheus
        } else {
            Self::OpenMetrics
        }
    }

    /// The value of `Content-Type`.
    pub(super) const fn media_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
        }
    }

    /// Type, subtype and version.
    const fn name(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::OpenMetrics => ("application", "openmetrics-text", "1.0.0"),
            Self::Prometheus => ("text", "plain", "0.0.4"),
        }
    }

    /// How closely a media range describes this format, from 1 to 3; none if it does not match.
    fn specificity(self, range: &MediaRange<'_>) -> Option<u8> {
        let (kind, subtype, version) = self.name();
        let is_kind = range.kind.eq_ignore_ascii_case(kind);
        let is_version = range.version.is_none_or(|other| other == version);
        match (range.kind, range.subtype) {
            ("*", "*") => Some(1),
            (_, "*") if is_kind => Some(2),
            (_, other) if is_kind && other.eq_ignore_ascii_case(subtype) && is_version => Some(3),
            _ => None,
        }
    }
}

/// The quality of the most specific ranges that match a format.
fn quality(headers: &HeaderMap, format: Format) -> f32 {
    let accepted = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let ranges = accepted.flat_map(|value| value.split(',')).filter_map(MediaRange::of);
    let matching = ranges.filter_map(|range| Some((format.specificity(&range)?, range.quality)));
    let best = matching.max_by(|one, other| one.0.cmp(&other.0).then(one.1.total_cmp(&other.1)));
    best.map_or(0.0, |(_, quality)| quality)
}

/// One part of `Accept`. Other parameters than these do not change what the service can send.
struct MediaRange<'a> {
    kind: &'a str,
    subtype: &'a str,
    version: Option<&'a str>,
    quality: f32,
}

impl<'a> MediaRange<'a> {
    fn of(text: &'a str) -> Option<Self> {
        let mut parts = text.split(';').map(str::trim);
        let (kind, subtype) = parts.next()?.split_once('/')?;
        let mut range = Self { kind, subtype, version: None, quality: 1.0 };
        for (name, value) in parts.filter_map(|parameter| parameter.split_once('=')) {
            match name.to_ascii_lowercase().as_str() {
                "version" => range.version = Some(value.trim_matches('"')),
                "q" => range.quality = value.parse().ok().filter(|q| (0.0..=1.0).contains(q))?,
                _ => {}
            }
        }
        Some(range)
    }
}

/// The same metrics in the Prometheus format: it has no units and no end, counters are named with `_total`, and an info is
/// a gauge.
pub(super) fn to_prometheus(openmetrics: &str) -> String {
    let mut text = String::with_capacity(openmetrics.len());
    // Comes before the type, on which the name depends.
    let mut help = "";
    for line in openmetrics.lines() {
        if let Some(described) = line.strip_prefix("# HELP ") {
            help = described.split_once(' ').map_or("", |(_, help)| help);
        } else if let Some(typed) = line.strip_prefix("# TYPE ") {
            let (name, kind) = typed.split_once(' ').unwrap_or((typed, "unknown"));
            let (suffix, kind) = match kind {
                "counter" => ("_total", "counter"),
                "info" => ("_info", "gauge"),
                "unknown" => ("", "untyped"),
                kind => ("", kind),
            };
            writeln!(text, "# HELP {name}{suffix} {help}\n# TYPE {name}{suffix} {kind}")
                .expect("writing to a string succeeds");
        } else if !line.starts_with('#') {
            text.push_str(line);
            text.push('\n');
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use Format::{OpenMetrics, Prometheus};

    #[test]
    fn the_preferred_format_is_that_of_the_highest_quality() {
        let of = |accept: &'static str| {
            Format::accepted(&HeaderMap::from_iter([(ACCEPT, accept.parse().expect("a header"))]))
        };
        assert_eq!(Format::accepted(&HeaderMap::new()), OpenMetrics);
        for (accept, format) in [
            ("*/*", OpenMetrics),
            ("image/png", OpenMetrics),
            ("text/plain", Prometheus),
            ("Text/Plain; Version=0.0.4", Prometheus),
            ("text/*", Prometheus),
            ("text/*;q=0.5, */*;q=0.6", OpenMetrics),
            ("text/plain;q=0.5, */*;q=0.4", Prometheus),
            ("text/plain, application/openmetrics-text", OpenMetrics),
            ("text/plain;q=0.9, application/openmetrics-text;q=0.8", Prometheus),
            ("application/openmetrics-text;q=0, */*", Prometheus),
            (
                "application/openmetrics-text;version=0.0.1,text/plain;version=0.0.4;q=0.5",
                Prometheus,
            ),
            ("text/plain;version=1.0.0, */*;q=0.1", OpenMetrics),
            ("text/plain;q=2, */*;q=0.1", OpenMetrics),
            (
                "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
                 application/openmetrics-text;version=0.0.1;q=0.5,\
                 text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
                OpenMetrics,
            ),
        ] {
            assert_eq!(of(accept), format, "{accept}");
        }
    }

    #[test]
    fn the_prometheus_format_has_help_and_type_by_the_names_of_the_samples() {
        let openmetrics = "# HELP jobs Jobs by state.\n# TYPE jobs counter\njobs_total{a=\"b c\"} 1\n\
            # HELP host This host.\n# TYPE host info\nhost_info{name=\"a\"} 1\n\
            # HELP size_bytes Size.\n# TYPE size_bytes gauge\n# UNIT size_bytes bytes\nsize_bytes 3\n# EOF\n";
        let expected = "# HELP jobs_total Jobs by state.\n# TYPE jobs_total counter\njobs_total{a=\"b c\"} 1\n\
            # HELP host_info This host.\n# TYPE host_info gauge\nhost_info{name=\"a\"} 1\n\
            # HELP size_bytes Size.\n# TYPE size_bytes gauge\nsize_bytes 3\n";
        assert_eq!(to_prometheus(openmetrics), expected);
    }
}
